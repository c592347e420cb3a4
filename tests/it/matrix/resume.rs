//! A build whose link is cut, or whose master dies, ends as one that was left in peace, with the same log.

use std::{
    collections::VecDeque,
    os::unix::fs::MetadataExt as _,
    thread,
    time::{Duration, Instant},
};

use crate::support::{
    cable::Cable,
    master::{HEAD, MasterDir, eventually},
    real_worker::{Kind, Protocol, RealWorker, free_port},
};

/// How long the link is cut.
const CUT: Duration = Duration::from_secs(20);

/// Talks for half a minute, in bursts, on both streams and into a file; then says how much it said.
const CHATTY: &str = r#"steps.ShellCommand { name = 'chat', logEnviron = false, logfiles = { watched = 'watched.log' },
  command = [[: > watched.log
    for i in $(seq 1 60); do
      for j in $(seq 1 200); do echo "line $i.$j of a build that is not to lose a word"; done
      echo "an error $i" >&2; echo "watched $i" >> watched.log
      printf 'a line that ends later '; sleep 0.4; echo "now $i"
    done
    echo done]] }, steps.ShellCommand { name = 'after', command = 'echo after', logEnviron = false }"#;

/// A master whose worker calls it through a cable.
struct Farm {
    dir: MasterDir,
    cable: Cable,
}

impl Farm {
    fn new() -> Self {
        Self::of(CHATTY)
    }

    /// With these steps.
    fn of(steps: &str) -> Self {
        let port = free_port();
        let dir = MasterDir::new(&format!(
            "{HEAD}c.protocols = {{ msgpack_experimental_v7 = {{ port = 'tcp:{port}:interface=127.0.0.1' }} }}\n\
             c.workers = {{ worker.Worker('w1', 'sesame') }}\n\
             c.builders = {{ util.BuilderConfig {{ name = 'b', workernames = {{ 'w1' }}, \
             factory = util.BuildFactory {{ {steps} }} }} }}\n\
             c.schedulers = {{ schedulers.ForceScheduler('force', {{ 'b' }}) }}\n"
        ));
        Self { dir, cable: Cable::to(port) }
    }

    fn worker(&self) -> RealWorker {
        let mut worker = RealWorker::create_of(
            Kind::Lunabot,
            Protocol::Msgpack,
            self.cable.port(),
            "w1",
            "sesame",
            &["--maxdelay", "1"],
        );
        worker.run();
        worker.wait_attached(1);
        worker
    }

    /// Waits until the newest build's log holds this text.
    fn wait_for(&self, text: &str) {
        eventually(text, || {
            let output = self.dir.run("log", &["b", "1", "chat"]);
            String::from_utf8_lossy(&output.stdout).contains(text).then_some(())
        });
    }

    /// The end of a build, and its row.
    fn ended(&self, number: u32) -> (serde_json::Value, serde_json::Value) {
        let build = eventually("the end of the build", || {
            let builds = self.dir.builds();
            builds.into_iter().find(|build| build["number"] == number && build["complete"] == true)
        });
        (build["results"].clone(), build)
    }

    /// The end of a build, and all its logs; how long it took is no part of them.
    fn build(&self, number: u32) -> (serde_json::Value, Vec<(String, String)>) {
        let (_, build) = self.ended(number);
        let steps = super::get(&self.dir, &format!("/api/v2/builds/{}/steps", build["buildid"]));
        let mut logs = Vec::new();
        for step in steps["steps"].as_array().unwrap() {
            let listed = super::get(&self.dir, &format!("/api/v2/steps/{}/logs", step["stepid"]));
            for log in listed["logs"].as_array().unwrap() {
                let text = super::whole(&self.dir, &log["logid"]);
                let text = sorted_streams(&text);
                logs.push((format!("{} {}", step["name"], log["name"]), text));
            }
        }
        (build["results"].clone(), logs)
    }
}

/// The lines of a log, those of each stream together: which pipe is read first is chance. Without how long it took.
fn sorted_streams(text: &str) -> String {
    let mut lines: Vec<&str> = text.lines().filter(|line| !line.contains("elapsedTime=")).collect();
    lines.sort_by_key(|line| line.chars().next());
    lines.join("\n")
}

/// What a build that is left in peace says.
fn expected() -> (serde_json::Value, Vec<(String, String)>) {
    let farm = Farm::new();
    let _master = farm.dir.start();
    let _worker = farm.worker();
    assert!(farm.dir.run("force", &["b", "--wait"]).status.success());
    let (results, logs) = farm.build(1);
    assert_eq!(results, 0);
    let chat = &logs.iter().find(|(name, _)| name.contains("stdio")).unwrap().1;
    assert!(chat.contains("oline 60.200 of") && chat.contains("odone"), "{chat}");
    (results, logs)
}

