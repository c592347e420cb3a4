//! Builds that ask for builds, on workers that are programs of their own: `steps.Trigger` and `schedulers.Triggerable`.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::{
    master::{HEAD, MasterDir, Process, eventually, is_alive, touch},
    real_worker::{Kind, Protocol, RealWorker, free_port},
    skip::needs_real_workers,
};

/// Writes its pid down and waits for the test, no longer than its folder is there.
const WAITING: &str = "steps.ShellCommand { name = 'wait', command = 'echo $$ > pid; \
                       while [ -d \"$PWD\" ] && [ ! -e go ]; do sleep 0.05; done' }";

/// Builder `parent` on worker `w1` with these steps; `kid` and, on the same worker `w2`, `late` with others.
struct Farm {
    parent: String,
    kid: String,
}

/// A master that runs, and its workers.
struct Running {
    dir: MasterDir,
    master: Process,
    w1: RealWorker,
    w2: RealWorker,
}

impl Farm {
    fn of(trigger: &str, kid: &str) -> Self {
        Self { parent: format!("steps.Trigger {{ {trigger} }}"), kid: kid.to_owned() }
    }

    fn config(&self, protocol: Protocol, port: u16) -> String {
        let Self { parent, kid } = self;
        let key = protocol.key();
        format!(
            "{HEAD}c.protocols = {{ {key} = {{ port = 'tcp:{port}:interface=127.0.0.1' }} }}\n\
             c.buildbotURL = 'http://ci.example/'\n\
             c.workers = {{ worker.Worker('w1', 'sesame-1'), worker.Worker('w2', 'sesame-2', {{ max_builds = 1 }}) }}\n\
             local function build(name, on, ...)\n\
               table.insert(c.builders, util.BuilderConfig {{ name = name, workernames = {{ on }}, factory = util.BuildFactory {{ ... }} }})\n\
             end\n\
             build('parent', 'w1', {parent})\n\
             build('kid', 'w2', {kid})\n\
             build('late', 'w2', {kid})\n\
             c.schedulers = {{\n\
               schedulers.ForceScheduler('force', {{ 'parent', 'kid', 'late' }}),\n\
               schedulers.Triggerable('kids', {{ 'kid' }}, {{ properties = {{ colour = 'red', size = 'small' }} }}),\n\
               schedulers.Triggerable('lates', {{ 'late' }}, {{ reason = 'by and by' }}),\n\
             }}\n"
        )
    }

    /// On `buildbot-worker`.
    fn start(&self) -> Running {
        self.start_on(Kind::Buildbot, Protocol::Pb)
    }

    fn start_on(&self, kind: Kind, protocol: Protocol) -> Running {
        let port = free_port();
        let dir = MasterDir::new(&self.config(protocol, port));
        let master = dir.start();
        let [w1, w2] = [("w1", "sesame-1"), ("w2", "sesame-2")].map(|(name, password)| {
            let mut worker =
                RealWorker::create_of(kind, protocol, port, name, password, &["--maxdelay", "1"]);
            worker.run();
            worker
        });
        w1.wait_attached(1);
        w2.wait_attached(1);
        Running { dir, master, w1, w2 }
    }
}

impl Running {
    fn force_parent(&self) {
        assert!(self.dir.run("force", &["parent"]).status.success());
    }

    /// Rows of the API.
    fn rows(&self, path: &str) -> Vec<Value> {
        let body = self.dir.read(&format!("/api/v2/{path}"));
        let noun = path.split('?').next().unwrap().rsplit('/').next().unwrap();
        body[noun].as_array().unwrap_or_else(|| panic!("{body}")).clone()
    }

    /// The builds of a builder, the first one first.
    fn builds(&self, builder: &str) -> Vec<Value> {
        self.rows(&format!("builders/{builder}/builds?order=buildid"))
    }

    /// Waits until a builder has this many builds and the last one has ended: outcome and line.
    fn ended(&self, builder: &str, count: usize) -> (Value, String) {
        eventually("the end of a build", || {
            let builds = self.builds(builder);
            assert!(builds.len() <= count, "{builds:?}");
            let last = builds.get(count - 1).filter(|build| build["complete"] == true)?;
            Some((last["results"].clone(), last["state_string"].as_str().unwrap().to_owned()))
        })
    }

