//! What documents and examples say of this command line, held against it.
//!
//! # Laws
//! - A command that a document shows is one that the parser takes; a variable that an example sets is one that is read.
//! - The table of settings in `docs/lunabot-worker.md` is made of [`Key`].

use std::{fmt::Write as _, fs, path::PathBuf};

use clap::Parser as _;

use super::{Arguments, Command, key::Key, settings::Settings, variables::VARIABLES};

const PAGE: &str = "docs/lunabot-worker.md";
const README: &str = "examples/worker/README.md";

fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn read(name: &str) -> String {
    fs::read_to_string(path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn parsed(words: &[String]) -> Command {
    let words = std::iter::once("lunabot-worker").chain(words.iter().map(String::as_str));
    Arguments::try_parse_from(words.clone())
        .unwrap_or_else(|e| panic!("{:?}: {e}", words.collect::<Vec<_>>()))
        .command
}

/// The words of a line as a shell makes them, up to the end of the command.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    for c in line.chars() {
        match (quote, c) {
            (Some(open), _) if open == c => quote = None,
            (None, '\'' | '"') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, '|' | '>' | '<' | '#' | ';' | '&' | ')') => break,
            (None, ' ') => words.extend(word.take()),
            (_, c) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

/// The commands of this program in the blocks of a document.
fn commands(text: &str) -> Vec<String> {
    let mut in_block = false;
    let mut out = Vec::new();
    let joined = text.replace("\\\n", " ");
    for line in joined.lines() {
        if line.starts_with("```") {
            in_block = !in_block;
            continue;
        }
        let Some((before, command)) = line.split_once("lunabot-worker ").filter(|_| in_block) else {
            continue;
        };
        // Not the name of a user, of a service or of an image.
        let is_command =
            ["", "$ ", "| "].iter().any(|end| before == *end || (end.len() > 1 && before.ends_with(end)));
        let is_run_as = before.starts_with("runuser ");
        match command.split_once("lunabot-worker ") {
            Some((_, command)) if is_run_as => out.push(command.to_owned()),
            _ if is_command || before.ends_with("/bin/") => out.push(command.to_owned()),
            _ => {}
        }
    }
    out
}

#[test]
fn every_command_in_the_documents_is_one_that_is_taken() {
    let mut count = 0;
    for name in [PAGE, README, "docs/workers.md"] {
        for command in commands(&read(name)) {
            parsed(&words(&command));
            count += 1;
        }
    }
    assert!(count >= 11, "{count} commands were found");
}

#[test]
fn the_unit_starts_the_program_with_options_that_exist() {
    let unit = read("examples/worker/lunabot-worker.service");
    let value = |name: &str| {
        let lines = unit.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix('='));
        let [value] = lines.collect::<Vec<_>>()[..] else { panic!("{name} does not stand there once") };
        value.to_owned()
    };
    let start = value("ExecStart");
    let words = words(&start);
    assert!(words[0].ends_with("/lunabot-worker"), "{start}");
    let Command::Start(options) = parsed(&words[1..]) else { panic!("{start}") };
    assert!(options.nodaemon && options.dir.is_some(), "{start}");
    let (credential, _) =
        value("LoadCredential").split_once(':').map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap();
    assert_eq!(options.password_file, Some(PathBuf::from(format!("%d/{credential}"))));
    assert_eq!(value("Type"), "notify");
    assert_eq!(options.dir, Some(PathBuf::from(format!("/var/lib/{}", value("StateDirectory")))));
}

#[test]
fn the_image_starts_the_program_with_options_and_variables_that_exist() {
    let image = read("examples/worker/Dockerfile").replace("\\\n", " ");
    let list = |name: &str| -> Vec<String> {
        let text =
            image.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_else(|| panic!("no {name}"));
        serde_json::from_str(text).unwrap()
    };
    let entry = list("ENTRYPOINT ");
    assert!(entry.last().unwrap().ends_with("/lunabot-worker"), "{entry:?}");
    assert!(matches!(parsed(&list("CMD ")), Command::Start(_)));
    let set = image.lines().find_map(|line| line.strip_prefix("ENV ")).unwrap();
    let readme = read(README).replace("\\\n", " ");
    let given = readme.split_whitespace().skip_while(|word| *word != "--env");
    let names = set.split_whitespace().chain(given).filter_map(|word| word.split_once('='));
    let names: Vec<_> = names
        .map(|(name, _)| name)
        .filter(|name| name.chars().all(|c| c.is_uppercase() || c == '_'))
        .collect();
    assert!(names.len() >= 5, "{names:?}");
    for name in names {
        assert!(VARIABLES.contains(&name), "{name} is read by nobody");
    }
}

#[test]
fn the_table_of_settings_is_what_the_settings_are() {
    let defaults = Settings::default();
    let mut table = String::from("| setting | default | |\n|---|---|---|\n");
    for key in Key::ALL {
        let default = defaults.shown(key).map_or_else(String::new, |value| format!("`{value}`"));
        writeln!(table, "| `{}` | {default} | {} |", key.name(), key.about().join(" ")).unwrap();
    }
    let page = read(PAGE);
    let (before, rest) = page.split_once("| setting | default | |\n").expect("the page has the table");
    let end = rest.find("\n\n").map_or(rest.len(), |end| end + 1);
    if std::env::var_os("UPDATE_GENERATED").is_some() {
        fs::write(path(PAGE), format!("{before}{table}{}", &rest[end..])).unwrap();
        return;
    }
    let there = format!("| setting | default | |\n{}", &rest[..end]);
    assert!(there == table, "{PAGE} is not what the settings are; set UPDATE_GENERATED=1 to write it");
    for name in VARIABLES {
        assert!(page.contains(&format!("| `{name}` |")), "{PAGE} does not tell of {name}");
    }
}
