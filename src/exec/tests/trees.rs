//! Children that try to get away.
//!
//! # Not here
//! Sessions: a test is not launched as a command is. See `tests/it/isolation.rs`.

use super::*;

/// With the mark of a worker, as all commands of one have it.
fn marked(line: &str) -> Spec {
    let mark = Mark { name: "LUNABOT_TEST_TREE".into(), value: "here".into() };
    Spec { mark: Some(mark), ..shell(line) }
}

fn parent(id: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    stat.rsplit(')').next()?.split_ascii_whitespace().nth(1)?.parse().ok()
}

/// Gone, and none left for us to reap.
async fn all_reaped(pids: &[u32]) {
    all_gone(pids).await;
    let ours = std::process::id();
    eventually("none is a zombie of ours", || !pids.iter().any(|&id| parent(id) == Some(ours))).await;
}

/// A daemon as the book has it: a session of its own, and its parent gone. It writes its id.
const DAEMON: &str = "(setsid sh -c 'echo $$; exec sleep 1000 >/dev/null 2>&1' &)";

async fn orphaned(id: u32, leader: u32) {
    let is_orphan = || parent(id).is_some_and(|parent| parent != leader && parent != std::process::id());
    eventually("it is an orphan", is_orphan).await;
}

#[tokio::test]
async fn a_daemon_dies_with_its_command() {
    let ends: [fn(Process) -> Option<Process>; 2] = [
        |process| {
            process.interrupt();
            Some(process)
        },
        |process| {
            drop(process);
            None
        },
    ];
    for end in ends {
        let (process, told, pids) =
            start_with_pids(marked(&format!("{DAEMON}; echo $$; sleep 1000")), 2).await;
        let leader = process.id();
        let daemon = *pids.iter().find(|&&id| id != leader).unwrap();
        orphaned(daemon, leader).await;
        if let Some(mut process) = end(process) {
            let told = told.rest(&mut process).await;
            assert_eq!(told.ended().exit, Exit::Signal(9));
            assert!(!is_running(daemon), "it is gone before the end is told");
        }
        all_reaped(&pids).await;
    }
}

#[tokio::test]
async fn a_daemon_dies_at_a_timeout_too() {
    let spec = Spec {
        timeout: Some(Duration::from_millis(500)),
        ..marked(&format!("{DAEMON}; echo $$; sleep 1000"))
    };
    let (mut process, told, pids) = start_with_pids(spec, 2).await;
    assert_eq!(told.rest(&mut process).await.killing, [KillReason::TimeoutWithoutOutput]);
    assert!(!pids.iter().any(|&id| is_running(id)));
    all_reaped(&pids).await;
}

#[tokio::test]
async fn a_grandchild_in_a_session_of_its_own_without_any_variable_dies_too() {
    let line = "setsid env -i /bin/sh -c 'echo $$; /bin/sleep 1000; :' & echo $$; sleep 1000";
    let (mut process, told, pids) = start_with_pids(marked(line), 2).await;
    process.interrupt();
    told.rest(&mut process).await;
    all_reaped(&pids).await;
}

#[tokio::test]
async fn those_outside_of_the_group_get_the_grace_and_no_more() {
    // One cleans up, the other will not hear; and their command ends at the first signal.
    let line = "setsid sh -c 'trap \"echo cleaned; exit\" TERM; echo $$; while :; do sleep 0.05; done' & \
                setsid sh -c 'trap \"\" TERM; echo $$; while :; do sleep 1000; done' & \
                echo $$; sleep 1000";
    let spec = Spec { sigterm_time: Some(Duration::from_secs(2)), ..marked(line) };
    let (mut process, told, pids) = start_with_pids(spec, 3).await;
    process.interrupt();
    let told = told.rest(&mut process).await;
    assert!(told.stdout.ends_with(b"cleaned\n"), "{:?}", told.stdout.escape_ascii().to_string());
    assert_eq!(told.ended().exit, Exit::Signal(15));
    all_reaped(&pids).await;
}

#[tokio::test]
async fn a_leader_that_ignores_sigterm_dies_with_its_daemon() {
    let spec = Spec {
        sigterm_time: Some(Duration::from_millis(100)),
        ..marked(&format!("trap '' TERM; {DAEMON}; echo $$; while :; do sleep 1000; done"))
    };
    let (mut process, told, pids) = start_with_pids(spec, 2).await;
    process.interrupt();
    assert_eq!(told.rest(&mut process).await.ended().exit, Exit::Signal(9));
    all_reaped(&pids).await;
}

#[tokio::test]
async fn nothing_is_left_of_a_storm_of_forks() {
    // Each in a session of its own, half of them orphans; killed while they still come.
    let line = "i=0; while [ $i -lt 100 ]; do \
                setsid sh -c 'echo $$; sleep 1000; :' & (setsid sh -c 'echo $$; sleep 1000; :' &); \
                i=$((i+1)); done; echo $$; sleep 1000";
    for awaited in [20, 201] {
        let (mut process, told, pids) = start_with_pids(marked(line), awaited).await;
        process.interrupt();
        let told = told.rest(&mut process).await;
        // Those that came between the look and the kill have told theirs, too.
        let all = String::from_utf8(told.stdout).unwrap();
        let all: Vec<u32> = all.lines().filter_map(|line| line.parse().ok()).collect();
        assert!(all.len() >= pids.len());
        assert!(!all.iter().any(|&id| is_running(id)), "all are gone before the end is told");
        all_reaped(&all).await;
    }
}

#[tokio::test]
async fn what_was_let_go_on_purpose_lives_on() {
    let line =
        format!("env -u LUNABOT_TEST_TREE sh -c \"{}\"; echo $$; sleep 1000", DAEMON.replace('$', "\\$"));
    let (mut process, told, pids) = start_with_pids(marked(&line), 2).await;
    let daemon = *pids.iter().find(|&&id| id != process.id()).unwrap();
    orphaned(daemon, process.id()).await;
    process.interrupt();
    told.rest(&mut process).await;
    assert!(is_running(daemon));
    run(argv(&["sh", "-c", &format!("kill -9 {daemon}")])).await;
    all_gone(&pids).await;
}

#[tokio::test]
async fn many_commands_that_end_at_once_are_searched_together() {
    let mut processes = Vec::new();
    let mut all = Vec::new();
    for _ in 0..30 {
        let (process, _, pids) = start_with_pids(marked(&format!("{DAEMON}; echo $$; sleep 1000")), 2).await;
        processes.push(process);
        all.extend(pids);
    }
    let started = std::time::Instant::now();
    let kills = processes.into_iter().map(Process::kill);
    let ended = within(futures_util::future::join_all(kills)).await;
    assert!(ended.iter().flatten().all(|ended| ended.exit == Exit::Signal(9)), "{ended:?}");
    assert!(!all.iter().any(|&id| is_running(id)));
    assert!(started.elapsed() < PATIENCE, "{:?}", started.elapsed());
    all_reaped(&all).await;
}
