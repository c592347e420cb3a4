//! A master whose configuration changes under it, as an operator changes it: by saving files.

mod files;
mod refused;

use std::{fs, path::Path, process::Output};

use serde_json::Value;

use crate::support::{
    master::{HEAD, MasterDir, eventually, touch},
    real_worker::free_port,
};

/// A step that waits for the test.
const WAITS: &str = "steps.ShellCommand { name = 'waits', command = 'echo $$ > pid; while [ ! -e go ]; do sleep 0.05; done' }";

/// Part by part, so that each test says what it changes.
#[derive(Clone)]
struct Config {
    head: String,
    workers: Vec<(&'static str, &'static str)>,
    /// Name, worker, steps, other options.
    builders: Vec<(&'static str, &'static str, &'static str, &'static str)>,
}

impl Config {
    fn new(workers: &[&'static str]) -> Self {
        Self {
            head: String::new(),
            workers: workers.iter().map(|name| (*name, "")).collect(),
            builders: vec![("b", workers[0], WAITS, "")],
        }
    }

    fn text(&self) -> String {
        let workers: Vec<_> = self
            .workers
            .iter()
            .map(|(name, options)| format!("worker.LocalWorker('{name}', {{ {options} }})"))
            .collect();
        let builders: Vec<_> = self
            .builders
            .iter()
            .map(|(name, worker, steps, options)| {
                format!(
                    "util.BuilderConfig {{ name = '{name}', workernames = {{ '{worker}' }}, {options} \
                     factory = util.BuildFactory {{ {steps} }} }}"
                )
            })
            .collect();
        let names: Vec<_> = self.builders.iter().map(|(name, ..)| format!("'{name}'")).collect();
        format!(
            "{HEAD}{}\nc.workers = {{ {} }}\nc.builders = {{ {} }}\n\
             c.schedulers = {{ schedulers.ForceScheduler('force', {{ {} }}) }}\n",
            self.head,
            workers.join(",\n"),
            builders.join(",\n"),
            names.join(", ")
        )
    }

    fn titled(&self, title: &str) -> String {
        Self { head: format!("{}\nc.title = '{title}'", self.head), ..self.clone() }.text()
    }
}

fn save(dir: &MasterDir, text: &str) {
    fs::write(dir.file("master.cfg.lua"), text).unwrap();
}

fn read(dir: &MasterDir, path: &str) -> Value {
    let answer = dir.get(path);
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    serde_json::from_str(body).unwrap_or_else(|_| panic!("{answer}"))
}

fn status(dir: &MasterDir) -> Value {
    read(dir, "/api/v2/generations")["status"].take()
}

/// The last loads, the newest first.
fn attempts(dir: &MasterDir) -> Vec<Value> {
    read(dir, "/api/v2/generations")["generations"].as_array().unwrap().clone()
}

fn generation(dir: &MasterDir) -> i64 {
    status(dir)["generation"].as_i64().unwrap()
}

fn wait_for_generation(dir: &MasterDir, number: i64) {
    eventually(&format!("generation {number}"), || (generation(dir) >= number).then_some(()));
}

/// Waits until the configuration on disk is found not to be what runs.
fn wait_for_difference(dir: &MasterDir) -> Value {
    eventually("a configuration that does not come into force", || {
        let status = status(dir);
        (status["differs"].is_object() && status["pending"].is_null()).then_some(status)
    })
}

fn title(dir: &MasterDir) -> String {
    read(dir, "/api/v2")["application_spec"][0]["title"].as_str().unwrap().to_owned()
}

fn wait_for_title(dir: &MasterDir, wanted: &str) {
    eventually(&format!("the title {wanted}"), || (title(dir) == wanted).then_some(()));
}

fn is_connected(dir: &MasterDir, name: &str) -> bool {
    let rows = read(dir, &format!("/api/v2/workers/{name}"));
    rows["workers"][0]["connected_to"].as_array().is_some_and(|masters| !masters.is_empty())
}

fn wait_connected(dir: &MasterDir, name: &str) {
    eventually(&format!("worker {name} to attach"), || is_connected(dir, name).then_some(()));
}

/// How often a worker has attached since the master started: once, if its link was never cut.
fn attaches(dir: &MasterDir, name: &str) -> usize {
    let log = fs::read_to_string(dir.file("lunabot.log")).unwrap();
    let of_worker = format!("worker={name} ");
    log.lines().filter(|line| line.contains("worker attached") && line.contains(&of_worker)).count()
}

/// Asks for a build and waits until its first step runs.
fn begin(dir: &MasterDir, builder: &str, pid: &Path) {
    assert!(dir.run("force", &[builder]).status.success());
    eventually("the command", || pid.exists().then_some(()));
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn builds_with(dir: &MasterDir, results: i64) -> usize {
    dir.builds().iter().filter(|build| build["results"] == results).count()
}

#[test]
fn a_worker_is_added_by_an_edit_while_a_build_goes_on_over_the_same_link() {
    let mut config = Config::new(&["w1"]);
    let dir = MasterDir::new(&config.text());
    let mut master = dir.start();
    begin(&dir, "b", &dir.build_dir().join("pid"));
    config.workers.push(("w2", ""));
    config.builders.push(("b2", "w2", "steps.ShellCommand { command = 'echo two' }", ""));
    save(&dir, &config.text());
    master.wait_for_stderr("+ worker \"w2\": added");
    master.wait_for_stderr("is in force: 3 changes");
    wait_connected(&dir, "w2");
    let build = dir.run("force", &["b2", "--wait"]);
    assert!(build.status.success(), "{}", said(&build));
    assert_eq!(builds_with(&dir, 0), 1, "the first one still runs");
    touch(&dir.build_dir().join("go"));
    eventually("the end of the first build", || (builds_with(&dir, 0) == 2).then_some(()));
    assert_eq!((attaches(&dir, "w1"), attaches(&dir, "w2")), (1, 1));
    let newest = attempts(&dir).into_iter().find(|attempt| attempt["outcome"] == "committed").unwrap();
    assert_eq!((&newest["generation"], &newest["causes"][0]), (&2.into(), &"file".into()), "{newest}");
    let items = newest["items"].as_array().unwrap();
    assert!(items.iter().any(|item| item["change"] == "+ worker \"w2\"" && item["effect"] == "added"));
}

#[test]
fn changed_options_apply_in_place() {
    let mut config = Config::new(&["w1"]);
    config.workers[0].1 = "max_builds = 1";
    config.builders.push(("c", "w1", WAITS, ""));
    let port = |n: u16| format!("c.protocols = {{ pb = {{ port = 'tcp:{n}:interface=127.0.0.1' }} }}");
    config.head = port(free_port());
    let dir = MasterDir::new(&config.text());
    let _master = dir.start();
    begin(&dir, "b", &dir.build_dir().join("pid"));
    assert!(dir.run("force", &["c"]).status.success());
    assert!(!dir.file("workers/w1/c/build/pid").exists());
    config.workers[0].1 = "max_builds = 2, keepalive_interval = 60, properties = { os = 'new' }";
    config.head = format!("c.title = 'Renamed'; {}", port(free_port()));
    save(&dir, &config.text());
    let second = dir.file("workers/w1/c/build");
    eventually("the second build", || second.join("pid").exists().then_some(()));
    wait_for_title(&dir, "Renamed");
    let items = attempts(&dir)[0]["items"].to_string();
    for wanted in ["max_builds 1 -> 2 (in place)", "keepalive_interval", "+ listener \\\"pb on 127.0.0.1:"] {
        assert!(items.contains(wanted), "{wanted} is not in {items}");
    }
    touch(&dir.build_dir().join("go"));
    touch(&second.join("go"));
    eventually("both builds", || (builds_with(&dir, 0) == 2).then_some(()));
    assert_eq!(attaches(&dir, "w1"), 1);
    // What runs began with its definition; what begins now has the new one.
    let properties =
        |build: usize| read(&dir, &format!("/api/v2/builds/{build}/properties"))["properties"][0].take();
    assert!(properties(1)["os"].is_null());
    assert_eq!(properties(2)["os"][0], "new");
}

#[test]
fn a_removed_worker_finishes_its_build_and_is_then_disconnected() {
    let mut config = Config::new(&["w1", "w2"]);
    let steps: &str = "steps.ShellCommand { name = 'waits', command = 'echo $$ > pid; while [ ! -e go ]; do sleep 0.05; done' }, \
         steps.ShellCommand { name = 'after', command = 'echo after' }";
    config.builders[0].2 = Box::leak(steps.to_owned().into_boxed_str());
    let dir = MasterDir::new(&config.text());
    let _master = dir.start();
    wait_connected(&dir, "w2");
    begin(&dir, "b", &dir.build_dir().join("pid"));
    // The builder moves to the other worker.
    let before = config.text();
    config.workers.remove(0);
    config.builders[0].1 = "w2";
    save(&dir, &config.text());
    wait_for_generation(&dir, 2);
    assert_eq!(status(&dir)["draining"][0], "w1");
    let item = attempts(&dir)[0]["items"].to_string();
    assert!(item.contains("removed, and disconnected after 1 build that still runs"), "{item}");
    let table = said(&dir.run("workers", &[]));
    assert!(table.lines().any(|line| line.starts_with("w1") && line.contains("draining")), "{table}");
    // New builds go to the other one.
    begin(&dir, "b", &dir.file("workers/w2/b/build/pid"));
    // It comes back while it drains: its link never went.
    save(&dir, &before);
    wait_for_generation(&dir, 3);
    assert_eq!(status(&dir)["draining"], Value::Array(Vec::new()));
    save(&dir, &config.text());
    wait_for_generation(&dir, 4);
    assert!(is_connected(&dir, "w1"));
    touch(&dir.build_dir().join("go"));
    eventually("the end of the build", || (builds_with(&dir, 0) == 1).then_some(()));
    eventually("the end of the link", || (!is_connected(&dir, "w1")).then_some(()));
    let log = String::from_utf8_lossy(&dir.log(1)).into_owned();
    assert!(log.lines().any(|line| line == "after"), "{log}");
    assert_eq!(attaches(&dir, "w1"), 1);
    touch(&dir.file("workers/w2/b/build/go"));
    eventually("the other build", || (builds_with(&dir, 0) == 2).then_some(()));
    // And it comes back for good.
    save(&dir, &before);
    eventually("its second link", || (is_connected(&dir, "w1") && attaches(&dir, "w1") == 2).then_some(()));
}

#[test]
fn a_removed_builder_finishes_its_build_and_its_requests_wait_until_it_returns() {
    let mut config = Config::new(&["w1"]);
    let steps: &str = "steps.ShellCommand { name = 'waits', command = 'echo $$ > pid; while [ ! -e go ]; do sleep 0.05; done' }, \
         steps.ShellCommand { name = 'after', command = 'echo after' }";
    config.builders[0].2 = Box::leak(steps.to_owned().into_boxed_str());
    config.builders.push(("other", "w1", "steps.ShellCommand { command = 'true' }", ""));
    let dir = MasterDir::new(&config.text());
    let _master = dir.start();
    begin(&dir, "b", &dir.build_dir().join("pid"));
    assert!(dir.run("force", &["b"]).status.success());
    let before = config.text();
    config.builders.remove(0);
    save(&dir, &config.text());
    wait_for_generation(&dir, 2);
    touch(&dir.build_dir().join("go"));
    eventually("the end of the build", || (builds_with(&dir, 0) == 1).then_some(()));
    assert!(dir.run("force", &["other", "--wait"]).status.success());
    let waiting = read(&dir, "/api/v2/buildrequests?complete=false");
    assert_eq!(waiting["buildrequests"].as_array().unwrap().len(), 1, "{waiting}");
    assert!(!dir.run("force", &["b"]).status.success());
    save(&dir, &before);
    eventually("the build that waited", || (builds_with(&dir, 0) == 3).then_some(()));
    assert!(dir.run("force", &["b", "--wait"]).status.success());
    assert_eq!(attaches(&dir, "w1"), 1);
}

#[test]
fn a_builders_folder_changes_only_between_two_builds() {
    let mut config = Config::new(&["w1"]);
    config.builders[0].2 = "steps.ShellCommand { name = 'one', command = 'echo $$ > pid; while [ ! -e go ]; do sleep 0.05; done' }, \
         steps.ShellCommand { name = 'two', command = 'pwd > where' }";
    let dir = MasterDir::new(&config.text());
    let _master = dir.start();
    begin(&dir, "b", &dir.build_dir().join("pid"));
    assert!(dir.run("force", &["b"]).status.success());
    config.builders[0].3 = "workerbuilddir = 'elsewhere',";
    save(&dir, &config.text());
    wait_for_generation(&dir, 2);
    touch(&dir.build_dir().join("go"));
    eventually("the end of the build", || (builds_with(&dir, 0) == 1).then_some(()));
    assert!(dir.build_dir().join("where").exists());
    let next = dir.file("workers/w1/elsewhere/build");
    eventually("the next build in the new folder", || next.join("pid").exists().then_some(()));
    touch(&next.join("go"));
    eventually("the end of the next build", || (builds_with(&dir, 0) == 2).then_some(()));
    assert!(next.join("where").exists());
}

#[test]
fn generations_outlive_the_master() {
    let config = Config::new(&["w1"]);
    let dir = MasterDir::new(&config.text());
    let mut master = dir.start();
    save(&dir, &config.titled("second"));
    wait_for_generation(&dir, 2);
    assert!(dir.run("stop", &[]).status.success());
    assert_eq!(master.wait(), Some(0));
    let _master = dir.start();
    let told: Vec<_> = attempts(&dir)
        .iter()
        .filter_map(|attempt| Some((attempt["generation"].as_i64()?, attempt["causes"][0].to_string())))
        .collect();
    let wanted = [(3, "\"start\"".to_owned()), (2, "\"file\"".to_owned()), (1, "\"start\"".to_owned())];
    assert_eq!(told, wanted);
}
