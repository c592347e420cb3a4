//! Each option has its cases: it is given rightly in a file of `tests/config/accept`, and wrongly in one of `refuse`.

use std::{
    collections::BTreeSet,
    path::Path,
    sync::{Arc, Mutex},
};

use super::{LIMITS, files::lua_files};
use crate::{
    config::{meter::Seen, script, session::FilesRead},
    definition::options::{CONSTRUCTORS, DB, LOCK_ACCESS, MASTER, MSGPACK, PB, PORT, PROTOCOLS, TLS},
};

/// Constructors whose options have their cases elsewhere, and why.
const EXCEPTED: [(&str, &str); 0] = [];

/// Options that no wrong value can be given to, and why. None so far.
const NEVER_WRONG: [(&str, &str); 0] = [];

/// Which options the files of a folder give, and whether they could be read.
fn given(folder: &str) -> BTreeSet<(String, &'static str, bool)> {
    let mut all = BTreeSet::new();
    for path in lua_files(folder) {
        let read = FilesRead::default();
        let seen = Arc::new(Seen::new(shown(&path)));
        script::run(&path, shown(&path), LIMITS, seen, &read).expect("the file can be read");
        let read = Arc::into_inner(read).map(Mutex::into_inner).expect("the load is over");
        all.extend(read.expect("nothing panicked").options);
    }
    all
}

fn shown(path: &Path) -> Arc<str> {
    path.file_name().expect("it is a file").to_string_lossy().into()
}

fn lacking(given: &BTreeSet<(String, &'static str, bool)>, is_good: bool) -> Vec<String> {
    let settings = [&LOCK_ACCESS, &MASTER, &DB, &PROTOCOLS, &PB, &MSGPACK, &PORT, &TLS];
    let mut lacking = Vec::new();
    for constructor in CONSTRUCTORS.iter().copied().chain(settings) {
        if EXCEPTED.iter().any(|(path, _)| *path == constructor.path()) {
            continue;
        }
        for option in constructor.options() {
            if !given.contains(&(constructor.path(), option.name, is_good)) {
                lacking.push(format!("{}: {}", constructor.path(), option.name));
            }
        }
    }
    lacking
}

#[test]
fn each_option_is_given_in_an_accepted_file() {
    let lacking = lacking(&given("accept"), true);
    assert!(lacking.is_empty(), "no file of tests/config/accept gives:\n{}", lacking.join("\n"));
}

#[test]
fn each_option_is_given_wrongly_in_a_refused_file() {
    let mut lacking = lacking(&given("refuse"), false);
    lacking.retain(|option| NEVER_WRONG.iter().all(|(never, _)| never != option));
    assert!(lacking.is_empty(), "no file of tests/config/refuse gives wrongly:\n{}", lacking.join("\n"));
}
