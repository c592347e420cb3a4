//! Requests that come back after a loss, that wait too long, and that are no longer wanted, whatever they wait for.
//!
//! # Not here
//! Stops of builds whose steps wait for a lock: `locks`. Quarantines: `workers::quarantine`. Parents and children: `trigger`.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::{
    master::{eventually, is_alive},
    queue::{Queue, config, worker},
    real_worker::{RealWorker, free_port, program},
    skip::skip,
};

/// Skips the test if there is no `buildbot-worker`.
macro_rules! needs_real_worker {
    ($name:literal) => {
        if program().is_none() {
            skip($name, "LUNABOT_TEST_BUILDBOT_WORKER is not set");
            return;
        }
    };
}

/// A master with `buildbot-worker` `w1` and LocalWorker `w2`, and what else stands in its configuration.
fn with_real_worker(body: &str) -> (Queue, RealWorker) {
    let port = free_port();
    let queue = Queue::of(
        &config(&format!(
            "c.protocols = {{ pb = {{ port = 'tcp:{port}:interface=127.0.0.1' }} }}\n\
             c.workers = {{ worker.Worker('w1', 'sesame'), worker.LocalWorker 'w2' }}\n\
             {body}\n"
        )),
        &["w2"],
    );
    let worker = RealWorker::start(port, "w1", "sesame");
    queue.dir.wait_attached("w1");
    (queue, worker)
}

/// Starts a killed worker again, and has it take builds.
fn come_back(queue: &Queue, worker: &mut RealWorker) {
    worker.run();
    queue.dir.wait_attached("w1");
    queue.dir.order("release", "w1", &[]);
}

/// Waits until the build of a request is lost, and the request back in the queue; the build.
fn lost(queue: &Queue, request: i64) -> Value {
    eventually("the loss", || {
        let row = queue.request(request);
        (row["attempts"] == 1 && row["claimed"] == false && row["complete"] == false).then_some(())
    });
    queue.build(request).unwrap()
}

#[test]
fn a_build_that_lost_its_worker_is_tried_again_after_ten_seconds_on_another_one_though_that_is_back_and_idle()
{
    needs_real_worker!(
        "a_build_that_lost_its_worker_is_tried_again_after_ten_seconds_on_another_one_though_that_is_back_and_idle"
    );
    let (queue, mut real) = with_real_worker(
        "for _, name in ipairs { 'x', 'y' } do build(name, { 'w2' }, stays) end\n\
         build('b', { 'w1', 'w2' }, stays)\n\
         build('other', { 'w1', 'w2' }, quick)\n",
    );
    for builder in ["x", "y"] {
        queue.runs(queue.force(builder, &[]));
    }
    let request = queue.force("b", &[]);
    assert_eq!(worker(&queue.runs(request).0), "w1");
    real.kill();
    let first = lost(&queue, request);
    assert_eq!(first["results"], 5);
    assert_eq!(first["state_string"], "the link to worker w1 was lost; attempt 1 of 4");
    come_back(&queue, &mut real);
    assert_eq!(worker(&queue.serve("other")), "w1", "the idlest of both, for all others");
    let second = queue.finish(request);
    assert_eq!(worker(&second), "w2");
    let pause = second["started_at"].as_i64().unwrap() - first["complete_at"].as_i64().unwrap();
    // Whole seconds, each rounded down.
    assert!(pause >= 9, "{pause} s");
}

#[test]
fn a_build_that_is_lost_too_often_ends_as_an_exception_that_says_how_often_and_max_retries_0_means_at_once() {
    needs_real_worker!(
        "a_build_that_is_lost_too_often_ends_as_an_exception_that_says_how_often_and_max_retries_0_means_at_once"
    );
    let (queue, mut real) = with_real_worker(
        "build('once', { 'w1' }, stays, { max_retries = 0 })\n\
         build('twice', { 'w1' }, stays, { max_retries = 1 })\n",
    );
    let [once, twice] = ["once", "twice"].map(|builder| queue.force(builder, &[]));
    queue.runs(once);
    queue.runs(twice);
    real.kill();
    let ended = |request: i64| {
        let row = queue.ended(request);
        let state = queue.build(request).unwrap()["state_string"].as_str().unwrap().to_owned();
        (row["results"].clone(), row["attempts"].clone(), state)
    };
    let state = "the link to worker w1 was lost; not tried again".to_owned();
    assert_eq!(ended(once), (4.into(), 0.into(), state));
    lost(&queue, twice);
    // There is no other worker, so it is this one again.
    come_back(&queue, &mut real);
    queue.runs(twice);
    real.kill();
    let state = "the link to worker w1 was lost; given up after 2 attempts".to_owned();
    assert_eq!(ended(twice), (4.into(), 1.into(), state));
    assert_eq!(queue.builds().len(), 3);
}

#[test]
fn a_request_that_no_worker_takes_within_the_queue_timeout_is_given_up_and_says_so() {
    let with = |patient: &str| {
        config(&format!(
            "c.workers = {{ worker.Worker('away', 'sesame'), worker.LocalWorker 'w1' }}\n\
             build('hasty', {{ 'away' }}, quick, {{ queue_timeout = 2 }})\n\
             build('taken', {{ 'w1' }}, stays, {{ queue_timeout = 2 }})\n\
             build('patient', {{ 'away' }}, quick, {{ {patient} }})\n"
        ))
    };
    let queue = Queue::of(&with(""), &["w1"]);
    let [taken, patient] = ["taken", "patient"].map(|builder| queue.force(builder, &[]));
    queue.runs(taken);
    let because = "no worker took it within its `queue_timeout` of 2 s";
    let waits = queue.dir.run("force", &["hasty", "--wait"]);
    assert_eq!(waits.status.code(), Some(11), "an exception");
    let said = String::from_utf8_lossy(&waits.stderr).into_owned();
    assert!(said.contains(&format!("exception: {because}")), "{said}");
    let given_up = |request: i64| {
        let row = queue.ended(request);
        assert_eq!((&row["results"], &row["ended_because"]), (&4.into(), &because.into()), "{row}");
        assert!(queue.build(request).is_none());
    };
    given_up(patient + 1);
    // Neither one that has no limit, nor one that a worker took.
    assert!(queue.waits(patient));
    queue.finish(taken);
    queue.dir.reload(&with("queue_timeout = 2"));
    given_up(patient);
}

