//! Workers that are paused, stopped and killed: what their operator sees, and what becomes of builds. The workers here are
//! LocalWorkers; real ones are in `workers::states`.

use serde_json::Value;

use crate::support::master::{HEAD, MasterDir, Process, eventually, touch};

/// `w1` builds `b`, which waits for the test; `w2` builds `quick`, which does not; `away` is never there.
fn config(workers: &str) -> String {
    format!(
        "{HEAD}c.protocols = {{}}\nc.workers = {{ {workers} }}\n\
         local slow = util.BuildFactory {{ steps.ShellCommand {{ command = 'echo $$ > pid; while [ ! -e go ]; do sleep 0.05; done' }} }}\n\
         local quick = util.BuildFactory {{ steps.ShellCommand {{ command = 'true' }} }}\n\
         c.builders = {{ util.BuilderConfig {{ name = 'b', workernames = {{ 'w1' }}, factory = slow }},\n\
           util.BuilderConfig {{ name = 'quick', workernames = {{ 'w2' }}, factory = quick }} }}\n\
         c.schedulers = {{ schedulers.ForceScheduler('force', {{ 'b', 'quick' }}) }}\n"
    )
}

const WORKERS: &str = "worker.LocalWorker('w1'), worker.LocalWorker('w2'), worker.Worker('away', 'sesame')";

fn master() -> (MasterDir, Process) {
    let dir = MasterDir::new(&config(WORKERS));
    let master = dir.start();
    for name in ["w1", "w2"] {
        wait_attached(&dir, name);
    }
    (dir, master)
}

fn wait_attached(dir: &MasterDir, name: &str) {
    eventually("a LocalWorker to attach", || {
        (dir.worker(name)["connected_to"].as_array()?.len() == 1).then_some(())
    });
}

fn force(dir: &MasterDir, builder: &str) {
    assert!(dir.run("force", &[builder]).status.success());
}

/// Asks for a build of `quick` and waits for its end: the queue has looked by then at all that was asked for before.
fn let_the_queue_look(dir: &MasterDir) {
    assert_eq!(dir.run("force", &["quick", "--wait"]).status.code(), Some(0));
}

/// The results of the builds on `w1`, the oldest first.
fn results(dir: &MasterDir) -> Vec<Value> {
    let id = &dir.worker("w1")["workerid"];
    let mut builds = dir.builds();
    builds.retain(|build| build["workerid"] == *id);
    builds.sort_by_key(|build| build["buildid"].as_i64());
    builds.into_iter().map(|mut build| build["results"].take()).collect()
}

fn wait_for_results(dir: &MasterDir, wanted: &[i64]) {
    eventually(&format!("results {wanted:?}"), || (results(dir) == wanted).then_some(()));
}

fn wait_for_command(dir: &MasterDir) {
    eventually("the command", || dir.build_dir().join("pid").exists().then_some(()));
}

/// The state in the table of `lunabot workers`.
fn state(dir: &MasterDir, name: &str) -> String {
    let output = dir.run("workers", &[]);
    let table = String::from_utf8(output.stdout).unwrap();
    let line = table.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("{table}"));
    line[name.len()..].trim().split("  ").next().unwrap().to_owned()
}

