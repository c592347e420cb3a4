//! A LocalWorker, told what to run as a master would tell it.

mod faults;
mod files;
mod logs;
mod settings;
mod transfers;

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use tokio::time::timeout;

use super::{
    local::{self, StartError},
    session::{KILL_LIMIT, MAX_COMMANDS},
    testing::{Master, Told, argv, id, name, shell},
    *,
};
use crate::{
    exec::testing::{LIMIT, eventually, is_running, within},
    model::LogStream,
    protocol::{
        FailureReason, FromWorker, ShellArguments, ToWorker, Update, WorkerCommand,
        command::{CopyDirectory, EnvironmentChange},
    },
};

async fn gone(pids: &[u32]) {
    eventually("all are gone", || !pids.iter().any(|&id| is_running(id))).await;
}

fn pids(lines: &[String]) -> Vec<u32> {
    lines.iter().map(|line| line.parse().unwrap()).collect()
}

#[tokio::test]
async fn a_command_streams_its_output_and_tells_its_end_in_order() {
    let mut master = Master::start().await;
    let line = "for i in 1 2 3; do echo $i; while ! [ -e go$i ]; do sleep 0.01; done; done; exit 5";
    master.order(&id("1"), "b", ShellArguments { timeout: Some(LIMIT), ..shell(line) }).await;
    let mut told = Told::default();
    for i in 1..=3 {
        assert_eq!(master.lines(&mut told, i).await.last().unwrap(), &i.to_string());
        fs::write(master.builddir().join("build").join(format!("go{i}")), "").unwrap();
    }
    let told = master.rest(told).await;
    assert_eq!((told.rc, told.failure), (Some(5), None));
    let opening = format!(
        "{line}\n in dir {} (timeout 30 secs)\n watching logfiles {{}}\n argv: b'{line}'\n using PTY: False\n",
        master.builddir().join("build").display()
    );
    assert!(told.header.starts_with(&opening), "{}", told.header);
    assert!(told.header.contains("\nelapsedTime="));
}

#[tokio::test]
async fn bytes_arrive_as_they_came_however_long_the_line() {
    let mut master = Master::start().await;
    assert_eq!(master.run(shell("printf 'a\\377\\000\\r b'")).await.output, b"a\xff\0\r b");
    let told = master.run(shell("head -c 300000 /dev/zero | tr '\\0' x")).await;
    assert!(told.output == vec![b'x'; 300_000]);
}

#[tokio::test]
async fn a_death_by_signal_is_rc_minus_one_and_says_so() {
    let mut master = Master::start().await;
    let told = master.run(shell("kill -TERM $$")).await;
    assert_eq!((told.rc, told.reason, told.failure), (Some(-1), None, None));
    assert!(told.header.contains("process killed by signal 15\n"));
}

#[tokio::test]
async fn timeouts_kill_and_tell_why() {
    let mut master = Master::start().await;
    let short = Some(Duration::from_millis(200));
    let told = master.run(ShellArguments { timeout: short, ..shell("echo $$; sleep 1000") }).await;
    assert_eq!((told.rc, told.reason), (Some(-1), Some(FailureReason::TimeoutWithoutOutput)));
    assert!(
        told.header.contains(
            "\ncommand timed out: 0.2 seconds without output running b'echo $$; sleep 1000', \
             attempting to kill\nprocess killed by signal 9\n"
        ),
        "{}",
        told.header
    );
    gone(&pids(&[told.text().trim().to_owned()])).await;
    let told = master.run(ShellArguments { max_time: short, ..shell("sleep 1000") }).await;
    assert_eq!((told.rc, told.reason), (Some(-1), Some(FailureReason::Timeout)));
}

#[tokio::test]
async fn an_interrupt_kills_the_whole_group_and_tells_why() {
    let mut master = Master::start().await;
    master.order(&id("7"), "b", shell("(sleep 1000 & echo $!; wait) & echo $$; sleep 1000")).await;
    let mut told = Told::default();
    let pids = pids(&master.lines(&mut told, 2).await);
    master.say(ToWorker::Interrupt { id: id("7"), why: "stopped by ann".to_owned() }).await;
    let told = master.rest(told).await;
    assert_eq!((told.rc, told.reason, told.failure), (Some(-1), None, None));
    assert!(told.header.contains("command interrupted: stopped by ann, attempting to kill\n"));
    gone(&pids).await;
}

