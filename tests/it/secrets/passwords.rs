//! Passwords of workers by name: from a file, changed while the worker is connected, missing, and of a program.

use std::fs;

use super::{MARKER, chmod, put, secret, stderr, stdout};
use crate::support::{
    master::{HEAD, MasterDir, eventually},
    real_worker::{Protocol, RealWorker, free_port, program},
    skip::skip,
    traces::{keep, keep_api, keep_folder},
};

/// What a worker logs when it was refused.
const REFUSED: &str = "unauthorized login; check worker name and password";

fn config(port: u16, protocol: Protocol, more: &str, steps: &str) -> String {
    let key = protocol.key();
    format!(
        "{HEAD}local secrets = p.secrets\n{more}\
         c.protocols = {{ {key} = {{ port = {port} }} }}\n\
         c.workers = {{ worker.Worker('w1', util.Secret 'w1') }}\n\
         c.builders = {{ util.BuilderConfig {{ name = 'b', workernames = {{ 'w1' }}, \
         factory = util.BuildFactory {{ {steps} }} }} }}\n\
         c.schedulers = {{ schedulers.ForceScheduler('force', {{ 'b' }}) }}\n"
    )
}

fn own_log(dir: &MasterDir) -> String {
    fs::read_to_string(dir.file("lunabot.log")).unwrap()
}

#[test]
fn a_password_in_a_file_is_changed_by_writing_it_and_the_live_link_stays() {
    let test = "a_password_in_a_file_is_changed_by_writing_it_and_the_live_link_stays";
    if program().is_none() {
        return skip(test, "LUNABOT_TEST_BUILDBOT_WORKER is not set");
    }
    let port = free_port();
    let dir = MasterDir::new(&config(
        port,
        Protocol::Pb,
        "",
        "steps.ShellCommand { command = { 'echo', 'word:', util.Secret 'step' } }, \
         steps.ShellCommand { command = util.Interpolate 'echo \"line: $A\" # %(secret:step)s', env = { A = util.Secret 'step' } }",
    ));
    put(&dir, "w1", &secret("old"));
    put(&dir, "step", &format!("step-{MARKER}"));
    let mut master = dir.start();
    let mut worker = RealWorker::start(port, "w1", &secret("old"));
    worker.wait_attached(1);
    let sockets = worker.sockets();
    put(&dir, "w1", &secret("new"));
    eventually("the new password to be in force", || {
        own_log(&dir).contains("~ worker \"w1\": password … -> … (in place): applied").then_some(())
    });
    assert!(dir.run("force", &["b", "--wait"]).status.success());
    assert_eq!((worker.sockets(), worker.attached_times()), (sockets, 1));
    let log = String::from_utf8(dir.log(1)).unwrap();
    assert!(log.contains("word: <step>") && log.contains("line: <step>"), "{log}");
    // Over PB what it runs is told with what it may show.
    keep(test, "worker.txt", &worker.log());
    assert!(worker.log().contains("<step>"), "{}", worker.log());
    worker.kill();
    worker.run();
    eventually("the old password to be refused", || (worker.count_in_log(REFUSED) > 0).then_some(()));
    drop(worker);
    let again = RealWorker::start(port, "w1", &secret("new"));
    again.wait_attached(1);
    keep_api(test, &dir);
    assert!(dir.run("stop", &[]).status.success());
    assert_eq!(master.wait(), Some(0));
    keep(test, "stderr.txt", &master.said());
    keep_folder(test, &dir);
}

#[test]
fn over_msgpack_the_worker_itself_logs_the_words_that_it_runs_and_the_master_does_not() {
    let test = "over_msgpack_the_worker_itself_logs_the_words_that_it_runs_and_the_master_does_not";
    if program().is_none() {
        return skip(test, "LUNABOT_TEST_BUILDBOT_WORKER is not set");
    }
    let port = free_port();
    let dir = MasterDir::new(&config(
        port,
        Protocol::Msgpack,
        "",
        "steps.ShellCommand { command = { 'echo', 'word:', util.Secret 'step' } }",
    ));
    // A hash, which msgpack can check.
    let hash = hash_of(&secret("w1"));
    put(&dir, "w1", &hash);
    put(&dir, "step", &format!("step-{MARKER}"));
    let mut master = dir.start();
    let mut worker = RealWorker::create_on(Protocol::Msgpack, port, "w1", &secret("w1"), &[]);
    worker.run();
    worker.wait_attached(1);
    assert!(dir.run("force", &["b", "--wait"]).status.success());
    let log = String::from_utf8(dir.log(1)).unwrap();
    assert!(log.contains("word: <step>"), "{log}");
    // So the documents say: put a secret into the environment or on standard input.
    assert!(worker.log().contains(MARKER));
    keep_api(test, &dir);
    assert!(dir.run("stop", &[]).status.success());
    assert_eq!(master.wait(), Some(0));
    assert!(!own_log(&dir).contains(&hash));
    keep_folder(test, &dir);
}

