//! Builds on a LocalWorker, as an operator sees them.

use crate::support::master::{HEAD, MasterDir, eventually, is_alive, touch};

/// Waits in the shell until a file is there.
const WAIT_FOR_GO: &str = "while [ ! -e go ]; do sleep 0.05; done";

fn lines(bytes: &[u8]) -> Vec<String> {
    String::from_utf8_lossy(bytes).lines().map(str::to_owned).collect()
}

#[test]
fn three_steps_stream_their_output_while_they_run() {
    let dir = MasterDir::with_steps(&format!(
        "steps.ShellCommand {{ name = 'one', command = 'echo first; {WAIT_FOR_GO}; echo second', logEnviron = false }},\
         steps.ShellCommand {{ name = 'two', command = {{ 'printf', '%s\\n', 'a b', '$HOME' }}, logEnviron = false }},\
         steps.ShellCommand {{ name = 'three', command = 'echo out; echo err >&2', logEnviron = false }}"
    ));
    let _master = dir.start();
    let mut force = dir.spawn("force", &["b", "--wait"]);
    // The first line arrives while the command still waits for the test.
    while force.next_line().expect("the first line") != "first" {}
    assert_eq!(dir.builds()[0]["complete"], false);
    touch(&dir.build_dir().join("go"));
    let mut rest = Vec::new();
    while let Some(line) = force.next_line() {
        rest.push(line);
    }
    assert_eq!(force.wait(), Some(0));
    for wanted in ["second", "a b", "$HOME", "out", "err", "program finished with exit code 0"] {
        assert!(rest.iter().any(|line| line == wanted), "{wanted:?} is not in {rest:#?}");
    }
    let build = &dir.builds()[0];
    assert_eq!((build["number"].as_i64(), build["results"].as_i64()), (Some(1), Some(0)));
}

#[test]
fn a_failing_step_fails_the_build_and_a_halt_skips_what_follows_but_for_steps_that_always_run() {
    let dir = MasterDir::with_steps(
        "steps.ShellCommand { name = 'bad', command = 'exit 3', haltOnFailure = true },\
         steps.ShellCommand { name = 'never', command = 'echo never-seen' },\
         steps.ShellCommand { name = 'clean', command = 'echo cleaned', alwaysRun = true }",
    );
    let _master = dir.start();
    let output = dir.run("force", &["b", "--wait"]);
    assert_eq!(output.status.code(), Some(1));
    let log = lines(&dir.log(1));
    assert!(log.iter().any(|line| line == "program finished with exit code 3"), "{log:#?}");
    assert!(log.iter().any(|line| line == "cleaned"), "{log:#?}");
    assert!(!log.iter().any(|line| line == "never-seen"), "{log:#?}");
    assert_eq!(dir.builds()[0]["results"], 2);
}

#[test]
fn a_silent_command_times_out_and_its_whole_process_group_is_dead() {
    let dir = MasterDir::with_steps(
        "steps.ShellCommand { name = 'silent', timeout = 1, command = 'sleep 600 & echo $! > child; wait' }",
    );
    let _master = dir.start();
    let output = dir.run("force", &["b", "--wait"]);
    assert_eq!(output.status.code(), Some(1));
    let child = std::fs::read_to_string(dir.build_dir().join("child")).unwrap();
    eventually("the death of the grandchild", || (!is_alive(&child)).then_some(()));
    let state = dir.builds()[0]["state_string"].to_string();
    assert!(state.contains("silent"), "{state}");
}

