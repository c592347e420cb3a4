//! Locks of steps, with real workers. That two never hold one lock the commands prove themselves: each makes a folder, and fails
//! if it is there.
//!
//! # Not here
//! The laws of who gets what (`build::lock::book`).

use std::fmt::Write as _;

use serde_json::Value;

use crate::support::{
    master::{HEAD, MasterDir, Process, eventually, touch},
    real_worker::{Kind, Protocol, RealWorker, free_port},
    skip::needs_real_workers,
};

/// Stays in its folder until the test lets it go. `NAME` is the folder that nobody else may have made.
const STAY: &str = r#"mkdir ../../NAME || exit 1; touch here; while [ -d "$PWD" ] && [ ! -e go ]; do sleep 0.05; done; rm here go; rmdir ../../NAME"#;

/// A builder with one step.
struct Builder<'a> {
    name: &'a str,
    worker: &'a str,
    command: String,
    locks: &'a str,
}

/// A step that stays until it is let go, in a folder that only `folder` tells from others.
fn stays<'a>(name: &'a str, worker: &'a str, folder: &str, locks: &'a str) -> Builder<'a> {
    Builder { name, worker, command: STAY.replace("NAME", folder), locks }
}

fn config(port: u16, head: &str, builders: &[Builder<'_>]) -> String {
    let mut text = format!(
        "{HEAD}c.protocols = {{ pb = {{ port = 'tcp:{port}:interface=127.0.0.1' }} }}\n\
         c.workers = {{ worker.Worker('w1', 'sesame'), worker.Worker('w2', 'sesame') }}\n{head}\nc.builders = {{\n"
    );
    for Builder { name, worker, command, locks } in builders {
        writeln!(
            text,
            "util.BuilderConfig {{ name = '{name}', workername = '{worker}', factory = util.BuildFactory {{ \
             steps.ShellCommand {{ name = 'work', command = [[{command}]], locks = {{ {locks} }} }} }} }},"
        )
        .unwrap();
    }
    let names: Vec<String> = builders.iter().map(|builder| format!("'{}'", builder.name)).collect();
    text + &format!(
        "}}\nc.schedulers = {{ schedulers.ForceScheduler('force', {{ {} }}) }}\n",
        names.join(", ")
    )
}

/// A master with a real worker `w1`.
struct Farm {
    dir: MasterDir,
    _master: Process,
    worker: RealWorker,
}

impl Farm {
    fn of(head: &str, builders: &[Builder<'_>]) -> Self {
        let port = free_port();
        let dir = MasterDir::new(&config(port, head, builders));
        let master = dir.start();
        let worker = RealWorker::start(port, "w1", "sesame");
        worker.wait_attached(1);
        Self { dir, _master: master, worker }
    }

    fn force(&self, builder: &str) {
        assert!(self.dir.run("force", &[builder]).status.success());
    }

    fn is_here(&self, builder: &str) -> bool {
        self.worker.build_dir(builder).join("here").exists()
    }

    fn wait_for(&self, builder: &str) {
        eventually(&format!("the command of {builder}"), || self.is_here(builder).then_some(()));
    }

    fn let_go(&self, builder: &str) {
        touch(&self.worker.build_dir(builder).join("go"));
    }

    /// The step of the newest build of a builder.
    fn step(&self, builder: &str) -> Option<Value> {
        let builds = self.dir.read(&format!("/api/v2/builders/{builder}/builds?order=-number&limit=1"));
        let id = builds["builds"].as_array()?.first()?["buildid"].as_i64()?;
        self.dir.read(&format!("/api/v2/builds/{id}/steps"))["steps"].as_array()?.first().cloned()
    }

    fn wait_for_state(&self, builder: &str, state: &str) {
        let mut last = Value::Null;
        eventually(&format!("{builder} to be in the state {state:?}"), || {
            last = self.step(builder)?["state_string"].clone();
            (last == state).then_some(())
        });
    }

    /// The results of all builds, once so many have ended.
    fn results(&self, count: usize) -> Vec<Value> {
        eventually(&format!("the end of {count} builds"), || {
            let builds = self.dir.builds();
            let ended: Vec<Value> = builds
                .iter()
                .filter(|build| build["complete"] == true)
                .map(|it| it["results"].clone())
                .collect();
            (ended.len() == count).then_some(ended)
        })
    }

    /// Of a lock: how many hold it, and the builders that wait.
    fn lock(&self, name: &str) -> (usize, Vec<String>) {
        let locks = self.dir.json("locks", &[]);
        let lock = locks["locks"].as_array().unwrap().iter().find(|lock| lock["name"] == name).cloned();
        let lock = lock.unwrap_or_else(|| panic!("{locks}"));
        let waiters = lock["waiters"].as_array().unwrap().iter();
        let builders = waiters.map(|waiter| waiter["builder"].as_str().unwrap().to_owned()).collect();
        (lock["holders"].as_array().unwrap().len(), builders)
    }
}

const DB: &str = "local db = util.MasterLock 'db'";
const ALONE: &str = "db:access('exclusive')";

#[test]
fn steps_that_want_a_lock_alone_run_one_after_the_other_in_the_order_in_which_they_asked() {
    needs_real_workers!(
        "steps_that_want_a_lock_alone_run_one_after_the_other_in_the_order_in_which_they_asked"
    );
    let farm = Farm::of(DB, &["a", "b", "c"].map(|name| stays(name, "w1", "db", ALONE)));
    farm.force("a");
    farm.wait_for("a");
    farm.force("b");
    farm.wait_for_state("b", "waiting for lock `db`, held by build 1 of a");
    farm.force("c");
    farm.wait_for_state("c", "waiting for lock `db`, held by build 1 of a");
    assert_eq!(farm.lock("db"), (1, vec!["b".to_owned(), "c".to_owned()]));
    let table = String::from_utf8(farm.dir.run("locks", &[]).stdout).unwrap();
    let line = table.lines().nth(1).unwrap_or_else(|| panic!("{table}"));
    let cells: Vec<&str> = line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect();
    let expected =
        ["db", "exclusively", "a/1 work (exclusive)", "b/1 work (exclusive), c/1 work (exclusive)"];
    assert_eq!(cells, expected);
    let shown = farm.dir.read("/api/v2/locks?field=name&field=holders");
    let holder = farm.step("a").unwrap();
    let expected = serde_json::json!({
        "name": "db",
        "holders": [{
            "buildrequestid": 1, "buildid": holder["buildid"], "number": 1, "builder": "a", "stepid": holder["stepid"],
            "step": "work", "mode": "exclusive", "count": 1,
        }],
    });
    assert_eq!(shown["locks"][0], expected);
    let waiting = farm.step("b").unwrap();
    assert!(waiting["locks_acquired_at"].is_null() && !waiting["started_at"].is_null(), "{waiting}");
    farm.let_go("a");
    farm.wait_for("b");
    assert!(!farm.is_here("c"));
    farm.wait_for_state("b", "running");
    assert!(farm.step("b").unwrap()["locks_acquired_at"].as_i64() >= waiting["started_at"].as_i64());
    farm.let_go("b");
    farm.wait_for("c");
    farm.let_go("c");
    assert_eq!(farm.results(3), [0, 0, 0]);
    assert_eq!(farm.lock("db"), (0, Vec::new()));
    let first = farm.step("a").unwrap();
    assert_eq!(first["locks_acquired_at"], first["started_at"]);
}

#[test]
fn builds_in_a_crowd_never_hold_a_lock_together_and_all_come_to_an_end() {
    needs_real_workers!("builds_in_a_crowd_never_hold_a_lock_together_and_all_come_to_an_end");
    let quick = |name| Builder {
        name,
        worker: "w1",
        command: "mkdir ../../db || exit 1; sleep 0.1; rmdir ../../db".to_owned(),
        locks: ALONE,
    };
    // Sixteen requests, of which four each are alike.
    let farm = Farm::of(&format!("{DB}\nc.collapseRequests = false"), &["a", "b", "c", "d"].map(quick));
    for _ in 0..4 {
        for name in ["a", "b", "c", "d"] {
            farm.force(name);
        }
    }
    assert!(farm.results(16).iter().all(|result| *result == 0));
}

#[test]
fn of_a_lock_that_counts_to_two_two_of_three_have_one_each_and_a_raise_by_reload_lets_the_next_in() {
    needs_real_workers!(
        "of_a_lock_that_counts_to_two_two_of_three_have_one_each_and_a_raise_by_reload_lets_the_next_in"
    );
    let builders =
        || ["a", "b", "c", "d"].map(|name| stays(name, "w1", &format!("of-{name}"), "db:access('counting')"));
    let farm = Farm::of("local db = util.MasterLock('db', 2)", &builders());
    for name in ["a", "b"] {
        farm.force(name);
        farm.wait_for(name);
    }
    farm.force("c");
    farm.wait_for_state("c", "waiting for lock `db`, held by build 1 of a and build 1 of b");
    farm.force("d");
    farm.wait_for_state("d", "waiting for lock `db`, held by build 1 of a and build 1 of b");
    farm.let_go("a");
    farm.wait_for("c");
    assert!(!farm.is_here("d"));
    let raised = config(farm.worker.port(), "local db = util.MasterLock('db', 3)", &builders());
    farm.dir.reload(&raised);
    farm.wait_for("d");
    for name in ["b", "c", "d"] {
        farm.let_go(name);
    }
    assert!(farm.results(4).iter().all(|result| *result == 0));
}

#[test]
fn each_worker_has_a_lock_of_its_own() {
    needs_real_workers!("each_worker_has_a_lock_of_its_own");
    let access = "disk.access('counting')";
    let builders = [
        stays("a", "w1", "disk", access),
        stays("b", "w1", "disk", access),
        stays("far", "w2", "disk", access),
    ];
    let farm = Farm::of("local disk = util.WorkerLock('disk', 1, { w2 = 2 })", &builders);
    let other = RealWorker::start(farm.worker.port(), "w2", "sesame");
    other.wait_attached(1);
    farm.force("a");
    farm.wait_for("a");
    farm.force("b");
    farm.wait_for_state("b", "waiting for lock `disk` of worker w1, held by build 1 of a");
    farm.force("far");
    eventually("the command on the other worker", || {
        other.build_dir("far").join("here").exists().then_some(())
    });
    let locks = farm.dir.json("locks", &[]);
    let shown = locks["locks"].as_array().unwrap().iter();
    let shown: Vec<_> = shown.map(|lock| (lock["workername"].clone(), lock["max_count"].clone())).collect();
    assert_eq!(shown, [("w1".into(), 1.into()), ("w2".into(), 2.into())]);
    touch(&other.build_dir("far").join("go"));
    farm.let_go("a");
    farm.wait_for("b");
    farm.let_go("b");
    assert_eq!(farm.results(3), [0, 0, 0]);
}

#[test]
fn a_stop_ends_the_wait_and_nobody_waits_behind_it_any_more() {
    needs_real_workers!("a_stop_ends_the_wait_and_nobody_waits_behind_it_any_more");
    let counting = "db:access('counting')";
    let builders = [
        stays("a", "w1", "of-a", counting),
        stays("b", "w1", "of-b", ALONE),
        stays("c", "w1", "of-c", counting),
    ];
    let farm = Farm::of("local db = util.MasterLock('db', 2)", &builders);
    farm.force("a");
    farm.wait_for("a");
    farm.force("b");
    farm.wait_for_state("b", "waiting for lock `db`, held by build 1 of a");
    farm.force("c");
    eventually("c to wait behind b", || (farm.lock("db") == (1, vec!["b".into(), "c".into()])).then_some(()));
    let waiting = farm.step("b").unwrap();
    farm.dir.post(&format!("/api/v2/builds/{}", waiting["buildid"]), "stop", r#"{"reason":"enough"}"#);
    farm.wait_for("c");
    let stopped = farm.step("b").unwrap();
    assert_eq!(stopped["results"], 6, "{stopped}");
    assert_eq!(stopped["state_string"], "stopped while it waited for its locks: enough");
    for name in ["a", "c"] {
        farm.let_go(name);
    }
    let mut results = farm.results(3);
    results.sort_by_key(Value::as_i64);
    assert_eq!(results, [0, 0, 6]);
}

#[test]
fn a_lost_worker_ends_the_wait_of_its_builds_and_gives_back_what_they_hold() {
    needs_real_workers!("a_lost_worker_ends_the_wait_of_its_builds_and_gives_back_what_they_hold");
    let builders = [
        stays("a", "w1", "db", ALONE),
        stays("b", "w1", "db", ALONE),
        Builder { name: "far", worker: "w2", command: "true".to_owned(), locks: ALONE },
    ];
    let mut farm = Farm::of(DB, &builders);
    let other = RealWorker::start(farm.worker.port(), "w2", "sesame");
    other.wait_attached(1);
    farm.force("a");
    farm.wait_for("a");
    for name in ["b", "far"] {
        farm.force(name);
        farm.wait_for_state(name, "waiting for lock `db`, held by build 1 of a");
    }
    farm.worker.kill();
    let mut results = farm.results(3);
    results.sort_by_key(Value::as_i64);
    assert_eq!(results, [0, 5, 5]);
    assert_eq!(farm.step("b").unwrap()["state_string"], "lost connection");
}

#[test]
fn a_step_that_outlives_its_master_has_its_lock_again_before_others_get_it() {
    let port = free_port();
    let work = |name: &str| {
        format!(
            "util.BuilderConfig {{ name = '{name}', workername = 'w1', factory = util.BuildFactory {{ \
             steps.ShellCommand {{ name = 'work', command = [[{}]], locks = {{ {ALONE} }} }} }} }},",
            STAY.replace("NAME", "db")
        )
    };
    let dir = MasterDir::new(&format!(
        "{HEAD}{DB}\nc.protocols = {{ msgpack_experimental_v7 = {{ port = 'tcp:{port}:interface=127.0.0.1' }} }}\n\
         c.workers = {{ worker.Worker('w1', 'sesame') }}\nc.builders = {{ {} {} }}\n\
         c.schedulers = {{ schedulers.ForceScheduler('force', {{ 'a', 'b' }}) }}\n",
        work("a"),
        work("b")
    ));
    let mut master = dir.start();
    let mut worker =
        RealWorker::create_of(Kind::Lunabot, Protocol::Msgpack, port, "w1", "sesame", &["--maxdelay", "1"]);
    worker.run();
    worker.wait_attached(1);
    assert!(dir.run("force", &["a"]).status.success());
    eventually("the command", || worker.build_dir("a").join("here").exists().then_some(()));
    assert!(dir.run("force", &["b"]).status.success());
    master.signal("KILL");
    assert_eq!(master.wait(), None);
    let master = dir.start();
    let farm = Farm { dir, _master: master, worker };
    farm.wait_for_state("b", "waiting for lock `db`, held by build 1 of a");
    farm.let_go("a");
    farm.wait_for("b");
    farm.let_go("b");
    eventually("both builds to end well", || {
        let builds = farm.dir.builds();
        let good = builds.iter().filter(|build| build["results"] == 0).count();
        assert!(
            builds
                .iter()
                .all(|build| build["results"].is_null() || build["results"] == 0 || build["results"] == 5)
        );
        (good == 2).then_some(())
    });
}
