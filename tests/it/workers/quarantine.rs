//! Real workers that lose builds by their own fault, and what their operator sees of it.

use super::*;
use crate::support::real_worker::{Kind, Protocol};

fn quarantine_line(dir: &MasterDir) -> String {
    let table = String::from_utf8(dir.run("workers", &[]).stdout).unwrap();
    table.lines().find(|line| line.contains("w1")).unwrap().to_owned()
}

/// The quarantine of `w1`, once it is in one: its cause, its count, and how many seconds it lasts.
fn quarantined(dir: &MasterDir) -> (String, i64, i64) {
    let row = eventually("a quarantine", || Some(dir.worker("w1")).filter(|row| row["quarantined"] == true));
    let seconds = row["quarantined_until"].as_i64().unwrap() - row["quarantined_at"].as_i64().unwrap();
    (
        row["quarantine_cause"].as_str().unwrap().to_owned(),
        row["quarantine_strikes"].as_i64().unwrap(),
        seconds,
    )
}

/// Whether `w1` has nothing against it that is shown.
fn is_free(dir: &MasterDir) -> bool {
    let row = dir.worker("w1");
    let fields = [
        "quarantine_cause",
        "quarantine_reason",
        "quarantine_strikes",
        "quarantined_at",
        "quarantined_until",
    ];
    row["quarantined"] == false && fields.iter().all(|field| row[field].is_null())
}

/// Asks for a build and waits for its command, that of an earlier one forgotten.
fn build_begun(dir: &MasterDir, worker: &RealWorker) {
    drop(std::fs::remove_file(worker.build_dir("b1").join("pid")));
    assert!(dir.run("force", &["b1"]).status.success());
    wait_for_pid(&worker.build_dir("b1"));
}

fn come_back(dir: &MasterDir, worker: &mut RealWorker) {
    eventually("the master to miss it", || (!is_attached(dir, "w1")).then_some(()));
    worker.run();
    eventually("its return", || is_attached(dir, "w1").then_some(()));
}

