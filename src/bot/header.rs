//! What the log of a command says before its output, and why it was killed.
//!
//! # Laws
//! - The value of a variable whose name looks like a secret's is never shown.

use std::{fmt::Write as _, path::Path, time::Duration};

use super::environment::Environment;
use crate::{
    exec::KillReason,
    protocol::command::{ShellArguments, ShellLine},
};

/// Parts of a name that make its value one to hide.
const SECRET_PARTS: [&str; 8] = ["AUTH", "CREDENTIAL", "CRED", "KEY", "PASS", "PRIVATE", "SECRET", "TOKEN"];

/// The text before the output: what is run, where, under which limits, in what environment.
///
/// Source: the text of Buildbot's worker, letter for letter but for values that are hidden, so that tools which read its
/// logs read these.
pub(super) fn opening(arguments: &ShellArguments, dir: &Path, environment: &Environment) -> String {
    let mut text = match &arguments.command {
        ShellLine::Shell(line) => line.clone(),
        ShellLine::Argv(words) => {
            shown(arguments, words).iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ")
        }
    };
    write!(text, "\n in dir {}", dir.display()).expect("text can be written");
    for (limit, name) in [(arguments.timeout, "timeout"), (arguments.max_time, "maxTime")] {
        if let Some(limit) = limit.map(|limit| limit.as_secs_f64()) {
            let unit = if (limit - 1.0).abs() < f64::EPSILON { "sec" } else { "secs" };
            write!(text, " ({name} {limit} {unit})").expect("text can be written");
        }
    }
    let files = arguments.log_files.iter().map(|file| {
        let (name, path) = (literal(&file.name), literal(&file.path));
        if file.follow {
            format!("{name}: {{'filename': {path}, 'follow': True}}")
        } else {
            format!("{name}: {path}")
        }
    });
    let files = files.collect::<Vec<_>>().join(", ");
    write!(text, "\n watching logfiles {{{files}}}\n argv: {}\n", argv(arguments))
        .expect("text can be written");
    if arguments.log_environ {
        text.push_str(" environment:\n");
        for (name, value) in environment {
            let name = name.display().to_string();
            if looks_secret(&name) {
                writeln!(text, "  {name}=…")
            } else {
                writeln!(text, "  {name}={}", value.display())
            }
            .expect("text can be written");
        }
    }
    if let Some(input) = arguments.stdin.as_ref().filter(|input| !input.is_empty()) {
        writeln!(text, " writing {} bytes to stdin", input.len()).expect("text can be written");
    }
    text.push_str(if arguments.use_pty { " using PTY: True\n" } else { " using PTY: False\n" });
    text
}

/// The text when it is killed. `why` is what the one who interrupted it said.
pub(super) fn killing(reason: KillReason, arguments: &ShellArguments, why: &str) -> String {
    let seconds = |limit: Option<Duration>| limit.unwrap_or_default().as_secs_f64();
    let argv = argv(arguments);
    let reason = match reason {
        KillReason::Timeout => {
            format!("command timed out: {} seconds elapsed running {argv}", seconds(arguments.max_time))
        }
        KillReason::TimeoutWithoutOutput => {
            format!("command timed out: {} seconds without output running {argv}", seconds(arguments.timeout))
        }
        KillReason::TooManyLines { written } => {
            let allowed = arguments.max_lines.unwrap_or_default();
            format!("command exceeds max lines: {written}/{allowed} written/allowed running {argv}")
        }
        KillReason::Interrupted if why.is_empty() => "command interrupted".to_owned(),
        KillReason::Interrupted => format!("command interrupted: {why}"),
    };
    format!("\n{reason}, attempting to kill\n")
}

fn shown<'a>(arguments: &'a ShellArguments, words: &'a Vec<String>) -> &'a Vec<String> {
    arguments.shown.as_ref().unwrap_or(words)
}

/// The command as Python writes it, which is how its worker shows it.
fn argv(arguments: &ShellArguments) -> String {
    match &arguments.command {
        ShellLine::Shell(line) => bytes_literal(line),
        ShellLine::Argv(words) => {
            let words = shown(arguments, words).iter().map(|word| bytes_literal(word));
            format!("[{}]", words.collect::<Vec<_>>().join(", "))
        }
    }
}

/// Text as Python writes its bytes.
fn bytes_literal(text: &str) -> String {
    let escaped = |c: char| {
        let mut bytes = [0; 4];
        c.encode_utf8(&mut bytes).bytes().fold(String::new(), |text, byte| format!("{text}\\x{byte:02x}"))
    };
    format!("b{}", literal_with(text, |c| if c.is_ascii() { c.to_string() } else { escaped(c) }))
}

/// Text as Python writes it.
fn literal(text: &str) -> String {
    literal_with(text, |c| c.to_string())
}

