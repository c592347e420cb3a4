//! Workers of other times: what they are asked, and in which words.

use super::{
    super::{
        broker::{Broker, Called, Said},
        failure::{Failure, NO_SUCH_METHOD},
    },
    *,
};
use crate::protocol::command::{DownloadFile, RemoveDirectory, UploadDirectory, UploadFile};

/// A worker spoken word by word, that knows these methods only: what it is asked, and what is told of it.
fn asked_of(answers: &[(&str, Value)]) -> (Vec<String>, WorkerInfo) {
    let mut master = MasterSession::new(CHALLENGE);
    let mut peer: Broker<(), ()> = Broker::client(Limits::FRIEND);
    let bot = peer.publish(());
    let (mut asked, mut told) = (Vec::new(), Vec::new());
    loop {
        let (to_peer, to_master) = (master.poll_output(), peer.take_output());
        if to_peer.is_none() && to_master.is_none() {
            break;
        }
        master.handle_input(&to_master.unwrap_or_default()).unwrap();
        while let Some(event) = master.poll_event() {
            match event {
                SessionEvent::Login(_) => master.accept_login(),
                other => told.push(other),
            }
        }
        peer.extend(&to_peer.unwrap_or_default()).unwrap();
        while let Some(said) = peer.said().unwrap() {
            match said {
                Said::Agreed => peer.call(Called::Root, "login", &[Value::text("old")], &[], ()).unwrap(),
                Said::Answer { answer: Ok(Value::Tuple(items)), .. } => {
                    let &[_, Value::Remote(challenger)] = items.as_slice() else { panic!("{items:?}") };
                    let args = [Value::Bytes(Bytes::new()), Value::Remote(bot)];
                    peer.call(Called::Object(challenger), "respond", &args, &[], ()).unwrap();
                }
                Said::Call(call) => {
                    let method = String::from_utf8(call.method.to_vec()).unwrap();
                    match answers.iter().find(|(name, _)| *name == method) {
                        Some((_, answer)) => peer.answer(call.reply, answer),
                        None => peer.refuse(call.reply, &Failure::new(NO_SUCH_METHOD, "no")),
                    }
                    asked.push(method);
                }
                other => panic!("{other:?}"),
            }
        }
    }
    let [SessionEvent::Message(FromWorker::Hello(info))] = &told[..] else { panic!("{told:?}") };
    (asked, info.clone())
}

fn bytes(text: &'static str) -> Value {
    Value::Bytes(Bytes::from_static(text.as_bytes()))
}

#[test]
fn a_worker_before_0_9_is_asked_by_the_older_name_and_its_commands_have_the_newer_one() {
    let commands = Value::Dict(vec![(bytes("shell"), bytes("2.16"))]);
    let facts = Value::Dict(vec![
        (bytes("host"), bytes("vax")),
        (bytes("slave_commands"), commands),
        (bytes("version"), bytes("0.8.12")),
        (bytes("environ"), Value::Dict(vec![(bytes("TOKEN"), bytes("sesame"))])),
    ]);
    let (asked, info) = asked_of(&[("getSlaveInfo", facts)]);
    assert_eq!(asked, ["print", "getWorkerInfo", "getSlaveInfo"]);
    let wanted = serde_json::json!({
        "host": "vax", "version": "0.8.12", "worker_commands": { "shell": "2.16" },
    });
    assert_eq!(serde_json::to_value(info).unwrap(), wanted);
}

#[test]
fn a_worker_that_tells_no_commands_is_asked_for_them_and_for_its_version() {
    let facts = Value::Dict(vec![(bytes("host"), bytes("vax"))]);
    let commands = Value::Dict(vec![(bytes("shell"), bytes("2.1"))]);
    let (asked, info) =
        asked_of(&[("getSlaveInfo", facts), ("getCommands", commands), ("getVersion", bytes("0.7.6"))]);
    assert_eq!(asked, ["print", "getWorkerInfo", "getSlaveInfo", "getCommands", "getVersion"]);
    let wanted = serde_json::json!({
        "host": "vax", "version": "0.7.6", "worker_commands": { "shell": "2.1" },
    });
    assert_eq!(serde_json::to_value(info).unwrap(), wanted);
}

#[test]
fn a_worker_that_answers_nothing_attaches_without_facts() {
    let (asked, info) = asked_of(&[("getVersion", Value::Opaque)]);
    assert_eq!(asked, ["print", "getWorkerInfo", "getSlaveInfo", "getCommands", "getVersion"]);
    assert_eq!(info, WorkerInfo::default());
}

fn attached(commands: &[(&'static str, &'static str)]) -> Pair {
    Pair::with_commands("pass1", commands).attach(&["b1"])
}

/// Why the worker is not even asked.
fn refusal(commands: &[(&'static str, &'static str)], command: WorkerCommand) -> String {
    let mut pair = attached(commands);
    pair.order(ToWorker::Start { id: CommandId::new("1"), builder: "b1".into(), command });
    assert_eq!(pair.seen, [], "the worker has not heard of it");
    let news = pair.news();
    let [FromWorker::Complete { failure: Some(failure), .. }] = news.as_slice() else { panic!("{news:?}") };
    failure.clone()
}

#[test]
fn a_command_that_the_worker_does_not_know_fails_with_the_version_of_the_worker() {
    let failure = refusal(&[("shell", "3.0")], WorkerCommand::RemoveFile { path: "a".into() });
    assert_eq!(failure, "the worker does not know the command `rmfile`; it has version 4.3.0");
}

