//! A worker that runs: in the foreground, in the background, from its folder or from the environment.

use std::{fs, os::unix::net::UnixDatagram, time::Duration};

use super::{Place, command_line, program, stderr, stdout};
use crate::support::{
    master::{HEAD, MasterDir, PATIENCE, Process, eventually, is_alive},
    real_worker::free_port,
};

/// A master that lets a worker `w1` in on a port, with a builder `b` of these steps.
pub(super) fn master(port: u16, steps: &str) -> MasterDir {
    MasterDir::new(&format!(
        "{HEAD}c.protocols = {{ pb = {{ port = 'tcp:{port}:interface=127.0.0.1' }} }}\n\
         c.workers = {{ worker.Worker('w1', 'sesame') }}\n\
         c.builders = {{ util.BuilderConfig {{ name = 'b', workernames = {{ 'w1' }}, \
         factory = util.BuildFactory {{ {steps} }} }} }}\n\
         c.schedulers = {{ schedulers.ForceScheduler('force', {{ 'b' }}) }}\n"
    ))
}

#[test]
fn a_start_without_a_master_shows_the_log_and_goes_on_and_a_second_one_is_told_whose_folder_it_is() {
    let place = Place::made(free_port(), &[]);
    let late = place.run("start", &[]);
    assert_eq!(late.status.code(), Some(1));
    let (said, pid) = (stderr(&late), place.pid());
    assert!(said.contains("cannot connect to the master") && said.contains("nobody listens"), "{said}");
    assert!(said.contains(&format!("goes on trying, with the process id {pid}")), "{said}");
    assert!(is_alive(&pid));
    assert!(!command_line(&pid).contains("sesame"));
    for arguments in [&[][..], &["--nodaemon"]] {
        let second = place.run("start", arguments);
        assert_eq!(second.status.code(), Some(1));
        let said = stderr(&second);
        assert!(
            said.contains(&format!("process id {pid}")) && said.contains("lunabot-worker stop"),
            "{said}"
        );
    }
    // Settings that are wrong do not cost the worker that runs.
    let settings = place.read("worker.toml");
    fs::write(place.file("worker.toml"), "nonsense").unwrap();
    assert_eq!(place.run("restart", &[]).status.code(), Some(1));
    assert!(is_alive(&pid));
    fs::write(place.file("worker.toml"), settings).unwrap();
    let stopped = place.run("stop", &[]);
    assert!(stopped.status.success() && stdout(&stopped).contains(&pid), "{}", stdout(&stopped));
    assert!(!is_alive(&pid));
    assert_eq!(place.read("worker.pid"), "");
    let again = place.run("stop", &[]);
    assert!(again.status.success() && stdout(&again).contains("no worker runs"), "{}", stdout(&again));
    let log = place.read("worker.log");
    assert!(log.contains("the worker has stopped") && !log.contains("sesame"), "{log}");
}

#[test]
fn in_the_foreground_signals_mean_what_the_help_says() {
    let place = Place::made(free_port(), &[]);
    for signal in ["TERM", "INT"] {
        let mut worker = place.spawn(&[]);
        worker.wait_for_stderr("cannot connect");
        worker.signal("HUP");
        worker.wait_for_stderr("SIGHUP is ignored");
        worker.signal(signal);
        assert_eq!(worker.wait(), Some(0));
        assert!(worker.said().contains("the worker has stopped"));
    }
    let place = Place::made(free_port(), &["--allow-shutdown", "signal"]);
    let mut worker = place.spawn(&["--log-format", "json"]);
    worker.wait_for_stderr("cannot connect");
    worker.signal("HUP");
    assert_eq!(worker.wait(), Some(0));
    let said = worker.said();
    assert!(said.contains("SIGHUP: the master is asked"), "{said}");
    assert!(said.lines().all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok()), "{said}");
}

#[test]
fn a_worker_that_may_not_try_again_gives_up() {
    let place = Place::made(free_port(), &["--maxretries", "1"]);
    let mut worker = place.spawn(&[]);
    assert_eq!(worker.wait(), Some(1));
    assert!(worker.said().contains("giving up"));
    let background = place.run("start", &[]);
    assert_eq!(background.status.code(), Some(1));
    let said = stderr(&background);
    assert!(said.contains("has ended (exit code 1)") && said.contains("giving up"), "{said}");
}

#[test]
fn the_service_manager_is_told_when_it_runs_and_when_it_stops() {
    let place = Place::made(free_port(), &[]);
    let path = place.dir.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut command = program();
    command.args(["start", "--nodaemon"]).arg(place.path()).env("NOTIFY_SOCKET", &path);
    let mut worker = Process::spawn(command);
    let heard = || {
        let mut bytes = [0; 4096];
        let length = socket.recv(&mut bytes).unwrap();
        String::from_utf8_lossy(&bytes[..length]).into_owned()
    };
    assert!(heard().starts_with("READY=1\n"));
    worker.signal("TERM");
    assert_eq!(heard(), "STOPPING=1");
    assert_eq!(worker.wait(), Some(0));
}

