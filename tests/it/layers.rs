//! The walls: which room of the crate may know which, and which crates stay behind a wall.
//!
//! # Laws
//! - A path of ours (`use`, inline, in a macro's tokens, in an attribute) leads to the own room or to one that the table allows.
//! - A crate with a fence is named only in its rooms.
//! - The pure rooms open nothing and read no clock; there, `#[cfg(test)]` code may.
//!
//! # Not here
//! How paths are found in a file (`scan`), and the proof that each law can fail (`snippets`).

mod scan;
mod snippets;

use std::{collections::BTreeSet, fmt};

use scan::{Mention, Source};

use crate::support::tree;

/// What a room may use of ours.
enum May {
    /// Every room of a lower level.
    Lower,
    /// Every room of a lower level but these.
    LowerBut(&'static [&'static str]),
    /// These rooms and no other.
    Only(&'static [&'static str]),
}

/// The rooms, each with its level. Rooms of one level never use each other.
const ROOMS: &[(&str, u8, May)] = &[
    ("model", 0, May::Lower),
    ("definition", 1, May::Lower),
    ("net", 1, May::Lower),
    ("exec", 1, May::Lower),
    ("config", 2, May::Lower),
    ("secret", 2, May::Lower),
    ("protocol", 2, May::Lower),
    ("store", 2, May::Lower),
    ("latent", 2, May::Lower),
    ("mq", 2, May::Lower),
    // It is a program of its own on another machine.
    ("bot", 3, May::Only(&["model", "net", "exec", "protocol"])),
    ("worker", 4, May::LowerBut(&["config"])),
    ("build", 5, May::LowerBut(&["config"])),
    ("change", 6, May::LowerBut(&["config"])),
    ("scheduler", 6, May::LowerBut(&["config"])),
    ("reporter", 6, May::LowerBut(&["config"])),
    ("master", 7, May::Lower),
    ("web", 8, May::Lower),
    ("cli", 9, May::Lower),
    ("bin", 10, May::Lower),
];

/// Crates behind a fence, each with the rooms that may name it.
const FENCES: &[(&str, &[&str])] = &[
    ("mlua", &["config"]),
    ("notify", &["config"]),
    ("sqlx", &["store"]),
    ("axum", &["web"]),
    ("rustls", &["net"]),
    ("tokio_rustls", &["net"]),
    ("rustls_native_certs", &["net"]),
    ("x509_cert", &["net"]),
    ("lettre", &["reporter"]),
    ("minijinja", &["reporter"]),
    ("anyhow", &["cli", "bin"]),
    ("clap", &["cli", "bin"]),
];

/// Modules to which time, bytes and what a file held come as arguments.
const PURE: &[&str] = &["model", "definition", "protocol", "worker::lifecycle"];

/// What a pure module does not name, with all that is below it.
const OUTSIDE: &[&str] = &["std::net", "std::os::unix::net", "tokio::net", "std::fs", "tokio::fs"];

/// Values below [`OUTSIDE`], which open nothing.
const HARMLESS: &[&str] = &[
    "std::net::AddrParseError",
    "std::net::IpAddr",
    "std::net::Ipv4Addr",
    "std::net::Ipv6Addr",
    "std::net::SocketAddr",
    "std::net::SocketAddrV4",
    "std::net::SocketAddrV6",
];

/// Reading a clock, by the last two words of a path; a method call counts as one of `Instant`.
const CLOCKS: &[&str] = &[
    "Instant::now",
    "Instant::elapsed",
    "SystemTime::now",
    "SystemTime::elapsed",
    "Timestamp::now",
    "Zoned::now",
];

/// A path where it should not be.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Violation {
    file: String,
    line: usize,
    /// As resolved: what `super` and an alias stand for is told.
    path: String,
    rule: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: `{}`: {}", self.file, self.line, self.path, self.rule)
    }
}

/// Each path of `source` that breaks a law, in the order of lines.
fn violations(source: &Source) -> BTreeSet<Violation> {
    let mut out = BTreeSet::new();
    for mention in source.mentions() {
        for rule in broken_rules(&source.module, &mention) {
            let path =
                if mention.is_ours { format!("crate::{}", mention.path) } else { mention.path.clone() };
            let path = path.trim_end_matches("::").to_owned();
            out.insert(Violation { file: source.file.clone(), line: mention.line, path, rule });
        }
    }
    out
}

