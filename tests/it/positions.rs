//! Where things are written, what a reload does in all, and how many links it may cut.

use std::fs;

use serde_json::Value;

use crate::support::master::{HEAD, MasterDir, eventually, touch};

/// A step that waits for the test.
const WAITS: &str = "steps.ShellCommand { name = 'waits', command = 'echo $$ > pid; while [ ! -e go ]; do sleep 0.05; done' }";

/// From line 3 on a worker a line, then a builder `b` on the first of them, then two schedulers.
fn config(workers: &[(&str, &str)]) -> String {
    let lines: Vec<_> = workers
        .iter()
        .map(|(name, options)| format!("  worker.LocalWorker('{name}', {{ {options} }}),"))
        .collect();
    let lines = lines.join("\n");
    format!(
        "{HEAD}c.workers = {{\n{lines}\n}}\n\
         c.builders = {{ util.BuilderConfig {{ name = 'b', workernames = {{ '{}' }}, factory = util.BuildFactory {{ {WAITS} }} }} }}\n\
         c.schedulers = {{\n  schedulers.ForceScheduler('force', {{ 'b' }}),\n\
           schedulers.Periodic {{ 'often', builderNames = {{ 'b' }}, periodicBuildTimer = 86400 }},\n}}\n",
        workers[0].0
    )
}

fn save(dir: &MasterDir, text: &str) {
    fs::write(dir.file("master.cfg.lua"), text).unwrap();
}

fn read(dir: &MasterDir, path: &str) -> Value {
    let answer = dir.get(path);
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    serde_json::from_str(body).unwrap_or_else(|_| panic!("{answer}"))
}

fn is_connected(dir: &MasterDir, name: &str) -> bool {
    let rows = read(dir, &format!("/api/v2/workers/{name}"));
    rows["workers"][0]["connected_to"].as_array().is_some_and(|masters| !masters.is_empty())
}

fn wait_connected(dir: &MasterDir, names: &[&str]) {
    for name in names {
        eventually(&format!("worker {name} to attach"), || is_connected(dir, name).then_some(()));
    }
}

/// Where the API says that something is written: its line.
fn line(dir: &MasterDir, noun: &str, name: &str) -> i64 {
    let rows = read(dir, &format!("/api/v2/{noun}/{name}"));
    let source = &rows[noun][0]["source"];
    assert_eq!(source["file"], "master.cfg.lua", "{rows}");
    let shown = source["shown"].as_str().unwrap();
    assert!(shown.starts_with(&format!("master.cfg.lua:{}", source["line"])), "{rows}");
    source["line"].as_i64().unwrap_or_else(|| panic!("{rows}"))
}

fn said(output: &std::process::Output) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&output.stdout), text(&output.stderr))
}

