//! `buildbot-worker` 4.3.0 from PyPI, unchanged, against a master as an operator has it.

mod crowd;
mod faults;
mod latent;
mod liveness;
mod logins;
mod msgpack;
mod ports;
mod quarantine;
mod raw;
mod reload;
mod states;
mod tls;

use std::{fmt::Write as _, path::Path};

use serde_json::Value;

use crate::support::{
    master::{HEAD, MasterDir, Process, eventually, is_alive, touch},
    real_worker::{RealWorker, free_port},
    skip::needs_real_workers,
};

/// Waits in the shell until a file is there; no longer than its folder is, since a killed worker leaves its commands behind.
const WAIT_FOR_GO: &str = r#"while [ -d "$PWD" ] && [ ! -e go ]; do sleep 0.05; done"#;

/// A step that writes its pid down and waits for the test.
fn waiting_step() -> String {
    format!("steps.ShellCommand {{ name = 'wait', command = 'echo $$ > pid; {WAIT_FOR_GO}; echo went on' }}")
}

/// A configuration: workers with their arguments after the name, builders with their workers, the same steps for all.
struct Farm<'a> {
    port: u16,
    workers: &'a [(&'a str, &'a str)],
    builders: &'a [(&'a str, &'a [&'a str])],
    steps: &'a str,
}

impl Farm<'_> {
    fn config(&self) -> String {
        let port = self.port;
        let mut text = format!(
            "{HEAD}c.protocols = {{ pb = {{ port = 'tcp:{port}:interface=127.0.0.1' }} }}\nc.workers = {{\n"
        );
        for (name, arguments) in self.workers {
            writeln!(text, "  worker.Worker('{name}', {arguments}),").unwrap();
        }
        writeln!(text, "}}\nlocal factory = util.BuildFactory {{ {} }}\nc.builders = {{", self.steps)
            .unwrap();
        for (name, workers) in self.builders {
            let list = workers.iter().map(|worker| format!("'{worker}'")).collect::<Vec<_>>().join(", ");
            writeln!(
                text,
                "  util.BuilderConfig {{ name = '{name}', workernames = {{ {list} }}, factory = factory }},"
            )
            .unwrap();
        }
        let names = self.builders.iter().map(|(name, _)| format!("'{name}'")).collect::<Vec<_>>().join(", ");
        writeln!(text, "}}\nc.schedulers = {{ schedulers.ForceScheduler('force', {{ {names} }}) }}").unwrap();
        text
    }
}

/// A master with worker `w1` (password `sesame-1`) and builder `b1` on it; the worker is attached.
fn master_with_one_worker(steps: &str) -> (MasterDir, Process, RealWorker) {
    let port = free_port();
    let farm = Farm { port, workers: &[("w1", "'sesame-1'")], builders: &[("b1", &["w1"])], steps };
    let dir = MasterDir::new(&farm.config());
    let master = dir.start();
    let worker = RealWorker::start(port, "w1", "sesame-1");
    worker.wait_attached(1);
    (dir, master, worker)
}

/// What the master shows of a worker.
fn shown(dir: &MasterDir, name: &str) -> Value {
    let all = dir.json("workers", &[]);
    all["workers"]
        .as_array()
        .unwrap()
        .iter()
        .find(|worker| worker["name"] == name)
        .cloned()
        .unwrap_or_default()
}

/// Whether the master shows a worker as attached.
fn is_attached(dir: &MasterDir, name: &str) -> bool {
    shown(dir, name)["connected_to"].as_array().is_some_and(|masters| masters.len() == 1)
}

/// Waits until a command of [`waiting_step`] runs there; its pid.
fn wait_for_pid(build_dir: &Path) -> String {
    eventually("the command", || {
        std::fs::read_to_string(build_dir.join("pid")).ok().filter(|pid| pid.ends_with('\n'))
    })
}

/// Waits until the builds, the oldest first, have these results; none is running then.
fn wait_for_results(dir: &MasterDir, wanted: &[i64]) {
    eventually(&format!("builds with the results {wanted:?}"), || {
        let mut builds = dir.builds();
        builds.sort_by_key(|build| build["buildid"].as_i64());
        let ended = builds.iter().all(|build| build["complete"] == true);
        (ended && builds.iter().map(|build| &build["results"]).eq(wanted)).then_some(())
    });
}

#[test]
fn a_real_worker_attaches_and_the_master_shows_who_it_is() {
    needs_real_workers!("a_real_worker_attaches_and_the_master_shows_who_it_is");
    let (dir, _master, worker) = master_with_one_worker("steps.ShellCommand { command = 'true' }");
    // `buildbot-worker start` waits for this line, and fails without it.
    assert!(worker.count_in_log("message from master: attached") >= 1);
    eventually("the master to show it", || is_attached(&dir, "w1").then_some(()));
    let shown = shown(&dir, "w1");
    let info = &shown["workerinfo"];
    assert_eq!(info["version"], "4.3.0");
    assert_eq!(info["admin"].as_str().map(str::trim), Some("w1's admin"));
    assert_eq!(info["host"].as_str().map(str::trim), Some("w1's host"));
    assert_eq!(info["system"], "posix");
    assert!(info["numcpus"].as_i64().is_some_and(|count| count > 0), "{info}");
    let os_release = std::fs::read_to_string("/etc/os-release").unwrap_or_default();
    if os_release.lines().any(|line| line.starts_with("ID=")) {
        assert!(info["os_id"].is_string(), "{info}");
    }
    // The worker tells its whole environment, which may hold secrets.
    assert!(info.get("environ").is_none(), "{info}");
    let table = String::from_utf8(dir.run("workers", &[]).stdout).unwrap();
    let line = table.lines().find(|line| line.contains("w1")).unwrap();
    assert!(line.contains("idle") && line.contains("4.3.0"), "{table}");
}

