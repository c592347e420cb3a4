//! Edits while real workers are attached and build.

use super::{
    Farm, MasterDir, RealWorker, free_port, is_attached, master_with_one_worker, needs_real_workers, port_of,
    shown, touch, wait_for_pid, wait_for_results, waiting_step,
};
use crate::support::master::eventually;

/// Puts another configuration in the place of the one there, as an editor does.
fn save(dir: &MasterDir, config: &str) {
    let new = dir.file("master.cfg.lua.new");
    std::fs::write(&new, config).unwrap();
    std::fs::rename(new, dir.file("master.cfg.lua")).unwrap();
}

/// The same, and waits until it is what runs.
fn save_and_apply(dir: &MasterDir, config: &str) {
    save(dir, config);
    let output = dir.run("reconfig", &[]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_second_worker_is_added_by_an_edit_while_the_first_one_builds_on_its_old_connection() {
    needs_real_workers!(
        "a_second_worker_is_added_by_an_edit_while_the_first_one_builds_on_its_old_connection"
    );
    let steps = waiting_step();
    let (dir, _master, first) = master_with_one_worker(&steps);
    let port = port_of(&dir);
    assert!(dir.run("force", &["b1"]).status.success());
    wait_for_pid(&first.build_dir("b1"));
    let connection =
        |dir: &MasterDir| ["connected_to", "last_connection"].map(|key| shown(dir, "w1")[key].clone());
    let (sockets, connected) = (first.sockets(), connection(&dir));
    let both = Farm {
        port,
        workers: &[("w1", "'sesame-1'"), ("w2", "'sesame-2'")],
        builders: &[("b1", &["w1"]), ("b2", &["w2"])],
        steps: &steps,
    };
    // Nothing but the saving: the master sees it by itself.
    save(&dir, &both.config());
    eventually("the new worker to be expected", || (shown(&dir, "w2")["name"] == "w2").then_some(()));
    let second = RealWorker::start(port, "w2", "sesame-2");
    second.wait_attached(1);
    assert!(dir.run("force", &["b2"]).status.success());
    wait_for_pid(&second.build_dir("b2"));
    assert_eq!((first.sockets(), first.attached_times()), (sockets, 1));
    assert_eq!(connection(&dir), connected);
    assert!(dir.builds().iter().all(|build| build["complete"] == false));
    touch(&first.build_dir("b1").join("go"));
    touch(&second.build_dir("b2").join("go"));
    wait_for_results(&dir, &[0, 0]);
}

#[test]
fn a_broken_edit_changes_nothing_for_an_attached_worker_and_its_build() {
    needs_real_workers!("a_broken_edit_changes_nothing_for_an_attached_worker_and_its_build");
    let (dir, _master, worker) = master_with_one_worker(&waiting_step());
    assert!(dir.run("force", &["b1"]).status.success());
    wait_for_pid(&worker.build_dir("b1"));
    let sockets = worker.sockets();
    save(&dir, "c.workers = { worker.Worker('w1' \n");
    eventually("the problem to be told", || {
        let log = std::fs::read_to_string(dir.file("lunabot.log")).unwrap();
        log.contains("is kept").then_some(())
    });
    assert_eq!(dir.run("reconfig", &[]).status.code(), Some(1));
    touch(&worker.build_dir("b1").join("go"));
    wait_for_results(&dir, &[0]);
    assert_eq!((worker.sockets(), worker.attached_times()), (sockets, 1));
    assert!(dir.run("force", &["b1", "--wait"]).status.success());
}

#[test]
fn a_removed_worker_finishes_its_build_and_is_then_disconnected_and_refused() {
    needs_real_workers!("a_removed_worker_finishes_its_build_and_is_then_disconnected_and_refused");
    let port = free_port();
    let steps = waiting_step();
    let before = Farm {
        port,
        workers: &[("w1", "'sesame-1'"), ("w2", "'sesame-2'")],
        builders: &[("b1", &["w1"]), ("b2", &["w2"])],
        steps: &steps,
    };
    let dir = MasterDir::new(&before.config());
    let _master = dir.start();
    let removed = RealWorker::start(port, "w1", "sesame-1");
    let kept = RealWorker::start(port, "w2", "sesame-2");
    removed.wait_attached(1);
    kept.wait_attached(1);
    let (removed_sockets, kept_sockets) = (removed.sockets(), kept.sockets());
    assert!(dir.run("force", &["b1"]).status.success());
    wait_for_pid(&removed.build_dir("b1"));

    let after =
        Farm { workers: &[("w2", "'sesame-2'")], builders: &[("b1", &["w2"]), ("b2", &["w2"])], ..before };
    save_and_apply(&dir, &after.config());
    // It has a build: so it keeps its link, and gets no other one.
    assert_eq!(removed.sockets(), removed_sockets);
    touch(&removed.build_dir("b1").join("go"));
    wait_for_results(&dir, &[0]);
    eventually("the link to be closed", || removed.sockets().is_disjoint(&removed_sockets).then_some(()));
    eventually("its next login to be refused", || {
        (removed.count_in_log("unauthorized login") >= 1).then_some(())
    });
    assert_eq!(removed.attached_times(), 1);
    assert!(dir.run("force", &["b1"]).status.success());
    wait_for_pid(&kept.build_dir("b1"));
    touch(&kept.build_dir("b1").join("go"));
    wait_for_results(&dir, &[0, 0]);
    assert_eq!((kept.sockets(), kept.attached_times()), (kept_sockets, 1));
}

#[test]
fn a_password_changed_by_a_reload_applies_to_the_next_login_only() {
    needs_real_workers!("a_password_changed_by_a_reload_applies_to_the_next_login_only");
    let steps = "steps.ShellCommand { command = 'true' }";
    let (dir, _master, mut old) = master_with_one_worker(steps);
    let port = port_of(&dir);
    let sockets = old.sockets();
    let changed = Farm { port, workers: &[("w1", "'sesame-new'")], builders: &[("b1", &["w1"])], steps };
    save_and_apply(&dir, &changed.config());
    assert!(dir.run("force", &["b1", "--wait"]).status.success());
    assert_eq!((old.sockets(), old.attached_times()), (sockets, 1));
    old.kill();
    old.run();
    eventually("the old password to be refused", || {
        (old.count_in_log("unauthorized login") >= 1).then_some(())
    });
    assert_eq!(old.attached_times(), 1);
    let new = RealWorker::start(port, "w1", "sesame-new");
    new.wait_attached(1);
    assert!(is_attached(&dir, "w1"));
    let log = std::fs::read_to_string(dir.file("lunabot.log")).unwrap();
    assert!(!log.contains("sesame"), "{log}");
}

#[test]
fn a_changed_port_moves_and_those_attached_stay() {
    needs_real_workers!("a_changed_port_moves_and_those_attached_stay");
    let steps = waiting_step();
    let (dir, _master, first) = master_with_one_worker(&steps);
    assert!(dir.run("force", &["b1"]).status.success());
    wait_for_pid(&first.build_dir("b1"));
    let (old, new, sockets) = (port_of(&dir), free_port(), first.sockets());
    let moved = Farm {
        port: new,
        workers: &[("w1", "'sesame-1'"), ("w2", "'sesame-2'")],
        builders: &[("b1", &["w1"])],
        steps: &steps,
    };
    save_and_apply(&dir, &moved.config());
    let second = RealWorker::start(new, "w2", "sesame-2");
    second.wait_attached(1);
    eventually("the old port to be closed", || {
        std::net::TcpStream::connect(("127.0.0.1", old)).is_err().then_some(())
    });
    assert_eq!((first.sockets(), first.attached_times()), (sockets, 1));
    touch(&first.build_dir("b1").join("go"));
    wait_for_results(&dir, &[0]);
}