#[test]
fn a_real_worker_that_dies_in_mid_build_is_quarantined_longer_each_time_until_it_builds_well() {
    needs_real_workers!(
        "a_real_worker_that_dies_in_mid_build_is_quarantined_longer_each_time_until_it_builds_well"
    );
    let (dir, mut master, mut worker) = master_with_one_worker(&waiting_step());
    build_begun(&dir, &worker);
    worker.kill();
    assert_eq!(quarantined(&dir), ("link_lost".to_owned(), 1, 10));
    let line = quarantine_line(&dir);
    assert!(line.contains("quarantined until ") && line.contains("(link lost)"), "{line}");
    master.wait_for_stderr("worker is quarantined: it is given no builds for 10 s");
    come_back(&dir, &mut worker);
    assert_eq!(
        dir.order("release", "w1", &["--reason", "new switch"]),
        "w1 is released from its quarantine\n"
    );
    assert!(is_free(&dir));
    assert_eq!(dir.order("release", "w1", &[]), "w1 was not quarantined\n");

    // At once: nobody waits for the end of the quarantine.
    build_begun(&dir, &worker);
    worker.kill();
    assert_eq!(quarantined(&dir), ("link_lost".to_owned(), 2, 20));
    assert!(quarantine_line(&dir).contains("(link lost, 2nd time)"), "{}", quarantine_line(&dir));
    let shown = String::from_utf8(dir.run("worker", &["show", "w1"]).stdout).unwrap();
    let line = shown.lines().find(|line| line.starts_with("quarantine")).unwrap();
    assert!(line.contains("its link was lost in mid-build: build 2 of b1"), "{line}");
    let until = dir.worker("w1")["quarantined_until"].clone();

    // The next master keeps it.
    master.signal("KILL");
    master.wait();
    let mut master = dir.start();
    assert_eq!(dir.worker("w1")["quarantined_until"], until);
    worker.run();
    eventually("its return", || is_attached(&dir, "w1").then_some(()));
    let before = dir.builds().len();
    assert!(dir.run("force", &["b1"]).status.success());
    assert_eq!((dir.builds().len(), dir.worker("w1")["quarantined"] == true), (before, true));
    let answer = dir.post("/api/v2/workers/w1", "release", r#"{"reason": "for a test"}"#);
    assert!(answer.contains(r#""changed":true"#), "{answer}");
    master.wait_for_stderr("worker is released from its quarantine");

    // Its builds end well, which makes the next quarantine as short as the first.
    touch(&worker.build_dir("b1").join("go"));
    eventually("good builds", || dir.builds().iter().any(|build| build["results"] == 0).then_some(()));
    std::fs::remove_file(worker.build_dir("b1").join("go")).unwrap();
    build_begun(&dir, &worker);
    worker.kill();
    assert_eq!(quarantined(&dir), ("link_lost".to_owned(), 1, 10));
}

#[test]
fn a_build_that_fails_by_its_own_fault_says_nothing_against_its_real_worker() {
    needs_real_workers!("a_build_that_fails_by_its_own_fault_says_nothing_against_its_real_worker");
    let steps = "steps.ShellCommand { name = 'missing', command = { 'no-such-program' }, haltOnFailure = false },\
        steps.ShellCommand { name = 'fails', command = 'false', haltOnFailure = false },\
        steps.MakeDirectory { '/proc/none/x', haltOnFailure = false },\
        steps.ShellCommand { name = 'nowhere', command = 'true', workdir = '/proc/none' }";
    let (dir, _master, _worker) = master_with_one_worker(steps);
    assert_eq!(dir.run("force", &["b1", "--wait"]).status.code(), Some(11), "an exception");
    assert!(is_free(&dir), "{}", dir.worker("w1"));
    assert!(is_attached(&dir, "w1"));
}

#[test]
fn a_real_worker_whose_build_is_stopped_or_that_its_operator_kills_is_not_quarantined() {
    needs_real_workers!("a_real_worker_whose_build_is_stopped_or_that_its_operator_kills_is_not_quarantined");
    let (dir, _master, mut worker) = master_with_one_worker(&waiting_step());
    build_begun(&dir, &worker);
    let answer = dir.post("/api/v2/builds/1", "stop", r#"{"reason": "enough"}"#);
    assert!(answer.contains(r#""result":null"#), "{answer}");
    wait_for_results(&dir, &[6]);
    assert!(is_free(&dir));
    build_begun(&dir, &worker);
    dir.order("kill", "w1", &[]);
    assert_eq!(worker.wait(), Some(0));
    wait_for_results(&dir, &[6, 5]);
    assert!(is_free(&dir));
    come_back(&dir, &mut worker);
    // A link that goes down while nothing runs there, by a death as sudden as any.
    touch(&worker.build_dir("b1").join("go"));
    wait_for_results(&dir, &[6, 5, 0]);
    worker.kill();
    eventually("the master to miss it", || (!is_attached(&dir, "w1")).then_some(()));
    assert!(is_free(&dir));
}

#[test]
fn a_pause_of_a_quarantined_real_worker_stays_when_the_quarantine_ends() {
    needs_real_workers!("a_pause_of_a_quarantined_real_worker_stays_when_the_quarantine_ends");
    let (dir, _master, mut worker) = master_with_one_worker(&waiting_step());
    build_begun(&dir, &worker);
    worker.kill();
    quarantined(&dir);
    dir.order("pause", "w1", &["--reason", "new disk"]);
    let line = quarantine_line(&dir);
    assert!(line.contains("paused (new disk), quarantined until "), "{line}");
    come_back(&dir, &mut worker);
    // By its time, as nobody releases it.
    eventually("the end of the quarantine", || is_free(&dir).then_some(()));
    assert!(dir.worker("w1")["paused"] == true && dir.builds().len() == 1);
    touch(&worker.build_dir("b1").join("go"));
    dir.order("unpause", "w1", &[]);
    wait_for_results(&dir, &[5, 0]);
}

/// A worker on this wire, made but not started, and its master, which has builder `b1` on it.
fn not_started(kind: Kind, protocol: Protocol, steps: &str) -> (MasterDir, Process, RealWorker) {
    let port = free_port();
    let farm = Farm { port, workers: &[("w1", "'sesame-1'")], builders: &[("b1", &["w1"])], steps };
    let config = match protocol {
        Protocol::Pb => farm.config(),
        Protocol::Msgpack => {
            let at = format!("'tcp:{port}:interface=127.0.0.1'");
            farm.config().replace(
                &format!("pb = {{ port = {at} }}"),
                &format!("{} = {{ port = {at} }}", protocol.key()),
            )
        }
    };
    let dir = MasterDir::new(&config);
    let master = dir.start();
    let worker = RealWorker::create_of(kind, protocol, port, "w1", "sesame-1", &[]);
    (dir, master, worker)
}

/// Plays a scene with each kind of worker over each wire: its builder `b1` has one step that succeeds.
fn on_each_wire(test: &str, scene: impl Fn(&str, &MasterDir, RealWorker)) {
    for kind in [Kind::Buildbot, Kind::Lunabot] {
        if kind == Kind::Buildbot && crate::support::real_worker::program().is_none() {
            crate::support::skip::skip(test, "LUNABOT_TEST_BUILDBOT_WORKER is not set");
            continue;
        }
        for protocol in [Protocol::Pb, Protocol::Msgpack] {
            let (dir, _master, worker) =
                not_started(kind, protocol, "steps.ShellCommand { command = 'true' }");
            scene(&format!("{kind:?} over {protocol:?}"), &dir, worker);
        }
    }
}

#[test]
fn a_real_worker_that_cannot_make_the_folder_of_its_builder_is_quarantined_on_each_wire() {
    const TEST: &str = "a_real_worker_that_cannot_make_the_folder_of_its_builder_is_quarantined_on_each_wire";
    on_each_wire(TEST, |what, dir, mut worker| {
        // What stands in its place is no folder.
        let place = worker.build_dir("b1").parent().unwrap().to_owned();
        std::fs::write(&place, "").unwrap();
        worker.run();
        eventually("it to attach", || is_attached(dir, "w1").then_some(()));
        assert_eq!(dir.run("force", &["b1", "--wait"]).status.code(), Some(11), "{what}");
        assert_eq!(quarantined(dir), ("not_ready".to_owned(), 1, 10), "{what}");
        let reason = dir.worker("w1")["quarantine_reason"].clone();
        assert!(reason.to_string().contains("build 1 of b1: "), "{what}: {reason}");
        // Its operator puts it right; a worker tries anew with its next link.
        std::fs::remove_file(&place).unwrap();
        worker.kill();
        come_back(dir, &mut worker);
        dir.order("release", "w1", &[]);
        assert!(dir.run("force", &["b1", "--wait"]).status.success(), "{what}");
    });
}

#[test]
fn a_real_worker_that_can_start_no_process_is_quarantined_on_each_wire() {
    const TEST: &str = "a_real_worker_that_can_start_no_process_is_quarantined_on_each_wire";
    on_each_wire(TEST, |what, dir, mut worker| {
        worker.run();
        eventually("it to attach", || is_attached(dir, "w1").then_some(()));
        // Before, so that its folders are there.
        assert!(dir.run("force", &["b1", "--wait"]).status.success(), "{what}");
        let open = std::fs::read_dir(format!("/proc/{}/fd", worker.pid())).unwrap().count();
        let pid = rustix::process::Pid::from_raw(i32::try_from(worker.pid()).unwrap());
        let limit = |most: u64| {
            let before = rustix::process::getrlimit(rustix::process::Resource::Nofile);
            let new = rustix::process::Rlimit { current: Some(most), ..before };
            rustix::process::prlimit(pid, rustix::process::Resource::Nofile, new).unwrap()
        };
        // No more than it has open: there is no pipe for another command.
        let before = limit(open as u64);
        assert_eq!(dir.run("force", &["b1", "--wait"]).status.code(), Some(11), "{what}");
        assert_eq!(quarantined(dir), ("fault".to_owned(), 1, 10), "{what}");
        limit(before.current.unwrap_or(1024));
        dir.order("release", "w1", &[]);
        assert!(dir.run("force", &["b1", "--wait"]).status.success(), "{what}");
        assert!(is_free(dir), "{what}");
    });
}
