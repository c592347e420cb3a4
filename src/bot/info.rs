//! What a worker tells of itself and of its machine.
//!
//! Source of the names: Buildbot's worker. Files of `BASEDIR/info` first, then `/etc/os-release` as `os_…`, then what
//! is measured; later ones win.

use std::{collections::BTreeMap, fs, io, io::Read, path::Path};

use serde_json::{Map, Value};

use super::{BotSettings, environment};
use crate::{
    model::WorkerInfo,
    protocol::facts::{COMMANDS, OUR_COMMANDS, OUR_VERSION},
};

/// The longest file that is told of: more is no note for people.
const FILE_BYTES: u64 = 64 * 1024;
/// The most files that are told of.
const FILES: usize = 64;

/// All that a worker tells of itself.
///
/// Blocks: it reads some small files.
pub fn told(settings: &BotSettings) -> WorkerInfo {
    let WorkerInfo(mut facts) = gather(&settings.basedir);
    if let Some(count) = settings.numcpus {
        facts.insert("numcpus".to_owned(), count.get().into());
    }
    if settings.tells_wire_facts {
        let versions = OUR_COMMANDS.map(|name| (name.to_owned(), OUR_VERSION.into()));
        facts.insert(COMMANDS.to_owned(), Map::from_iter(versions).into());
        // What is no text cannot be told.
        let environ = environment::own(&settings.hidden).into_iter().filter_map(|(name, value)| {
            Some((name.into_string().ok()?, Value::from(value.into_string().ok()?)))
        });
        facts.insert("environ".to_owned(), environ.collect::<Map<_, _>>().into());
        // A number, as Buildbot's worker tells it.
        facts.insert("delete_leftover_dirs".to_owned(), u8::from(settings.delete_leftover_dirs).into());
    }
    facts.extend(settings.info.0.clone());
    WorkerInfo(facts)
}

/// What is found in a worker's folder and on this machine. What cannot be read is left out: a worker without a note is a worker.
///
/// Blocks: it reads some small files.
pub fn gather(basedir: &Path) -> WorkerInfo {
    let mut facts = notes(&basedir.join("info"));
    let os_release =
        fs::read_to_string("/etc/os-release").or_else(|_| fs::read_to_string("/usr/lib/os-release"));
    facts.extend(os_release.map(|text| os_facts(&text)).unwrap_or_default());
    if let Ok(name) = fs::read_to_string("/proc/sys/kernel/hostname") {
        // The operator's own note of the machine, if there is one, says more.
        facts.entry("host".to_owned()).or_insert_with(|| name.trim_end().into());
    }
    let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    facts.insert("numcpus".to_owned(), processors.into());
    facts.insert("basedir".to_owned(), basedir.display().to_string().into());
    facts.insert("system".to_owned(), "posix".into());
    facts.insert("version".to_owned(), env!("CARGO_PKG_VERSION").into());
    WorkerInfo(facts)
}

/// The notes that the operator left for people: `admin`, `host`, `access_uri`, whatever.
fn notes(folder: &Path) -> BTreeMap<String, Value> {
    let Ok(files) = fs::read_dir(folder) else { return BTreeMap::new() };
    let mut notes = BTreeMap::new();
    for file in files.flatten().take(FILES) {
        let Ok(name) = file.file_name().into_string() else { continue };
        // Asked first: opening a pipe would wait for whoever writes to it.
        if file.path().metadata().is_ok_and(|metadata| metadata.is_file())
            && let Ok(text) = read_short(&file.path())
        {
            notes.insert(name, text.trim_end().into());
        }
    }
    notes
}

fn read_short(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    fs::File::open(path)?.take(FILE_BYTES).read_to_string(&mut text)?;
    Ok(text)
}

/// Assignments as `os-release(5)` has them.
fn os_facts(text: &str) -> BTreeMap<String, Value> {
    text.lines()
        .filter(|line| !line.trim_start().starts_with('#'))
        .filter_map(|line| line.trim().split_once('='))
        .map(|(name, value)| (format!("os_{}", name.to_lowercase()), unquoted(value).into()))
        .collect()
}

fn unquoted(value: &str) -> String {
    let inner = ['"', '\'']
        .into_iter()
        .find_map(|quote| value.strip_prefix(quote)?.strip_suffix(quote))
        .unwrap_or(value);
    let mut text = String::new();
    let mut characters = inner.chars();
    while let Some(c) = characters.next() {
        text.extend(if c == '\\' { characters.next() } else { Some(c) });
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_are_told_and_measured_facts_win_over_them() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("info/folder")).unwrap();
        for (name, bytes) in
            [("admin", b"Ann <ann@example.org>\n".as_slice()), ("version", b"mine"), ("odd", b"\xff")]
        {
            fs::write(dir.path().join("info").join(name), bytes).unwrap();
        }
        let info = gather(dir.path());
        assert_eq!(info.text("admin"), Some("Ann <ann@example.org>"));
        assert_eq!(info.text("version"), Some(env!("CARGO_PKG_VERSION")));
        assert_eq!(info.text("system"), Some("posix"));
        assert_eq!(info.text("basedir"), dir.path().to_str());
        assert!(info.0["numcpus"].as_u64().is_some_and(|count| count > 0));
        assert!(info.text("host").is_some());
        assert!(!info.0.contains_key("odd") && !info.0.contains_key("folder"));
    }

    #[test]
    fn what_only_a_wire_needs_is_told_when_it_is_asked_for() {
        let plain = BotSettings::new("/nonexistent");
        let told_plainly = told(&plain);
        assert!(!told_plainly.0.contains_key("environ") && !told_plainly.0.contains_key(COMMANDS));
        let settings = BotSettings {
            tells_wire_facts: true,
            delete_leftover_dirs: true,
            numcpus: std::num::NonZero::new(3),
            hidden: environment::HiddenVariables::parse("CARGO*"),
            info: WorkerInfo([("host".to_owned(), "mine".into())].into()),
            ..plain
        };
        let WorkerInfo(facts) = told(&settings);
        assert_eq!(facts["numcpus"], 3);
        assert_eq!(facts["host"], "mine");
        assert_eq!(facts["delete_leftover_dirs"], 1);
        assert_eq!(facts[COMMANDS]["shell"], OUR_VERSION);
        let environ = facts["environ"].as_object().unwrap();
        assert_eq!(environ["PATH"], *std::env::var("PATH").unwrap());
        // Cargo gives the test several of these.
        assert!(!environ.keys().any(|name| name.starts_with("CARGO")), "{:?}", environ.keys());
    }

    #[test]
    fn a_folder_without_notes_is_enough() {
        let info = gather(Path::new("/nonexistent"));
        assert_eq!(info.text("basedir"), Some("/nonexistent"));
    }

    #[test]
    fn os_release_is_read_with_its_quotes() {
        let facts =
            os_facts("# a comment\nID=debian\nNAME=\"A \\\"B\\\"\"\nEMPTY=\nno assignment\nX='y z'\n");
        let told: Vec<_> =
            facts.iter().map(|(name, value)| (name.as_str(), value.as_str().unwrap())).collect();
        assert_eq!(told, [("os_empty", ""), ("os_id", "debian"), ("os_name", "A \"B\""), ("os_x", "y z")]);
    }
}