#[test]
fn three_steps_on_a_real_worker_stream_their_output_while_they_run() {
    needs_real_workers!("three_steps_on_a_real_worker_stream_their_output_while_they_run");
    let (dir, _master, worker) = master_with_one_worker(&format!(
        "steps.ShellCommand {{ name = 'one', command = 'echo first; {WAIT_FOR_GO}; echo second' }},\
         steps.ShellCommand {{ name = 'two', command = {{ 'printf', '%s\\n', 'a b', '$HOME', 'größe' }} }},\
         steps.ShellCommand {{ name = 'three', command = 'echo out; echo err >&2; printf unfinished', env = {{ KEY = 'value' }} }}"
    ));
    let mut force = dir.spawn("force", &["b1", "--wait"]);
    // The worker keeps a line for up to 5 s; the command waits for the test all the while.
    while force.next_line().expect("the first line") != "first" {}
    assert_eq!(dir.builds()[0]["complete"], false);
    touch(&worker.build_dir("b1").join("go"));
    let mut rest = Vec::new();
    while let Some(line) = force.next_line() {
        rest.push(line);
    }
    assert_eq!(force.wait(), Some(0));
    let wanted =
        ["second", "a b", "$HOME", "größe", "out", "err", "unfinished", "program finished with exit code 0"];
    for wanted in wanted {
        assert!(rest.iter().any(|line| line == wanted), "{wanted:?} is not in {rest:#?}");
    }
    wait_for_results(&dir, &[0]);
}

#[test]
fn the_exit_code_of_a_command_on_a_real_worker_is_the_outcome_of_its_step() {
    needs_real_workers!("the_exit_code_of_a_command_on_a_real_worker_is_the_outcome_of_its_step");
    let (dir, _master, _worker) = master_with_one_worker(
        "steps.ShellCommand { name = 'bad', command = 'exit 3', haltOnFailure = true },\
         steps.ShellCommand { name = 'never', command = 'echo never-seen' },\
         steps.ShellCommand { name = 'clean', command = 'echo cleaned', alwaysRun = true }",
    );
    let output = dir.run("force", &["b1", "--wait"]);
    assert_eq!(output.status.code(), Some(1));
    let log = String::from_utf8_lossy(&output.stdout);
    assert!(log.contains("program finished with exit code 3"), "{log}");
    assert!(log.lines().any(|line| line == "cleaned"), "{log}");
    assert!(!log.lines().any(|line| line == "never-seen"), "{log}");
}

#[test]
fn a_silent_command_on_a_real_worker_times_out_and_its_children_are_dead() {
    needs_real_workers!("a_silent_command_on_a_real_worker_times_out_and_its_children_are_dead");
    let (dir, _master, worker) = master_with_one_worker(
        "steps.ShellCommand { name = 'silent', timeout = 1, command = 'sleep 600 & echo $! > child; wait' }",
    );
    assert_eq!(dir.run("force", &["b1", "--wait"]).status.code(), Some(1));
    let child = std::fs::read_to_string(worker.build_dir("b1").join("child")).unwrap();
    eventually("the death of the grandchild", || (!is_alive(&child)).then_some(()));
    let state = dir.builds()[0]["state_string"].to_string();
    assert!(state.contains("silent"), "{state}");
    assert!(is_attached(&dir, "w1"));
}

