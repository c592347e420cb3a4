//! The one integration binary: one link instead of one for each file.
//!
//! # Laws
//! - Each file below `tests/it` is compiled here; one that no `mod` names would be a test that never runs.

#![expect(clippy::unwrap_used, reason = "all of this binary is a test, where a panic is the report")]

mod api;
mod build_mails;
mod builds;
mod checkconfig;
mod choice;
mod cli;
mod editor;
mod examples;
mod explain;
mod family;
mod functions;
mod isolation;
mod layers;
mod limits;
mod local_workers;
mod lock_file;
mod locks;
mod loss;
mod lua_blocks;
mod mail;
mod matrix;
mod missing;
mod outbox;
mod pb_wire;
mod positions;
mod reload;
mod remote;
mod restart;
mod secrets;
mod services;
mod states;
mod steps;
mod steps_alike;
mod support;
mod trigger;
mod waiting;
mod worker_cli;
mod workers;

use std::collections::BTreeSet;

use support::tree;

#[test]
fn no_file_of_the_integration_tests_is_forgotten() {
    let root = tree::crate_root().join("tests/it");
    let named = tree::named_by_modules(&root.join("main.rs"));
    let forgotten: BTreeSet<_> = tree::rust_files(&root).difference(&named).cloned().collect();
    assert!(forgotten.is_empty(), "no `mod` names these files, so they never run: {forgotten:#?}");
}

#[test]
fn no_source_file_is_forgotten() {
    let source = tree::crate_root().join("src");
    let mut named = tree::named_by_modules(&source.join("lib.rs"));
    for binary in tree::rust_files(&source.join("bin")) {
        named.extend(tree::named_by_modules(&binary));
    }
    let forgotten: BTreeSet<_> = tree::rust_files(&source).difference(&named).cloned().collect();
    assert!(forgotten.is_empty(), "no `mod` names these files, so nobody compiles them: {forgotten:#?}");
}

#[test]
fn a_forgotten_file_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    std::fs::create_dir(folder.path().join("reload")).unwrap();
    write("main.rs", "mod reload; mod inline { mod deep; }");
    write("reload.rs", "mod worker;");
    write("reload/worker.rs", "");
    write("reload/forgotten.rs", "");
    let named = tree::named_by_modules(&folder.path().join("main.rs"));
    let forgotten: Vec<_> = tree::rust_files(folder.path()).difference(&named).cloned().collect();
    assert_eq!(forgotten, [folder.path().join("reload/forgotten.rs")]);
}
