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
/// Source: the shape is that of Buildbot's worker, so that tools which read its logs read these.
pub(super) fn opening(arguments: &ShellArguments, dir: &Path, environment: &Environment) -> String {
    let shown = |words| arguments.shown.as_ref().unwrap_or(words);
    let mut text = match &arguments.command {
        ShellLine::Shell(line) => line.clone(),
        ShellLine::Argv(words) => shown(words).iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" "),
    };
    write!(text, "\n in dir {}", dir.display()).expect("text can be written");
    for (limit, name) in [(arguments.timeout, "timeout"), (arguments.max_time, "maxTime")] {
        if let Some(limit) = limit {
            write!(text, " ({name} {} secs)", limit.as_secs_f64()).expect("text can be written");
        }
    }
    if let Some(limit) = arguments.max_lines {
        write!(text, " (maxLines {limit})").expect("text can be written");
    }
    if !arguments.log_files.is_empty() {
        text.push_str("\n watching logfiles");
        for file in &arguments.log_files {
            let follow = if file.follow { " (what is added)" } else { "" };
            write!(text, " {}={}{follow}", file.name, quoted(&file.path)).expect("text can be written");
        }
    }
    match &arguments.command {
        ShellLine::Shell(line) => write!(text, "\n argv: {line:?}\n"),
        ShellLine::Argv(words) => write!(text, "\n argv: {:?}\n", shown(words)),
    }
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
    if let Some(input) = &arguments.stdin {
        writeln!(text, " writing {} bytes to stdin", input.len()).expect("text can be written");
    }
    if arguments.use_pty {
        text.push_str(" using PTY: true\n");
    }
    text
}

/// The text when it is killed. `why` is what the one who interrupted it said.
pub(super) fn killing(reason: KillReason, arguments: &ShellArguments, why: &str) -> String {
    let seconds = |limit: Option<Duration>| limit.unwrap_or_default().as_secs_f64();
    let reason = match reason {
        KillReason::Timeout => {
            format!("command timed out: still running after {} seconds", seconds(arguments.max_time))
        }
        KillReason::TimeoutWithoutOutput => {
            format!("command timed out: no output for {} seconds", seconds(arguments.timeout))
        }
        KillReason::TooManyLines => {
            format!("command wrote more than {} lines", arguments.max_lines.unwrap_or_default())
        }
        KillReason::Interrupted if why.is_empty() => "command interrupted".to_owned(),
        KillReason::Interrupted => format!("command interrupted: {why}"),
    };
    format!("\n{reason}, attempting to kill\n")
}

/// A word as a shell would need it.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_@%+=:,./-".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

fn looks_secret(name: &str) -> bool {
    // `GIT_AUTHOR_NAME` and kin authorise nobody.
    let name = name.to_uppercase().replace("AUTHOR", "");
    SECRET_PARTS.iter().any(|part| name.contains(part))
}

#[cfg(test)]
mod tests {
    use super::*;

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
        let expected = "echo 'it'\\''s' '' a=b\n in dir /w/b/build (timeout 1200 secs) (maxTime 1.5 secs)\n \
                        argv: [\"echo\", \"it's\", \"\", \"a=b\"]\n environment:\n  API_TOKEN=…\n  \
                        GIT_AUTHOR_NAME=Ann\n  HOME=/home/ann\n  HTTP_AUTH=…\n  db_passwd=…\n \
                        writing 4 bytes to stdin\n";
        assert_eq!(text, expected);
    }

    #[test]
    fn words_are_shown_as_they_may_be() {
        let words = ["login", "sesame"].map(str::to_owned).to_vec();
        let shown = Some(["login", "<db>"].map(str::to_owned).to_vec());
        let arguments = ShellArguments { shown, log_environ: false, ..arguments(ShellLine::Argv(words)) };
        let text = opening(&arguments, Path::new("/w"), &Environment::new());
        assert!(text.starts_with("login '<db>'\n") && text.contains(r#"argv: ["login", "<db>"]"#), "{text}");
        assert!(!text.contains("sesame"), "{text}");
    }

    #[test]
    fn a_kill_is_told_with_its_reason() {
        let arguments = arguments(ShellLine::Shell(String::new()));
        let told = |reason, why| killing(reason, &arguments, why);
        assert_eq!(
            told(KillReason::TimeoutWithoutOutput, ""),
            "\ncommand timed out: no output for 1200 seconds, attempting to kill\n"
        );
        assert_eq!(
            told(KillReason::Timeout, ""),
            "\ncommand timed out: still running after 1.5 seconds, attempting to kill\n"
        );
        assert_eq!(
            told(KillReason::Interrupted, "stopped by ann"),
            "\ncommand interrupted: stopped by ann, attempting to kill\n"
        );
        assert_eq!(told(KillReason::Interrupted, ""), "\ncommand interrupted, attempting to kill\n");
    }
}
