//! Why a request waits, as its user is told.

use serde_json::Value;

use crate::support::{
    master::{HEAD, MasterDir, eventually, touch},
    real_worker::{RealWorker, free_port},
    skip::needs_real_workers,
};

fn force(dir: &MasterDir, builder: &str, n: u32) -> i64 {
    let answer = dir.json("force", &[builder, "-p", &format!("n={n}")]);
    answer["buildrequestid"].as_i64().unwrap_or_else(|| panic!("{answer}"))
}

/// What the command prints.
fn told(dir: &MasterDir, request: &str) -> String {
    let output = dir.run("explain", &[request]);
    let text = String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{text}");
    text
}

/// The reason of each worker.
fn reasons(dir: &MasterDir, request: i64) -> Vec<(String, String)> {
    let told = dir.json("explain", &[&request.to_string()]);
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let workers = told["workers"].as_array().unwrap_or_else(|| panic!("{told}"));
    workers.iter().map(|worker| (text(&worker["name"]), text(&worker["reason"]))).collect()
}

#[test]
fn a_request_that_waits_is_told_for_each_worker_why_it_does_not_run_there_and_what_would_change_that() {
    needs_real_workers!(
        "a_request_that_waits_is_told_for_each_worker_why_it_does_not_run_there_and_what_would_change_that"
    );
    let port = free_port();
    let dir = MasterDir::new(&format!(
        "{HEAD}c.protocols = {{ pb = {{ port = 'tcp:{port}:interface=127.0.0.1' }} }}\n\
         local db = util.MasterLock('db')\n\
         local linux, mac = {{ os = 'linux' }}, {{ os = 'mac' }}\n\
         c.workers = {{ worker.Worker('w1', 'sesame', {{ max_builds = 1, properties = linux }}), worker.Worker('away', 'sesame'),\n\
           worker.LocalWorker('held', {{ properties = linux }}), worker.LocalWorker('mac', {{ properties = mac }}) }}\n\
         local f = util.BuildFactory {{ steps.ShellCommand {{ name = 'work', command = [[\n\
           touch here; while [ ! -e go ]; do sleep 0.05; done; rm go here]] }} }}\n\
         local locks = {{ db:access('exclusive') }}\n\
         c.builders = {{\n\
           util.BuilderConfig {{ name = 'b', workernames = {{ 'w1', 'away', 'held', 'mac' }}, factory = f, worker_match = linux }},\n\
           util.BuilderConfig {{ name = 'locked', workername = 'mac', factory = f, locks = locks }},\n\
           util.BuilderConfig {{ name = 'holder', workername = 'mac', factory = f, locks = locks }} }}\n\
         c.schedulers = {{ schedulers.ForceScheduler('force', {{ 'b', 'locked', 'holder' }}) }}\n"
    ));
    let _master = dir.start();
    let worker = RealWorker::start(port, "w1", "sesame");
    worker.wait_attached(1);
    dir.order("pause", "held", &["--reason", "new disk"]);
    let runs = force(&dir, "b", 1);
    eventually("the first build", || worker.build_dir("b").join("here").exists().then_some(()));
    let (waits, last) = (force(&dir, "b", 2), force(&dir, "b", 3));

    let pairs = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
        pairs.iter().map(|(name, reason)| ((*name).to_owned(), (*reason).to_owned())).collect()
    };
    let wanted = pairs(&[("away", "absent"), ("held", "paused"), ("w1", "full"), ("mac", "no_match")]);
    assert_eq!(reasons(&dir, waits), wanted);
    let text = told(&dir, &waits.to_string());
    for part in [
        &format!("request {waits} of b waits since 20"),
        "is not connected, since 20",
        "it connects",
        "is paused (by ",
        ": new disk), since 20",
        &format!("`lunabot worker {} unpause held`", dir.path().display()),
        "runs a build, and its `max_builds` is 1",
        "or a larger `max_builds`",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert_eq!(told(&dir, "b"), text, "a builder stands for its next request");
    let text = told(&dir, &last.to_string());
    assert!(text.contains("- 1 request of its builder comes before it"), "{text}");
    let text = told(&dir, &runs.to_string());
    assert!(text.contains(&format!("request {runs} of b does not wait: it runs as build 1 on w1")), "{text}");

    let holder = force(&dir, "holder", 1);
    eventually("the build that holds the lock", || {
        dir.file("workers/mac/holder/build/here").exists().then_some(())
    });
    let locked = force(&dir, "locked", 1);
    assert_eq!(reasons(&dir, locked), pairs(&[("mac", "locked")]));
    let text = told(&dir, &locked.to_string());
    assert!(text.contains(&format!("wants lock `db`, held by request {holder}")), "{text}");

    touch(&dir.file("workers/mac/holder/build/go"));
    touch(&worker.build_dir("b").join("go"));
    eventually("the first build's end", || {
        let text = told(&dir, &runs.to_string());
        text.contains("does not wait: it is complete (success)").then_some(())
    });
    eventually("the second build", || reasons(&dir, waits).is_empty().then_some(()));
    let output = dir.run("explain", &["4711"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("there is no request 4711"));
}
