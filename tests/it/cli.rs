//! The command line, as a stranger meets it: errors with cause, hint and exit code.

use std::{io::Write as _, process::Stdio};

use crate::support::master::{MasterDir, lunabot};

fn stderr(output: &std::process::Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_new_master_runs_as_it_is() {
    let parent = tempfile::Builder::new().prefix("lb").tempdir_in("/tmp").unwrap();
    let path = parent.path().join("m");
    let run = |arguments: &[&str]| lunabot().args(arguments).output().unwrap();
    let path_text = path.to_str().unwrap();
    let made = run(&["create-master", path_text]);
    assert!(made.status.success(), "{}", stderr(&made));
    assert!(path.join(".luarc.json").is_file());
    let again = run(&["create-master", path_text]);
    assert_eq!(again.status.code(), Some(1));
    assert!(stderr(&again).contains("is there already"));
    let good = run(&["checkconfig", path_text]);
    assert!(good.status.success());
    assert!(String::from_utf8_lossy(&good.stdout).contains("good: 1 worker, 1 builder, 1 scheduler"));
    let dir = MasterDir::new(&std::fs::read_to_string(path.join("master.cfg.lua")).unwrap());
    let _master = dir.start();
    let build = dir.run("force", &["hello", "--wait"]);
    assert!(build.status.success(), "{}", stderr(&build));
}

#[test]
fn what_editors_need_is_renewed_and_nothing_else_is_touched() {
    let dir = MasterDir::new("-- mine");
    let settings = dir.file(".luarc.json");
    let types = dir.file(".lunabot/lunabot.lua");
    std::fs::create_dir(dir.file(".lunabot")).unwrap();
    std::fs::write(&types, "-- of an older version").unwrap();
    std::fs::write(&settings, "{}").unwrap();
    let renewed = dir.run("create-master", &["--editor"]);
    assert!(renewed.status.success(), "{}", stderr(&renewed));
    let text = std::fs::read_to_string(&types).unwrap();
    assert!(text.contains("---@class lunabot.options.Worker"), "{text}");
    assert!(dir.file(".lunabot/buildbot/plugins.lua").is_file());
    // What the operator has written is the operator's.
    assert_eq!(std::fs::read_to_string(&settings).unwrap(), "{}");
    assert_eq!(std::fs::read_to_string(dir.file("master.cfg.lua")).unwrap(), "-- mine");
    let mut names: Vec<_> =
        std::fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, [".luarc.json", ".lunabot", "master.cfg.lua"]);
}

#[test]
fn a_second_master_is_refused_with_the_first_ones_pid() {
    let dir = MasterDir::with_steps("steps.ShellCommand { command = 'true' }");
    let master = dir.start();
    let second = dir.run("start", &[]);
    assert_eq!(second.status.code(), Some(4));
    let said = stderr(&second);
    assert!(said.contains(&format!("process id {}", master.pid())), "{said}");
    assert!(said.contains("hint: "), "{said}");
}

#[test]
fn a_socket_path_that_is_too_long_is_told_before_anything_is_made() {
    let parent = tempfile::Builder::new().prefix("lb").tempdir_in("/tmp").unwrap();
    let path = parent.path().join("x".repeat(100));
    let made = lunabot().arg("create-master").arg(&path).output().unwrap();
    assert_eq!(made.status.code(), Some(5));
    assert!(!path.exists());
    std::fs::create_dir(&path).unwrap();
    std::fs::write(path.join("master.cfg.lua"), "").unwrap();
    let started = lunabot().arg("start").arg(&path).output().unwrap();
    assert_eq!(started.status.code(), Some(5));
    let said = stderr(&started);
    assert!(said.contains("107") && said.contains("hint: "), "{said}");
}

#[test]
fn a_folder_without_a_master_and_a_master_that_does_not_run_are_told_apart() {
    let dir = MasterDir::with_steps("steps.ShellCommand { command = 'true' }");
    let absent = lunabot().arg("workers").arg(dir.file("nowhere")).output().unwrap();
    assert_eq!(absent.status.code(), Some(1));
    assert!(stderr(&absent).contains("create-master"));
    let idle = dir.run("workers", &[]);
    assert_eq!(idle.status.code(), Some(3));
    assert!(stderr(&idle).contains("lunabot start"));
}

