//! Folders are made before commands begin, and cleared away only in certainty.

use super::*;
use crate::protocol::Unfit;

/// A worker that wishes to be cleared away; its builders' folders are made.
fn tidy(builders: &[&str]) -> Pair {
    let Value::Map(mut facts) = info() else { panic!("a map") };
    facts.retain(|(key, _)| key.as_str() != Some("delete_leftover_dirs"));
    facts.push(("delete_leftover_dirs".into(), 1.into()));
    let mut pair = Pair::introduced(Value::Map(facts));
    pair.order(set_builders(builders));
    pair.done("mkdir", 0);
    pair
}

fn names(names: &[&str]) -> (&'static str, Value) {
    ("files", Value::Array(names.iter().map(|name| Value::from(*name)).collect()))
}

fn stat(mode: u32) -> (&'static str, Value) {
    let mut numbers = vec![Value::from(0); 10];
    numbers[0] = mode.into();
    ("stat", Value::Array(numbers))
}

const FOLDER: u32 = 0o040_755;
const FILE: u32 = 0o100_644;

#[test]
fn the_folders_of_all_builders_are_made_by_absolute_paths_before_it_is_attached() {
    let mut pair = Pair::introduced(info());
    pair.events();
    pair.order(set_builders(&["b1", "b2"]));
    let start = pair.request("mkdir");
    assert!(start["command_id"].as_str().unwrap().starts_with("link-"), "{start}");
    assert_eq!(start["args"], map([("paths", list(["/w/b1-dir".into(), "/w/b2-dir".into()]))]));
    assert_eq!(pair.events(), []);
    let id = start["command_id"].as_str().unwrap().to_owned();
    pair.update(&id, "rc", 0.into());
    pair.complete(&id, Value::Nil);
    assert_eq!(pair.events(), [SessionEvent::Attached]);
    // The same list again, and one more: only that is made.
    pair.order(set_builders(&["b1", "b2"]));
    assert!(pair.asked_nothing());
    pair.order(set_builders(&["b1", "b3"]));
    assert_eq!(pair.done("mkdir", 0), map([("paths", list(["/w/b3-dir".into()]))]));
    assert_eq!(pair.events(), []);
}

#[test]
fn builders_that_were_set_before_the_greeting_are_made_after_it() {
    let mut pair = Pair::new();
    pair.order(set_builders(&["b1"]));
    pair.order(start("1", "b1"));
    pair.answer("print", Value::Nil);
    pair.answer("get_worker_info", info());
    pair.answer("set_worker_settings", Value::Nil);
    pair.done("mkdir", 0);
    assert_eq!(pair.request("shell")["command_id"], "1".into());
}

#[test]
fn a_worker_without_builders_is_attached_at_once() {
    let mut pair = Pair::introduced(info());
    pair.order(set_builders(&[]));
    assert!(pair.events().contains(&SessionEvent::Attached));
    assert!(pair.asked_nothing());
}

#[test]
fn a_command_waits_for_the_folder_of_its_builder_and_for_no_other() {
    let mut pair = Pair::attached(&["b1"]);
    pair.order(set_builders(&["b1", "b2"]));
    pair.order(start("2", "b2"));
    pair.order(start("1", "b1"));
    assert_eq!(pair.request("shell")["command_id"], "1".into());
    pair.done("mkdir", 0);
    let start = pair.request("shell");
    assert_eq!(start["command_id"], "2".into());
    assert_eq!(start["args"]["workdir"], "/w/b2-dir/build".into());
}

#[test]
fn a_folder_that_cannot_be_made_fails_the_commands_of_its_builder_only() {
    let mut pair = Pair::introduced(info());
    pair.events();
    pair.order(set_builders(&["b1", "b2", "b3"]));
    pair.order(start("2", "b2"));
    pair.order(start("3", "b3"));
    let words = || Some(("header", list(["mkdir: No space left: /w/b2-dir\n".into(), list([]), list([])])));
    pair.done_with("mkdir", 28, words());
    // One by one, then, to see which it is.
    assert_eq!(pair.done("mkdir", 0), map([("paths", list(["/w/b1-dir".into()]))]));
    pair.done_with("mkdir", 28, words());
    assert_eq!(pair.done("mkdir", 0), map([("paths", list(["/w/b3-dir".into()]))]));
    let [FromWorker::Complete { id, failure }] = &pair.news()[..] else { panic!("one end") };
    let failure = failure.as_deref().unwrap();
    assert_eq!(id.as_str(), "2");
    assert!(failure.contains("b2-dir") && failure.contains("No space left"), "{failure}");
    assert_eq!(Unfit::told_by(failure), Some(Unfit::Refuses));
    assert_eq!(pair.request("shell")["command_id"], "3".into());
}

