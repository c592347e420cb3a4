//! `buildbot-worker` 4.3.0 over msgpack, and peers on its port that are no workers.

use std::time::Duration;

use super::{
    Farm, MasterDir, Process, RealWorker, WAIT_FOR_GO, free_port, is_alive, is_attached, needs_real_workers,
    raw::Peer, shown, touch, wait_for_pid, wait_for_results, waiting_step,
};
use crate::support::{
    master::{eventually, lunabot},
    real_worker::Protocol,
};

/// The same farm, whose workers speak this protocol.
fn farm_on(protocol: Protocol, farm: &Farm<'_>) -> MasterDir {
    MasterDir::new(&farm.config().replace("pb = {", &format!("{} = {{", protocol.key())))
}

fn worker_on(protocol: Protocol, port: u16, name: &str, password: &str, options: &[&str]) -> RealWorker {
    let mut worker = RealWorker::create_on(protocol, port, name, password, options);
    worker.run();
    worker
}

/// A master with worker `w1` (password `sesame-1`) and these builders on it; the worker is attached over msgpack.
fn master_with(builders: &[&str], steps: &str, arguments: &str) -> (MasterDir, Process, RealWorker) {
    let port = free_port();
    let arguments = format!("'sesame-1'{arguments}");
    let builders: Vec<_> = builders.iter().map(|builder| (*builder, &["w1"][..])).collect();
    let farm = Farm { port, workers: &[("w1", &arguments)], builders: &builders, steps };
    let dir = farm_on(Protocol::Msgpack, &farm);
    let master = dir.start();
    let worker = worker_on(Protocol::Msgpack, port, "w1", "sesame-1", &[]);
    eventually("the worker to be attached", || is_attached(&dir, "w1").then_some(()));
    (dir, master, worker)
}

fn lines(log: &[u8]) -> Vec<String> {
    String::from_utf8_lossy(log).lines().map(str::to_owned).collect()
}

#[test]
fn a_real_msgpack_worker_attaches_and_streams_its_output_and_long_lines_stay_whole() {
    needs_real_workers!("a_real_msgpack_worker_attaches_and_streams_its_output_and_long_lines_stay_whole");
    let steps = format!(
        "steps.ShellCommand {{ name = 'one', command = 'echo first; {WAIT_FOR_GO}; echo second' }},\
         steps.ShellCommand {{ name = 'two', command = 'head -c 300000 /dev/zero | tr \"\\\\0\" x; echo; echo größe >&2; printf unfinished' }}"
    );
    let (dir, _master, worker) = master_with(&["b1"], &steps, "");
    let shown = shown(&dir, "w1");
    assert_eq!(shown["workerinfo"]["version"], "4.3.0");
    assert_eq!(shown["workerinfo"]["host"].as_str().map(str::trim), Some("w1's host"));
    assert!(shown["workerinfo"].get("environ").is_none(), "{shown}");
    let mut force = dir.spawn("force", &["b1", "--wait"]);
    while force.next_line().expect("the first line") != "first" {}
    assert_eq!(dir.builds()[0]["complete"], false);
    touch(&worker.build_dir("b1").join("go"));
    let mut rest = Vec::new();
    while let Some(line) = force.next_line() {
        rest.push(line);
    }
    assert_eq!(force.wait(), Some(0));
    assert!(rest.iter().any(|line| line == "second"), "{rest:#?}");
    let long = "x".repeat(300_000);
    for wanted in [long.as_str(), "größe", "unfinished"] {
        let lengths: Vec<_> = rest.iter().map(String::len).collect();
        assert!(rest.iter().any(|line| line == wanted), "{wanted:.40} is not among lines of {lengths:?}");
    }
}

#[test]
fn builds_of_several_builders_run_at_once_on_one_msgpack_worker() {
    needs_real_workers!("builds_of_several_builders_run_at_once_on_one_msgpack_worker");
    let builders = ["b1", "b2", "b3"];
    let (dir, _master, worker) = master_with(&builders, &waiting_step(), "");
    for builder in builders {
        assert!(dir.run("force", &[builder]).status.success());
    }
    let pids = builders.map(|builder| wait_for_pid(&worker.build_dir(builder)));
    assert!(pids.iter().all(|pid| is_alive(pid)), "{pids:?}");
    for builder in builders {
        touch(&worker.build_dir(builder).join("go"));
    }
    wait_for_results(&dir, &[0, 0, 0]);
}