/// Where a worker's folder stands in a header.
fn without_places(logs: Vec<(String, String)>) -> Vec<(String, String)> {
    let plain = |text: String| {
        let lines = text.lines().filter(|line| !line.starts_with("h in dir "));
        lines.collect::<Vec<_>>().join("\n")
    };
    logs.into_iter().map(|(name, text)| (name, plain(text))).collect()
}

fn assert_same(found: (serde_json::Value, Vec<(String, String)>)) {
    let (results, logs) = expected();
    assert_eq!(found.0, results);
    let (found, wanted) = (without_places(found.1), without_places(logs));
    for ((name, found), (other, wanted)) in found.iter().zip(&wanted) {
        assert_eq!(name, other);
        let mut lines = found.lines().zip(wanted.lines()).enumerate();
        let differing = lines.find(|(_, (found, wanted))| found != wanted);
        assert!(
            differing.is_none() && found.len() == wanted.len(),
            "{name}: {} bytes where {} are wanted; {differing:?}",
            found.len(),
            wanted.len()
        );
    }
    assert_eq!(found.len(), wanted.len());
}

#[test]
fn a_build_whose_link_is_cut_for_twenty_seconds_ends_as_if_nothing_had_been() {
    let farm = Farm::new();
    let _master = farm.dir.start();
    let worker = farm.worker();
    assert!(farm.dir.run("force", &["b"]).status.success());
    farm.wait_for("now 5");
    farm.cable.cut();
    let begin = Instant::now();
    eventually("the loss of the link", || {
        (farm.dir.worker("w1")["connected_to"] == serde_json::json!([])).then_some(())
    });
    thread::park_timeout(CUT.saturating_sub(begin.elapsed()));
    farm.cable.mend();
    worker.wait_attached(2);
    assert_same(farm.build(1));
    assert_eq!(farm.dir.builds().len(), 1, "it was not built again");
}

#[test]
fn a_build_whose_master_is_killed_goes_on_under_the_next_one() {
    let farm = Farm::new();
    let mut master = farm.dir.start();
    let worker = farm.worker();
    assert!(farm.dir.run("force", &["b"]).status.success());
    for (attached, text) in [(2, "now 5"), (3, "now 25")] {
        farm.wait_for(text);
        master.signal("KILL");
        assert_eq!(master.wait(), None);
        master = farm.dir.start();
        worker.wait_attached(attached);
    }
    assert_same(farm.build(1));
    assert_eq!(farm.dir.builds().len(), 1, "it was not built again");
}

#[test]
fn a_build_whose_master_is_stopped_and_started_goes_on() {
    let farm = Farm::new();
    let mut master = farm.dir.start();
    let worker = farm.worker();
    assert!(farm.dir.run("force", &["b"]).status.success());
    farm.wait_for("now 5");
    assert!(farm.dir.run("stop", &[]).status.success());
    assert_eq!(master.wait(), Some(0));
    let _master = farm.dir.start();
    worker.wait_attached(2);
    assert_same(farm.build(1));
    assert_eq!(farm.dir.builds().len(), 1, "it was not built again");
}

/// Memory of a process, in MiB.
fn resident(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1024
}

#[test]
fn what_is_said_while_the_link_is_cut_waits_on_disk_and_comes_whole() {
    const LINES: u32 = 3_000_000;
    let farm = Farm::of(&format!(
        "steps.ShellCommand {{ name = 'chat', logEnviron = false, \
         command = 'touch ../begun; while ! test -e ../go; do sleep 0.1; done; seq 1 {LINES}; touch ../said' }}"
    ));
    let _master = farm.dir.start();
    let worker = farm.worker();
    assert!(farm.dir.run("force", &["b"]).status.success());
    let file = |name: &str| worker.path().join("b").join(name);
    let seen = |name: &str| eventually(name, || file(name).exists().then_some(()));
    seen("begun");
    farm.cable.cut();
    let before = resident(worker.pid());
    crate::support::master::touch(&file("go"));
    // It is not held back: 23 MB are less than are kept.
    seen("said");
    let grown = resident(worker.pid()).saturating_sub(before);
    assert!(grown < 16, "{grown} MiB more in memory");
    farm.cable.mend();
    worker.wait_attached(2);
    let (results, _) = farm.ended(1);
    assert_eq!(results, 0);
    let log = farm.dir.run("log", &["b", "1", "chat"]).stdout;
    let log = String::from_utf8(log).unwrap();
    let mut lines = log.lines().filter(|line| line.bytes().next().is_some_and(|byte| byte.is_ascii_digit()));
    for number in 1..=LINES {
        assert_eq!(lines.next(), Some(number.to_string().as_str()));
    }
    assert_eq!(lines.next(), None);
}

