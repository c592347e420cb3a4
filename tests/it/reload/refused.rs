//! Configurations that do not come into force: broken ones, those that want a word of somebody, those that need a restart.

use std::fs;

use super::{
    Config, attaches, attempts, generation, is_connected, said, save, status, title, wait_connected,
    wait_for_difference, wait_for_generation,
};
use crate::support::master::{MasterDir, eventually};

#[test]
fn a_broken_edit_changes_nothing_and_says_why() {
    let config = Config::new(&["w1"]);
    let dir = MasterDir::new(&config.text());
    let mut master = dir.start();
    wait_connected(&dir, "w1");
    save(&dir, &format!("{}\nc.wrokers = {{}}\nc.builders[2] = 7\n", config.text()));
    let status = wait_for_difference(&dir);
    assert_eq!((&status["generation"], &status["differs"]["outcome"]), (&1.into(), &"refused".into()));
    master.wait_for_stderr("did you mean `c.workers`?");
    master.wait_for_stderr("2 problems; the running configuration, generation 1 of ");
    let table = said(&dir.run("workers", &[]));
    let first = table.lines().next().unwrap();
    assert!(first.starts_with("master.cfg.lua differs from what runs since "), "{table}");
    assert!(first.contains("2 problems, see `lunabot reconfig"), "{table}");
    for arguments in [&["--dry-run"][..], &[]] {
        let refused = dir.run("reconfig", arguments);
        assert_eq!(refused.status.code(), Some(1));
        let text = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(text.contains("master.cfg.lua:8:1: "), "{text}");
        assert!(text.contains("2 problems; the running configuration, generation 1 of "), "{text}");
    }
    // A -> B -> A is A.
    save(&dir, &config.text());
    eventually("the good file", || self::status(&dir)["differs"].is_null().then_some(()));
    assert_eq!(generation(&dir), 1);
    let good = dir.run("reconfig", &[]);
    assert!(good.status.success());
    assert!(said(&good).contains("the configuration is unchanged; generation 1 of "), "{}", said(&good));
    assert_eq!(attaches(&dir, "w1"), 1);
}

#[test]
fn a_file_that_takes_most_workers_away_is_held_until_somebody_says_so() {
    let names = ["w1", "w2", "w3", "w4"];
    let config = Config::new(&names);
    let dir = MasterDir::new(&config.text());
    let mut master = dir.start();
    for name in names {
        wait_connected(&dir, name);
    }
    save(&dir, &Config::new(&["w1"]).text());
    let status = wait_for_difference(&dir);
    assert_eq!((&status["held"], &status["generation"]), (&true.into(), &1.into()));
    master.wait_for_stderr("- worker \"w4\": not applied");
    master.wait_for_stderr("it is held, since it removes 3 of 4 connected workers");
    let table = said(&dir.run("workers", &[]));
    assert!(table.lines().next().unwrap().contains("held, `lunabot reconfig"), "{table}");

    let dry = dir.run("reconfig", &["--dry-run"]);
    assert!(dry.status.success());
    assert!(said(&dry).contains("- worker \"w2\": would be removed and disconnected"), "{}", said(&dry));
    assert_eq!(dir.json("reconfig", &["--dry-run"])["outcome"], "planned");
    assert_eq!(generation(&dir), 1, "a dry run changes nothing");
    assert!(names.iter().all(|name| is_connected(&dir, name)));

    let applied = dir.run("reconfig", &[]);
    assert!(applied.status.success(), "{}", said(&applied));
    assert!(said(&applied).contains("- worker \"w2\": removed and disconnected"), "{}", said(&applied));
    assert!(said(&applied).contains("generation 2 is in force: 3 changes"), "{}", said(&applied));
    eventually("the end of three links", || {
        (names[1..].iter().all(|name| !is_connected(&dir, name))).then_some(())
    });
    assert!(is_connected(&dir, "w1"));
    assert!(self::status(&dir)["differs"].is_null());
}

#[test]
fn sighup_reloads_and_is_never_held() {
    let names = ["w1", "w2", "w3"];
    let dir = MasterDir::new(&Config::new(&names).text());
    let mut master = dir.start();
    for name in names {
        wait_connected(&dir, name);
    }
    master.signal("HUP");
    let by_signal =
        || attempts(&dir).into_iter().find(|attempt| attempt["causes"].to_string().contains("sighup"));
    let attempt = eventually("the reload", by_signal);
    assert_eq!(attempt["outcome"], "unchanged");
    assert_eq!(generation(&dir), 1);
    // All but one go; the last one stays.
    let mut fewer = Config::new(&["w1"]);
    fewer.workers[0].0 = "x";
    fewer.builders[0].1 = "x";
    save(&dir, &fewer.text());
    wait_for_difference(&dir);
    master.signal("HUP");
    wait_for_generation(&dir, 2);
    wait_connected(&dir, "x");
    master.wait_for_stderr("generation 2 is in force");
}

#[test]
fn what_needs_a_restart_is_refused_by_name_and_shows_no_secret() {
    let mut config = Config::new(&["w1"]);
    let dir = MasterDir::new(&config.text());
    let _master = dir.start();
    config.head = "c.db = { db_url = 'postgresql://bot:sesame-open@db/ci' }; c.title = 'New'".into();
    save(&dir, &config.text());
    wait_for_difference(&dir);
    let refused = dir.run("reconfig", &[]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(said(&refused).contains("`c.db` cannot change while the master runs"), "{}", said(&refused));
    assert_ne!(title(&dir), "New", "nothing of it is applied");
    // A password is a change that is told and not shown.
    let mut remote = Config::new(&["w1"]);
    let with_password = |config: &mut Config, password: &str| {
        config.head = format!("c.title = '{password}'");
        config
            .text()
            .replace(
                "c.builders =",
                &format!("c.workers[2] = worker.Worker('far', '{password}-open')\nc.builders ="),
            )
            .replace(&format!("c.title = '{password}'"), "")
    };
    save(&dir, &with_password(&mut remote, "sesame"));
    wait_for_generation(&dir, 2);
    save(&dir, &with_password(&mut remote, "barley"));
    wait_for_generation(&dir, 3);
    let items = attempts(&dir)[0]["items"].to_string();
    assert!(items.contains("worker \\\"far\\\": password … -> … (in place)"), "{items}");
    let log = fs::read_to_string(dir.file("lunabot.log")).unwrap();
    for text in [log, dir.get("/api/v2/generations"), said(&dir.run("reconfig", &["--dry-run"]))] {
        assert!(!text.contains("sesame-open") && !text.contains("barley-open"), "{text}");
    }
}