#[test]
fn places_are_told_and_follow_a_reload_that_only_moves_lines() {
    let text = config(&[("w1", ""), ("w2", "")]);
    let dir = MasterDir::new(&text);
    let _master = dir.start();
    wait_connected(&dir, &["w1", "w2"]);
    let things = [
        ("workers", "w1", 4),
        ("workers", "w2", 5),
        ("builders", "b", 7),
        ("schedulers", "often", 10),
        ("schedulers", "force", 9),
        ("forceschedulers", "force", 9),
    ];
    for (noun, name, wanted) in things {
        assert_eq!(line(&dir, noun, name), wanted, "{noun} {name}");
    }
    let (shown, _) = said(&dir.run("worker", &["show", "w2"]));
    assert!(
        shown.lines().any(|line| line.starts_with("written at") && line.contains("master.cfg.lua:5:3")),
        "{shown}"
    );
    let listed = read(&dir, "/api/v2/workers?field=name&field=source");
    assert_eq!(listed["workers"][1]["source"]["line"], 5, "{listed}");
    let there = read(&dir, "/api/v2/workers?source=master.cfg.lua:5&field=name");
    assert_eq!(there["workers"], serde_json::json!([{ "name": "w2" }]), "{there}");
    let there = read(&dir, "/api/v2/workers?source=master.cfg.lua&name=w1&field=name");
    assert_eq!(there["workers"], serde_json::json!([{ "name": "w1" }]), "{there}");
    assert_eq!(read(&dir, "/api/v2/builders?source__contains=lib/")["builders"], serde_json::json!([]));

    save(&dir, &format!("-- one\n-- two\n{text}"));
    let moved = dir.json("reconfig", &[]);
    assert_eq!(moved["outcome"], "unchanged");
    for (noun, name, before) in things {
        assert_eq!(line(&dir, noun, name), before + 2, "{noun} {name}");
    }
    let shown = dir.json("worker", &["show", "w2"]);
    assert_eq!(shown["worker"]["source"]["line"], 7, "{shown}");

    // What the log says of a worker that goes has the line that it had last.
    save(&dir, &config(&[("w1", "")]));
    let removed = dir.run("reconfig", &[]);
    assert!(removed.status.success());
    eventually("the end of its link", || (!is_connected(&dir, "w2")).then_some(()));
    let log = fs::read_to_string(dir.file("lunabot.log")).unwrap();
    let idle = log.lines().find(|line| line.contains("removed worker is idle")).unwrap();
    assert!(idle.contains("worker=w2") && idle.contains("source=master.cfg.lua:7:3"), "{idle}");
    let gone = read(&dir, "/api/v2/workers/w2");
    assert!(gone["workers"][0]["source"].is_null(), "{gone}");
}

/// Lines of the log that name a part of the configuration.
fn naming(log: &str) -> Vec<&str> {
    let names = |line: &&str| ["worker=", "builder=", "scheduler="].iter().any(|field| line.contains(field));
    log.lines().filter(names).collect()
}

#[test]
fn all_that_the_log_says_of_a_worker_a_builder_or_a_scheduler_tells_where_it_is_written() {
    let dir = MasterDir::new(&config(&[("w1", ""), ("w2", "")]));
    let mut master = dir.start();
    wait_connected(&dir, &["w1", "w2"]);
    // The periodic scheduler asks at once.
    let pid = dir.build_dir().join("pid");
    eventually("the command", || pid.exists().then_some(()));
    assert!(dir.run("worker", &["pause", "w2", "--reason", "for a test"]).status.success());
    touch(&dir.build_dir().join("go"));
    master.wait_for_stderr("build finished");
    let log = fs::read_to_string(dir.file("lunabot.log")).unwrap();
    let lines = naming(&log);
    for told in ["worker attached", "worker paused", "build started", "build finished"] {
        assert!(lines.iter().any(|line| line.contains(told)), "{told}: {log}");
    }
    for line in lines {
        let place = line.split_once(" source=master.cfg.lua:").map(|(_, place)| place);
        assert!(place.is_some_and(|place| place.starts_with(|c: char| c.is_ascii_digit())), "{line}");
    }
}