#[tokio::test]
async fn one_that_ends_well_when_it_is_told_to_stop_has_not_succeeded() {
    let mut master = Master::start().await;
    let line = "trap 'exit 0' TERM; echo ready; while :; do sleep 0.05; done";
    master.order(&id("1"), "b", ShellArguments { sigterm_time: Some(LIMIT), ..shell(line) }).await;
    let mut told = Told::default();
    master.lines(&mut told, 1).await;
    master.say(ToWorker::Interrupt { id: id("1"), why: String::new() }).await;
    assert_eq!(master.rest(told).await.rc, Some(-1));
}

#[tokio::test]
async fn environment_input_and_workdir_are_as_ordered() {
    let mut master = Master::start().await;
    let env = [
        ("MY_TOKEN".to_owned(), EnvironmentChange::Set("sesame".to_owned())),
        ("WHERE".to_owned(), EnvironmentChange::Set("<${PATH}>".to_owned())),
        ("HOME".to_owned(), EnvironmentChange::Unset),
    ];
    let arguments = ShellArguments {
        env: env.into(),
        workdir: "deep/er".to_owned(),
        stdin: Some("typed\n".into()),
        log_environ: true,
        ..shell(
            "cat; echo \"$MY_TOKEN $WHERE ${HOME-none}\"; echo \"$PWD\"; pwd -P; echo $LUNABOT_WORKER_DIR",
        )
    };
    let told = master.run(arguments).await;
    let path = std::env::var("PATH").unwrap();
    let dir = master.builddir().join("deep/er");
    let basedir = master.builddir().parent().unwrap().to_owned();
    let expected = format!(
        "typed\nsesame <{path}> none\n{dir}\n{dir}\n{basedir}\n",
        dir = dir.display(),
        basedir = basedir.display()
    );
    assert_eq!(told.text(), expected);
    assert!(told.header.contains("  MY_TOKEN=…\n") && !told.header.contains("sesame"), "{}", told.header);
}

#[tokio::test]
async fn what_cannot_be_started_says_so_and_has_the_code_of_a_shell() {
    let mut master = Master::start().await;
    let told = master.run(argv(&["no-such-tool", "-v"])).await;
    assert_eq!((told.rc, told.failure.as_deref()), (Some(127), None));
    assert!(told.text().starts_with("cannot start `no-such-tool`: no such program in `"), "{}", told.text());

    fs::write(master.builddir().join("build/text"), "no program").unwrap();
    let told = master.run(argv(&["./text"])).await;
    assert_eq!(told.rc, Some(126));
    assert_eq!(told.text(), "cannot start `./text`: it is not executable\n");
}

#[tokio::test]
async fn what_is_not_the_commands_fault_has_no_exit_code() {
    let mut master = Master::start().await;
    fs::create_dir_all(master.builddir().join("build")).unwrap();
    fs::write(master.builddir().join("build/text"), "no folder").unwrap();
    let told = master.run(ShellArguments { workdir: "build/text".to_owned(), ..shell(":") }).await;
    assert_eq!(told.rc, None);
    assert!(told.failure.unwrap().starts_with("cannot make the folder `"));
    let env = [("A=B".to_owned(), EnvironmentChange::Set(String::new()))].into();
    let told = master.run(ShellArguments { env, ..shell(":") }).await;
    assert_eq!(told.rc, None);
    assert!(told.failure.unwrap().starts_with("cannot set the variable `A=B`"));
    let copy = CopyDirectory {
        from: "build".to_owned(),
        to: "build/text/below/it".to_owned(),
        timeout: None,
        max_time: None,
        log_environ: false,
    };
    let told = master.carry_out(WorkerCommand::CopyDirectory(Box::new(copy))).await;
    assert_eq!(told.rc, None);
    assert!(told.failure.unwrap().starts_with("cannot make the folder `"));
}

