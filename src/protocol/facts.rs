//! What a worker tells of itself, as facts: the same bounds on every wire.
//!
//! # Laws
//! - Its environment is left out, which may hold secrets.
//! - What is kept is bounded: a fact is a line or two, not a file.
//! - The versions of its commands are one fact, [`COMMANDS`], whatever the worker calls it.
//!
//! # Not here
//! How a wire writes values (`pb`, `msgpack`).

use serde_json::{Map, Value as Json};

use crate::model::WorkerInfo;

/// The fact that has the version of each command of the worker, as an object of texts.
pub const COMMANDS: &str = "worker_commands";
/// What workers before 0.9 call [`COMMANDS`].
const OLD_COMMANDS: &str = "slave_commands";

/// What a worker tells if it can run a word of a command and show another one in its place, also where the wire has no
/// form of its own for that. It speaks to the protocol alone, and is not kept.
pub const HIDES_WORDS: &str = "lunabot_hides_words";

/// The commands of a worker of ours, by their names on both wires: steps of Buildbot's master ask for those of the other one.
pub const OUR_COMMANDS: [&str; 14] = [
    "cpdir",
    "downloadFile",
    "download_file",
    "glob",
    "listdir",
    "mkdir",
    "rmdir",
    "rmfile",
    "shell",
    "stat",
    "uploadDirectory",
    "uploadFile",
    "upload_directory",
    "upload_file",
];
/// The version of each of them, by which a master knows what it can do. Source: Buildbot 4.3.0,
/// `buildbot_worker/commands/base.py`.
pub const OUR_VERSION: &str = "3.3";

/// Facts that are kept: a release file has some twenty.
const MAX_FACTS: usize = 256;
/// The longest text of one, in bytes.
const MAX_TEXT_BYTES: usize = 16 * 1024;
/// Commands that are kept: workers know 14, and those of other times some 30.
const MAX_COMMANDS: usize = 64;
/// The longest name or version of a command, in bytes.
const MAX_COMMAND_BYTES: usize = 64;

/// Whether a fact of this name is kept. Ask before its value is made: an environment is best not touched at all.
pub fn is_wanted(name: &str) -> bool {
    name != "environ" && name != HIDES_WORDS && name.len() <= MAX_TEXT_BYTES
}

/// The facts that are kept of those which a worker tells, in any order. Of two with one name the later counts.
///
/// Lists, long texts, and objects other than the worker's commands are passed over.
pub fn read(told: impl IntoIterator<Item = (String, Json)>) -> WorkerInfo {
    let mut info = WorkerInfo::default();
    for (name, value) in told {
        if !is_wanted(&name) {
            continue;
        }
        let (name, value) = if name == COMMANDS || name == OLD_COMMANDS {
            (COMMANDS.to_owned(), commands(value))
        } else {
            (name, plain(value))
        };
        let Some(value) = value else { continue };
        if info.0.len() < MAX_FACTS || info.0.contains_key(&name) {
            info.0.insert(name, value);
        }
    }
    info
}

fn plain(value: Json) -> Option<Json> {
    match value {
        Json::Array(_) | Json::Object(_) => None,
        Json::String(text) if text.len() > MAX_TEXT_BYTES => None,
        value => Some(value),
    }
}

fn commands(value: Json) -> Option<Json> {
    let Json::Object(versions) = value else { return None };
    let is_short = |(name, version): &(String, Json)| {
        name.len() <= MAX_COMMAND_BYTES
            && version.as_str().is_some_and(|version| version.len() <= MAX_COMMAND_BYTES)
    };
    Some(Json::Object(versions.into_iter().filter(is_short).take(MAX_COMMANDS).collect::<Map<_, _>>()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read_object(told: Json) -> WorkerInfo {
        let Json::Object(told) = told else { panic!("{told}") };
        read(told)
    }

    #[test]
    fn plain_facts_are_kept_and_the_environment_is_not() {
        let told = json!({
            "admin": "me\n", "numcpus": 2, "load": 0.5, "is_big": true, "none": null,
            "environ": { "TOKEN": "sesame" }, "list": [1], "object": { "a": "b" },
        });
        let kept = json!({ "admin": "me\n", "numcpus": 2, "load": 0.5, "is_big": true, "none": null });
        assert_eq!(read_object(told), read_object(kept.clone()));
        assert_eq!(serde_json::to_value(read_object(kept.clone())).unwrap(), kept);
    }

    #[test]
    fn what_speaks_to_the_protocol_alone_is_not_kept() {
        assert_eq!(read_object(json!({ HIDES_WORDS: true })), WorkerInfo::default());
    }

    #[test]
    fn an_environment_that_is_no_object_is_left_out_too() {
        assert_eq!(read_object(json!({ "environ": "TOKEN=sesame" })), WorkerInfo::default());
    }

    #[test]
    fn the_versions_of_commands_are_one_fact_also_of_an_old_worker() {
        for name in ["worker_commands", "slave_commands"] {
            let info =
                read_object(json!({ name: { "shell": "3.3", "glob": "3.3", "odd": 3, "odder": ["3"] } }));
            assert_eq!(info.0.keys().collect::<Vec<_>>(), [COMMANDS], "{name}");
            assert_eq!(info.0[COMMANDS], json!({ "shell": "3.3", "glob": "3.3" }));
        }
        assert_eq!(read_object(json!({ "worker_commands": "all" })), WorkerInfo::default());
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let many = |count: usize| (0..count).map(|number| (format!("f{number}"), Json::from("x")));
        assert_eq!(read(many(10_000)).0.len(), MAX_FACTS);
        let long = "x".repeat(MAX_TEXT_BYTES + 1);
        let told = [(long.clone(), Json::Null), ("long".to_owned(), Json::from(long.as_str()))];
        assert_eq!(read(told), WorkerInfo::default());
        let commands = Json::Object(many(1000).chain([("y".repeat(65), "1".into())]).collect());
        let info = read([("worker_commands".to_owned(), commands)]);
        assert_eq!(info.0[COMMANDS].as_object().unwrap().len(), MAX_COMMANDS);
    }
}
