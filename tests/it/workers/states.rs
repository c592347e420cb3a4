//! Real workers that are stopped and killed.

use super::*;

const QUICK: &str = "steps.ShellCommand { command = 'true' }";

fn is_stopping(dir: &MasterDir) -> bool {
    dir.worker("w1")["graceful"] == true
}

/// A worker whose build waits for the test.
fn building() -> (MasterDir, Process, RealWorker) {
    let (dir, master, worker) = master_with_one_worker(&waiting_step());
    assert!(dir.run("force", &["b1"]).status.success());
    wait_for_pid(&worker.build_dir("b1"));
    (dir, master, worker)
}

#[test]
fn a_stopped_real_worker_ends_its_build_and_its_process_and_is_welcome_when_it_is_started_again() {
    needs_real_workers!(
        "a_stopped_real_worker_ends_its_build_and_its_process_and_is_welcome_when_it_is_started_again"
    );
    let (dir, _master, mut worker) = building();
    let said = dir.order("stop", "w1", &["--reason", "new disk"]);
    assert!(said.starts_with("w1 stops when its builds are done (1)"), "{said}");
    let shown = dir.worker("w1");
    assert_eq!((&shown["graceful"], &shown["graceful_reason"]), (&true.into(), &"new disk".into()));
    let table = String::from_utf8(dir.run("workers", &[]).stdout).unwrap();
    assert!(table.contains("stopping (new disk), building"), "{table}");
    assert!(dir.run("force", &["b1"]).status.success());
    assert!(worker.is_running());
    touch(&worker.build_dir("b1").join("go"));
    assert_eq!(worker.wait(), Some(0));
    // The build that ran has ended well; the one that was asked for later waits for a worker.
    wait_for_results(&dir, &[0]);
    eventually("the master to miss it", || (!is_attached(&dir, "w1")).then_some(()));
    assert!(!is_stopping(&dir));
    worker.run();
    wait_for_results(&dir, &[0, 0]);
}

#[test]
fn a_stop_that_is_taken_back_leaves_the_real_worker_as_it_was() {
    needs_real_workers!("a_stop_that_is_taken_back_leaves_the_real_worker_as_it_was");
    let (dir, _master, mut worker) = building();
    let sockets = worker.sockets();
    dir.order("stop", "w1", &[]);
    assert!(dir.run("force", &["b1"]).status.success());
    assert_eq!(dir.order("resume", "w1", &[]), "w1 does not stop after all\n");
    assert!(!is_stopping(&dir));
    touch(&worker.build_dir("b1").join("go"));
    wait_for_results(&dir, &[0, 0]);
    assert!(worker.is_running());
    assert_eq!((worker.sockets(), worker.attached_times()), (sockets, 1));
    assert_eq!(dir.order("resume", "w1", &[]), "w1 was not told to stop\n");
}

#[test]
fn an_idle_real_worker_that_is_stopped_ends_at_once() {
    needs_real_workers!("an_idle_real_worker_that_is_stopped_ends_at_once");
    let (dir, _master, mut worker) = master_with_one_worker(QUICK);
    assert_eq!(dir.order("stop", "w1", &[]), "w1 is told to stop\n");
    assert_eq!(worker.wait(), Some(0));
    eventually("the wish to be fulfilled", || (!is_stopping(&dir)).then_some(()));
}

#[test]
fn a_stop_that_waits_for_a_build_outlives_kill_9_of_the_master() {
    needs_real_workers!("a_stop_that_waits_for_a_build_outlives_kill_9_of_the_master");
    let (dir, mut master, mut worker) = building();
    dir.order("stop", "w1", &["--reason", "new disk"]);
    master.signal("KILL");
    assert_eq!(master.wait(), None);
    let _master = dir.start();
    // Its build is resolved by the start, so there is nothing to wait for any more.
    assert_eq!(worker.wait(), Some(0));
    wait_for_results(&dir, &[5]);
    eventually("the wish to be fulfilled", || (!is_stopping(&dir)).then_some(()));
    touch(&worker.build_dir("b1").join("go"));
    worker.run();
    wait_for_results(&dir, &[5, 0]);
}

#[test]
fn a_killed_real_worker_ends_in_mid_build_and_the_build_is_tried_again() {
    needs_real_workers!("a_killed_real_worker_ends_in_mid_build_and_the_build_is_tried_again");
    let (dir, _master, mut worker) = building();
    let pid = wait_for_pid(&worker.build_dir("b1"));
    dir.order("kill", "w1", &["--reason", "it burns"]);
    assert_eq!(worker.wait(), Some(0));
    eventually("the death of the command", || (!is_alive(&pid)).then_some(()));
    wait_for_results(&dir, &[5]);
    assert!(dir.builds()[0]["state_string"].to_string().contains("link to worker w1 was lost"));
    touch(&worker.build_dir("b1").join("go"));
    worker.run();
    wait_for_results(&dir, &[5, 0]);
}

#[test]
fn a_real_worker_that_asks_by_a_signal_can_be_told_to_stay() {
    needs_real_workers!("a_real_worker_that_asks_by_a_signal_can_be_told_to_stay");
    let (dir, _master, mut worker) = building();
    worker.signal("HUP");
    eventually("the wish", || is_stopping(&dir).then_some(()));
    let shown = dir.worker("w1");
    assert_eq!(shown["graceful_reason"], "asked by the worker itself");
    assert!(shown["graceful_by"].is_null());
    dir.order("resume", "w1", &[]);
    touch(&worker.build_dir("b1").join("go"));
    wait_for_results(&dir, &[0]);
    assert!(dir.run("force", &["b1", "--wait"]).status.success());
    assert!(worker.is_running());
    // It may ask again.
    worker.signal("HUP");
    assert_eq!(worker.wait(), Some(0));
}

#[test]
fn a_real_worker_that_asks_by_a_file_ends_its_build_first() {
    needs_real_workers!("a_real_worker_that_asks_by_a_file_ends_its_build_first");
    let port = free_port();
    let farm =
        Farm { port, workers: &[("w1", "'sesame-1'")], builders: &[("b1", &["w1"])], steps: &waiting_step() };
    let dir = MasterDir::new(&farm.config());
    let _master = dir.start();
    let mut worker = RealWorker::create_as(port, "w1", "sesame-1", &["--allow-shutdown=file"]);
    worker.run();
    worker.wait_attached(1);
    assert!(dir.run("force", &["b1"]).status.success());
    wait_for_pid(&worker.build_dir("b1"));
    // It looks every 10 s.
    touch(&worker.path().join("shutdown.stamp"));
    eventually("the wish", || is_stopping(&dir).then_some(()));
    assert!(worker.is_running());
    touch(&worker.build_dir("b1").join("go"));
    assert_eq!(worker.wait(), Some(0));
    wait_for_results(&dir, &[0]);
}