#[test]
fn in_a_container_the_environment_says_it_all() {
    let place = Place::new();
    let here = place.dir.path();
    let port = free_port().to_string();
    fs::write(here.join("secret"), "sesame").unwrap();
    let start = |with: &[(&str, &str)]| {
        let mut command = program();
        command.arg("start").current_dir(here).env("WORKERPASS_FILE", "secret").envs(with.iter().copied());
        command
    };
    let missing = start(&[("BUILDMASTER_PORT", "x")]).output().unwrap();
    assert_eq!(missing.status.code(), Some(1));
    assert!(stderr(&missing).contains("WORKERNAME: it is not set"), "{}", stderr(&missing));
    let given = [("BUILDMASTER", "127.0.0.1"), ("BUILDMASTER_PORT", &port), ("WORKERNAME", "w1")];
    let mut worker = Process::spawn(start(&given));
    worker.wait_for_stderr("the environment (BUILDMASTER, BUILDMASTER_PORT, WORKERNAME, WORKERPASS_FILE)");
    worker.wait_for_stderr("cannot connect");
    assert!(here.join("worker.log").is_file());
    let stopped = program().arg("stop").current_dir(here).output().unwrap();
    assert!(stopped.status.success(), "{}", stderr(&stopped));
    assert_eq!(worker.wait(), Some(0));
    // A folder with settings is started with those.
    let settled = Place::made(free_port(), &[]);
    let mut command = program();
    command.arg("start").arg("--nodaemon").current_dir(settled.path()).envs(given);
    let mut worker = Process::spawn(command);
    worker.wait_for_stderr(
        "not read, since this folder has a worker.toml: BUILDMASTER, BUILDMASTER_PORT, WORKERNAME",
    );
    worker.signal("TERM");
    assert_eq!(worker.wait(), Some(0));
}

#[test]
fn a_start_returns_once_the_master_has_let_the_worker_in() {
    let port = free_port();
    let dir = master(
        port,
        "steps.ShellCommand { command = 'umask; id -u; cat /proc/$PPID/environ > /dev/null || echo closed' }",
    );
    let _master = dir.start();
    let place = Place::made(port, &["--umask", "027"]);
    let started = place.run("start", &[]);
    assert!(started.status.success(), "{}", stderr(&started));
    let pid = place.pid();
    assert!(
        stdout(&started).contains(&format!("attached, with the process id {pid}")),
        "{}",
        stdout(&started)
    );
    assert!(dir.run("force", &["b", "--wait"]).status.success());
    let log = String::from_utf8(dir.log(1)).unwrap();
    let lines: Vec<_> = log.lines().collect();
    assert!(lines.contains(&"0027"), "{log}");
    // What the worker itself knows is not for builds; root sees all.
    assert!(lines.contains(&"0") || lines.contains(&"closed"), "{log}");
    let again = place.run("restart", &["--quiet"]);
    assert!(again.status.success() && again.stdout.is_empty(), "{}", stderr(&again));
    assert!(!is_alive(&pid) && place.pid() != pid);
    assert!(place.run("stop", &[]).status.success());
    eventually("the end of the link", || {
        dir.worker("w1")["connected_to"].as_array().unwrap().is_empty().then_some(())
    });
}

#[test]
fn a_wrong_password_is_told_by_the_start() {
    let port = free_port();
    let dir = master(port, "steps.ShellCommand { command = 'true' }");
    let _master = dir.start();
    let place = Place::made(port, &["--force", "--maxretries", "1"]);
    let settings = place.read("worker.toml").replace("sesame", "open barley");
    fs::write(place.file("worker.toml"), settings).unwrap();
    let refused = place.run("start", &[]);
    assert_eq!(refused.status.code(), Some(1));
    let said = stderr(&refused);
    assert!(said.contains("cannot log in") && !said.contains("barley"), "{said}");
}

#[test]
fn a_touched_stamp_lets_builds_end_and_the_worker_too() {
    let port = free_port();
    let dir = master(port, "steps.ShellCommand { command = 'while [ ! -e go ]; do sleep 0.05; done' }");
    let _master = dir.start();
    let place = Place::made(port, &["--allow-shutdown", "file"]);
    let mut worker = place.spawn(&[]);
    worker.wait_for_stderr("attached");
    let mut build = dir.spawn("force", &["b", "--wait"]);
    let work = place.file("b/build");
    eventually("the build", || work.is_dir().then_some(()));
    fs::write(place.file("shutdown.stamp"), "").unwrap();
    worker.wait_for_stderr("shutdown.stamp was touched");
    eventually("the wish", || (dir.worker("w1")["graceful"] == true).then_some(()));
    fs::write(work.join("go"), "").unwrap();
    assert_eq!(build.wait(), Some(0));
    assert_eq!(worker.wait(), Some(0));
    assert!(worker.said().contains("told this worker to shut down"));
}

/// Anything longer than this, and a stop would not be a stop.
const SOON: Duration = Duration::from_secs(30);

#[test]
fn a_stop_kills_what_runs() {
    let port = free_port();
    let dir = master(port, "steps.ShellCommand { command = 'echo $$ > pid; exec sleep 1000' }");
    let _master = dir.start();
    let place = Place::made(port, &[]);
    assert!(place.run("start", &[]).status.success());
    let _build = dir.spawn("force", &["b", "--wait"]);
    let pid = eventually("the command", || {
        fs::read_to_string(place.file("b/build/pid")).ok().filter(|text| text.ends_with('\n'))
    });
    let begun = std::time::Instant::now();
    assert!(place.run("stop", &[]).status.success());
    assert!(begun.elapsed() < SOON && !is_alive(&pid));
}