fn literal_with(text: &str, other: impl Fn(char) -> String) -> String {
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    let mut literal = String::from(quote);
    for c in text.chars() {
        match c {
            '\\' => literal.push_str("\\\\"),
            '\n' => literal.push_str("\\n"),
            '\r' => literal.push_str("\\r"),
            '\t' => literal.push_str("\\t"),
            c if c == quote => literal.extend(['\\', c]),
            c if c.is_ascii_control() => {
                write!(literal, "\\x{:02x}", u32::from(c)).expect("text can be written");
            }
            c => literal.push_str(&other(c)),
        }
    }
    literal.push(quote);
    literal
}

/// A word as a shell would need it.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_@%+=:,./-".contains(c);
    if word.is_empty() {
        r#""""#.to_owned()
    } else if word.chars().all(is_plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r#"'"'"'"#))
    }
}

fn looks_secret(name: &str) -> bool {
    // `GIT_AUTHOR_NAME` and kin authorise nobody.
    let name = name.to_uppercase().replace("AUTHOR", "");
    SECRET_PARTS.iter().any(|part| name.contains(part))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::protocol::command::LogFile;

    fn arguments(command: ShellLine) -> ShellArguments {
        ShellArguments {
            command,
            stdin: Some("four".into()),
            timeout: Some(Duration::from_secs(1200)),
            max_time: Some(Duration::from_millis(1500)),
            log_environ: true,
            ..ShellArguments::sample("")
        }
    }

    #[test]
    fn the_opening_tells_what_runs_where_and_hides_secrets() {
        let words = ["echo", "it's", "", "a=b"].map(str::to_owned).to_vec();
        let variables = [
            ("API_TOKEN", "t0"),
            ("GIT_AUTHOR_NAME", "Ann"),
            ("HTTP_AUTH", "t1"),
            ("db_passwd", "t2"),
            ("HOME", "/home/ann"),
        ];
        let environment = variables.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
        let text = opening(&arguments(ShellLine::Argv(words)), Path::new("/w/b/build"), &environment);
        let expected = "echo 'it'\"'\"'s' \"\" a=b\n in dir /w/b/build (timeout 1200 secs) (maxTime 1.5 secs)\n \
                        watching logfiles {}\n argv: [b'echo', b\"it's\", b'', b'a=b']\n environment:\n  \
                        API_TOKEN=…\n  GIT_AUTHOR_NAME=Ann\n  HOME=/home/ann\n  HTTP_AUTH=…\n  db_passwd=…\n \
                        writing 4 bytes to stdin\n using PTY: False\n";
        assert_eq!(text, expected);
    }

    #[test]
    fn words_are_shown_as_they_may_be() {
        let words = ["login", "sesame"].map(str::to_owned).to_vec();
        let shown = Some(["login", "<db>"].map(str::to_owned).to_vec());
        let arguments = ShellArguments { shown, log_environ: false, ..arguments(ShellLine::Argv(words)) };
        let text = opening(&arguments, Path::new("/w"), &Environment::new());
        assert!(text.starts_with("login '<db>'\n") && text.contains("argv: [b'login', b'<db>']\n"), "{text}");
        assert!(!text.contains("sesame"), "{text}");
    }

    #[test]
    fn odd_words_are_written_as_python_writes_them() {
        let line = "printf 'a\\r\"' \t\u{1}ä\n";
        let command = ShellLine::Shell(line.to_owned());
        let file = |name: &str, follow| LogFile { name: name.into(), path: "it's.log".to_owned(), follow };
        let arguments = ShellArguments {
            timeout: Some(Duration::from_secs(1)),
            max_time: None,
            log_environ: false,
            stdin: Some(Bytes::new()),
            log_files: vec![file("ä", false), file("b", true)],
            use_pty: true,
            ..arguments(command)
        };
        let text = opening(&arguments, Path::new("/w"), &Environment::new());
        let expected = r#" in dir /w (timeout 1 sec)
 watching logfiles {'ä': "it's.log", 'b': {'filename': "it's.log", 'follow': True}}
 argv: b'printf \'a\\r"\' \t\x01\xc3\xa4\n'
 using PTY: True
"#;
        assert_eq!(text, format!("{line}\n{expected}"));
    }

    #[test]
    fn a_kill_is_told_with_its_reason() {
        let arguments =
            ShellArguments { max_lines: Some(10), ..arguments(ShellLine::Shell("sleep 9".into())) };
        let told = |reason, why| killing(reason, &arguments, why);
        assert_eq!(
            told(KillReason::TimeoutWithoutOutput, ""),
            "\ncommand timed out: 1200 seconds without output running b'sleep 9', attempting to kill\n"
        );
        assert_eq!(
            told(KillReason::Timeout, ""),
            "\ncommand timed out: 1.5 seconds elapsed running b'sleep 9', attempting to kill\n"
        );
        assert_eq!(
            told(KillReason::TooManyLines { written: 12 }, ""),
            "\ncommand exceeds max lines: 12/10 written/allowed running b'sleep 9', attempting to kill\n"
        );
        assert_eq!(
            told(KillReason::Interrupted, "stopped by ann"),
            "\ncommand interrupted: stopped by ann, attempting to kill\n"
        );
        assert_eq!(told(KillReason::Interrupted, ""), "\ncommand interrupted, attempting to kill\n");
    }
}
