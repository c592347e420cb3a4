//! Requests that wait: which workers may serve them, and which of them give way.

use serde_json::Value;

use crate::support::master::{HEAD, MasterDir, eventually};

/// A builder `b` on a worker that never comes, with these other options, and a LocalWorker beside it.
fn config(names: &str, options: &str) -> String {
    format!(
        "{HEAD}c.workers = {{ worker.Worker('away', 'pw'), worker.LocalWorker('here', {{ properties = {{ site = 'lab' }} }}) }}\n\
         local f = util.BuildFactory {{ steps.ShellCommand {{ command = {{ 'true' }} }} }}\n\
         c.builders = {{ util.BuilderConfig {{ name = 'b', {names}, factory = f, {options} }} }}\n\
         c.schedulers = {{ schedulers.ForceScheduler('force', {{ 'b' }}) }}\n"
    )
}

fn force(dir: &MasterDir, arguments: &[&str]) -> i64 {
    let answer = dir.json("force", &[&["b"], arguments].concat());
    answer["buildrequestid"].as_i64().unwrap_or_else(|| panic!("{answer}"))
}

fn requests(dir: &MasterDir) -> Vec<Value> {
    let mut body = dir.read("/api/v2/buildrequests?order=buildrequestid");
    body["buildrequests"].as_array_mut().map(std::mem::take).unwrap()
}

#[test]
fn two_requests_that_are_alike_become_one_build_and_the_older_one_is_skipped() {
    let dir = MasterDir::new(&config("workername = 'away'", ""));
    let _master = dir.start();
    let older = force(&dir, &["--reason", "first"]);
    let mut waits = dir.spawn("force", &["b", "--wait", "-p", "n=1"]);
    eventually("the second request", || (requests(&dir).len() == 2).then_some(()));
    let newer = force(&dir, &["--reason", "another reason"]);
    let rows = requests(&dir);
    assert_eq!((&rows[0]["buildrequestid"], &rows[0]["results"]), (&older.into(), &3.into()), "{rows:?}");
    assert_eq!(rows[0]["ended_because"], format!("collapsed into request {newer}"));
    assert_eq!((&rows[1]["complete"], &rows[2]["complete"]), (&false.into(), &false.into()), "{rows:?}");
    // Whoever waits for one is told that another took its place.
    let taken = force(&dir, &["-p", "n=1"]);
    waits.wait_for_stderr(&format!("skipped: collapsed into request {taken}"));
    assert_eq!(waits.wait(), Some(0));
    dir.reload(&config("workernames = { 'away', 'here' }", ""));
    let builds = eventually("both builds", || {
        let builds = dir.builds();
        (builds.len() == 2 && builds.iter().all(|build| build["results"] == 0)).then_some(builds)
    });
    let mut built: Vec<_> = builds.iter().filter_map(|build| build["buildrequestid"].as_i64()).collect();
    built.sort_unstable();
    assert_eq!(built, [newer, taken]);
}

#[test]
fn a_builder_that_collapses_nothing_builds_each_request() {
    let dir = MasterDir::new(&config("workername = 'away'", "collapseRequests = false"));
    let _master = dir.start();
    for _ in 0..3 {
        force(&dir, &[]);
    }
    assert!(requests(&dir).iter().all(|row| row["complete"] == false && row["ended_because"].is_null()));
    dir.reload(&config("workernames = { 'away', 'here' }", "collapseRequests = false"));
    eventually("three builds", || {
        let builds = dir.builds();
        (builds.len() == 3 && builds.iter().all(|build| build["results"] == 0)).then_some(())
    });
}

#[test]
fn a_builder_runs_where_the_labels_are_be_they_written_or_told_by_the_worker() {
    let dir = MasterDir::new(&config("worker_match = { site = 'lab', numcpus = 0 }", ""));
    let _master = dir.start();
    let info = eventually("the facts of the worker", || {
        let worker = dir.worker("here");
        (worker["connected_to"].as_array()?.len() == 1).then(|| worker["workerinfo"].clone())
    });
    let cpus = info["numcpus"].as_u64().unwrap_or_else(|| panic!("{info}"));
    let configured = |name: &str| dir.worker(name)["configured_on"].as_array().map_or(0, Vec::len);
    // As far as the configuration tells, the other one might have no site at all.
    assert_eq!((configured("here"), configured("away")), (1, 1));
    let request = force(&dir, &[]);
    assert_eq!(dir.builds().len(), 0);
    dir.reload(&config(&format!("worker_match = {{ site = 'lab', numcpus = {cpus} }}"), ""));
    let build = eventually("the build", || dir.builds().pop().filter(|build| build["results"] == 0));
    assert_eq!(build["buildrequestid"], request);
    let site_elsewhere = config("worker_match = { site = 'field' }", "")
        .replace("'pw')", "'pw', { properties = { site = 'field' } })");
    dir.reload(&site_elsewhere);
    assert_eq!((configured("here"), configured("away")), (0, 1));
}