/// Whoever runs this test, as the system calls them.
fn user() -> String {
    #[expect(clippy::disallowed_methods, reason = "the test asks the system")]
    let output = std::process::Command::new("id").arg("-un").output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[test]
fn a_paused_worker_ends_its_build_gets_no_other_and_gets_the_waiting_one_once_unpaused() {
    let (dir, _master) = master();
    force(&dir, "b");
    wait_for_command(&dir);
    let said = dir.order("pause", "w1", &["--reason", "disk full"]);
    assert_eq!(said, "w1 is paused; the build that runs goes on\n");
    assert_eq!(state(&dir, "w1"), "paused (disk full), building");
    force(&dir, "b");
    touch(&dir.build_dir().join("go"));
    wait_for_results(&dir, &[0]);
    let_the_queue_look(&dir);
    assert_eq!(results(&dir), [0], "no build is given to it");

    let shown = dir.worker("w1");
    assert_eq!((&shown["paused"], &shown["pause_reason"]), (&true.into(), &"disk full".into()));
    assert_eq!(shown["paused_by"], user().as_str());
    assert!(shown["paused_at"].is_i64() && shown["graceful"] == false, "{shown}");
    dir.order("pause", "w1", &["--reason", "disk still full"]);
    assert_eq!(dir.worker("w1")["pause_reason"], "disk still full");

    assert_eq!(dir.order("unpause", "w1", &[]), "w1 is no longer paused\n");
    wait_for_results(&dir, &[0, 0]);
    assert_eq!(dir.order("unpause", "w1", &[]), "w1 was not paused\n");
    let shown = dir.worker("w1");
    assert!(shown["pause_reason"].is_null() && shown["paused_by"].is_null(), "{shown}");
}

#[test]
fn a_pause_outlives_kill_9_a_reload_and_the_workers_own_removal() {
    let (dir, mut master) = master();
    dir.order("pause", "w1", &["--reason", "new disk"]);
    dir.order("pause", "away", &[]);
    master.signal("KILL");
    assert_eq!(master.wait(), None);

    let _master = dir.start();
    wait_attached(&dir, "w1");
    assert_eq!(state(&dir, "w1"), "paused (new disk), idle");
    assert_eq!(state(&dir, "away"), "paused, never connected");
    let reload = |workers: &str| {
        std::fs::write(dir.file("master.cfg.lua"), config(workers)).unwrap();
        let output = dir.run("reconfig", &[]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    reload(&WORKERS.replace("'w1'", "'w1', { max_builds = 3 }"));
    assert_eq!(dir.worker("w1")["pause_reason"], "new disk");
    let without = config("worker.LocalWorker('w2')").replace("'w1'", "'w2'");
    std::fs::write(dir.file("master.cfg.lua"), without).unwrap();
    assert!(dir.run("reconfig", &[]).status.success());
    eventually("w1 to be gone", || dir.worker("w1").is_null().then_some(()));
    reload(WORKERS);
    wait_attached(&dir, "w1");
    let shown = dir.worker("w1");
    assert_eq!((&shown["pause_reason"], &shown["paused_by"]), (&"new disk".into(), &user().as_str().into()));

    touch_go_in_advance(&dir);
    force(&dir, "b");
    let_the_queue_look(&dir);
    assert!(results(&dir).is_empty());
    dir.order("unpause", "w1", &[]);
    wait_for_results(&dir, &[0]);
}

fn touch_go_in_advance(dir: &MasterDir) {
    std::fs::create_dir_all(dir.build_dir()).unwrap();
    touch(&dir.build_dir().join("go"));
}

#[test]
fn a_killed_local_worker_comes_back_and_its_build_is_tried_again() {
    let (dir, _master) = master();
    force(&dir, "b");
    wait_for_command(&dir);
    assert_eq!(dir.order("kill", "w1", &[]), "w1 is told to stop at once; its builds (1) are tried again\n");
    wait_for_results(&dir, &[5]);
    touch(&dir.build_dir().join("go"));
    wait_for_results(&dir, &[5, 0]);
}

#[test]
fn what_cannot_be_done_is_told_with_a_hint() {
    let (dir, _master) = master();
    for (arguments, wanted) in [
        (["stop", "w1"], ["`w1` is a LocalWorker", "`pause` keeps builds away"]),
        (["stop", "away"], ["`away` is not connected", "`pause` keeps builds away"]),
        (["kill", "away"], ["`away` is not connected", "nothing to stop"]),
        (["pause", "awya"], ["no worker is named \"awya\"", "did you mean `away`?"]),
        (["show", "nobody-at-all"], ["no worker is named", "`lunabot workers`"]),
    ] {
        let output = dir.run("worker", &arguments);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(wanted.iter().all(|wanted| said.contains(wanted)), "{arguments:?}: {said}");
    }
    assert_eq!(dir.run("worker", &["halt", "w1"]).status.code(), Some(2));
    assert_eq!(dir.worker("w1")["graceful"], false);
}

#[test]
fn the_api_has_buildbots_methods_and_errors() {
    let (dir, _master) = master();
    let post = |key: &str, method: &str, params: &str| {
        let answer = dir.post(&format!("/api/v2/workers/{key}"), method, params);
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().to_owned();
        (status, serde_json::from_str::<Value>(body).unwrap())
    };
    let id = dir.worker("w1")["workerid"].to_string();
    let (status, answer) = post(&id, "pause", r#"{"reason": "by id"}"#);
    assert_eq!((status.as_str(), &answer["result"]["changed"]), ("200", &true.into()), "{answer}");
    assert_eq!(dir.worker("w1")["pause_reason"], "by id");
    let (status, answer) = post("w1", "unpause", "{}");
    assert_eq!((status.as_str(), &answer["id"]), ("200", &1.into()), "{answer}");
    assert_eq!(dir.worker("w1")["paused"], false);
    for (key, method, params, wanted, code) in [
        ("w1", "explode", "{}", "400", -32601),
        ("w1", "pause", r#"{"reason": 7}"#, "400", -32602),
        ("nobody", "pause", "{}", "404", -32000),
        ("999", "pause", "{}", "404", -32000),
        ("away", "stop", "{}", "409", -32000),
    ] {
        let (status, answer) = post(key, method, params);
        assert_eq!((status.as_str(), &answer["error"]["code"]), (wanted, &code.into()), "{answer}");
        assert!(answer["error"]["message"].is_string() && answer["id"] == 1, "{answer}");
    }
    assert_eq!(dir.worker("w1")["paused"], false, "a refused call changes nothing");
}

#[test]
fn one_worker_is_shown_in_full() {
    let (dir, _master) = master();
    force(&dir, "b");
    wait_for_command(&dir);
    dir.order("pause", "w1", &["--reason", "disk full"]);
    let shown = dir.order("show", "w1", &[]);
    let value = |label: &str| {
        let line = shown.lines().find(|line| line.split(' ').next() == Some(label));
        line.unwrap_or_else(|| panic!("no {label}: {shown}"))[label.len()..].trim().to_owned()
    };
    assert_eq!(value("worker"), "w1");
    assert_eq!(value("state"), "paused (disk full), building");
    assert!(value("pause").ends_with(&format!(" by {}: disk full", user())), "{shown}");
    assert!(value("connected").ends_with("from this process"), "{shown}");
    assert_eq!((value("builders"), value("class")), ("b".into(), "LocalWorker".into()));
    assert!(value("builds").starts_with("b 1, since "), "{shown}");
    assert!(!value("version").is_empty() && !shown.contains('\u{1b}'), "{shown}");
    let json: Value = serde_json::from_str(&dir.order("show", "away", &["--json"])).unwrap();
    assert_eq!(
        (&json["worker"]["options"]["class"], &json["builds"]),
        (&"Worker".into(), &Value::Array(Vec::new()))
    );
    assert!(!json.to_string().contains("sesame"));
}
