//! What keeps builds back: the limits of workers and builders, locks, and a configuration in which they have no place for a while.
//!
//! # Not here
//! Locks of steps: `locks`. Which worker has the build: `choice`.

use crate::support::{
    queue::{Queue, config, folder, property, worker},
    real_worker::{RealWorker, free_port, program},
    skip::skip,
};

/// These builds are running now, each with the process that it had.
fn go_on(queue: &Queue, running: &[(i64, String)]) {
    for (request, pid) in running {
        assert_eq!(queue.runs(*request).1, *pid, "request {request}");
    }
}

fn run(queue: &Queue, builder: &str) -> (i64, String) {
    let request = queue.force(builder, &[]);
    (request, queue.runs(request).1)
}

#[test]
fn max_builds_per_worker_is_the_number_of_folders_on_a_real_worker_and_a_reload_changes_it_for_the_next_builds()
 {
    if program().is_none() {
        skip(
            "max_builds_per_worker_is_the_number_of_folders_on_a_real_worker_and_a_reload_changes_it_for_the_next_builds",
            "LUNABOT_TEST_BUILDBOT_WORKER is not set",
        );
        return;
    }
    let port = free_port();
    let with = |most: u32| {
        config(&format!(
            "c.protocols = {{ pb = {{ port = 'tcp:{port}:interface=127.0.0.1' }} }}\n\
             c.workers = {{ worker.Worker('w1', 'sesame') }}\n\
             build('b', {{ 'w1' }}, stays, {{ max_builds_per_worker = {most} }})\n\
             build('probe', {{ 'w1' }}, quick)\n"
        ))
    };
    let queue = Queue::of(&with(2), &[]);
    let real = RealWorker::start(port, "w1", "sesame");
    real.wait_attached(1);
    let mut running: Vec<_> = (0..2).map(|_| run(&queue, "b")).collect();
    let third = queue.force("b", &[]);
    queue.serve("probe");
    assert!(queue.waits(third));

    // A third place: those that run stay where they are.
    queue.dir.reload(&with(3));
    running.push((third, queue.runs(third).1));
    let places: Vec<_> = running.iter().map(|(request, _)| folder(&queue.build(*request).unwrap())).collect();
    assert_eq!(places, ["b", "b-2", "b-3"].map(|name| real.build_dir(name)));
    go_on(&queue, &running);

    // One place only, and three that run: none of them is ended, and the next one waits for all.
    queue.dir.reload(&with(1));
    let fourth = queue.force("b", &[]);
    queue.serve("probe");
    go_on(&queue, &running);
    for (request, _) in running {
        assert!(queue.waits(fourth), "there is no place free before {request} has ended");
        queue.finish(request);
        queue.serve("probe");
    }
    assert_eq!(folder(&queue.finish(fourth)), real.build_dir("b"));
}

#[test]
fn max_builds_of_a_worker_is_raised_and_lowered_by_a_reload_for_the_next_builds() {
    let with = |most: u32| {
        config(&format!(
            "c.workers = {{ worker.LocalWorker('w1', {{ max_builds = {most} }}), worker.LocalWorker 'w2' }}\n\
             for _, name in ipairs {{ 'a', 'b', 'c' }} do build(name, {{ 'w1' }}, stays) end\n\
             build('probe', {{ 'w2' }}, quick)\n"
        ))
    };
    let queue = Queue::of(&with(1), &["w1", "w2"]);
    let mut running = vec![run(&queue, "a")];
    let b = queue.force("b", &[]);
    queue.serve("probe");
    assert!(queue.waits(b));
    queue.dir.reload(&with(2));
    running.push((b, queue.runs(b).1));
    queue.dir.reload(&with(1));
    let c = queue.force("c", &[]);
    queue.serve("probe");
    go_on(&queue, &running);
    for (request, _) in running {
        assert!(queue.waits(c), "there is no room before {request} has ended");
        queue.finish(request);
        queue.serve("probe");
    }
    queue.finish(c);
}

#[test]
fn builders_with_one_exclusive_lock_never_run_at_the_same_time_though_each_has_a_free_worker() {
    let queue = Queue::of(
        &config(
            "local db = util.MasterLock 'db'\n\
             local alone = steps.ShellCommand { command = 'mkdir ../../../db && sleep 0.05 && rmdir ../../../db' }\n\
             local locks = { db:access 'exclusive' }\n\
             c.workers = { worker.LocalWorker 'w1', worker.LocalWorker 'w2' }\n\
             build('a', { 'w1' }, alone, { locks = locks })\n\
             build('b', { 'w2' }, alone, { locks = locks })\n\
             build('holds', { 'w1' }, stays, { locks = locks })\n\
             build('free', { 'w2' }, quick)\n",
        ),
        &["w1", "w2"],
    );
    let holds = queue.force("holds", &[]);
    queue.runs(holds);
    let requests = ["a", "b", "a", "b", "a", "b"].map(|builder| queue.force(builder, &[]));
    // Those that wait for it keep no other builder's request.
    queue.serve("free");
    assert!(requests.iter().all(|request| queue.waits(*request)));
    queue.finish(holds);
    for request in requests {
        assert_eq!(queue.ended(request)["results"], 0);
    }
}