/// Bytes in the files without a name that a process holds open.
fn put_away(pid: u32) -> u64 {
    let open = std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap();
    let files = open.flatten().filter_map(|entry| std::fs::metadata(entry.path()).ok());
    files.filter(|file| file.is_file() && file.nlink() == 0).map(|file| file.len()).sum()
}

#[test]
fn what_is_more_than_may_wait_on_disk_holds_the_command_back_and_comes_whole() {
    const LINES: usize = 100_000;
    const MIB: u64 = 1024 * 1024;
    let rest = "x".repeat(1000);
    let farm = Farm::of(&format!(
        "steps.ShellCommand {{ name = 'chat', logEnviron = false, command = 'touch ../begun; \
         while ! test -e ../go; do sleep 0.1; done; seq -f \"%.0f {rest}\" 1 {LINES}; touch ../said' }}"
    ));
    let _master = farm.dir.start();
    let worker = farm.worker();
    assert!(farm.dir.run("force", &["b"]).status.success());
    let file = |name: &str| worker.path().join("b").join(name);
    eventually("the command", || file("begun").exists().then_some(()));
    farm.cable.cut();
    let before = resident(worker.pid());
    crate::support::master::touch(&file("go"));
    // Full, and as it was for so many looks that much more would have come if it were not held back.
    let mut looks = VecDeque::from([0; 40]);
    eventually("a full disk that grows no more", || {
        looks.pop_front();
        looks.push_back(put_away(worker.pid()));
        (looks[0] >= 60 * MIB && looks.iter().all(|kept| *kept == looks[0])).then_some(())
    });
    let (kept, grown) = (put_away(worker.pid()), resident(worker.pid()).saturating_sub(before));
    // The newest file is of 8 MiB, and is begun before all is counted.
    assert!(kept <= 72 * MIB && grown < 16, "{kept} bytes on disk, {grown} MiB more in memory");
    assert!(!file("said").exists());
    farm.cable.mend();
    worker.wait_attached(2);
    let (results, _) = farm.ended(1);
    assert_eq!(results, 0);
    let log = farm.dir.run("log", &["b", "1", "chat"]).stdout;
    let log = String::from_utf8(log).unwrap();
    let mut lines = log.lines().filter_map(|line| line.strip_suffix(rest.as_str()));
    for number in 1..=LINES {
        assert_eq!(lines.next().map(str::trim_end), Some(number.to_string().as_str()));
    }
    assert_eq!(lines.next(), None);
    eventually("an empty disk", || (put_away(worker.pid()) == 0).then_some(()));
}

#[test]
fn a_worker_that_stays_away_too_long_loses_its_build_and_kills_its_commands() {
    let port = free_port();
    let dir = MasterDir::new(&format!(
        "{HEAD}c.protocols = {{ msgpack_experimental_v7 = {{ port = 'tcp:{port}:interface=127.0.0.1' }} }}\n\
         c.workers = {{ worker.Worker('w1', 'sesame', {{ resume_grace = 2 }}) }}\n\
         c.builders = {{ util.BuilderConfig {{ name = 'b', workernames = {{ 'w1' }}, \
         factory = util.BuildFactory {{ steps.ShellCommand {{ command = 'echo $$ > pid; exec sleep 1000' }} }} }} }}\n\
         c.schedulers = {{ schedulers.ForceScheduler('force', {{ 'b' }}) }}\n"
    ));
    let cable = Cable::to(port);
    let _master = dir.start();
    let mut worker = RealWorker::create_of(
        Kind::Lunabot,
        Protocol::Msgpack,
        cable.port(),
        "w1",
        "sesame",
        &["--maxdelay", "1"],
    );
    worker.run();
    worker.wait_attached(1);
    assert!(dir.run("force", &["b"]).status.success());
    let pid = eventually("the command", || {
        let pid = std::fs::read_to_string(worker.build_dir("b").join("pid")).ok()?;
        pid.ends_with('\n').then(|| pid.trim().to_owned())
    });
    cable.cut();
    eventually("the end of the build", || {
        dir.builds().iter().any(|build| build["complete"] == true && build["results"] == 5).then_some(())
    });
    eventually("the end of the command", || (!crate::support::master::is_alive(&pid)).then_some(()));
}