#[test]
fn a_plan_tells_the_place_and_the_cost_of_each_item_and_what_it_does_in_all() {
    let dir = MasterDir::new(&config(&[("w1", ""), ("w2", ""), ("w3", "max_builds = 1")]));
    let mut master = dir.start();
    wait_connected(&dir, &["w1", "w2", "w3"]);
    // The periodic scheduler asks at once.
    let pid = dir.build_dir().join("pid");
    eventually("the command", || pid.exists().then_some(()));
    let wanted = "1 added, 1 in place, 1 reattached, 1 removed: 2 links cut, 1 build drains";
    // Gone, moved, changed, new; the builder is changed as well, since its worker is.
    let changed = config(&[("w2", "workdir = 'elsewhere'"), ("w3", "max_builds = 2"), ("w4", "")]);
    let changed = changed.replace("workernames = { 'w2' }", "workernames = { 'w2' }, tags = { 'new' }");
    save(&dir, &changed);
    master.wait_for_stderr(
        "- worker \"w1\": removed, and disconnected after 1 build that still runs [was master.cfg.lua:4:3]",
    );
    master.wait_for_stderr(
        "workdir w2 -> elsewhere (cuts the link once): applied, with a new link [master.cfg.lua:4:3]",
    );
    master.wait_for_stderr("max_builds 1 -> 2 (in place): applied [master.cfg.lua:5:3]");
    master.wait_for_stderr("+ worker \"w4\": added [master.cfg.lua:6:3]");
    master.wait_for_stderr(&wanted.replace("1 in place", "2 in place"));
    // A last event of the file may have been one more load, which changes nothing.
    let mut generations = read(&dir, "/api/v2/generations")["generations"].take();
    let mut loads = generations.as_array_mut().unwrap().iter_mut();
    let newest = loads.find(|load| load["outcome"] == "committed").unwrap().take();
    let item = |noun: &str, name: &str| {
        let items = newest["items"].as_array().unwrap();
        items.iter().find(|item| item["noun"] == noun && item["name"] == name).cloned().unwrap()
    };
    let of = |item: Value| (item["deed"].clone(), item["cost"].clone(), item["source"]["line"].clone());
    assert_eq!(of(item("worker", "w1")), ("remove".into(), Value::Null, 4.into()));
    assert_eq!(of(item("worker", "w2")), ("change".into(), "reattach".into(), 4.into()));
    assert_eq!(of(item("worker", "w3")), ("change".into(), "in_place".into(), 5.into()));
    assert_eq!(of(item("worker", "w4")), ("add".into(), Value::Null, 6.into()));
    assert_eq!(newest["impact"]["links_cut"], 2);
    assert_eq!(newest["impact"]["builds_draining"], 1);
    let cuts: Vec<_> =
        newest["impact"]["disconnects"].as_array().unwrap().iter().map(|cut| &cut["worker"]).collect();
    assert_eq!(cuts, ["w1", "w2"]);
    touch(&dir.build_dir().join("go"));
    eventually("the end of its link", || (!is_connected(&dir, "w1")).then_some(()));
}

