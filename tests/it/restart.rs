//! What a master leaves behind, and what the next one makes of it.

use crate::support::{
    master::{HEAD, MasterDir, eventually, is_alive, touch},
    skip::skip,
};

/// Two builders on one worker: `b` waits for the test, `quick` does not.
fn config(db: &str) -> String {
    format!(
        "{HEAD}{db}\n\
         c.workers = {{ worker.LocalWorker('w1', {{ max_builds = 1 }}) }}\n\
         local slow = util.BuildFactory {{ steps.ShellCommand {{ command = 'echo begun; echo $$ > pid; while [ ! -e go ]; do sleep 0.05; done; echo went on' }} }}\n\
         local quick = util.BuildFactory {{ steps.ShellCommand {{ command = 'echo quick' }} }}\n\
         c.builders = {{ util.BuilderConfig {{ name = 'b', workernames = {{ 'w1' }}, factory = slow }}, util.BuilderConfig {{ name = 'quick', workernames = {{ 'w1' }}, factory = quick }} }}\n\
         c.schedulers = {{ schedulers.ForceScheduler('force', {{ 'b', 'quick' }}) }}\n"
    )
}

fn killed_in_mid_build_and_started_again(dir: &MasterDir) {
    let mut master = dir.start();
    assert!(dir.run("force", &["b"]).status.success());
    let pid = eventually("the command", || {
        std::fs::read_to_string(dir.build_dir().join("pid")).ok().filter(|pid| pid.ends_with('\n'))
    });
    assert!(dir.run("force", &["quick"]).status.success());
    master.signal("KILL");
    assert_eq!(master.wait(), None);
    assert_eq!(dir.run("builds", &[]).status.code(), Some(3));

    let mut master = dir.start();
    // What ran in the old life is dead, its build has its end, and its request runs again.
    eventually("the death of the old command", || (!is_alive(&pid)).then_some(()));
    let builds = dir.builds();
    let first = builds.iter().find(|build| build["buildid"] == 1).unwrap();
    assert_eq!((&first["complete"], &first["results"]), (&true.into(), &5.into()), "{first}");
    touch(&dir.build_dir().join("go"));
    eventually("both requests to be done", || {
        let builds = dir.builds();
        let done = builds.iter().filter(|build| build["results"] == 0).count();
        (done == 2 && builds.iter().all(|build| build["complete"] == true)).then_some(())
    });
    assert_eq!(dir.builds().len(), 3);
    let workers = dir.json("workers", &[]);
    assert_eq!(workers["workers"][0]["connected_to"].as_array().unwrap().len(), 1);
    assert!(dir.run("stop", &[]).status.success());
    assert_eq!(master.wait(), Some(0));
}

#[test]
fn after_kill_9_in_mid_build_the_build_is_resolved_and_the_queue_goes_on() {
    killed_in_mid_build_and_started_again(&MasterDir::new(&config("")));
}

#[test]
fn after_kill_9_in_mid_build_the_build_is_resolved_and_the_queue_goes_on_with_postgresql() {
    let name = "after_kill_9_in_mid_build_the_build_is_resolved_and_the_queue_goes_on_with_postgresql";
    let Ok(url) = std::env::var("LUNABOT_TEST_POSTGRES") else {
        skip(name, "LUNABOT_TEST_POSTGRES is not set");
        return;
    };
    if cfg!(not(feature = "postgres")) {
        // Not a skip: without the feature there is nothing of the kind to test.
        return;
    }
    let database = format!("lunabot_restart_{}", std::process::id());
    #[expect(clippy::disallowed_methods, reason = "the test plays the operator")]
    let created = std::process::Command::new("psql")
        .arg(&url)
        .arg("-qc")
        .arg(format!("CREATE DATABASE {database}"))
        .status();
    assert!(created.unwrap().success());
    let (server, _) = url.rsplit_once('/').unwrap();
    killed_in_mid_build_and_started_again(&MasterDir::new(&config(&format!(
        "c.db = {{ db_url = '{server}/{database}' }}"
    ))));
}

#[test]
fn a_stop_gives_running_builds_back_to_the_queue_and_the_next_start_runs_them() {
    let dir = MasterDir::new(&config(""));
    let mut master = dir.start();
    assert!(dir.run("force", &["b"]).status.success());
    let pid = eventually("the command", || {
        std::fs::read_to_string(dir.build_dir().join("pid")).ok().filter(|pid| pid.ends_with('\n'))
    });
    assert!(dir.run("stop", &[]).status.success());
    assert_eq!(master.wait(), Some(0));
    assert!(!is_alive(&pid));
    assert!(!dir.file("lunabot.sock").exists());
    let _master = dir.start();
    touch(&dir.build_dir().join("go"));
    eventually("the second build", || {
        let builds = dir.builds();
        (builds.len() == 2 && builds[0]["results"] == 0).then_some(())
    });
    assert_eq!(dir.builds()[1]["results"], 5);
}

#[test]
fn a_clean_stop_waits_for_running_builds_and_starts_no_more() {
    let dir = MasterDir::new(&config(""));
    let mut master = dir.start();
    assert!(dir.run("force", &["b"]).status.success());
    eventually("the command", || dir.build_dir().join("pid").exists().then_some(()));
    assert!(dir.run("force", &["quick"]).status.success());
    let mut stop = dir.spawn("stop", &["--clean"]);
    stop.wait_for_stderr("waiting for 1 running builds");
    touch(&dir.build_dir().join("go"));
    assert_eq!(stop.wait(), Some(0));
    assert_eq!(master.wait(), Some(0));
    let _master = dir.start();
    eventually("the build that was not begun", || {
        let builds = dir.builds();
        (builds.len() == 2 && builds.iter().all(|build| build["results"] == 0)).then_some(())
    });
}
