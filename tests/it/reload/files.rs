//! Files as editors, people and config management change them.

use std::{
    fs,
    os::unix::fs::symlink,
    thread,
    time::{Duration, Instant},
};

use super::{
    Config, attaches, attempts, read, save, status, title, wait_connected, wait_for_difference,
    wait_for_title,
};
use crate::support::master::{MasterDir, eventually};

#[test]
fn a_file_saved_in_two_halves_or_truncated_first_comes_into_force_when_it_is_whole() {
    let config = Config::new(&["w1", "w2", "w3"]);
    let dir = MasterDir::new(&config.text());
    let _master = dir.start();
    for name in ["w1", "w2", "w3"] {
        wait_connected(&dir, name);
    }
    let whole = config.titled("whole");
    let (half, _) = whole.split_at(whole.find("LocalWorker('w2'").unwrap());
    save(&dir, half);
    let status = wait_for_difference(&dir);
    assert_eq!(status["differs"]["outcome"], "refused");
    save(&dir, &whole);
    wait_for_title(&dir, "whole");
    save(&dir, "");
    wait_for_difference(&dir);
    save(&dir, &config.titled("again"));
    wait_for_title(&dir, "again");
    // Half a file that is a good one: two thirds of the workers are not in it yet.
    save(&dir, &Config::new(&["w1"]).text());
    wait_for_title(&dir, "Lunabot");
    for name in ["w1", "w2", "w3"] {
        assert_eq!(attaches(&dir, name), 1);
    }
}

#[test]
fn each_way_to_save_a_file_reloads_it() {
    let config = Config::new(&["w1"]);
    let dir = MasterDir::new(&config.text());
    let file = dir.file("master.cfg.lua");
    // A ConfigMap: the file is a link through `..data`, which is swapped as a whole.
    let version = |name: &str, text: &str| {
        fs::create_dir(dir.file(name)).unwrap();
        fs::write(dir.file(name).join("master.cfg.lua"), text).unwrap();
    };
    version("..v1", &config.text());
    symlink("..v1", dir.file("..data")).unwrap();
    fs::remove_file(&file).unwrap();
    symlink("..data/master.cfg.lua", &file).unwrap();
    let _master = dir.start();
    wait_connected(&dir, "w1");

    version("..v2", &config.titled("swapped"));
    symlink("..v2", dir.file("..data_tmp")).unwrap();
    fs::rename(dir.file("..data_tmp"), dir.file("..data")).unwrap();
    wait_for_title(&dir, "swapped");

    fs::write(dir.file(".new"), config.titled("renamed")).unwrap();
    fs::rename(dir.file(".new"), &file).unwrap();
    wait_for_title(&dir, "renamed");

    fs::remove_file(&file).unwrap();
    let status = wait_for_difference(&dir);
    assert_eq!(status["differs"]["errors"], 1);
    let problem = attempts(&dir)[0]["problems"].to_string();
    assert!(problem.contains("cannot read "), "{problem}");
    save(&dir, &config.titled("restored"));
    wait_for_title(&dir, "restored");

    // A module that is not there yet, comes, changes, goes and comes back.
    let mut with_module = config.clone();
    with_module.head = "c.title = require 'lib.title'".into();
    save(&dir, &with_module.text());
    wait_for_difference(&dir);
    fs::create_dir(dir.file("lib")).unwrap();
    fs::write(dir.file("lib/title.lua"), "return 'module'").unwrap();
    wait_for_title(&dir, "module");
    fs::write(dir.file("lib/title.lua"), "return 'changed module'").unwrap();
    wait_for_title(&dir, "changed module");
    fs::remove_file(dir.file("lib/title.lua")).unwrap();
    wait_for_difference(&dir);
    fs::write(dir.file("lib/title.lua"), "return 'module again'").unwrap();
    wait_for_title(&dir, "module again");
    assert_eq!(attaches(&dir, "w1"), 1);
}

#[test]
fn of_two_hundred_saves_in_two_seconds_the_last_one_wins_with_few_loads() {
    let config = Config::new(&["w1"]);
    let dir = MasterDir::new(&config.text());
    let file = dir.file("master.cfg.lua");
    let _master = dir.start();
    wait_connected(&dir, "w1");
    let (begin, mut last, mut rests) = (Instant::now(), Instant::now(), 0);
    for n in 1..=200_u32 {
        let text = config.titled(&format!("save {n}"));
        match n % 3 {
            // In place; by a file that takes its name; and as an editor does that keeps a backup.
            0 => save(&dir, &text),
            1 => {
                fs::write(dir.file(".master.cfg.lua.new"), text).unwrap();
                fs::rename(dir.file(".master.cfg.lua.new"), &file).unwrap();
            }
            _ => {
                fs::rename(&file, dir.file("master.cfg.lua~")).unwrap();
                fs::write(&file, text).unwrap();
                fs::remove_file(dir.file("master.cfg.lua~")).unwrap();
            }
        }
        // On a busy machine the saves may halt for so long that the file stands still.
        rests += usize::from(last.elapsed() > Duration::from_millis(60));
        last = Instant::now();
        // The pace of the saves, not a wait for anything.
        thread::park_timeout(
            (begin + Duration::from_millis(10) * n).saturating_duration_since(Instant::now()),
        );
    }
    wait_for_title(&dir, "save 200");
    assert!(dir.run("reconfig", &[]).status.success());
    let log = fs::read_to_string(dir.file("lunabot.log")).unwrap();
    let loads = log.lines().filter(|line| line.contains("cause=") && line.contains("outcome=")).count();
    assert!(loads <= 5 + rests, "{loads} loads, with {rests} rests between the saves");
    assert_eq!(title(&dir), "save 200");
    assert_eq!(attaches(&dir, "w1"), 1);
}