#[test]
fn a_reload_that_would_cut_more_links_than_allowed_is_refused_whole_and_names_them() {
    let names = ["w1", "w2", "w3", "w4"];
    let before = names.map(|name| (name, ""));
    let dir = MasterDir::new(&config(&before));
    let _master = dir.start();
    wait_connected(&dir, &names);
    // The periodic scheduler asks at once.
    eventually("the command", || dir.build_dir().join("pid").exists().then_some(()));
    // Saved, it is held, so that the limit is what decides.
    save(&dir, &format!("c.title = 'Smaller'\n{}", config(&[("w1", "workdir = 'elsewhere'")])));
    eventually("a held change", || {
        (read(&dir, "/api/v2/generations")["status"]["held"] == true).then_some(())
    });
    for arguments in [
        &["--max-disconnects", "3"][..],
        &["--max-disconnects", "0"],
        &["--max-disconnects", "3", "--dry-run"],
    ] {
        let refused = dir.run("reconfig", arguments);
        let (told, errors) = said(&refused);
        assert_eq!(refused.status.code(), Some(1), "{told}{errors}");
        assert!(
            errors.contains("worker \"w1\" would lose its link: it is reattached, with 1 build that would be built again [master.cfg.lua:5:3]"),
            "{errors}"
        );
        for (line, name) in (5..).zip(&names[1..]) {
            let lost =
                format!("worker \"{name}\" would lose its link: it is removed [was master.cfg.lua:{line}:3]");
            assert!(errors.contains(&lost), "{lost} is not in {errors}");
        }
        let limit = arguments[1];
        let why = format!(
            "it would cut 4 links, and at most {limit} may be cut; the running configuration, generation 1 of"
        );
        assert!(errors.contains(&why), "{errors}");
        assert!(told.contains("- worker \"w2\": not applied [was master.cfg.lua:5:3]"), "{told}");
    }
    let status = read(&dir, "/api/v2/generations")["status"].take();
    assert_eq!(
        (&status["generation"], &status["differs"]["why"]),
        (&1.into(), &"it would cut 4 links".into())
    );
    assert_eq!(read(&dir, "/api/v2")["application_spec"][0]["title"], "Lunabot");
    for name in names {
        assert!(is_connected(&dir, name));
    }
    let log = fs::read_to_string(dir.file("lunabot.log")).unwrap();
    for name in names {
        let attached = log
            .lines()
            .filter(|line| line.contains("worker attached") && line.contains(&format!("worker={name} ")));
        assert_eq!(attached.count(), 1, "{log}");
    }

    // A file that is saved again does not undo the operator's word.
    save(&dir, &format!("c.title = 'Smallest'\n{}", config(&[("w1", "workdir = 'elsewhere'")])));
    let by_file = eventually("the load by the file", || {
        let newest = read(&dir, "/api/v2/generations?limit=1")["generations"][0].take();
        (newest["causes"] == serde_json::json!(["file"])).then_some(newest)
    });
    assert_eq!(
        (&by_file["outcome"], &by_file["max_disconnects"]),
        (&"refused".into(), &0.into()),
        "{by_file}"
    );

    let planned = dir.json("reconfig", &["--dry-run", "--max-disconnects", "4"]);
    assert_eq!((&planned["outcome"], &planned["impact"]["links_cut"]), (&"planned".into(), &4.into()));
    let applied = dir.run("reconfig", &["--max-disconnects", "4"]);
    let (told, errors) = said(&applied);
    assert!(applied.status.success(), "{errors}");
    assert!(told.contains("1 reattached, 3 removed: 4 links cut, 1 build again\n"), "{told}");
    assert!(told.contains("generation 2 is in force"), "{told}");
}

#[test]
fn a_limit_that_is_no_number_is_told_and_nothing_is_reloaded() {
    let dir = MasterDir::new(&config(&[("w1", "")]));
    let _master = dir.start();
    for wrong in ["-1", "\"few\"", "1.5", "4294967296"] {
        let answer = dir.post("/api/v2/masters/1", "reconfig", &format!("{{\"max_disconnects\":{wrong}}}"));
        assert!(
            answer.contains("-32602") && answer.contains("`max_disconnects` must be a whole number"),
            "{answer}"
        );
    }
    assert_eq!(read(&dir, "/api/v2/generations")["meta"]["total"], 1);
    assert_eq!(dir.run("reconfig", &["--max-disconnects", "few"]).status.code(), Some(2));
}

#[test]
fn what_needs_a_restart_is_an_item_with_its_place_beside_what_is_not_applied() {
    let text = config(&[("w1", "")]);
    let dir = MasterDir::new(&text);
    let _master = dir.start();
    save(&dir, &format!("c.title = 'New'\nc.db = {{ db_url = 'sqlite:///other.sqlite' }}\n{text}"));
    let refused = dir.run("reconfig", &["--dry-run"]);
    assert_eq!(refused.status.code(), Some(1));
    let (told, errors) = said(&refused);
    assert!(errors.contains("master.cfg.lua:2:1: `c.db` cannot change while the master runs"), "{errors}");
    let lines: Vec<&str> = told.lines().collect();
    assert!(
        lines[0].starts_with("~ setting \"c\": title")
            && lines[0].ends_with("not applied [master.cfg.lua:1:1]"),
        "{told}"
    );
    assert!(
        lines[1].starts_with("! setting \"c\": db ")
            && lines[1].ends_with("(needs a restart): refused [master.cfg.lua:2:1]"),
        "{told}"
    );
    assert_eq!(lines.len(), 2, "{told}");
}
