//! LocalWorkers as a user has them: several at once, their options, their folders, and what a killed master leaves of them.
//!
//! # Not here
//! Removal while a build runs: `reload`. What a command has of the master: `isolation`. Each step: `steps`.

use std::fs;

use crate::support::master::{HEAD, MasterDir, Process, eventually, is_alive, touch};

/// A master with these workers (name and options), and for each a builder of its name with these steps.
fn config(workers: &[(&str, &str)], steps: &str) -> String {
    let made = workers.iter().map(|(name, options)| format!("worker.LocalWorker('{name}', {{ {options} }})"));
    let builders = workers.iter().map(|(name, _)| {
        format!(
            "util.BuilderConfig {{ name = 'on-{name}', workernames = {{ '{name}' }}, factory = util.BuildFactory {{ {steps} }} }}"
        )
    });
    let names = workers.iter().map(|(name, _)| format!("'on-{name}'"));
    let joined = |parts: &mut dyn Iterator<Item = String>| parts.collect::<Vec<_>>().join(", ");
    format!(
        "{HEAD}c.workers = {{ {} }}\nc.builders = {{ {} }}\nc.schedulers = {{ schedulers.ForceScheduler('force', {{ {} }}) }}\n",
        joined(&mut made.into_iter()),
        joined(&mut builders.into_iter()),
        joined(&mut names.into_iter()),
    )
}