#[test]
fn a_file_that_is_a_link_is_followed_and_both_its_swap_and_its_targets_change_count() {
    let config = Config::new(&["w1"]);
    let dir = MasterDir::new(&config.text());
    let file = dir.file("master.cfg.lua");
    fs::create_dir(dir.file("repo")).unwrap();
    fs::write(dir.file("repo/one.lua"), config.titled("one")).unwrap();
    fs::write(dir.file("repo/two.lua"), config.titled("two")).unwrap();
    fs::remove_file(&file).unwrap();
    symlink("repo/one.lua", &file).unwrap();
    let _master = dir.start();
    wait_connected(&dir, "w1");
    assert_eq!(title(&dir), "one");

    fs::write(dir.file("repo/one.lua"), config.titled("one, changed")).unwrap();
    wait_for_title(&dir, "one, changed");
    symlink("repo/two.lua", dir.file(".link")).unwrap();
    fs::rename(dir.file(".link"), &file).unwrap();
    wait_for_title(&dir, "two");
    // By another file of that name.
    fs::write(dir.file("repo/.two"), config.titled("two, replaced")).unwrap();
    fs::rename(dir.file("repo/.two"), dir.file("repo/two.lua")).unwrap();
    wait_for_title(&dir, "two, replaced");
    // The target goes, and comes.
    fs::remove_file(dir.file("repo/two.lua")).unwrap();
    wait_for_difference(&dir);
    fs::write(dir.file("repo/two.lua"), config.titled("two, again")).unwrap();
    wait_for_title(&dir, "two, again");
    assert_eq!(attaches(&dir, "w1"), 1);
}

#[test]
fn a_file_that_is_a_folder_or_a_ring_of_links_for_a_while_keeps_what_runs() {
    let config = Config::new(&["w1"]);
    let dir = MasterDir::new(&config.titled("before"));
    let file = dir.file("master.cfg.lua");
    let _master = dir.start();
    wait_connected(&dir, "w1");
    fs::remove_file(&file).unwrap();
    fs::create_dir(&file).unwrap();
    eventually("the folder to be told", || {
        attempts(&dir)[0]["problems"].to_string().contains("not a regular file").then_some(())
    });
    assert_eq!(dir.run("reconfig", &[]).status.code(), Some(1));
    assert_eq!(dir.run("reconfig", &["--dry-run"]).status.code(), Some(1));
    fs::remove_dir(&file).unwrap();
    symlink("master.cfg.lua", &file).unwrap();
    eventually("the ring to be told", || {
        let problems = attempts(&dir)[0]["problems"].to_string();
        (problems.contains("cannot read ") && status(&dir)["pending"].is_null()).then_some(())
    });
    assert_eq!(title(&dir), "before");
    fs::remove_file(&file).unwrap();
    save(&dir, &config.titled("after"));
    wait_for_title(&dir, "after");
    assert_eq!(attaches(&dir, "w1"), 1);
}

#[test]
fn what_is_saved_while_a_load_runs_is_loaded_after_it() {
    let config = Config::new(&["w1"]);
    let dir = MasterDir::new(&config.text());
    let _master = dir.start();
    wait_connected(&dir, "w1");
    // It takes a while, in which the next one is saved.
    let long = "for _ = 1, 2e7 do end";
    save(&dir, &format!("{long}\n{}", config.titled("first")));
    eventually("the load", || status(&dir)["pending"].is_array().then_some(()));
    save(&dir, &config.titled("second"));
    wait_for_title(&dir, "second");
    // A -> B -> A is A, though B was never seen whole.
    let again = config.titled("second");
    save(&dir, &format!("{long}\n{}", config.titled("third")));
    eventually("the load", || status(&dir)["pending"].is_array().then_some(()));
    save(&dir, &again);
    assert!(dir.run("reconfig", &[]).status.success());
    assert_eq!(title(&dir), "second");
    eventually("rest", || {
        let now = status(&dir);
        (now["pending"].is_null() && now["runs_what_is_on_disk"] == true).then_some(())
    });
    assert_eq!(read(&dir, "/api/v2")["application_spec"][0]["title"], "second");
    assert_eq!(attaches(&dir, "w1"), 1);
}