#[test]
fn folders_that_no_builder_has_are_removed_when_the_worker_wishes_so_and_files_are_not() {
    let mut pair = tidy(&["b1"]);
    let listed = pair.done_with(
        "listdir",
        0,
        Some(names(&["info", "INFO", "b1-dir", "B1-Dir", "old", "buildbot.tac", "older"])),
    );
    assert_eq!(listed["path"], "/w".into());
    let mut looked = vec![];
    for _ in 0..3 {
        let start = pair.request("stat");
        let path = start["args"]["path"].as_str().unwrap().to_owned();
        pair.asked.push(start);
        pair.done_with("stat", 0, Some(stat(if path.ends_with("tac") { FILE } else { FOLDER })));
        looked.push(path);
    }
    looked.sort();
    assert_eq!(looked, ["/w/buildbot.tac", "/w/old", "/w/older"]);
    let removed = pair.done("rmdir", 0);
    assert_eq!(removed["paths"], list(["/w/older".into(), "/w/old".into()]));
    assert!(pair.asked_nothing());
}

#[test]
fn nothing_is_removed_in_doubt() {
    let unsafe_names = ["", ".", "..", "a/b", "../x", "/etc", "b1-dir", "info"];
    // What came of the list, and of the look at the one name in it.
    for (rc, listed, looked) in [
        (0, Some(names(&unsafe_names)), None),
        (0, None, None),
        (13, Some(names(&["old"])), None),
        (0, Some(names(&["old"])), Some((0, None))),
        (0, Some(names(&["old"])), Some((2, Some(stat(FOLDER))))),
        (0, Some(names(&["old"])), Some((0, Some(stat(FILE))))),
    ] {
        let mut pair = tidy(&["b1"]);
        pair.done_with("listdir", rc, listed);
        if let Some((rc, stat)) = looked {
            pair.done_with("stat", rc, stat);
        }
        assert!(pair.asked_nothing(), "{:?}", pair.asked);
    }
    let mut unwilling = Pair::attached(&["b1"]);
    assert!(unwilling.asked_nothing());
}

#[test]
fn a_folder_that_a_builder_gets_meanwhile_is_not_removed() {
    let mut pair = tidy(&["b1"]);
    pair.done_with("listdir", 0, Some(names(&["b2-dir", "old"])));
    pair.order(set_builders(&["b1", "b2"]));
    pair.done_with("stat", 0, Some(stat(FOLDER)));
    // What was found says nothing any more: the new one is made, and all is looked at again.
    pair.done("mkdir", 0);
    pair.done_with("listdir", 0, Some(names(&["b1-dir", "b2-dir", "old"])));
    assert_eq!(pair.done_with("stat", 0, Some(stat(FOLDER)))["path"], "/w/old".into());
    assert_eq!(pair.done("rmdir", 0)["paths"], list(["/w/old".into()]));
}

#[test]
fn a_folder_is_made_after_what_is_being_removed_and_a_nested_one_keeps_its_first_name() {
    let mut pair = tidy(&["b1"]);
    pair.done_with("listdir", 0, Some(names(&["nest", "old"])));
    // The last of the list is looked at first.
    pair.done_with("stat", 0, Some(stat(FOLDER)));
    pair.done_with("stat", 0, Some(stat(FOLDER)));
    let nest = BuilderFolder { builder: "b".into(), folder: "nest/inner".into() };
    pair.order(ToWorker::SetBuilders(vec![nest]));
    pair.listen();
    assert_eq!(pair.asked.len(), 1, "the removal alone: {:?}", pair.asked);
    pair.done("rmdir", 0);
    pair.done("mkdir", 0);
    pair.done_with("listdir", 0, Some(names(&["nest"])));
    assert!(pair.asked_nothing());
}