fn log(dir: &MasterDir, builder: &str, number: u32) -> String {
    let output = dir.run("log", &[builder, &number.to_string()]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn build(dir: &MasterDir, builder: &str) {
    let output = dir.run("force", &[builder, "--wait"]);
    assert!(output.status.success(), "{builder}: {}", String::from_utf8_lossy(&output.stdout));
}

/// The process that a command has written into a file.
fn pid(path: &std::path::Path) -> String {
    eventually("the command", || fs::read_to_string(path).ok().filter(|pid| pid.ends_with('\n')))
}

#[test]
fn several_work_at_once_each_in_its_own_folder_with_its_own_properties() {
    let elsewhere = tempfile::tempdir().unwrap();
    let absolute = elsewhere.path().canonicalize().unwrap().join("a/worker");
    let far = format!(
        "workdir = '{}', properties = {{ os = 'plan9' }}, defaultProperties = {{ speed = 'slow' }}",
        absolute.display()
    );
    let workers = [
        (
            "w1",
            "max_builds = 1, notify_on_missing = 'me@example.org', missing_timeout = 1, keepalive_interval = 0.2",
        ),
        ("w2", "workdir = 'deep/er', properties = { os = 'linux' }, notify_on_missing = { 'a@example.org' }"),
        ("w3", far.as_str()),
        ("w4", "missing_timeout = None, keepalive_interval = None, defaultProperties = { os = 'any' }"),
    ];
    // Each waits for all others: only builds at the same time come to an end.
    let steps = "steps.ShellCommand { command = [[touch \"$DIR/here-$NAME\"; while [ $(ls \"$DIR\" | grep -c ^here-) -lt 4 ]; \
         do sleep 0.05; done]], env = { DIR = util.Interpolate '%(prop:dir)s', NAME = util.Property 'workername' }, timeout = 60 }, \
         steps.ShellCommand { command = { 'echo', util.Interpolate '<%(prop:workername)s|%(prop:os:-none)s|%(prop:speed:-none)s>' } }, \
         steps.ShellCommand { command = 'pwd -P' }";
    let dir = MasterDir::new(&config(&workers, steps));
    let _master = dir.start();
    let property = format!("dir={}", dir.path().display());
    for (name, _) in workers {
        assert!(dir.run("force", &[&format!("on-{name}"), "-p", &property]).status.success());
    }
    eventually("all builds", || {
        let builds = dir.builds();
        (builds.len() == 4 && builds.iter().all(|build| build["results"] == 0)).then_some(())
    });
    let root = dir.path().canonicalize().unwrap().join("workers");
    let expected = [
        ("w1", "<w1|none|none>", root.join("w1")),
        ("w2", "<w2|linux|none>", root.join("deep/er")),
        ("w3", "<w3|plan9|slow>", absolute),
        ("w4", "<w4|any|none>", root.join("w4")),
    ];
    for (name, properties, folder) in expected {
        let told = log(&dir, &format!("on-{name}"), 1);
        let pwd = folder.join(format!("on-{name}/build"));
        assert!(told.lines().any(|line| line == properties), "{told}");
        assert!(told.lines().any(|line| line == pwd.to_str().unwrap()), "{}: {told}", pwd.display());
        assert_eq!(dir.worker(name)["missing_since"], serde_json::Value::Null, "{name}");
    }
}

#[test]
fn another_workdir_counts_from_the_next_build_on_and_the_old_folder_stays() {
    let steps =
        "steps.ShellCommand { command = 'pwd -P; echo $$ > pid; while [ ! -e go ]; do sleep 0.05; done' }";
    let dir = MasterDir::new(&config(&[("w1", "")], steps));
    let _master = dir.start();
    let (old, new) = (dir.file("workers/w1/on-w1/build"), dir.file("workers/new/place/on-w1/build"));
    for folder in [&old, &new] {
        fs::create_dir_all(folder).unwrap();
    }
    touch(&old.join("go"));
    build(&dir, "on-w1");
    fs::write(dir.file("master.cfg.lua"), config(&[("w1", "workdir = 'new/place'")], steps)).unwrap();
    touch(&new.join("go"));
    eventually("a build in the new folder", || {
        build(&dir, "on-w1");
        new.join("pid").exists().then_some(())
    });
    let last = u32::try_from(dir.builds().len()).unwrap();
    let place = new.canonicalize().unwrap();
    assert!(log(&dir, "on-w1", last).lines().any(|line| line == place.to_str().unwrap()));
    assert!(old.join("pid").exists());
}

#[test]
fn one_that_cannot_have_its_folder_is_told_tried_again_and_hinders_nobody() {
    let elsewhere = tempfile::tempdir().unwrap();
    let file = elsewhere.path().join("file");
    fs::write(&file, "").unwrap();
    let barred = format!("workdir = '{}'", file.join("w1").display());
    let dir =
        MasterDir::new(&config(&[("w1", &barred), ("w2", "")], "steps.ShellCommand { command = 'echo ok' }"));
    let mut master = dir.start();
    master.wait_for_stderr("cannot use the folder");
    build(&dir, "on-w2");
    assert!(dir.run("force", &["on-w1"]).status.success());
    fs::remove_file(&file).unwrap();
    dir.wait_attached("w1");
    eventually("its build", || (dir.builds()[0]["results"] == 0).then_some(()));
}

#[test]
fn two_masters_never_have_one_worker_folder() {
    let elsewhere = tempfile::tempdir().unwrap();
    let shared = format!("workdir = '{}'", elsewhere.path().display());
    let steps = "steps.ShellCommand { command = 'echo $$ > pid; while [ ! -e go ]; do sleep 0.05; done' }";
    let (first, second) = (
        MasterDir::new(&config(&[("w1", &shared)], steps)),
        MasterDir::new(&config(&[("w1", &shared)], steps)),
    );
    let mut one = first.start();
    assert!(first.run("force", &["on-w1"]).status.success());
    let running = pid(&elsewhere.path().join("on-w1/build/pid"));
    let mut other = second.start();
    other.wait_for_stderr("is in use, by process");
    assert!(is_alive(&running), "it is no leftover");
    touch(&elsewhere.path().join("on-w1/build/go"));
    eventually("the end of the build", || (first.builds()[0]["results"] == 0).then_some(()));
    assert!(first.run("stop", &[]).status.success());
    assert_eq!(one.wait(), Some(0));
    second.wait_attached("w1");
}

fn kill(master: &mut Process) {
    master.signal("KILL");
    assert_eq!(master.wait(), None);
}

#[test]
fn what_a_killed_master_left_of_its_workers_is_killed_by_the_next_but_for_what_was_let_go() {
    // On each worker: the command itself, a daemon of an earlier step, a daemon of this one, and one that is to outlive all.
    let daemon = |start: &str, file: &str| {
        format!("({start} setsid sh -c 'echo $$ > ../{file}; exec sleep 1000' >/dev/null 2>&1 &)")
    };
    let steps = format!(
        "steps.ShellCommand {{ command = [[{}]] }}, steps.ShellCommand {{ command = [[{}; {}; echo $$ > ../command; sleep 1000]] }}",
        daemon("", "earlier"),
        daemon("", "daemon"),
        daemon("env -u LUNABOT_WORKER_DIR", "free"),
    );
    let dir = MasterDir::new(&config(&[("w1", ""), ("w2", "")], &steps));
    let mut master = dir.start();
    let mut pids = Vec::new();
    let mut free = Vec::new();
    for name in ["w1", "w2"] {
        assert!(dir.run("force", &[&format!("on-{name}")]).status.success());
        let folder = dir.file(&format!("workers/{name}/on-{name}"));
        pids.extend(["earlier", "daemon", "command"].map(|file| pid(&folder.join(file))));
        free.push(pid(&folder.join("free")));
    }
    kill(&mut master);
    assert!(pids.iter().chain(&free).all(|pid| is_alive(pid)), "{pids:?} {free:?}");
    // It would start them again.
    fs::write(
        dir.file("master.cfg.lua"),
        config(&[("w1", ""), ("w2", "")], "steps.ShellCommand { command = 'true' }"),
    )
    .unwrap();
    let mut master = dir.start();
    eventually("their death", || pids.iter().all(|pid| !is_alive(pid)).then_some(()));
    assert!(free.iter().all(|pid| is_alive(pid)), "{free:?}");
    eventually("the builds to be tried again", || {
        let builds = dir.builds();
        let done = builds.iter().filter(|build| build["results"] == 0).count();
        (done == 2).then_some(())
    });
    assert!(dir.run("stop", &[]).status.success());
    assert_eq!(master.wait(), Some(0));
    for pid in free {
        #[expect(clippy::disallowed_methods, reason = "the test plays the operator")]
        let status = std::process::Command::new("kill").args(["-KILL", pid.trim()]).status().unwrap();
        assert!(status.success());
    }
}

#[test]
fn one_that_is_taken_out_and_put_back_while_it_drains_takes_new_builds_again() {
    let steps = "steps.ShellCommand { command = 'echo $$ > pid; while [ ! -e go ]; do sleep 0.05; done' }";
    let both = config(&[("w1", ""), ("w2", "")], steps);
    let dir = MasterDir::new(&both);
    let _master = dir.start();
    assert!(dir.run("force", &["on-w1"]).status.success());
    let running = pid(&dir.file("workers/w1/on-w1/build/pid"));
    fs::write(dir.file("master.cfg.lua"), config(&[("w2", "")], steps)).unwrap();
    eventually("it to drain", || {
        let table = String::from_utf8_lossy(&dir.run("workers", &[]).stdout).into_owned();
        table.lines().any(|line| line.starts_with("w1") && line.contains("draining")).then_some(())
    });
    assert!(is_alive(&running));
    fs::write(dir.file("master.cfg.lua"), &both).unwrap();
    touch(&dir.file("workers/w1/on-w1/build/go"));
    eventually("the end of its build", || (dir.builds()[0]["results"] == 0).then_some(()));
    eventually("another build", || {
        let forced = dir.run("force", &["on-w1", "--wait"]).status.success();
        forced.then_some(())
    });
    dir.wait_attached("w1");
}