#[test]
fn a_stopped_build_is_cancelled_and_its_command_dead() {
    let dir = MasterDir::with_steps(
        "steps.ShellCommand { name = 'long', command = 'echo $$ > pid; sleep 600' },\
         steps.ShellCommand { name = 'next', command = 'echo never-seen' }",
    );
    let _master = dir.start();
    let mut force = dir.spawn("force", &["b", "--wait"]);
    let pid = eventually("the command", || {
        std::fs::read_to_string(dir.build_dir().join("pid")).ok().filter(|pid| pid.ends_with('\n'))
    });
    let id = dir.builds()[0]["buildid"].to_string();
    let answer = dir.post(&format!("/api/v2/builds/{id}"), "stop", r#"{"reason": "enough"}"#);
    assert!(answer.contains("\"result\""), "{answer}");
    assert_eq!(force.wait(), Some(13));
    eventually("the death of the command", || (!is_alive(&pid)).then_some(()));
    let build = &dir.builds()[0];
    assert_eq!(build["results"], 6);
    assert!(build["state_string"].as_str().unwrap().contains("enough"), "{build}");
    assert!(!lines(&dir.log(1)).iter().any(|line| line == "never-seen"));
    let again = dir.post(&format!("/api/v2/builds/{id}"), "stop", "{}");
    assert!(again.contains("does not run"), "{again}");
}

#[test]
fn a_command_that_dies_by_a_signal_fails_its_step() {
    let dir = MasterDir::with_steps("steps.ShellCommand { name = 'dies', command = 'kill -SEGV $$' }");
    let _master = dir.start();
    assert_eq!(dir.run("force", &["b", "--wait"]).status.code(), Some(1));
    let log = lines(&dir.log(1));
    assert!(log.iter().any(|line| line.contains("signal 11")), "{log:#?}");
    assert!(log.iter().any(|line| line == "program finished with exit code -1"), "{log:#?}");
}

#[test]
fn bytes_that_are_no_text_come_back_as_they_were() {
    let dir = MasterDir::with_steps(
        r"steps.ShellCommand { name = 'bytes', command = [[printf 'a\377\376\000b\n\351']], logEnviron = false }",
    );
    let _master = dir.start();
    assert_eq!(dir.run("force", &["b", "--wait"]).status.code(), Some(0));
    let log = dir.log(1);
    let wanted = b"a\xff\xfe\x00b\n\xe9";
    assert!(log.windows(wanted.len()).any(|window| window == wanted), "{:?}", log.escape_ascii().to_string());
}

#[test]
fn properties_have_buildbots_precedence_and_the_workers_win() {
    let dir = MasterDir::new(&format!(
        "{HEAD}c.workers = {{ worker.LocalWorker('w1', {{ properties = {{ os = 'worker' }}, defaultProperties = {{ who = 'worker', gap = 'worker' }} }}) }}\n\
         local show = util.Interpolate('os=%(prop:os)s who=%(prop:who)s gap=%(prop:gap)s own=%(prop:own)s n=%(prop:buildnumber)s on=%(prop:workername)s all=%(prop:all)s')\n\
         c.properties = {{ os = 'all', who = 'all', own = 'all', workername = 'all', all = util.Interpolate '%(prop:own)s of all' }}\n\
         c.builders = {{ util.BuilderConfig {{ name = 'b', workernames = {{ 'w1' }}, properties = {{ who = 'builder', os = 'builder' }},\n\
           factory = util.BuildFactory {{ steps.ShellCommand {{ command = {{ 'echo', show }} }} }} }} }}\n\
         c.schedulers = {{ schedulers.ForceScheduler('force', {{ 'b' }}) }}\n"
    ));
    let _master = dir.start();
    let output =
        dir.run("force", &["b", "--wait", "-p", "os=person", "-p", "own=person", "-p", "workername=forged"]);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let log = lines(&output.stdout);
    let wanted = "os=worker who=builder gap=worker own=person n=1 on=w1 all=person of all";
    assert!(log.iter().any(|line| line == wanted), "{log:#?}");
}

#[test]
fn max_builds_limits_a_worker_and_one_builder_runs_once_on_it() {
    let dir = MasterDir::new(&format!(
        "{HEAD}c.workers = {{ worker.LocalWorker('w1', {{ max_builds = 2 }}) }}\n\
         local f = util.BuildFactory {{ steps.ShellCommand {{ command = {{ '/bin/sh', '-c', '{WAIT_FOR_GO}' }} }} }}\n\
         c.builders = {{}}\n\
         for i = 1, 3 do c.builders[i] = util.BuilderConfig {{ name = 'b' .. i, workernames = {{ 'w1' }}, factory = f, collapseRequests = false }} end\n\
         c.schedulers = {{ schedulers.ForceScheduler('force', {{ 'b1', 'b2', 'b3' }}) }}\n"
    ));
    let _master = dir.start();
    for builder in ["b1", "b1", "b2", "b3"] {
        assert!(dir.run("force", &[builder]).status.success());
    }
    let running = |dir: &MasterDir| dir.builds().iter().filter(|build| build["complete"] == false).count();
    eventually("two builds", || (running(&dir) == 2).then_some(()));
    // The third one begins only when one of these ends, however long that takes: both wait for the test.
    assert_eq!(dir.builds().len(), 2);
    let end = |number: u32| touch(&dir.file(&format!("workers/w1/b{number}/build/go")));
    end(1);
    eventually("all builds", || (dir.builds().len() >= 3).then_some(()));
    assert!(running(&dir) <= 2);
    end(2);
    eventually("the folder of the last builder", || dir.file("workers/w1/b3/build").is_dir().then_some(()));
    end(3);
    eventually("the end of all", || {
        let builds = dir.builds();
        (builds.len() == 4 && builds.iter().all(|build| build["results"] == 0)).then_some(())
    });
}

#[test]
fn a_periodic_scheduler_asks_at_once_and_again() {
    let dir = MasterDir::new(&format!(
        "{HEAD}c.workers = {{ worker.LocalWorker('w1') }}\n\
         c.builders = {{ util.BuilderConfig {{ name = 'b', workernames = {{ 'w1' }}, factory = util.BuildFactory {{ steps.ShellCommand {{ command = 'true' }} }} }} }}\n\
         c.schedulers = {{ schedulers.Periodic('often', {{ 'b' }}, 1) }}\n"
    ));
    let _master = dir.start();
    eventually("two builds", || (dir.builds().len() >= 2).then_some(()));
}
