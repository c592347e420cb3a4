//! A master as an operator has it: the program in a process of its own, driven by its command line.

use std::{
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;

/// How long anything may take that a test waits for. Generous: the machine may be busy, and a test that waits on a
/// state loses nothing by it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// The head of every configuration here.
pub(crate) const HEAD: &str = "local p = require 'buildbot.plugins'\n\
    local worker, util, steps, schedulers = p.worker, p.util, p.steps, p.schedulers\n";

/// The program under test.
pub(crate) fn lunabot() -> Command {
    #[expect(clippy::disallowed_methods, reason = "the test plays the operator")]
    Command::new(env!("CARGO_BIN_EXE_lunabot"))
}

/// Looks again and again until `look` finds something.
pub(crate) fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let limit = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < limit, "{what}: not seen within {PATIENCE:?}");
        thread::park_timeout(Duration::from_millis(20));
    }
}

/// A folder with a configuration. Its path is short enough for a socket.
pub(crate) struct MasterDir {
    dir: tempfile::TempDir,
}

impl MasterDir {
    /// A folder with this `master.cfg.lua`.
    pub(crate) fn new(config: &str) -> Self {
        let dir = tempfile::Builder::new().prefix("lb").tempdir_in("/tmp").unwrap();
        std::fs::write(dir.path().join("master.cfg.lua"), config).unwrap();
        Self { dir }
    }