    /// The first step of a build of `parent`.
    fn step(&self, number: u32) -> Value {
        self.rows(&format!("builders/parent/builds/{number}/steps")).remove(0)
    }
}

/// Waits for the command of [`WAITING`]; its pid.
fn pid(worker: &RealWorker, builder: &str) -> String {
    let path = worker.build_dir(builder).join("pid");
    eventually("the command", || std::fs::read_to_string(&path).ok().filter(|pid| pid.ends_with('\n')))
}

fn exit(code: u8) -> String {
    format!("steps.ShellCommand {{ command = 'exit {code}' }}")
}

#[test]
fn without_waiting_a_build_asks_for_another_and_ends_and_what_it_says_goes_along() {
    needs_real_workers!("without_waiting_a_build_asks_for_another_and_ends_and_what_it_says_goes_along");
    let told = "steps.ShellCommand { command = { 'echo', util.Interpolate '%(prop:branch)s %(prop:revision)s %(prop:colour)s %(prop:size)s %(prop:owner)s' } }";
    let trigger = "{ 'kids', 'lates' }, set_properties = { colour = util.Interpolate 'like %(prop:owner)s' }, copy_properties = { 'owner' }";
    let run = Farm::of(trigger, told).start();
    let answer = run.dir.post(
        "/api/v2/forceschedulers/force",
        "force",
        r#"{"buildername": "parent", "owner": "ada", "branch": "main", "revision": "old", "got_revision": "new"}"#,
    );
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert_eq!(run.ended("parent", 1).0, 0);
    assert_eq!(run.ended("kid", 1).0, 0);
    let log = run.dir.run("log", &["kid", "1"]).stdout;
    assert!(String::from_utf8_lossy(&log).contains("main new like ada small ada\n"), "{log:?}");

    let step = run.step(1);
    assert!(step["state_string"].as_str().unwrap().starts_with("triggered kids, lates"), "{step}");
    assert_eq!(step["urls"].as_array().unwrap().len(), 2, "{step}");
    let sets = run.rows("buildsets?order=bsid");
    let parent = &run.builds("parent")[0]["buildid"];
    assert_eq!(
        (&sets[1]["parent_buildid"], &sets[1]["parent_relationship"]),
        (parent, &"Triggered from".into())
    );
    assert_eq!(sets[1]["reason"], "The Triggerable scheduler named 'kids' triggered this build");
    assert_eq!(sets[2]["reason"], "by and by");
    assert!(sets[0]["parent_buildid"].is_null());
    assert!(run.rows("buildrequests").iter().all(|request| request["waited_for"] == false));
    run.ended("late", 1);
}

#[test]
fn a_build_that_waits_has_the_gravest_outcome_of_those_that_count() {
    needs_real_workers!("a_build_that_waits_has_the_gravest_outcome_of_those_that_count");
    let mut run = Farm::of("{ 'kids', 'lates' }, waitForFinish = true", &exit(3)).start();
    run.force_parent();
    assert_eq!(run.ended("parent", 1), (2.into(), "failed trigger (failure)".into()));
    let step = run.step(1);
    assert_eq!(step["state_string"], "triggered kids, lates, 2 failures");
    let kid = run.builds("kid").remove(0);
    let address = format!("http://ci.example/#/builders/{}/builds/1", kid["builderid"]);
    assert_eq!(step["urls"][0], serde_json::json!({ "name": "failure: kid #1", "url": address }));
    assert!(run.rows("buildrequests?order=buildrequestid")[1]["waited_for"] == true);

    // The same, but its failure does not count.
    let port = run.w1.port();
    let soft = "{ 'kids' }, waitForFinish = true, unimportantSchedulerNames = { 'kids' }";
    let parent = format!("steps.Trigger {{ {soft} }}, steps.Trigger {{ 'lates' }}");
    let farm = Farm { parent, kid: exit(3) };
    std::fs::write(run.dir.file("master.cfg.lua"), farm.config(Protocol::Pb, port)).unwrap();
    assert!(run.dir.run("reconfig", &[]).status.success());
    run.force_parent();
    assert_eq!(run.ended("parent", 2).0, 0);
    assert!(run.dir.run("stop", &[]).status.success());
    assert_eq!(run.master.wait(), Some(0));
}

