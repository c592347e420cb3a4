//! How long an interpreter lives: as long as somebody may call its functions.

use std::{sync::Arc, thread, time::Duration};

use serde_json::json;

use super::{
    calls::{draft, value_of, with_property},
    load_file, load_text, problems,
};
use crate::definition::{HookCall, HookId};

/// Whether nothing holds this name but the test: an interpreter holds those of its files.
fn is_gone(name: &Arc<str>) -> bool {
    Arc::strong_count(name) == 1
}

fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..6000 {
        if holds() {
            return;
        }
        thread::park_timeout(Duration::from_millis(10));
    }
    panic!("{what}: not within a minute");
}

#[tokio::test]
async fn the_interpreter_lives_as_long_as_its_configuration_and_without_functions_not_longer_than_its_load() {
    let draft = draft("", "util.renderer(function() return 1 end)").await;
    let name = Arc::clone(&draft.place.file);
    assert_eq!(value_of(&draft).await, Ok(json!(1)));
    // A running build keeps it, and what is left of the configuration does not.
    let kept = draft.interpreter.clone();
    drop(draft);
    assert!(!is_gone(&name));
    assert!(kept.hooks().call(HookCall { hook: HookId(0), arguments: Vec::new() }).await.is_ok());
    drop(kept);
    eventually("the end of the interpreter", || is_gone(&name));

    let plain = load_text(&with_property("local function unused() end", "1")).await.draft;
    let name = Arc::clone(&plain.place.file);
    drop(plain);
    eventually("the end of the load", || is_gone(&name));
}

#[tokio::test]
async fn a_thousand_reloads_leave_one_interpreter() {
    let text = with_property("", "util.renderer(function() return 1 end)");
    let folder = tempfile::tempdir().expect("there is room for a folder");
    let path = folder.path().join("master.cfg.lua");
    std::fs::write(&path, &text).expect("there is room for a file");
    let mut running = load_file(&path).await.draft;
    let mut names = vec![Arc::clone(&running.place.file)];
    for _ in 0..1000 {
        running = load_file(&path).await.draft;
        names.push(Arc::clone(&running.place.file));
    }
    let living = || names.iter().filter(|name| !is_gone(name)).count();
    eventually("the end of a thousand interpreters", || living() == 1);
    assert_eq!(value_of(&running).await, Ok(json!(1)));
    drop(running);
    eventually("the end of the last", || living() == 0);
}

#[tokio::test]
async fn an_interpreter_of_a_wrong_configuration_ends_with_it() {
    let told =
        problems(&with_property("worker.LocalWorker('x', { max_build = 1 })", "util.renderer(print)")).await;
    assert_eq!(told.len(), 1, "{told:?}");
}
