//! Mistakes of ours, made on purpose: one command pays for each, and nobody else.

use super::*;
use crate::{
    exec::testing::FAULT,
    protocol::command::{RemoveDirectory, StatPath, UploadFile},
};

const FAILED: &str = "the worker failed while it ran this command";

fn faulty(line: &str, place: &str) -> ShellArguments {
    let env = [(FAULT.to_owned(), EnvironmentChange::Set(place.to_owned()))].into();
    ShellArguments { env, ..shell(line) }
}

#[tokio::test]
async fn a_panic_in_a_command_ends_that_command_and_no_other() {
    let mut master = Master::start().await;
    // It runs through all of them.
    master
        .order(&id("other"), "b", shell("echo $$; while ! [ -e go ]; do sleep 0.01; done; echo went on"))
        .await;
    let mut other = Told::default();
    let pid = pids(&master.lines(&mut other, 1).await);
    for place in ["start", "run", "relay"] {
        let told = master.run(faulty("echo $$ > pid; exec sleep 1000", place)).await;
        assert_eq!((told.rc, told.failure.as_deref()), (None, Some(FAILED)), "{place}");
        assert!(told.header.starts_with("echo $$ > pid"), "what was told before stays told");
    }
    // Nothing of them runs, nor is left to be reaped.
    let left = fs::read_to_string(master.builddir().join("build/pid")).unwrap_or_default();
    if let Ok(id) = left.trim().parse() {
        gone(&[id]).await;
    }
    assert!(is_running(pid[0]));
    fs::write(master.builddir().join("build/go"), "").unwrap();
    assert_eq!(master.rest(other).await.rc, Some(0));
    assert_eq!(master.run(shell("exit 3")).await.rc, Some(3));
}

#[tokio::test]
async fn a_panic_in_work_on_files_ends_that_command_and_no_other() {
    let mut master = Master::start().await;
    let stat = StatPath { workdir: String::new(), path: ".".to_owned() };
    let upload = UploadFile {
        workdir: String::new(),
        source: "x".to_owned(),
        max_size: None,
        block_size: 1000,
        keep_stamp: false,
    };
    let remove =
        RemoveDirectory { dirs: vec!["x".to_owned()], timeout: None, max_time: None, log_environ: false };
    let commands = [
        WorkerCommand::Stat(Box::new(stat.clone())),
        WorkerCommand::UploadFile(Box::new(upload)),
        WorkerCommand::RemoveDirectory(Box::new(remove)),
        WorkerCommand::MakeDirectory { dirs: vec!["x".to_owned()] },
        WorkerCommand::Glob { pattern: "*".to_owned() },
    ];
    for command in commands {
        let start = ToWorker::Start { id: id(FAULT), builder: Arc::from("b"), command: command.clone() };
        master.say(start).await;
        let told = master.rest(Told::default()).await;
        assert_eq!((told.rc, told.failure.as_deref()), (None, Some(FAILED)), "{command:?}");
    }
    assert_eq!(master.carry_out(WorkerCommand::Stat(Box::new(stat))).await.rc, Some(0));
}