#[test]
fn a_stop_of_the_parent_stops_its_children_and_takes_those_that_wait_from_the_queue() {
    needs_real_workers!("a_stop_of_the_parent_stops_its_children_and_takes_those_that_wait_from_the_queue");
    // Both on one worker that takes one build: the second waits.
    let run = Farm::of("{ 'kids', 'lates' }, waitForFinish = true", WAITING).start();
    run.force_parent();
    let old = pid(&run.w2, "kid");
    let shown = eventually("the line of the step", || {
        let step = run.step(1);
        step["urls"][0]["name"].as_str().is_some_and(|name| name == "kid #1").then_some(step)
    });
    assert_eq!(shown["state_string"], "triggered kids, lates: kid #1, late (request 3)");
    let parent = run.builds("parent")[0]["buildid"].clone();
    run.dir.post(&format!("/api/v2/builds/{parent}"), "stop", r#"{"reason": "enough"}"#);
    assert_eq!(run.ended("parent", 1), (6.into(), "build stopped: enough".into()));
    assert_eq!(run.ended("kid", 1), (6.into(), "build stopped: parent build was interrupted".into()));
    assert!(!is_alive(&old));
    assert!(run.builds("late").is_empty());
    let outcomes: Vec<_> =
        run.rows("buildrequests").iter().map(|request| request["results"].clone()).collect();
    assert_eq!(outcomes, [6, 6, 6]);
    assert_eq!(
        run.rows("buildrequests?order=buildrequestid")[2]["ended_because"],
        "parent build was interrupted"
    );
    assert_eq!(run.step(1)["state_string"], "waiting for builds interrupted: enough");
}

/// A master that is killed while `kid` runs and `late` waits, and the next one.
fn killed(mut run: Running) {
    run.force_parent();
    let old = pid(&run.w2, "kid");
    run.master.signal("KILL");
    assert_eq!(run.master.wait(), None);

    run.master = run.dir.start();
    run.w1.wait_attached(2);
    run.w2.wait_attached(2);
    eventually("the death of the command", || (!is_alive(&old)).then_some(()));
    let requests = run.rows("buildrequests?order=buildrequestid&limit=3");
    let outcomes: Vec<_> = requests.iter().map(|request| request["results"].clone()).collect();
    assert_eq!(outcomes, [Value::Null, 6.into(), 6.into()], "the parent comes again, its children do not");
    assert_eq!(run.builds("parent")[0]["results"], 5);
    // Those that it asks for anew.
    for builder in ["kid", "late"] {
        eventually("another command", || (pid(&run.w2, builder) != old).then_some(()));
        touch(&run.w2.build_dir(builder).join("go"));
    }
    assert_eq!(run.ended("parent", 2).0, 0);
    assert_eq!((run.builds("kid").len(), run.builds("late").len()), (2, 1));
}

#[test]
fn after_kill_9_of_the_master_no_child_outlives_its_parent_and_the_parent_asks_again() {
    needs_real_workers!("after_kill_9_of_the_master_no_child_outlives_its_parent_and_the_parent_asks_again");
    killed(Farm::of("{ 'kids', 'lates' }, waitForFinish = true", WAITING).start());
}

#[test]
fn not_even_on_a_worker_whose_commands_outlive_the_master() {
    let farm = Farm::of("{ 'kids', 'lates' }, waitForFinish = true", WAITING);
    killed(farm.start_on(Kind::Lunabot, Protocol::Msgpack));
}

#[test]
fn a_master_that_stops_takes_the_parent_back_and_leaves_no_child_to_the_next_one() {
    let farm = Farm::of("{ 'kids', 'lates' }, waitForFinish = true", WAITING);
    let mut run = farm.start_on(Kind::Lunabot, Protocol::Msgpack);
    run.force_parent();
    let old = pid(&run.w2, "kid");
    let begin = Instant::now();
    assert!(run.dir.run("stop", &[]).status.success());
    assert_eq!(run.master.wait(), Some(0));
    assert!(begin.elapsed() < Duration::from_secs(30), "nobody waits for what cannot end");
    assert!(!is_alive(&old));
    run.master = run.dir.start();
    let requests = run.rows("buildrequests?order=buildrequestid&limit=3");
    let outcomes: Vec<_> = requests.iter().map(|request| request["results"].clone()).collect();
    assert_eq!(outcomes, [Value::Null, 6.into(), 6.into()]);
    assert_eq!(run.builds("kid")[0]["complete"], true);
}

#[test]
fn a_child_whose_worker_is_lost_ends_as_an_exception_and_its_parent_too() {
    needs_real_workers!("a_child_whose_worker_is_lost_ends_as_an_exception_and_its_parent_too");
    let mut run = Farm::of("{ 'kids' }, waitForFinish = true", WAITING).start();
    run.force_parent();
    pid(&run.w2, "kid");
    run.w2.kill();
    let parent = run.builds("parent")[0]["buildid"].clone();
    let state = format!("the link to worker w2 was lost; not tried again, since build {parent} waits for it");
    assert_eq!(run.ended("kid", 1), (4.into(), state));
    assert_eq!(run.ended("parent", 1), (4.into(), "exception trigger (exception)".into()));
    assert_eq!(run.step(1)["state_string"], "triggered kids, 1 exception");
}

#[test]
fn a_parent_that_loses_its_worker_while_it_waits_ends_as_lost_and_its_child_with_it() {
    needs_real_workers!("a_parent_that_loses_its_worker_while_it_waits_ends_as_lost_and_its_child_with_it");
    let mut run = Farm::of("{ 'kids' }, waitForFinish = true", WAITING).start();
    run.force_parent();
    let old = pid(&run.w2, "kid");
    run.w1.kill();
    let (outcome, state) = run.ended("parent", 1);
    assert_eq!(outcome, 5, "it comes again: {state}");
    assert!(state.starts_with("the link to worker w1 was lost"), "{state}");
    assert_eq!(run.ended("kid", 1), (6.into(), "build stopped: parent build was interrupted".into()));
    assert!(!is_alive(&old));
    assert_eq!(run.step(1)["state_string"], "lost connection");
}

#[test]
fn a_triggerable_that_a_reload_took_away_fails_the_step_that_names_it() {
    needs_real_workers!("a_triggerable_that_a_reload_took_away_fails_the_step_that_names_it");
    let parent = format!("{WAITING}, steps.Trigger {{ {{ 'lates', 'kids' }}, waitForFinish = true }}");
    let run = Farm { parent, kid: exit(0) }.start();
    run.force_parent();
    pid(&run.w1, "parent");
    let new = Farm { parent: WAITING.into(), kid: exit(0) }.config(Protocol::Pb, run.w1.port());
    let new = new.replace("schedulers.Triggerable('kids'", "schedulers.Triggerable('grandkids'");
    std::fs::write(run.dir.file("master.cfg.lua"), new).unwrap();
    assert!(run.dir.run("reconfig", &[]).status.success());
    touch(&run.w1.build_dir("parent").join("go"));
    assert_eq!(run.ended("parent", 1), (4.into(), "exception trigger (exception)".into()));
    let steps = run.rows("builders/parent/builds/1/steps");
    assert!(
        steps[1]["state_string"].as_str().unwrap().starts_with("no scheduler is named `kids`"),
        "{steps:?}"
    );
    assert!(run.builds("late").is_empty(), "none is asked if one is not there");
}

#[test]
fn a_clean_stop_still_begins_the_builds_for_which_others_wait() {
    needs_real_workers!("a_clean_stop_still_begins_the_builds_for_which_others_wait");
    let parent = format!("{WAITING}, steps.Trigger {{ {{ 'kids' }}, waitForFinish = true }}");
    let mut run = Farm { parent, kid: exit(0) }.start();
    run.force_parent();
    pid(&run.w1, "parent");
    let mut stop = run.dir.spawn("stop", &["--clean"]);
    run.master.wait_for_stderr("BuildMaster is stopping");
    touch(&run.w1.build_dir("parent").join("go"));
    assert_eq!(run.master.wait(), Some(0));
    assert_eq!(stop.wait(), Some(0));
    run.master = run.dir.start();
    assert_eq!((run.ended("parent", 1).0, run.ended("kid", 1).0), (0.into(), 0.into()));
}