#[test]
fn a_build_on_a_msgpack_worker_is_stopped_and_its_command_dead() {
    needs_real_workers!("a_build_on_a_msgpack_worker_is_stopped_and_its_command_dead");
    let (dir, _master, worker) = master_with(
        &["b1"],
        "steps.ShellCommand { name = 'long', command = 'echo $$ > pid; sleep 600' },\
         steps.ShellCommand { name = 'next', command = 'touch never-made' }",
        "",
    );
    let mut force = dir.spawn("force", &["b1", "--wait"]);
    let pid = wait_for_pid(&worker.build_dir("b1"));
    let id = dir.builds()[0]["buildid"].to_string();
    let answer = dir.post(&format!("/api/v2/builds/{id}"), "stop", r#"{"reason": "enough"}"#);
    assert!(answer.contains("\"result\""), "{answer}");
    assert_eq!(force.wait(), Some(13));
    eventually("the death of the command", || (!is_alive(&pid)).then_some(()));
    wait_for_results(&dir, &[6]);
    assert!(!worker.build_dir("b1").join("never-made").exists());
}

#[test]
fn after_kill_9_of_the_master_a_msgpack_worker_returns_and_ids_are_not_used_again() {
    needs_real_workers!("after_kill_9_of_the_master_a_msgpack_worker_returns_and_ids_are_not_used_again");
    let (dir, mut master, mut worker) = master_with(&["b1"], &waiting_step(), "");
    assert!(dir.run("force", &["b1"]).status.success());
    wait_for_pid(&worker.build_dir("b1"));
    master.signal("KILL");
    assert_eq!(master.wait(), None);
    let _master = dir.start();
    worker.wait_attached(2);
    // Also what the first one has left running.
    touch(&worker.build_dir("b1").join("go"));
    wait_for_results(&dir, &[5, 0]);
    assert!(worker.is_running());
    let log = worker.log();
    let starts = log.lines().filter_map(|line| line.split_once(" startCommand:")).map(|(_, what)| what);
    let mut ids: Vec<_> = starts.filter_map(|what| what.split_once("[id ")).map(|(_, id)| id).collect();
    let count = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert!(count >= 4 && ids.len() == count, "{ids:?}");
}

#[test]
fn a_master_that_stops_leaves_no_command_of_a_msgpack_worker_behind() {
    needs_real_workers!("a_master_that_stops_leaves_no_command_of_a_msgpack_worker_behind");
    let (dir, mut master, worker) =
        master_with(&["b1"], "steps.ShellCommand { command = 'echo $$ > pid; sleep 600' }", "");
    assert!(dir.run("force", &["b1"]).status.success());
    let pid = wait_for_pid(&worker.build_dir("b1"));
    master.signal("TERM");
    assert_eq!(master.wait(), Some(0));
    eventually("the death of the command", || (!is_alive(&pid)).then_some(()));
}

#[test]
fn a_msgpack_worker_with_a_wrong_password_tries_again_and_is_let_in_once_it_is_right() {
    needs_real_workers!("a_msgpack_worker_with_a_wrong_password_tries_again_and_is_let_in_once_it_is_right");
    let port = free_port();
    let farm = Farm {
        port,
        workers: &[("w1", "'sesame-other'")],
        builders: &[("b1", &["w1"])],
        steps: "steps.ShellCommand { command = 'true' }",
    };
    let dir = farm_on(Protocol::Msgpack, &farm);
    let mut master = dir.start();
    let mut worker = worker_on(Protocol::Msgpack, port, "w1", "sesame-1", &[]);
    eventually("two refusals", || (worker.log().matches("401").count() >= 2).then_some(()));
    assert!(worker.is_running());
    assert!(!is_attached(&dir, "w1"));
    master.wait_for_stderr("wrong password");
    let config = std::fs::read_to_string(dir.file("master.cfg.lua")).unwrap();
    std::fs::write(dir.file("master.cfg.lua"), config.replace("sesame-other", "sesame-1")).unwrap();
    eventually("the worker to be let in", || is_attached(&dir, "w1").then_some(()));
    let log = std::fs::read_to_string(dir.file("lunabot.log")).unwrap();
    assert!(!log.contains("sesame"), "{log}");
}

#[test]
fn a_msgpack_worker_whose_password_the_file_has_only_as_a_hash_gets_in_again_and_again() {
    needs_real_workers!(
        "a_msgpack_worker_whose_password_the_file_has_only_as_a_hash_gets_in_again_and_again"
    );
    let port = free_port();
    let dir = MasterDir::new("");
    std::fs::write(dir.file("password"), "sesame-1\n").unwrap();
    let hashed = lunabot()
        .arg("hash-password")
        .stdin(std::fs::File::open(dir.file("password")).unwrap())
        .output()
        .unwrap();
    let hash = String::from_utf8(hashed.stdout).unwrap();
    let password = format!("'{}'", hash.trim());
    let steps = "steps.ShellCommand { command = 'true' }";
    let farm = Farm { port, workers: &[("w1", &password)], builders: &[("b1", &["w1"])], steps };
    let dir = farm_on(Protocol::Msgpack, &farm);
    let mut master = dir.start();
    let wrong = worker_on(Protocol::Msgpack, port, "w1", "sesame-2", &[]);
    master.wait_for_stderr("wrong password");
    drop(wrong);
    let mut worker = worker_on(Protocol::Msgpack, port, "w1", "sesame-1", &[]);
    worker.wait_attached(1);
    assert!(dir.run("force", &["b1", "--wait"]).status.success());
    // Once more, when it is remembered.
    worker.kill();
    eventually("its place to be free", || (!is_attached(&dir, "w1")).then_some(()));
    worker.run();
    eventually("it to be in again", || is_attached(&dir, "w1").then_some(()));
    let log = std::fs::read_to_string(dir.file("lunabot.log")).unwrap();
    assert!(!log.contains("sesame") && !log.contains("$argon2"), "{log}");
}

#[test]
fn a_msgpack_worker_that_gives_no_sign_of_life_loses_its_place_and_returns() {
    needs_real_workers!("a_msgpack_worker_that_gives_no_sign_of_life_loses_its_place_and_returns");
    let (dir, mut master, worker) =
        master_with(&["b1"], "steps.ShellCommand { command = 'true' }", ", { keepalive_interval = 1 }");
    eventually("some signs of life", || (worker.count_in_log("'op': 'keepalive'") >= 2).then_some(()));
    assert!(is_attached(&dir, "w1"));
    worker.signal("STOP");
    master.wait_for_stderr("gives no sign of life");
    eventually("its place to be free", || (!is_attached(&dir, "w1")).then_some(()));
    worker.signal("CONT");
    worker.wait_attached(2);
    eventually("the worker to be attached again", || is_attached(&dir, "w1").then_some(()));
}

#[test]
fn a_command_that_outlived_its_link_is_ended_when_its_msgpack_worker_returns() {
    needs_real_workers!("a_command_that_outlived_its_link_is_ended_when_its_msgpack_worker_returns");
    let step = "steps.ShellCommand { command = 'echo $$ > pid; exec sleep 600' }";
    let (dir, mut master, worker) = master_with(&["b1"], step, ", { keepalive_interval = 1 }");
    assert!(dir.run("force", &["b1"]).status.success());
    let pid = wait_for_pid(&worker.build_dir("b1"));
    // The program is frozen, and what it has started is not.
    worker.signal("STOP");
    master.wait_for_stderr("gives no sign of life");
    eventually("its place to be free", || (!is_attached(&dir, "w1")).then_some(()));
    assert!(is_alive(&pid));
    worker.signal("CONT");
    worker.wait_attached(2);
    eventually("the death of the command", || (!is_alive(&pid)).then_some(()));
}

#[test]
fn a_second_msgpack_worker_of_one_name_lives_and_has_the_place_once_it_is_free() {
    needs_real_workers!("a_second_msgpack_worker_of_one_name_lives_and_has_the_place_once_it_is_free");
    let (dir, mut master, mut first) =
        master_with(&["b1"], "steps.ShellCommand { command = 'touch here' }", "");
    let sockets = first.sockets();
    let mut second = worker_on(Protocol::Msgpack, first.port(), "w1", "sesame-1", &[]);
    master.wait_for_stderr("a second worker with this name was refused");
    eventually("it to come again", || (second.count_in_log("WebSocket connection open") >= 2).then_some(()));
    assert!(second.is_running());
    assert_eq!(first.sockets(), sockets);
    first.kill();
    let made = second.build_dir("b1").join("here");
    eventually("a build on the second one", || {
        (dir.run("force", &["b1", "--wait"]).status.success() && made.exists()).then_some(())
    });
}

#[test]
fn a_msgpack_worker_that_wishes_so_is_cleared_of_folders_that_no_builder_has() {
    needs_real_workers!("a_msgpack_worker_that_wishes_so_is_cleared_of_folders_that_no_builder_has");
    let port = free_port();
    let farm = Farm {
        port,
        workers: &[("w1", "'sesame-1'")],
        builders: &[("b1", &["w1"])],
        steps: "steps.ShellCommand { command = 'touch made' }",
    };
    let dir = farm_on(Protocol::Msgpack, &farm);
    let _master = dir.start();
    let mut worker =
        RealWorker::create_on(Protocol::Msgpack, port, "w1", "sesame-1", &["--delete-leftover-dirs"]);
    let kept = worker.path().join("b1/kept");
    std::fs::create_dir_all(&kept).unwrap();
    std::fs::create_dir_all(worker.path().join("old/inner")).unwrap();
    std::fs::write(worker.path().join("file"), "").unwrap();
    worker.run();
    eventually("the folder to be removed", || (!worker.path().join("old").exists()).then_some(()));
    assert!(dir.run("force", &["b1", "--wait"]).status.success());
    assert!(kept.exists() && worker.path().join("file").exists() && worker.path().join("info/host").exists());
}

/// The log of build 1 of this farm's builder `b`, without what differs from run to run.
fn log_on(protocol: Protocol, steps: &str) -> (i64, Vec<String>) {
    let port = free_port();
    let farm = Farm { port, workers: &[("w1", "'sesame-1'")], builders: &[("b", &["w1"])], steps };
    let dir = farm_on(protocol, &farm);
    let _master = dir.start();
    let worker = worker_on(protocol, port, "w1", "sesame-1", &[]);
    eventually("the worker to be attached", || is_attached(&dir, "w1").then_some(()));
    let end = dir.run("force", &["b", "--wait"]);
    assert!(end.status.code().is_some());
    let here = worker.path().to_str().unwrap().to_owned();
    let is_same = |line: &String| !line.starts_with("elapsedTime=") && !line.starts_with("  ");
    let log = lines(&dir.log(1)).into_iter().map(|line| line.replace(&here, "/W")).filter(is_same);
    (dir.builds()[0]["results"].as_i64().unwrap(), log.collect())
}

#[test]
fn a_worker_of_either_protocol_runs_the_same_build_with_the_same_result() {
    needs_real_workers!("a_worker_of_either_protocol_runs_the_same_build_with_the_same_result");
    let step = |command: &str, more: &str| {
        format!(
            "steps.ShellCommand {{ command = {command}, logEnviron = false, haltOnFailure = false{more} }}"
        )
    };
    // Each of its own, since the log of one step is compared. What is written to two streams at once has no order.
    for step in [
        step("'echo größe; printf \"a\\\\rb\\\\n\"; seq 2000; exit 3'", ""),
        step(
            "{ 'sh', '-c', 'pwd; cat; echo \"$A-$B\"' }",
            ", initialStdin = 'said\\n', env = { A = 'a', B = { 'x', 'y' } }, workdir = 'other'",
        ),
        step("'sleep 600'", ", timeout = 1"),
        step("'kill -9 $$'", ""),
    ] {
        let pb = log_on(Protocol::Pb, &step);
        let msgpack = log_on(Protocol::Msgpack, &step);
        assert!(pb.1.len() > 3, "{step}: {pb:?}");
        assert_eq!(pb, msgpack, "{step}");
    }
}

/// A master with a port for msgpack and nobody on it.
fn empty_farm() -> (MasterDir, Process, u16) {
    let port = free_port();
    let farm = Farm {
        port,
        workers: &[("w1", "'sesame-1'")],
        builders: &[("b1", &["w1"])],
        steps: "steps.ShellCommand { command = 'true' }",
    };
    let dir = farm_on(Protocol::Msgpack, &farm);
    let master = dir.start();
    (dir, master, port)
}

/// The head of a worker's request, with these credentials.
fn request(credentials: &str) -> String {
    format!(
        "GET / HTTP/1.1\r\nHost: here\r\nUpgrade: WebSocket\r\nConnection: Upgrade\r\nAuthorization: Basic {credentials}\r\n\
         Sec-WebSocket-Key: yv7tyxY+ILRo6K8Dabvfaw==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
}

#[test]
fn a_peer_on_the_port_of_msgpack_that_is_no_worker_is_sent_away_and_told_in_one_line() {
    let (dir, _master, port) = empty_farm();
    // `w1:wrong`, `stranger:sesame-1` and nothing at all are told the same.
    let cases: [(String, &str, &str); 8] = [
        (request("dzE6d3Jvbmc="), "401 ", "login refused: wrong password"),
        (request("c3RyYW5nZXI6c2VzYW1lLTE="), "401 ", "no such worker is defined"),
        (request("").replace("Authorization", "X"), "401 ", "gives no name and password"),
        (request("!"), "400 ", "in a way that cannot be read"),
        ("GET / HTTP/1.1\r\nHost: here\r\n\r\n".into(), "400 ", "asks for no WebSocket"),
        (format!("GET /{} HTTP/1.1", "x".repeat(9000)), "400 ", "its request is longer than"),
        ("\u{2}\u{1}no http".into(), "400 ", "does not speak HTTP"),
        // Silent, as a worker on the other wire.
        (String::new(), "", "said nothing within 10 s, as a worker does that speaks `pb`"),
    ];
    std::thread::scope(|scope| {
        for (said, status, _) in &cases {
            scope.spawn(move || {
                let mut peer = Peer::connect(port);
                peer.say(said.as_bytes());
                let heard = String::from_utf8(peer.read_to_end()).unwrap();
                assert!(heard.contains(status), "{said:.60}: {heard}");
                assert!(status.is_empty() || heard.ends_with("\r\n\r\n"), "an empty body: {heard}");
            });
        }
        // One byte a time is not enough to stay.
        scope.spawn(move || {
            let mut peer = Peer::connect(port);
            for byte in request("dzE6c2VzYW1lLTE=").bytes().take(100) {
                peer.say(&[byte]);
                std::thread::park_timeout(Duration::from_millis(5));
            }
            assert_eq!(peer.read_to_end(), b"");
        });
    });
    let log = std::fs::read_to_string(dir.file("lunabot.log")).unwrap();
    for (.., wanted) in &cases {
        assert_eq!(log.matches(wanted).count(), 1, "{wanted}: {log}");
    }
    // Where a worker is written is told of those that are.
    let line = |text: &str| log.lines().find(|line| line.contains(text)).unwrap();
    assert!(line("login refused: wrong password").contains(" source=master.cfg.lua:"), "{log}");
    assert!(!line("no such worker is defined").contains("source="), "{log}");
    assert_eq!(log.matches("did not log in within").count(), 1, "{log}");
    assert!(!log.contains("sesame") && !log.contains("wrong="), "{log}");
}

#[test]
fn a_worker_that_breaks_the_rules_after_its_login_is_cut_off_alone() {
    let (dir, _master, port) = empty_farm();
    // Masked with zeroes: a frame of 16 MiB and one byte, an unmasked frame, text that is none, a message that is none.
    let bad: [&[u8]; 4] = [
        &[0x82, 0xff, 0, 0, 0, 0, 1, 0, 0, 1, 0, 0, 0, 0],
        &[0x82, 0x01, 0xc0],
        &[0x81, 0x81, 0, 0, 0, 0, 0xff],
        &[0x82, 0x81, 0, 0, 0, 0, 0xc1],
    ];
    for frame in bad {
        let mut peer = Peer::connect(port);
        // `w1:sesame-1`
        peer.say(request("dzE6c2VzYW1lLTE=").as_bytes());
        let answer = peer.read_until(b"\r\n\r\n");
        assert!(answer.starts_with(b"HTTP/1.1 101 "), "{}", answer.escape_ascii());
        peer.say(frame);
        peer.finish();
        peer.read_to_end();
        // Its place is free again for the next.
        eventually("its end in the log", || {
            let log = std::fs::read_to_string(dir.file("lunabot.log")).unwrap();
            (log.matches("the connection ended").count() >= 1).then_some(())
        });
    }
    eventually("four lines", || {
        let log = std::fs::read_to_string(dir.file("lunabot.log")).unwrap();
        (log.matches("the connection ended").count() == 4).then_some(())
    });
}