#[test]
fn a_build_on_a_real_worker_is_stopped_and_its_command_dead() {
    needs_real_workers!("a_build_on_a_real_worker_is_stopped_and_its_command_dead");
    let (dir, _master, worker) = master_with_one_worker(
        "steps.ShellCommand { name = 'long', command = 'echo $$ > pid; sleep 600' },\
         steps.ShellCommand { name = 'next', command = 'touch never-made' }",
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
    assert_eq!(worker.attached_times(), 1);
}

#[test]
fn a_build_whose_real_worker_is_killed_is_retried_when_the_worker_returns() {
    needs_real_workers!("a_build_whose_real_worker_is_killed_is_retried_when_the_worker_returns");
    let (dir, _master, mut worker) = master_with_one_worker(&waiting_step());
    assert!(dir.run("force", &["b1"]).status.success());
    wait_for_pid(&worker.build_dir("b1"));
    worker.kill();
    wait_for_results(&dir, &[5]);
    eventually("the master to miss it", || (!is_attached(&dir, "w1")).then_some(()));
    touch(&worker.build_dir("b1").join("go"));
    worker.run();
    wait_for_results(&dir, &[5, 0]);
    let [last, first] = &dir.builds()[..] else { panic!("two builds") };
    assert_eq!(last["buildrequestid"], first["buildrequestid"], "it is the same request");
}

#[test]
fn a_real_worker_that_asks_to_stop_ends_its_build_first_and_then_its_process() {
    needs_real_workers!("a_real_worker_that_asks_to_stop_ends_its_build_first_and_then_its_process");
    let (dir, mut master, mut worker) = master_with_one_worker(&waiting_step());
    assert!(dir.run("force", &["b1"]).status.success());
    wait_for_pid(&worker.build_dir("b1"));
    worker.signal("HUP");
    master.wait_for_stderr("worker asks to stop");
    assert!(dir.run("force", &["b1"]).status.success());
    touch(&worker.build_dir("b1").join("go"));
    eventually("the end of the worker's process", || (!worker.is_running()).then_some(()));
    // The build that ran has ended well; the one that was asked for later waits for a worker.
    wait_for_results(&dir, &[0]);
    assert_eq!(dir.builds().len(), 1);
}

#[test]
fn a_second_real_worker_of_one_name_is_refused_and_lives_and_has_the_place_once_it_is_free() {
    needs_real_workers!(
        "a_second_real_worker_of_one_name_is_refused_and_lives_and_has_the_place_once_it_is_free"
    );
    let (dir, _master, mut first) = master_with_one_worker("steps.ShellCommand { command = 'true' }");
    let sockets = first.sockets();
    let mut second = RealWorker::start(port_of(&dir), "w1", "sesame-1");
    // It is told no, or cut off, in a way that lets it try again.
    eventually("the second one to be sent away", || {
        let log = second.log();
        (log.contains("unauthorized login") || log.contains("lost the brand-new connection")).then_some(())
    });
    assert!(second.is_running());
    assert_eq!(second.attached_times(), 0);
    assert_eq!((first.sockets(), first.attached_times()), (sockets.clone(), 1));
    // However often it comes, one line a minute names them both.
    let tries =
        || second.count_in_log("Connecting to") + second.count_in_log("message from master: attached");
    eventually("two tries", || (tries() >= 2).then_some(()));
    let log = std::fs::read_to_string(dir.file("lunabot.log")).unwrap();
    let lines: Vec<&str> =
        log.lines().filter(|line| line.contains("a second worker with this name")).collect();
    let [line] = &lines[..] else { panic!("{lines:#?}") };
    let (_, port) = sockets.first().unwrap();
    assert!(
        line.contains(&format!("first=127.0.0.1:{port}"))
            && line.contains("second=127.0.0.1:")
            && line.contains(" source=master.cfg.lua:"),
        "{line}"
    );
    first.kill();
    second.wait_attached(1);
    assert!(dir.run("force", &["b1", "--wait"]).status.success());
    assert!(second.build_dir("b1").is_dir());
}

#[test]
fn after_kill_9_of_the_master_the_fleet_returns_by_itself_and_the_build_runs_again() {
    needs_real_workers!("after_kill_9_of_the_master_the_fleet_returns_by_itself_and_the_build_runs_again");
    let port = free_port();
    let farm = Farm {
        port,
        workers: &[("w1", "'sesame-1'"), ("w2", "'sesame-2'"), ("w3", "'sesame-3'")],
        builders: &[("b1", &["w1"]), ("b2", &["w2"])],
        steps: &waiting_step(),
    };
    let dir = MasterDir::new(&farm.config());
    let mut master = dir.start();
    let mut fleet = [("w1", "sesame-1"), ("w2", "sesame-2"), ("w3", "sesame-3")]
        .map(|(name, password)| RealWorker::start(port, name, password));
    for worker in &fleet {
        worker.wait_attached(1);
    }
    let processes: Vec<u32> = fleet.iter().map(RealWorker::pid).collect();
    assert!(dir.run("force", &["b1"]).status.success());
    let pid = wait_for_pid(&fleet[0].build_dir("b1"));
    master.signal("KILL");
    assert_eq!(master.wait(), None);
    eventually("the worker to kill what it ran", || (!is_alive(&pid)).then_some(()));

    let _master = dir.start();
    for worker in &fleet {
        worker.wait_attached(2);
    }
    touch(&fleet[0].build_dir("b1").join("go"));
    wait_for_results(&dir, &[5, 0]);
    assert!(fleet.iter_mut().all(RealWorker::is_running));
    assert_eq!(fleet.iter().map(RealWorker::pid).collect::<Vec<_>>(), processes);
    for name in ["w1", "w2", "w3"] {
        assert!(is_attached(&dir, name), "{name}");
    }
}

/// The port that the configuration of this master names.
fn port_of(dir: &MasterDir) -> u16 {
    let config = std::fs::read_to_string(dir.file("master.cfg.lua")).unwrap();
    let (_, rest) = config.split_once("tcp:").unwrap();
    rest.split(':').next().unwrap().parse().unwrap()
}
