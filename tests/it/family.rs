//! What a build that waits for others has meanwhile, and what they want: its place on a worker, its locks.

use crate::support::master::{HEAD, MasterDir, eventually};

/// Three builders on one worker for one build, of which each waits for the next: with locks of the first, and of the last.
fn config(locks: &str, locks_of_the_last: &str) -> String {
    format!(
        "{HEAD}c.workers = {{ worker.LocalWorker('w1', {{ max_builds = 1 }}) }}\n\
         local db = util.MasterLock('db')\n\
         local function build(name, step, locks)\n\
           table.insert(c.builders, util.BuilderConfig {{ name = name, workernames = {{ 'w1' }}, \
             factory = util.BuildFactory {{ step }}, locks = locks }})\n\
         end\n\
         build('parent', steps.Trigger {{ {{ 'kids' }}, waitForFinish = true }}, {locks})\n\
         build('kid', steps.Trigger {{ {{ 'grandkids' }}, waitForFinish = true }}, {{}})\n\
         build('grandkid', steps.ShellCommand {{ command = 'true' }}, {locks_of_the_last})\n\
         c.schedulers = {{\n\
           schedulers.ForceScheduler('force', {{ 'parent' }}),\n\
           schedulers.Triggerable('kids', {{ 'kid' }}),\n\
           schedulers.Triggerable('grandkids', {{ 'grandkid' }}),\n\
         }}\n"
    )
}

#[test]
fn a_child_runs_on_the_one_place_that_its_waiting_parent_lends_it() {
    let dir = MasterDir::new(&config("{}", "{}"));
    let _master = dir.start();
    assert!(dir.run("force", &["parent"]).status.success());
    let builds = eventually("the end of all three", || {
        let builds = dir.builds();
        (builds.len() == 3 && builds.iter().all(|build| build["complete"] == true)).then_some(builds)
    });
    assert!(builds.iter().all(|build| build["results"] == 0), "{builds:?}");
}

#[test]
fn a_child_that_wants_a_lock_of_a_build_which_waits_for_it_ends_with_the_whole_circle_told() {
    let locks = "{ db:access('exclusive') }";
    let dir = MasterDir::new(&config(locks, locks));
    let mut master = dir.start();
    assert!(dir.run("force", &["parent"]).status.success());
    master.wait_for_stderr(
        "a deadlock of locks: build of request 3 waits for `db`, held by request 1, which waits for the end of request 2, \
         which waits for the end of request 3; it is given up",
    );
    let builds = eventually("the end of the two that began", || {
        let builds = dir.builds();
        (builds.len() == 2 && builds.iter().all(|build| build["complete"] == true)).then_some(builds)
    });
    // As the gravest of its children.
    assert!(builds.iter().all(|build| build["results"] == 4), "{builds:?}");
    let request = dir.get("/api/v2/buildrequests/3");
    assert!(request.contains("a deadlock of locks: build of request 3 waits for `db`"), "{request}");
}