#[test]
fn a_worker_that_cannot_hide_a_word_runs_it_and_the_log_says_so() {
    let words = vec!["sesame".to_owned()];
    let wanted = ShellArguments {
        command: ShellLine::Argv(words.clone()),
        shown: Some(vec!["<db>".into()]),
        ..shell("")
    };
    let mut pair = attached(&[("shell", "2.15")]);
    let command = pair.begin(WorkerCommand::Shell(Box::new(wanted)));
    assert_eq!(command.argument("command"), Some(&Value::List(vec![Value::text("sesame")])));
    let news = pair.news();
    let [FromWorker::Update { update: Update::Output { bytes, .. }, .. }] = news.as_slice() else {
        panic!("{news:?}")
    };
    let note = String::from_utf8(bytes.to_vec()).unwrap();
    assert!(
        note.contains("to hide a secret in its command") && note.ends_with("; its own log shows it\n"),
        "{note}"
    );
    assert!(!note.contains("sesame"));
}

#[test]
fn options_of_shell_that_the_worker_is_too_old_for_are_left_out_and_the_log_says_so() {
    let wanted = ShellArguments {
        use_pty: true,
        max_lines: Some(5),
        sigterm_time: Some(std::time::Duration::from_secs(1)),
        interrupt_signal: "INT".into(),
        ..shell("make")
    };
    let all = ["usePTY", "interruptSignal", "sigtermTime", "max_lines"];
    for (version, has) in
        [("2.6", 0), ("2.7", 1), ("2.14", 1), ("2.15", 2), ("2.16", 3), ("3.2", 3), ("3.3", 4)]
    {
        let mut pair = attached(&[("shell", version)]);
        let command = pair.begin(WorkerCommand::Shell(Box::new(wanted.clone())));
        for (place, key) in all.iter().enumerate() {
            assert_eq!(command.argument(key).is_some(), place < has, "{version}: {key}");
        }
        let news = pair.news();
        match (has, news.as_slice()) {
            (4, []) => {}
            (
                _,
                [
                    FromWorker::Update {
                        update: Update::Output { stream: LogStream::Header, bytes }, ..
                    },
                ],
            ) => {
                let note = String::from_utf8(bytes.to_vec()).unwrap();
                assert_eq!(note.lines().count(), 4 - has, "{note}");
                assert!(note.contains(&format!("`shell`, which is {version}")), "{note}");
            }
            other => panic!("{version}: {other:?}"),
        }
    }
}

#[test]
fn an_old_worker_is_not_bothered_by_options_that_nobody_asked_for() {
    let mut pair = attached(&[]);
    let command = pair.begin(WorkerCommand::Shell(Box::new(shell("make"))));
    assert_eq!(command.argument("command"), Some(&Value::text("make")));
    assert_eq!(command.argument("usePTY"), None);
    assert_eq!(pair.news(), []);
}

fn upload(keep_stamp: bool) -> WorkerCommand {
    WorkerCommand::UploadFile(Box::new(UploadFile {
        workdir: "build".into(),
        source: "a".into(),
        max_size: None,
        block_size: 1,
        keep_stamp,
    }))
}

#[test]
fn transfers_below_3_0_are_told_in_the_older_words() {
    let directory = UploadDirectory {
        workdir: "build".into(),
        source: "a".into(),
        max_size: None,
        block_size: 1,
        compress: None,
    };
    let download = DownloadFile {
        workdir: "build".into(),
        destination: "a".into(),
        max_size: None,
        block_size: 1,
        mode: None,
    };
    for (name, older, newer, command) in [
        ("uploadFile", "slavesrc", "workersrc", upload(false)),
        ("uploadDirectory", "slavesrc", "workersrc", WorkerCommand::UploadDirectory(Box::new(directory))),
        ("downloadFile", "slavedest", "workerdest", WorkerCommand::DownloadFile(Box::new(download))),
    ] {
        for (version, key, other) in [("2.16", older, newer), ("3.0", newer, older), ("10.0", newer, older)] {
            let started = attached(&[(name, version)]).begin(command.clone());
            assert_eq!(started.argument(key), Some(&Value::text("a")), "{name} {version}");
            assert_eq!(started.argument(other), None, "{name} {version}");
        }
    }
}

#[test]
fn times_of_files_are_not_asked_of_who_cannot_tell_them() {
    let failure = refusal(&[("uploadFile", "2.12")], upload(true));
    assert!(
        failure.contains("needs version 2.13 of the worker's command `uploadFile`, which is 2.12"),
        "{failure}"
    );
    attached(&[("uploadFile", "2.13")]).begin(upload(true));
    attached(&[("uploadFile", "2.12")]).begin(upload(false));
}

#[test]
fn several_folders_are_removed_at_once_by_who_can() {
    let remove = |dirs: &[&str]| {
        WorkerCommand::RemoveDirectory(Box::new(RemoveDirectory {
            dirs: dirs.iter().map(|dir| (*dir).to_owned()).collect(),
            timeout: None,
            max_time: None,
            log_environ: false,
        }))
    };
    let one = attached(&[("rmdir", "2.13")]).begin(remove(&["a"]));
    assert_eq!(one.argument("dir"), Some(&Value::text("a")));
    let failure = refusal(&[("rmdir", "2.13")], remove(&["a", "b"]));
    assert!(failure.contains("version 2.14"), "{failure}");
    let two = attached(&[("rmdir", "2.14")]).begin(remove(&["a", "b"]));
    assert_eq!(two.argument("dir"), Some(&Value::List(vec![Value::text("a"), Value::text("b")])));
    assert_eq!(refusal(&[("rmdir", "3.3")], remove(&[])), "there is no folder to remove");
}