    /// One LocalWorker `w1`, one builder `b` with these steps, one force scheduler.
    pub(crate) fn with_steps(steps: &str) -> Self {
        Self::new(&format!(
            "{HEAD}c.workers = {{ worker.LocalWorker('w1') }}\n\
             c.builders = {{ util.BuilderConfig {{ name = 'b', workernames = {{ 'w1' }}, \
             factory = util.BuildFactory {{ {steps} }} }} }}\n\
             c.schedulers = {{ schedulers.ForceScheduler('force', {{ 'b' }}) }}\n"
        ))
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    /// Where builds of builder `b` on worker `w1` work.
    pub(crate) fn build_dir(&self) -> PathBuf {
        self.file("workers/w1/b/build")
    }

    /// Runs a command of the program on this folder, and waits for its end.
    pub(crate) fn run(&self, command: &str, arguments: &[&str]) -> Output {
        let mut child = lunabot();
        child.arg(command).arg(self.path()).args(arguments).stdin(Stdio::null());
        child.output().unwrap()
    }

    /// The same, with JSON as its answer; it must succeed.
    pub(crate) fn json(&self, command: &str, arguments: &[&str]) -> Value {
        let output = self.run(command, &[arguments, &["--json"]].concat());
        assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// Starts a command of the program on this folder.
    pub(crate) fn spawn(&self, command: &str, arguments: &[&str]) -> Process {
        let mut child = lunabot();
        child.arg(command).arg(self.path()).args(arguments);
        Process::spawn(child)
    }

    /// Starts the master and waits until it runs.
    pub(crate) fn start(&self) -> Process {
        self.start_with(&[])
    }

    /// The same with variables in its environment.
    pub(crate) fn start_with(&self, env: &[(&str, &str)]) -> Process {
        let mut child = lunabot();
        child.arg("start").arg(self.path()).envs(env.iter().copied());
        let mut master = Process::spawn(child);
        master.wait_for_stderr("BuildMaster is running");
        master
    }

    /// The same, by a shell that does something before it becomes the master.
    pub(crate) fn start_after(&self, line: &str) -> Process {
        #[expect(clippy::disallowed_methods, reason = "the test plays the operator")]
        let mut child = Command::new("/bin/sh");
        child.args(["-c", &format!("{line}\nexec \"$@\""), "sh"]);
        child.arg(lunabot().get_program()).arg("start").arg(self.path());
        let mut master = Process::spawn(child);
        master.wait_for_stderr("BuildMaster is running");
        master
    }

    /// The same with its log at this level.
    pub(crate) fn start_logging(&self, level: &str) -> Process {
        let mut child = lunabot();
        child.arg("start").arg(self.path()).args(["--log-level", level]);
        let mut master = Process::spawn(child);
        master.wait_for_stderr("BuildMaster is running");
        master
    }

    /// The builds, the newest first.
    pub(crate) fn builds(&self) -> Vec<Value> {
        self.json("builds", &[])["builds"].as_array().unwrap().clone()
    }

    /// The bytes of a build's log.
    pub(crate) fn log(&self, number: u32) -> Vec<u8> {
        let output = self.run("log", &["b", &number.to_string()]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    }
}

/// A child whose lines are read as they come. Killed when dropped, if it still runs.
pub(crate) struct Process {
    child: Child,
    stdout: mpsc::Receiver<String>,
    stderr: mpsc::Receiver<String>,
    heard: Vec<String>,
}

impl Process {
    /// Starts a program.
    pub(crate) fn spawn(mut command: Command) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let stdout = lines(child.stdout.take().unwrap());
        let stderr = lines(child.stderr.take().unwrap());
        Self { child, stdout, stderr, heard: Vec::new() }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The next line of standard output; nothing at its end.
    pub(crate) fn next_line(&mut self) -> Option<String> {
        match self.stdout.recv_timeout(PATIENCE) {
            Ok(line) => Some(line),
            Err(mpsc::RecvTimeoutError::Disconnected) => None,
            Err(mpsc::RecvTimeoutError::Timeout) => panic!("no line within {PATIENCE:?}"),
        }
    }

    /// Waits for a line on standard error that holds this text.
    pub(crate) fn wait_for_stderr(&mut self, text: &str) {
        while let Ok(line) = self.stderr.recv_timeout(PATIENCE) {
            let found = line.contains(text);
            self.heard.push(line);
            if found {
                return;
            }
        }
        panic!("{text:?} was not said; it said:\n{}", self.heard.join("\n"));
    }

    /// All that it said on standard error, once it has ended.
    pub(crate) fn said(&mut self) -> String {
        while let Ok(line) = self.stderr.recv_timeout(PATIENCE) {
            self.heard.push(line);
        }
        self.heard.join("\n")
    }

    /// Sends a signal by its name.
    pub(crate) fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        #[expect(clippy::disallowed_methods, reason = "the test plays the operator")]
        let status = Command::new("kill").arg(format!("-{name}")).arg(pid).status().unwrap();
        assert!(status.success());
    }

    /// Waits for its end; its exit code, none after a signal.
    pub(crate) fn wait(&mut self) -> Option<i32> {
        eventually("the end of a process", || self.child.try_wait().unwrap()).code()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            // A master that is asked to stop takes its workers' commands with it.
            self.signal("TERM");
            let limit = Instant::now() + Duration::from_secs(20);
            while matches!(self.child.try_wait(), Ok(None)) && Instant::now() < limit {
                thread::park_timeout(Duration::from_millis(20));
            }
            drop(self.child.kill());
            drop(self.child.wait());
        }
    }
}

fn lines(stream: impl std::io::Read + Send + 'static) -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut stream = BufReader::new(stream);
        let mut line = Vec::new();
        while matches!(stream.read_until(b'\n', &mut line), Ok(count) if count > 0) {
            let text = String::from_utf8_lossy(&line).trim_end_matches('\n').to_owned();
            line.clear();
            if sender.send(text).is_err() {
                return;
            }
        }
    });
    receiver
}

/// Whether a process of this id lives (a zombie does not).
pub(crate) fn is_alive(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
    stat.rsplit_once(')').is_some_and(|(_, rest)| !rest.trim_start().starts_with('Z'))
}

/// Lets a command that waits for this file go on.
pub(crate) fn touch(path: &Path) {
    std::fs::write(path, "").unwrap();
}