#[test]
fn a_bad_configuration_is_not_started_and_all_its_problems_are_told() {
    let dir = MasterDir::new("c.workers = {}\nc.wrokers = {}\nlocal x = undefined_name\n");
    let output = dir.run("start", &[]);
    assert_eq!(output.status.code(), Some(1));
    let said = stderr(&output);
    assert!(said.contains("master.cfg.lua:2:") && said.contains("did you mean `c.workers`?"), "{said}");
    assert!(said.contains("master.cfg.lua:3:") && said.contains("undefined_name"), "{said}");
    assert!(!dir.file("state.sqlite").exists() && !dir.file("lunabot.sock").exists());
}

#[test]
fn a_database_of_a_later_version_is_refused_with_a_hint() {
    let dir = MasterDir::with_steps("steps.ShellCommand { command = 'true' }");
    let mut master = dir.start();
    assert!(dir.run("stop", &[]).status.success());
    assert_eq!(master.wait(), Some(0));
    let sql = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
               VALUES (99991231000000, 'later', 1, x'00', 0)";
    #[expect(clippy::disallowed_methods, reason = "the test plays a later version")]
    let done = std::process::Command::new("python3")
        .arg("-c")
        .arg("import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute(sys.argv[2]); c.commit()")
        .arg(dir.file("state.sqlite"))
        .arg(sql)
        .status();
    assert!(done.unwrap().success());
    let output = dir.run("start", &[]);
    assert_eq!(output.status.code(), Some(5));
    let said = stderr(&output);
    assert!(said.contains("later version") || said.contains("newer"), "{said}");
    assert!(said.contains("hint: "), "{said}");
}

#[test]
fn wrong_names_are_told_with_the_nearest_right_ones() {
    let dir = MasterDir::with_steps("steps.ShellCommand { name = 'greet', command = 'echo hi' }");
    let _master = dir.start();
    assert!(dir.run("force", &["b", "--wait"]).status.success());
    for (command, arguments, wanted) in [
        ("force", vec!["c"], "did you mean `b`?"),
        ("force", vec!["b", "--scheduler", "forse"], "did you mean `force`?"),
        ("log", vec!["b", "7"], "has no build 7"),
        ("log", vec!["b", "1", "grete"], "it has: greet"),
        ("builds", vec!["--builder", "nobody"], "there are: b"),
    ] {
        let output = dir.run(command, &arguments);
        assert_eq!(output.status.code(), Some(1), "{command} {arguments:?}");
        let said = stderr(&output);
        assert!(said.contains(wanted), "{command} {arguments:?}: {said}");
    }
}

#[test]
fn a_pipe_gets_plain_text() {
    let dir = MasterDir::with_steps("steps.ShellCommand { command = 'echo hi' }");
    let _master = dir.start();
    assert!(dir.run("force", &["b", "--wait"]).status.success());
    for command in ["workers", "builds"] {
        let output = dir.run(command, &[]);
        assert!(!output.stdout.contains(&0x1b), "{command} writes escape sequences");
    }
}

#[test]
fn a_password_is_hashed_from_a_pipe_and_what_no_worker_could_have_is_refused() {
    let hash = |given: &str| {
        let mut program = lunabot();
        program.arg("hash-password").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = program.spawn().unwrap();
        child.stdin.take().unwrap().write_all(given.as_bytes()).unwrap();
        child.wait_with_output().unwrap()
    };
    let first = hash("sesame\n");
    let text = String::from_utf8(first.stdout).unwrap();
    assert!(first.status.success() && text.starts_with("$argon2id$v=19$m="), "{text}");
    let again = String::from_utf8(hash("sesame").stdout).unwrap();
    assert_ne!(text, again, "each hash has a salt of its own");
    // What it makes, a configuration takes; what that cannot be, it does not make.
    for bad in ["", "\n", "two\nlines\n", &text] {
        let refused = hash(bad);
        assert_eq!(refused.status.code(), Some(1), "{bad:?}");
        assert!(refused.stdout.is_empty() && !stderr(&refused).contains("lines"), "{}", stderr(&refused));
    }
}