#[tokio::test]
async fn orders_that_make_no_sense_are_answered() {
    let mut master = Master::start().await;
    master.order(&id("1"), "other", shell(":")).await;
    let told = master.rest(Told::default()).await;
    assert_eq!(told.failure.as_deref(), Some("this worker has no builder `other`"));

    master.set_builders(&[("b", "../outside"), ("c", "c")]).await;
    let told = master.run(shell(":")).await;
    let failure = "the worker does not take builder `b`: it has no folder: `../outside` is not below the worker's folder";
    assert_eq!(told.failure.as_deref(), Some(failure));
    assert!(!master.dir.path().join("workers/outside").exists());

    master.order(&id("1"), "c", ShellArguments { interrupt_signal: "SIGFOO".to_owned(), ..shell(":") }).await;
    let told = master.rest(Told::default()).await;
    assert!(told.failure.unwrap().contains("`SIGFOO` is no signal"));

    master.say(ToWorker::Interrupt { id: id("never"), why: String::new() }).await;
    master.say(ToWorker::Ping(42)).await;
    assert_eq!(master.heard().await, FromWorker::Pong(42));
}

#[tokio::test]
async fn a_ping_is_answered_and_an_order_heard_while_output_is_not_read() {
    let mut master = Master::start().await;
    master.order(&id("loud"), "b", shell("yes")).await;
    // Nothing is read meanwhile, so all queues fill; yet an order is carried out, and its traces can be seen.
    master.order(&id("quiet"), "b", shell("echo $$ > pid; exec sleep 1000")).await;
    // Its header has to go first.
    let mut told = Told::default();
    let pid_file = master.builddir().join("build/pid");
    while !pid_file.exists() {
        assert!(!master.hear(&mut told).await);
        told.output.clear();
    }
    eventually("the pid is written", || fs::read_to_string(&pid_file).is_ok_and(|text| text.ends_with('\n')))
        .await;
    let pid = pids(&[fs::read_to_string(&pid_file).unwrap().trim().to_owned()]);
    master.say(ToWorker::Ping(1)).await;
    master.say(ToWorker::Interrupt { id: id("quiet"), why: String::new() }).await;
    gone(&pid).await;
    master.say(ToWorker::Interrupt { id: id("loud"), why: String::new() }).await;
    let (mut pongs, mut completes) = (0, 0);
    while completes < 2 {
        match master.heard().await {
            FromWorker::Pong(1) => pongs += 1,
            FromWorker::Complete { .. } => completes += 1,
            _ => {}
        }
    }
    assert_eq!(pongs, 1);
}

#[tokio::test]
async fn a_dropped_link_kills_all_commands() {
    let mut master = Master::start().await;
    master.order(&id("1"), "b", shell("(sleep 1000 & echo $!; wait) & echo $$; sleep 1000")).await;
    let mut told = Told::default();
    let pids = pids(&master.lines(&mut told, 2).await);
    drop(master.link);
    // Killed at once, not given up after the limit.
    timeout(KILL_LIMIT / 2, master.task).await.expect("the commands are not killed at once").unwrap();
    // The signal has gone to all of them; the kernel takes its time with those that nobody waits for.
    gone(&pids).await;
}

#[tokio::test]
async fn a_shutdown_kills_all_commands_even_if_nobody_reads() {
    let mut master = Master::start().await;
    master.order(&id("1"), "b", shell("trap '' TERM; echo $$; yes")).await;
    let mut told = Told::default();
    let first = master.lines(&mut told, 1).await.swap_remove(0);
    master.say(ToWorker::Shutdown).await;
    within(master.task).await.unwrap();
    gone(&pids(&[first])).await;
}

#[tokio::test]
async fn commands_of_a_former_life_are_killed_at_the_start() {
    let dir = tempfile::tempdir().unwrap();
    let basedir = dir.path().canonicalize().unwrap().join("bot1");
    fs::create_dir(&basedir).unwrap();
    // As a master that was killed leaves it: marked, running, and nobody's.
    let spec = crate::exec::Spec {
        env: [("PATH".into(), std::env::var_os("PATH").unwrap())].into(),
        mark: Some(Mark { name: MARK.into(), value: basedir.clone().into() }),
        ..crate::exec::Spec::new(
            crate::exec::Program::Shell("setsid sh -c 'echo $$ > pid; exec sleep 1000' & wait".to_owned()),
            &basedir,
        )
    };
    let former = within(crate::exec::spawn(spec)).await.unwrap();
    let written = || fs::read_to_string(basedir.join("pid")).ok().filter(|text| text.ends_with('\n'));
    eventually("it runs", || written().is_some()).await;
    let left = pids(&[written().unwrap().trim().to_owned()]);
    assert!(is_running(left[0]));
    // By another way to the same folder.
    let roundabout = basedir.join("../bot1/.");
    let (link, task) = within(local::start(&name(), &roundabout)).await.unwrap();
    gone(&left).await;
    gone(&[former.id()]).await;
    drop(link);
    within(task).await.unwrap();
}

