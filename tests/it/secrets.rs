//! Secrets, from where they lie to where they are used; and that they are seen nowhere else.

mod masked;
mod passwords;

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

use crate::support::{
    master::{HEAD, MasterDir},
    traces::{MARKER, secret},
};

/// The search of `tests/run`, which must find what is there.
#[path = "../traces/search.rs"]
mod search;

#[test]
fn the_search_for_secrets_finds_what_is_planted() {
    assert_eq!(search::prove_that_it_finds(), Ok(()));
    assert_eq!(search::MARKER, MARKER);
}

/// Puts a secret into the master's folder of secrets.
fn put(dir: &MasterDir, name: &str, text: &str) {
    let folder = dir.file("secrets");
    if !folder.exists() {
        fs::create_dir(&folder).unwrap();
        chmod(&folder, 0o700);
    }
    // As an operator does it who wants no half of it read.
    let (new, file) = (dir.file("new-secret"), folder.join(name));
    fs::write(&new, format!("{text}\n")).unwrap();
    chmod(&new, 0o600);
    fs::rename(new, file).unwrap();
}

fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn stdout(output: &std::process::Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn stderr(output: &std::process::Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn checkconfig_looks_for_secrets_without_running_anything() {
    let config = |providers: &str| {
        format!(
            "{HEAD}local secrets = p.secrets\n{providers}\n\
             c.protocols = {{ pb = {{ port = 9989 }} }}\n\
             c.workers = {{ worker.Worker('w1', util.Secret 'w1') }}\n\
             c.builders = {{ util.BuilderConfig {{ name = 'b', workername = 'w1', factory = util.BuildFactory {{\n\
             steps.ShellCommand {{ command = 'login', env = {{ A = util.Secret 'step' }} }} }} }} }}\n\
             c.schedulers = {{ schedulers.ForceScheduler('force', {{ 'b' }}) }}\n"
        )
    };
    let dir = MasterDir::new(&config(""));
    let checked = dir.run("checkconfig", &[]);
    assert_eq!(checked.status.code(), Some(1));
    let root = dir.path().display();
    assert_eq!(
        stdout(&checked),
        format!(
            "master.cfg.lua:6:15: cannot have the secret `w1`: no provider has it; looked for the file {root}/secrets/w1\n\
             master.cfg.lua:8:1: warning: cannot have the secret `step`: no provider has it; looked for the file {root}/secrets/step\n"
        )
    );
    put(&dir, "w1", &secret("w1"));
    let checked = dir.run("checkconfig", &[]);
    assert!(checked.status.success() && stdout(&checked).contains("secret `step`"), "{}", stdout(&checked));
    put(&dir, "step", &secret("step"));
    chmod(&dir.file("secrets/w1"), 0o644);
    let checked = stdout(&dir.run("checkconfig", &[]));
    let (line, good) = checked.split_once('\n').unwrap();
    assert!(line.contains("secrets/w1 is open to others (mode 0644); run `chmod 600 "), "{line}");
    assert_eq!(good, "");
    // A program might be asked, and is not.
    let providers = "c.secretsProviders = { secrets.SecretInCommand { command = { 'touch', 'ran' } } }";
    fs::write(dir.file("master.cfg.lua"), config(providers)).unwrap();
    let checked = dir.run("checkconfig", &[]);
    assert!(checked.status.success());
    let warning = "master.cfg.lua:6:15: warning: the secret `w1` is not looked for here, since that would run a program\n";
    assert!(stdout(&checked).starts_with(warning), "{}", stdout(&checked));
    assert!(!dir.file("ran").exists());
    assert!(!stdout(&checked).contains(MARKER));
}

#[test]
fn a_new_master_has_a_folder_for_secrets_that_nobody_else_can_read() {
    let parent = tempfile::Builder::new().prefix("lb").tempdir_in("/tmp").unwrap();
    let path = parent.path().join("m");
    let made = crate::support::master::lunabot().arg("create-master").arg(&path).output().unwrap();
    assert!(made.status.success(), "{}", stderr(&made));
    let mode = fs::metadata(path.join("secrets")).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o700);
}