/// The hash of a password, as an operator makes it.
fn hash_of(password: &str) -> String {
    use std::{io::Write as _, process::Stdio};
    let mut child = crate::support::master::lunabot()
        .arg("hash-password")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    writeln!(child.stdin.take().unwrap(), "{password}").unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[test]
fn a_master_does_not_start_without_a_password_and_says_where_it_looked() {
    let dir =
        MasterDir::new(&config(free_port(), Protocol::Pb, "", "steps.ShellCommand { command = 'true' }"));
    let missing = format!(
        "master.cfg.lua:5:15: worker \"w1\": cannot have its password, the secret `w1`: no provider has it; \
         looked for the file {}/secrets/w1, put it there, readable by the master's user alone",
        dir.path().display()
    );
    let started = dir.run("start", &[]);
    assert_eq!(started.status.code(), Some(1), "{}", stderr(&started));
    assert!(stderr(&started).contains(&missing), "{}", stderr(&started));
    put(&dir, "w1", &secret("w1"));
    chmod(&dir.file("secrets"), 0o755);
    let started = dir.run("start", &[]);
    assert_eq!(started.status.code(), Some(1));
    assert!(stderr(&started).contains("secrets is open to others (mode 0755); run `chmod 700 "));
    put(&dir, "w1", "$argon2id$nonsense");
    chmod(&dir.file("secrets"), 0o700);
    let started = dir.run("start", &[]);
    let bad = "worker \"w1\": the secret `w1` cannot be the password of worker `w1`: its hashed password cannot be used";
    assert!(stderr(&started).contains(bad), "{}", stderr(&started));
    assert!(!stderr(&started).contains("nonsense"));
}

#[test]
fn a_reload_whose_secret_is_gone_changes_nothing_and_mends_itself_when_it_is_back() {
    let dir =
        MasterDir::new(&config(free_port(), Protocol::Pb, "", "steps.ShellCommand { command = 'true' }"));
    put(&dir, "w1", &secret("w1"));
    let _master = dir.start();
    fs::remove_file(dir.file("secrets/w1")).unwrap();
    let refused = dir.run("reconfig", &[]);
    assert_eq!(refused.status.code(), Some(1));
    let said = stdout(&refused) + &stderr(&refused);
    assert!(said.contains("cannot have its password, the secret `w1`") && said.contains("is kept"), "{said}");
    let dry = dir.run("reconfig", &["--dry-run"]);
    assert_eq!(dry.status.code(), Some(1));
    put(&dir, "w1", &secret("other"));
    // By the file alone: nobody says so.
    eventually("the password to be in force", || {
        own_log(&dir).contains("the configuration is unchanged; 1 password in force anew").then_some(())
    });
}

#[test]
fn a_password_that_a_program_tells_is_read_again_by_each_reload() {
    let providers =
        "c.secretsProviders = { secrets.SecretInCommand { command = { 'cat', 'password-of-%(name)s' } } }\n";
    let steps = "steps.ShellCommand { command = 'true' }";
    let dir = MasterDir::new(&config(free_port(), Protocol::Pb, providers, steps));
    fs::write(dir.file("password-of-w1"), secret("old")).unwrap();
    let master = dir.start();
    let unchanged = dir.run("reconfig", &[]);
    assert!(unchanged.status.success());
    assert!(!stdout(&unchanged).contains("password"), "{}", stdout(&unchanged));
    fs::write(dir.file("password-of-w1"), secret("new")).unwrap();
    let dry = dir.run("reconfig", &["--dry-run"]);
    assert!(
        stdout(&dry).contains("~ worker \"w1\": password … -> … (in place): would be applied"),
        "{}",
        stdout(&dry)
    );
    let changed = dir.run("reconfig", &[]);
    assert!(changed.status.success());
    assert!(
        stdout(&changed).contains("~ worker \"w1\": password … -> … (in place): applied"),
        "{}",
        stdout(&changed)
    );
    fs::write(dir.file("password-of-w1"), secret("newest")).unwrap();
    master.signal("HUP");
    eventually("the signal to be heard", || {
        (own_log(&dir).matches("1 password in force anew").count() == 2).then_some(())
    });
    assert!(!own_log(&dir).contains(MARKER));
}

#[test]
fn providers_are_added_and_changed_while_the_master_runs() {
    let with =
        |providers: &str| config(9, Protocol::Pb, providers, "steps.ShellCommand { command = 'true' }");
    let port = free_port();
    let with = |providers: &str| with(providers).replace("port = 9 ", &format!("port = {port} "));
    let dir = MasterDir::new(&with(""));
    put(&dir, "w1", &secret("w1"));
    let _master = dir.start();
    let apply = |providers: &str| {
        fs::write(dir.file("master.cfg.lua"), with(providers)).unwrap();
        let output = dir.run("reconfig", &[]);
        assert!(output.status.success(), "{}", stderr(&output));
        stdout(&output)
    };
    let added = apply(
        "c.secretsProviders = { secrets.SecretInEnvironment 'LUNABOT_X_', secrets.SecretInAFile 'secrets' }\n",
    );
    assert!(added.contains("+ secrets provider \"SecretInEnvironment LUNABOT_X_\": added"), "{added}");
    let changed = apply("c.secretsProviders = { secrets.SecretInAFile('secrets', { strip = false }) }\n");
    for line in [
        "- secrets provider \"SecretInEnvironment LUNABOT_X_\": removed",
        "~ secrets provider \"SecretInAFile secrets\": order 2 -> 1 (in place): applied",
        "~ secrets provider \"SecretInAFile secrets\": strip true -> false (in place): applied",
        // With the line end that its file has.
        "~ worker \"w1\": password … -> … (in place): applied",
    ] {
        assert!(changed.contains(line), "{line}: {changed}");
    }
}