#[tokio::test]
async fn a_folder_that_cannot_be_written_is_told_with_a_hint() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    for bad in [file.join("bot1"), file, Path::new("/proc/bot1").to_owned()] {
        let error = within(local::start(&name(), &bad)).await.unwrap_err();
        assert!(matches!(error, StartError::Folder { .. }), "{error:?}");
        assert_eq!(error.to_string(), format!("cannot use the folder `{}` of worker `bot1`", bad.display()));
        assert!(!error.hint().is_empty());
    }
}

#[tokio::test]
async fn two_workers_never_work_in_one_folder() {
    let mut master = Master::start().await;
    master.order(&id("1"), "b", shell("echo ready; while ! [ -e go ]; do sleep 0.01; done")).await;
    let mut told = Told::default();
    master.lines(&mut told, 1).await;
    // By a link, too; and nothing of the first is taken for a leftover.
    let link = master.dir.path().join("link");
    std::os::unix::fs::symlink(master.dir.path().join("workers"), &link).unwrap();
    let error = within(local::start(&name(), &link.join("bot1"))).await.unwrap_err();
    let by = format!("of worker `bot1` is in use, by process {}", std::process::id());
    assert!(matches!(error, StartError::Taken { .. }) && error.to_string().ends_with(&by), "{error}");
    fs::write(master.builddir().join("build/go"), "").unwrap();
    assert_eq!(master.rest(told).await.rc, Some(0));
    // Once the first has ended, the next may begin.
    drop(master.link);
    within(master.task).await.unwrap();
    let (link, task) = within(local::start(&name(), &link.join("bot1"))).await.unwrap();
    drop(link);
    within(task).await.unwrap();
}

#[tokio::test]
async fn many_commands_run_at_once_and_one_too_many_is_refused() {
    let mut master = Master::start().await;
    // Each waits for a file, so that all are there at the same time.
    let line = "echo here; while ! [ -e ../go ]; do sleep 0.2; done; echo done";
    for number in 0..MAX_COMMANDS {
        let arguments = ShellArguments { workdir: format!("w{number}"), ..shell(line) };
        let id = id(&number.to_string());
        let command = WorkerCommand::Shell(Box::new(arguments));
        let start = ToWorker::Start { id, builder: Arc::from("b"), command };
        within(master.link.to_worker.send(start)).await.unwrap();
    }
    let mut here = 0;
    let mut done = 0;
    let mut completes = 0;
    let mut refused = None;
    while completes < MAX_COMMANDS {
        match master.heard().await {
            FromWorker::Update { update: Update::Output { stream: LogStream::Stdout, bytes }, .. } => {
                here += usize::from(bytes.starts_with(b"here"));
                done += usize::from(bytes.ends_with(b"done\n"));
                if here == MAX_COMMANDS && refused.is_none() {
                    refused = Some(String::new());
                    master.order(&id("too many"), "b", shell(":")).await;
                }
            }
            FromWorker::Complete { id, failure: Some(failure) } => {
                assert_eq!(id.as_str(), "too many");
                refused = Some(failure);
                fs::write(master.builddir().join("go"), "").unwrap();
            }
            FromWorker::Complete { .. } => completes += 1,
            FromWorker::Update { update: Update::Rc(rc), .. } => assert_eq!(rc, 0),
            _ => {}
        }
    }
    assert_eq!((here, done), (MAX_COMMANDS, MAX_COMMANDS));
    assert_eq!(refused.unwrap(), format!("{MAX_COMMANDS} commands run already, which is the limit"));
}
