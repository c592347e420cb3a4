//! A master of Buildbot from PyPI, which builds one builder once, as soon as its worker is there.
//!
//! # Laws
//! - Its process is ended with its test.
//! - What it has written down is read from its database, by its own Python: no part of it is imitated.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::support::master::{PATIENCE, eventually};

/// How long a build may take there: its master needs a third of a second for each step alone.
const BUILD_LIMIT: Duration = Duration::from_secs(180);

/// Waits until build number `sys.argv[2]` has its end, and prints its steps with their logs.
const READ: &str = r#"
import bz2, json, sqlite3, sys, time, zlib
path, number, limit = sys.argv[1], int(sys.argv[2]), time.monotonic() + float(sys.argv[3])
while True:
    db = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=30)
    db.text_factory = bytes
    build = db.execute("SELECT id, results FROM builds WHERE number = ? AND complete_at IS NOT NULL", (number,)).fetchone()
    if build or time.monotonic() > limit:
        break
    db.close()
    time.sleep(0.1)
if not build:
    sys.exit("the build has no end")
plain = {0: bytes, 1: zlib.decompress, 2: bz2.decompress}
steps = []
for step, name, results, state in db.execute(
    "SELECT id, name, results, state_string FROM steps WHERE buildid = ? ORDER BY number", (build[0],)
).fetchall():
    logs = {}
    for log, title, kind in db.execute("SELECT id, name, type FROM logs WHERE stepid = ?", (step,)).fetchall():
        chunks = db.execute("SELECT content, compressed FROM logchunks WHERE logid = ? ORDER BY first_line", (log,))
        text = b"\n".join(plain[how](content) for content, how in chunks.fetchall()).decode(errors="replace")
        logs[title.decode()] = {"type": kind.decode(), "text": text}
    steps.append({"name": name.decode(), "results": results, "state": state.decode(), "logs": logs})
print(json.dumps({"results": build[1], "steps": steps}))
"#;

/// The program, if there is one on this machine.
pub(crate) fn program() -> Option<PathBuf> {
    std::env::var_os("LUNABOT_TEST_BUILDBOT").filter(|path| !path.is_empty()).map(PathBuf::from)
}

/// A master that runs.
pub(crate) struct BuildbotMaster {
    dir: tempfile::TempDir,
    child: Child,
}

impl BuildbotMaster {
    /// Starts one with a worker `w1`, password `sesame`, and a builder `b` with these steps. `protocols` is a dictionary
    /// of Python's.
    pub(crate) fn start(protocols: &str, steps: &str, prepare: impl FnOnce(&Path)) -> Self {
        let dir = tempfile::Builder::new().prefix("bm").tempdir_in("/tmp").unwrap();
        let made = command().args(["create-master", "--quiet"]).arg(dir.path()).output().unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let config = format!(
            "from buildbot.plugins import schedulers, steps, util, worker\n\
             c = BuildmasterConfig = {{}}\n\
             c['buildbotNetUsageData'] = None\n\
             c['db'] = {{'db_url': 'sqlite:///state.sqlite'}}\n\
             c['protocols'] = {protocols}\n\
             c['workers'] = [worker.Worker('w1', 'sesame')]\n\
             c['builders'] = [util.BuilderConfig(name='b', workernames=['w1'], factory=util.BuildFactory([\n{steps}]))]\n\
             c['schedulers'] = [schedulers.Periodic(name='once', builderNames=['b'], periodicBuildTimer=86400)]\n"
        );
        fs::write(dir.path().join("master.cfg"), config).unwrap();
        prepare(dir.path());
        let mut start = command();
        start.args(["start", "--nodaemon"]).arg(dir.path());
        let child = start.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let mut master = Self { dir, child };
        let limit = Instant::now() + PATIENCE;
        while !master.log().contains("BuildMaster is running") {
            let is_alive = matches!(master.child.try_wait(), Ok(None));
            assert!(is_alive && Instant::now() < limit, "Buildbot does not run:\n{}", master.log());
            thread::park_timeout(Duration::from_millis(50));
        }
        master
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    /// What it has logged so far.
    pub(crate) fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.path().join("twistd.log")).unwrap_or_default()).into_owned()
    }

    /// A build that has its end: `results`, and `steps`, each with `name`, `results`, `state` and `logs`.
    pub(crate) fn build(&self, number: u32) -> Value {
        let python = program().unwrap().with_file_name("python");
        #[expect(clippy::disallowed_methods, reason = "the test plays the operator")]
        let mut read = Command::new(python);
        read.args(["-c", READ]).arg(self.path().join("state.sqlite")).arg(number.to_string());
        let output = read.arg(BUILD_LIMIT.as_secs().to_string()).output().unwrap();
        assert!(output.status.success(), "{}\n{}", String::from_utf8_lossy(&output.stderr), self.log());
        serde_json::from_slice(&output.stdout).unwrap()
    }
}

impl Drop for BuildbotMaster {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            #[expect(clippy::disallowed_methods, reason = "the test plays the operator")]
            let mut kill = Command::new("kill");
            drop(kill.arg(self.child.id().to_string()).status());
            let limit = Instant::now() + Duration::from_secs(20);
            while matches!(self.child.try_wait(), Ok(None)) && Instant::now() < limit {
                thread::park_timeout(Duration::from_millis(20));
            }
            drop(self.child.kill());
            eventually("the end of Buildbot", || self.child.try_wait().ok().flatten());
        }
        if thread::panicking() {
            eprintln!("the log of Buildbot:\n{}", self.log());
        }
    }
}

fn command() -> Command {
    let program = program().expect("tests without the program are skipped");
    #[expect(clippy::disallowed_methods, reason = "the test plays the operator")]
    let mut command = Command::new(program);
    // A proxy of this machine is no business of loopback.
    command.env_remove("http_proxy").env_remove("https_proxy");
    command
}