fn broken_rules(module: &[String], mention: &Mention) -> Vec<String> {
    // Inline modules belong to their file, and so to its room.
    let room = module.first().map_or("", String::as_str);
    let mut rules = Vec::new();
    if let Some(trick) = mention.trick {
        rules.push(trick.to_owned());
    }
    if mention.is_ours {
        rules.extend(wall(room, mention));
    }
    for (fenced, homes) in FENCES {
        // A room may not hand its crate on by a `pub use`, so each word of a way into another room counts.
        let mut words = mention.path.split("::");
        let is_named = if mention.is_ours {
            words.next() != Some(room) && words.any(|word| word == *fenced)
        } else {
            words.next() == Some(fenced)
        };
        if is_named && !homes.contains(&room) {
            rules.push(format!("`{fenced}` stays in {}", listed(homes)));
        }
    }
    let is_pure = PURE.iter().any(|pure| is_below(&module.join("::"), pure));
    if is_pure && !mention.in_test {
        rules.extend(touch_of_the_world(mention));
    }
    rules
}

/// Why `room` may not use what is mentioned, if it may not.
fn wall(room: &str, mention: &Mention) -> Option<String> {
    let target = mention.path.split("::").next().unwrap_or_default();
    if room == target && !room.is_empty() {
        return None;
    }
    if target.is_empty() || target == "*" {
        return Some("this is the whole crate; name the room".into());
    }
    let Some((_, below, _)) = ROOMS.iter().find(|(name, ..)| *name == target) else {
        return Some(format!("`{target}` is no room of the table in tests/it/layers.rs"));
    };
    if room.is_empty() {
        return Some("the root of the crate names its rooms and uses none".into());
    }
    let Some((_, level, may)) = ROOMS.iter().find(|(name, ..)| *name == room) else {
        return Some(format!("`{room}`, where this stands, is no room of the table in tests/it/layers.rs"));
    };
    let (is_allowed, allowed) = match may {
        May::Lower => (below < level, format!("levels below {level}")),
        May::LowerBut(but) => {
            (below < level && !but.contains(&target), format!("levels below {level} but {}", listed(but)))
        }
        May::Only(only) => (only.contains(&target), format!("{} only", listed(only))),
    };
    let allowed = if *level == 0 { "nothing of ours".into() } else { allowed };
    (!is_allowed)
        .then(|| format!("`{room}` (level {level}) may use {allowed}; `{target}` is of level {below}"))
}

/// Why a pure module may not hold what is mentioned, if it may not.
fn touch_of_the_world(mention: &Mention) -> Option<String> {
    let path = mention.path.as_str();
    let opens = !mention.is_ours
        && !HARMLESS.iter().any(|harmless| is_below(path, harmless))
        && OUTSIDE.iter().any(|outside| {
            let from_above = path.strip_suffix("::*").is_some_and(|above| is_below(outside, above));
            is_below(path, outside) || from_above
        });
    if opens {
        return Some(
            "this module opens no file and no socket; let its caller hand over what is in it".into(),
        );
    }
    let words: Vec<&str> = path.split("::").collect();
    let end = words.get(words.len().saturating_sub(2)..).unwrap_or_default().join("::");
    CLOCKS.contains(&end.as_str()).then(|| "this module reads no clock; take the time as an argument".into())
}

/// Whether `path` is `above`, or is in it.
fn is_below(path: &str, above: &str) -> bool {
    path.strip_prefix(above).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

fn listed(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

#[test]
fn each_room_uses_only_what_the_table_allows() {
    let root = tree::crate_root();
    let sources = scan::sources(&root.join("src"));
    let paths: usize = sources.iter().map(|source| source.mentions().len()).sum();
    assert!(sources.len() > 20 && paths > 100, "the sources were not found: {} files", sources.len());
    let broken: BTreeSet<Violation> = sources.iter().flat_map(violations).collect();
    let lines: Vec<String> = broken.iter().map(ToString::to_string).collect();
    assert!(lines.is_empty(), "{} walls are broken:\n{}", lines.len(), lines.join("\n"));
}