#[test]
fn a_lock_that_counts_lets_so_many_builds_in_and_a_reload_changes_how_many() {
    let with = |most: u32| {
        config(&format!(
            "local db = util.MasterLock('db', {most})\n\
             c.workers = {{ worker.LocalWorker 'w1', worker.LocalWorker 'w2' }}\n\
             for _, name in ipairs {{ 'a', 'b', 'c', 'd' }} do\n\
               build(name, {{ 'w1', 'w2' }}, stays, {{ locks = {{ db:access 'counting' }} }})\n\
             end\n\
             build('probe', {{ 'w1' }}, quick)\n"
        ))
    };
    let queue = Queue::of(&with(2), &["w1", "w2"]);
    let mut running = vec![run(&queue, "a"), run(&queue, "b")];
    let c = queue.force("c", &[]);
    queue.serve("probe");
    assert!(queue.waits(c));
    queue.dir.reload(&with(3));
    running.push((c, queue.runs(c).1));
    queue.dir.reload(&with(1));
    let d = queue.force("d", &[]);
    queue.serve("probe");
    go_on(&queue, &running);
    for (request, _) in running {
        assert!(queue.waits(d), "more are in than may be before {request} has ended");
        queue.finish(request);
        queue.serve("probe");
    }
    queue.finish(d);
}

#[test]
fn the_locks_of_a_worker_are_held_by_each_build_on_it_and_others_go_elsewhere() {
    let queue = Queue::of(
        &config(
            "local licence, disk = util.MasterLock 'licence', util.WorkerLock 'disk'\n\
             local function on(name, lock) return worker.LocalWorker(name, { locks = { lock:access 'exclusive' } }) end\n\
             c.workers = { on('w1', licence), on('w2', licence), on('w3', disk), worker.LocalWorker 'w4' }\n\
             build('on-w1', { 'w1' }, stays)\n\
             build('on-w2', { 'w2' }, stays)\n\
             build('on-w3', { 'w3' }, stays)\n\
             build('too', { 'w3' }, stays)\n\
             build('any', { 'w1', 'w2', 'w3', 'w4' }, quick)\n",
        ),
        &["w1", "w2", "w3", "w4"],
    );
    let (first, _) = run(&queue, "on-w1");
    let (third, _) = run(&queue, "on-w3");
    let [second, fourth] = ["on-w2", "too"].map(|builder| queue.force(builder, &[]));
    // Where no lock is, though the others would be as idle.
    for _ in 0..2 {
        assert_eq!(worker(&queue.serve("any")), "w4");
    }
    assert!(queue.waits(second) && queue.waits(fourth));
    queue.finish(first);
    assert_eq!(worker(&queue.finish(second)), "w2");
    assert!(queue.waits(fourth));
    queue.finish(third);
    queue.finish(fourth);
}

#[test]
fn a_builder_that_is_taken_out_of_the_file_and_put_back_has_all_its_requests() {
    let with = |builders: &str| {
        config(&format!(
            "c.workers = {{ worker.LocalWorker('w1', {{ max_builds = 1 }}) }}\n\
             for _, name in ipairs {{ {builders} }} do build(name, {{ 'w1' }}, name == 'holds' and stays or quick) end\n"
        ))
    };
    let queue = Queue::of(&with("'holds', 'probe', 'b'"), &["w1"]);
    let (holds, _) = run(&queue, "holds");
    let requests = ["n=1", "n=2", "n=3"].map(|n| queue.force("b", &[n]));
    queue.dir.reload(&with("'holds', 'probe'"));
    queue.finish(holds);
    queue.serve("probe");
    assert!(requests.iter().all(|request| queue.waits(*request)));
    queue.dir.reload(&with("'holds', 'probe', 'b'"));
    for request in requests {
        assert_eq!(queue.ended(request)["results"], 0);
    }
    let built = queue.builds().iter().filter(|build| property(build, "buildername") == "b").count();
    assert_eq!(built, 3, "each of them once");
}

#[test]
fn a_worker_that_is_taken_out_of_the_file_and_put_back_has_the_builds_that_waited_for_it() {
    let with = |workers: &str, on: &str| {
        config(&format!(
            "c.workers = {{ worker.Worker('away', 'sesame'), worker.LocalWorker 'w1', {workers} }}\n\
             build('b', {{ 'away', {on} }}, stays)\n\
             build('probe', {{ 'w1' }}, quick)\n"
        ))
    };
    let both = with("worker.LocalWorker 'w2'", "'w2'");
    let queue = Queue::of(&both, &["w1", "w2"]);
    let running = run(&queue, "b");
    let requests = ["n=1", "n=2"].map(|n| queue.force("b", &[n]));
    queue.dir.reload(&with("", ""));
    go_on(&queue, std::slice::from_ref(&running));
    queue.finish(running.0);
    queue.serve("probe");
    assert!(requests.iter().all(|request| queue.waits(*request)));
    queue.dir.reload(&both);
    for request in requests {
        assert_eq!(worker(&queue.finish(request)), "w2");
    }
}