/// Cancels a request that waits: it is complete at once, and never begins.
fn cancelled_at_once(queue: &Queue, request: i64, builds: usize) {
    queue.cancel(request);
    let row = queue.request(request);
    assert_eq!((&row["complete"], &row["results"]), (&true.into(), &6.into()), "{row}");
    assert_eq!(row["ended_because"], "enough");
    queue.serve("probe");
    let all = queue.builds();
    assert_eq!(all.iter().filter(|build| build["buildrequestid"] == request).count(), builds);
}

#[test]
fn a_request_is_cancelled_while_it_waits_for_a_worker_or_for_a_lock_and_is_in_nobodys_way_any_more() {
    let queue = Queue::of(
        &config(
            "local db = util.MasterLock('db', 2)\n\
             c.workers = { worker.Worker('away', 'sesame'), worker.LocalWorker 'w1' }\n\
             build('probe', { 'w1' }, quick)\n\
             build('nowhere', { 'away' }, quick)\n\
             build('one', { 'w1' }, stays, { locks = { db:access 'counting' } })\n\
             build('alone', { 'w1' }, stays, { locks = { db:access 'exclusive' } })\n\
             build('two', { 'w1' }, stays, { locks = { db:access 'counting' } })\n",
        ),
        &["w1"],
    );
    let nowhere = queue.force("nowhere", &[]);
    cancelled_at_once(&queue, nowhere, 0);
    let one = queue.force("one", &[]);
    queue.runs(one);
    // There is room for `two`, but `alone` came first.
    let [alone, two] = ["alone", "two"].map(|builder| queue.force(builder, &[]));
    queue.serve("probe");
    assert!(queue.waits(alone) && queue.waits(two));
    cancelled_at_once(&queue, alone, 0);
    queue.runs(two);
    for request in [one, two] {
        queue.finish(request);
    }
}

#[test]
fn a_request_is_cancelled_while_a_function_is_asked_about_it_and_its_yes_starts_nothing() {
    let mut queue = Queue::of(
        &config(
            "c.workers = { worker.LocalWorker 'w1' }\n\
             build('probe', { 'w1' }, quick)\n\
             build('b', { 'w1' }, quick, { nextWorker = function(builder, workers, request)\n\
               if request.properties.slow then for i = 1, 3000000 do end end\n\
               return workers[1]\n\
             end })\n",
        ),
        &["w1"],
    );
    let slow = queue.force("b", &["slow=yes"]);
    cancelled_at_once(&queue, slow, 0);
    // This one is asked about once the answer to the first question is there.
    queue.serve("b");
    assert!(queue.build(slow).is_none());
    assert!(queue.dir.run("stop", &[]).status.success());
    let said = queue.master.said();
    assert_eq!(said.matches("build started builder=b ").count(), 1, "{said}");
}

#[test]
fn a_build_is_stopped_while_a_function_of_its_step_runs_for_ever() {
    let queue = Queue::of(
        &config(
            "c.workers = { worker.LocalWorker 'w1' }\n\
             build('b', { 'w1' }, steps.ShellCommand { command = 'true', doStepIf = function() while true do end end })\n",
        ),
        &["w1"],
    );
    let request = queue.force("b", &[]);
    eventually("its build", || queue.build(request));
    let begin = Instant::now();
    queue.cancel(request);
    assert_eq!(queue.ended(request)["results"], 6);
    assert!(begin.elapsed() < Duration::from_secs(20), "as long as a function may run, at most");
    assert_eq!(queue.build(request).unwrap()["state_string"], "build stopped: enough");
}

#[test]
fn a_request_is_cancelled_while_its_build_runs_and_while_it_waits_to_be_tried_again() {
    needs_real_worker!("a_request_is_cancelled_while_its_build_runs_and_while_it_waits_to_be_tried_again");
    let (queue, mut real) = with_real_worker(
        "build('a', { 'w1' }, stays)\n\
         build('b', { 'w1' }, stays)\n\
         build('probe', { 'w1' }, quick)\n",
    );
    let running = queue.force("a", &[]);
    let (_, pid) = queue.runs(running);
    let begin = Instant::now();
    queue.cancel(running);
    assert_eq!(queue.ended(running)["results"], 6);
    assert!(begin.elapsed() < Duration::from_secs(20) && !is_alive(&pid));
    assert_eq!(queue.build(running).unwrap()["state_string"], "build stopped: enough");

    let waiting = queue.force("b", &[]);
    queue.runs(waiting);
    real.kill();
    lost(&queue, waiting);
    come_back(&queue, &mut real);
    cancelled_at_once(&queue, waiting, 1);
    // Also when its time has come.
    let first = queue.build(waiting).unwrap()["complete_at"].as_i64().unwrap();
    eventually("the end of its delay", || {
        let probe = queue.serve("probe");
        (probe["started_at"].as_i64().unwrap() > first + 11).then_some(())
    });
    assert_eq!(queue.build(waiting).unwrap()["complete_at"], first);
}
