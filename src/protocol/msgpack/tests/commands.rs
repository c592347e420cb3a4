//! Commands, their news, and files on their way.

use std::{collections::BTreeMap, time::Duration};

use bytes::Bytes;

use super::*;
use crate::{
    model::LogStream,
    protocol::{
        FailureReason, Transfer, TransferReply, Update,
        command::{
            Compression, CopyDirectory, DownloadFile, EnvironmentChange, LogFile, RemoveDirectory, ShellLine,
            StatPath, UploadDirectory, UploadFile,
        },
        message::FileStat,
    },
};

fn output(stream: LogStream, text: &str) -> Update {
    Update::Output { stream, bytes: Bytes::copy_from_slice(text.as_bytes()) }
}

/// What a recorded message tells of a command, its id replaced by that of the recording.
fn told(recording: &str, id: &str) -> Vec<FromWorker> {
    let mut pair = Pair::attached(&["b1"]);
    pair.events();
    pair.order(start(id, "b1"));
    pair.master.handle_message(&recorded(recording)).unwrap();
    pair.news()
}

fn updates(recording: &str, id: &str) -> Vec<Update> {
    let update = |news| match news {
        FromWorker::Update { update, .. } => update,
        other => panic!("{other:?}"),
    };
    told(recording, id).into_iter().map(update).collect()
}

#[test]
fn news_of_a_real_worker_are_told_as_they_are() {
    let elapsed =
        |update: &Update| matches!(update, Update::Elapsed(time) if *time < Duration::from_secs(60));
    let [header, out, err] = &updates("update_output", "6")[..] else { panic!("three") };
    let Update::Output { stream: LogStream::Header, bytes } = header else { panic!("{header:?}") };
    assert!(bytes.starts_with("echo größe".as_bytes()) && bytes.ends_with(b" using PTY: False\n"));
    assert_eq!([out, err], [&output(LogStream::Stdout, "größe\n"), &output(LogStream::Stderr, "err\n")]);

    let [log, rc, header, time, last] = &updates("update_log", "6")[..] else { panic!("five") };
    assert_eq!(log, &Update::Log { name: "f".into(), bytes: Bytes::from_static(b"a\n") });
    assert_eq!(rc, &Update::Rc(3));
    assert!(matches!(header, Update::Output { stream: LogStream::Header, .. }) && elapsed(time));
    assert_eq!(last, &Update::Log { name: "f".into(), bytes: Bytes::from_static(b"b\n") });

    let killed = updates("update_timeout", "7");
    assert_eq!(killed[0], Update::FailureReason(FailureReason::TimeoutWithoutOutput));
    assert!(killed.contains(&Update::Rc(-1)), "{killed:?}");
    assert!(updates("update_interrupted", "13").contains(&Update::Rc(-1)));

    let stat = updates("update_stat", "4");
    let Update::Stat(stat) = &stat[0] else { panic!("{stat:?}") };
    assert!(
        stat.mode & 0o170_000 == 0o040_000 && stat.inode > 0 && stat.modified_at > 1_700_000_000,
        "{stat:?}"
    );
    let listed = updates("update_listdir", "3");
    let Update::Files(names) = &listed[0] else { panic!("{listed:?}") };
    assert!(names.contains(&"b1".into()) && names.contains(&"buildbot.tac".into()), "{names:?}");
    assert_eq!(
        updates("update_glob", "5")[0],
        Update::Files(vec!["/tmp/bot/b1".into(), "/tmp/bot/buildbot.tac".into()])
    );
    let failed = updates("update_mkdir_failed", "2");
    assert!(matches!(failed[..], [Update::Rc(2) | Update::Output { .. }, ..]), "{failed:?}");
}

#[test]
fn a_command_ends_once_whatever_comes_first() {
    assert_eq!(told("complete", "1"), [completed("1", None)]);
    let [FromWorker::Complete { failure: Some(failure), .. }] = &told("complete_failed", "8")[..] else {
        panic!("one end")
    };
    assert!(failure.contains("Unexpected usePTY argument"), "{failure}");

    let mut pair = Pair::attached(&["b1"]);
    pair.events();
    pair.order(start("1", "b1"));
    let request = pair.request("shell");
    // The end may come before the answer to the start, and news after the end are nobody's.
    pair.complete("1", Value::Nil);
    pair.answer_to(&request, Value::Nil);
    pair.complete("1", "again".into());
    pair.update("1", "rc", 0.into());
    assert_eq!(pair.news(), [completed("1", None)]);
}

#[test]
fn a_command_that_the_worker_does_not_start_has_failed() {
    let mut pair = Pair::attached(&["b1"]);
    pair.events();
    pair.order(start("9", "b1"));
    let request = pair.request("shell");
    let refusal = map([
        ("op", "response".into()),
        ("seq_number", request["seq_number"].clone()),
        ("result", "(command 9): unrecognized WorkerCommand 'shell'".into()),
        ("is_exception", true.into()),
    ]);
    pair.say(&refusal);
    pair.say(&refusal);
    assert_eq!(pair.news(), [completed("9", Some("(command 9): unrecognized WorkerCommand 'shell'"))]);
    pair.order(start("10", "nobody"));
    assert_eq!(pair.news(), [completed("10", Some("this worker has no builder `nobody`"))]);
    assert!(pair.asked_nothing());
}

#[test]
fn several_commands_run_at_once_and_news_find_their_own() {
    let mut pair = Pair::attached(&["b1", "b2"]);
    pair.events();
    for (id, builder) in [("1", "b1"), ("2", "b2"), ("3", "b2")] {
        pair.order(start(id, builder));
    }
    for id in ["3", "1", "2"] {
        pair.update(id, "rc", id.parse::<i32>().unwrap().into());
    }
    pair.update("4", "rc", 4.into());
    let rc = |id: &str, rc| FromWorker::Update { id: CommandId::new(id), update: Update::Rc(rc) };
    assert_eq!(pair.news(), [rc("3", 3), rc("1", 1), rc("2", 2)]);
}

#[test]
fn an_interrupt_reaches_the_command_or_ends_what_has_not_begun() {
    let mut pair = Pair::attached(&["b1"]);
    pair.events();
    pair.order(set_builders(&["b1", "b2"]));
    pair.order(start("1", "b1"));
    pair.order(start("2", "b2"));
    for id in ["1", "2", "3"] {
        pair.order(ToWorker::Interrupt { id: CommandId::new(id), why: "enough".into() });
    }
    let request = pair.request("interrupt_command");
    assert_eq!((&request["command_id"], &request["why"]), (&"1".into(), &"enough".into()));
    assert_eq!(pair.news(), [completed("2", Some("interrupted before it began: enough"))]);
    pair.complete("1", Value::Nil);
    assert_eq!(pair.news(), [completed("1", None)]);
}

#[test]
fn at_the_end_of_a_link_its_commands_are_ended_too() {
    let mut pair = Pair::attached(&["b1"]);
    pair.order(start("1", "b1"));
    pair.order(start("2", "b1"));
    pair.master.interrupt_all("the end");
    let mut ids = [pair.request("interrupt_command"), pair.request("interrupt_command")]
        .map(|request| request["command_id"].as_str().unwrap().to_owned());
    ids.sort();
    assert_eq!(ids, ["1", "2"]);
}

#[test]
fn a_ping_is_answered_with_its_number_and_shutdown_is_asked_for() {
    let mut pair = Pair::attached(&["b1"]);
    pair.events();
    pair.order(ToWorker::Ping(7));
    pair.answer("keepalive", Value::Nil);
    assert_eq!(pair.news(), [FromWorker::Pong(7)]);
    pair.order(ToWorker::Shutdown);
    pair.request("shutdown");
}

#[test]
fn blocks_of_a_file_are_answered_by_the_masters_reply_and_not_before() {
    let mut pair = Pair::attached(&["b1"]);
    pair.events();
    pair.order(start("1", "b1"));
    pair.request("shell");
    let transfer = |transfer| FromWorker::Transfer { id: CommandId::new("1"), transfer };
    let reply = |reply| ToWorker::Reply { id: CommandId::new("1"), reply };

    for op in ["update_upload_file_write", "update_upload_directory_write"] {
        let block = Value::Binary(vec![0, 255, 7]);
        assert_eq!(pair.call(op, "1", vec![("args", block)]), None);
        assert_eq!(pair.news(), [transfer(Transfer::Write(Bytes::from_static(&[0, 255, 7])))]);
        pair.order(reply(TransferReply::Taken));
        let answer = pair.answer_of(pair.next_seq - 1).unwrap();
        assert_eq!((&answer["result"], is_exception(&answer)), (&Value::Nil, false));
    }
    for (data, wanted) in [(&b"hello"[..], &b"hello"[..]), (b"", b"")] {
        assert_eq!(pair.call("update_read_file", "1", vec![("length", 16_384.into())]), None);
        assert_eq!(pair.news(), [transfer(Transfer::Read { most: 16_384 })]);
        pair.order(reply(TransferReply::Data(Bytes::copy_from_slice(data))));
        assert_eq!(pair.answer_of(pair.next_seq - 1).unwrap()["result"], Value::Binary(wanted.into()));
    }
    // A reply that nobody waits for is not heard.
    pair.order(reply(TransferReply::Taken));
    assert!(pair.asked_nothing() && pair.answers.is_empty());
}

#[test]
fn the_end_of_a_file_and_its_times_are_answered_at_once() {
    let mut pair = Pair::attached(&["b1"]);
    pair.events();
    pair.order(start("10", "b1"));
    for recording in ["upload_close", "upload_utime"] {
        pair.master.handle_message(&recorded(recording)).unwrap();
    }
    pair.listen();
    assert_eq!(pair.answers.len(), 2);
    let id = CommandId::new("10");
    let [FromWorker::Transfer { transfer: first, .. }, FromWorker::Transfer { id: whose, transfer }] =
        &pair.news()[..]
    else {
        panic!("two")
    };
    assert_eq!((first, whose), (&Transfer::Close, &id));
    assert!(
        matches!(transfer, Transfer::Times { accessed_at, modified_at } if accessed_at > &1.7e9 && modified_at > &1.7e9),
        "{transfer:?}"
    );
    assert!(matches!(
        told("upload_directory_unpack", "11")[..],
        [FromWorker::Transfer { transfer: Transfer::Unpack, .. }]
    ));
    assert!(matches!(
        told("read_file_close", "12")[..],
        [FromWorker::Transfer { transfer: Transfer::Close, .. }]
    ));
    assert!(matches!(
        told("read_file", "12")[..],
        [FromWorker::Transfer { transfer: Transfer::Read { most: 16_384 }, .. }]
    ));
    assert!(
        matches!(&told("upload_write", "10")[..], [FromWorker::Transfer { transfer: Transfer::Write(block), .. }] if block == &"x".repeat(16))
    );
}

#[test]
fn a_block_that_nobody_waits_for_is_answered_so_that_the_worker_goes_on() {
    let mut pair = Pair::attached(&["b1"]);
    pair.events();
    // Of an earlier connection.
    let answer = pair.call("update_read_file", "old", vec![("length", 9.into())]).unwrap();
    assert_eq!(answer["result"], Value::Binary(vec![]));
    assert_eq!(pair.call("update_upload_file_write", "old", vec![]).unwrap()["result"], Value::Nil);
    // Of a command that ends before its block is answered.
    pair.order(start("1", "b1"));
    assert_eq!(pair.call("update_read_file", "1", vec![("length", 9.into())]), None);
    let seq = pair.next_seq - 1;
    pair.complete("1", Value::Nil);
    assert_eq!(pair.answer_of(seq).unwrap()["result"], Value::Binary(vec![]));
}

/// What a worker in this folder of this system is told to run, for builder `b1`.
fn told_to_run(system: &str, basedir: &str, command: WorkerCommand) -> (String, Value) {
    let home = map([("HOME", "/home/me".into()), ("USERPROFILE", r"C:\Users\me".into())]);
    let info = map([("basedir", basedir.into()), ("system", system.into()), ("environ", home)]);
    let mut pair = Pair::introduced(info);
    pair.order(set_builders(&["b1"]));
    pair.done("mkdir", 0);
    pair.order(start_with("1", "b1", command));
    let request = pair.request("start_command");
    (request["command_name"].as_str().unwrap().to_owned(), request["args"].clone())
}

fn on_posix(command: WorkerCommand) -> (String, Value) {
    told_to_run("posix", "/w", command)
}

#[test]
fn a_shell_command_has_all_its_options_and_an_absolute_folder() {
    let mut arguments = ShellArguments::sample("make");
    arguments.env = BTreeMap::from([
        ("A".to_owned(), EnvironmentChange::Set("${B}".into())),
        ("P".to_owned(), EnvironmentChange::Joined(vec!["x".into(), "y".into()])),
        ("U".to_owned(), EnvironmentChange::Unset),
    ]);
    arguments.stdin = Some(Bytes::from_static("größe".as_bytes()));
    arguments.timeout = Some(Duration::from_secs(1200));
    arguments.max_time = Some(Duration::from_millis(1500));
    arguments.max_lines = Some(10);
    arguments.log_files = vec![LogFile { name: "l".into(), path: "f.log".into(), follow: true }];
    let wanted = map([
        ("workdir", "/w/b1-dir/build".into()),
        ("env", map([("A", "${B}".into()), ("P", list(["x".into(), "y".into()])), ("U", Value::Nil)])),
        ("want_stdout", true.into()),
        ("want_stderr", true.into()),
        ("logfiles", map([("l", map([("filename", "f.log".into()), ("follow", true.into())]))])),
        ("timeout", 1200.into()),
        ("maxTime", 1.5.into()),
        ("max_lines", 10.into()),
        ("sigtermTime", Value::Nil),
        ("usePTY", false.into()),
        ("logEnviron", false.into()),
        ("initial_stdin", "größe".into()),
        ("interruptSignal", "KILL".into()),
        ("command", "make".into()),
    ]);
    assert_eq!(on_posix(WorkerCommand::Shell(Box::new(arguments.clone()))), ("shell".into(), wanted));
    arguments.use_pty = true;
    arguments.command = ShellLine::Argv(vec!["a".into(), "b c".into()]);
    let (_, said) = on_posix(WorkerCommand::Shell(Box::new(arguments.clone())));
    assert_eq!((&said["usePTY"], &said["command"]), (&true.into(), &list(["a".into(), "b c".into()])));

    arguments.stdin = Some(Bytes::from_static(&[0xff]));
    let mut pair = Pair::attached(&["b1"]);
    pair.events();
    pair.order(start_with("1", "b1", WorkerCommand::Shell(Box::new(arguments))));
    assert!(
        matches!(&pair.news()[..], [FromWorker::Complete { failure: Some(why), .. }] if why.contains("not UTF-8"))
    );
}

#[test]
fn a_hidden_word_is_told_only_to_a_worker_that_says_it_knows_such_words() {
    let words = ["login", "sesame"].map(str::to_owned).to_vec();
    let mut arguments = ShellArguments::sample("");
    arguments.command = ShellLine::Argv(words);
    arguments.shown = Some(vec!["login".into(), "<db>".into()]);
    let hidden = list(["obfuscated".into(), "sesame".into(), "<db>".into()]);
    for (told, second) in [
        (None, "sesame".into()),
        (Some(false.into()), "sesame".into()),
        (Some(1.into()), "sesame".into()),
        (Some(true.into()), hidden),
    ] {
        let mut facts = vec![("basedir".into(), "/w".into()), ("system".into(), "posix".into())];
        facts.extend(told.map(|told| ("lunabot_hides_words".into(), told)));
        let mut pair = Pair::introduced(Value::Map(facts));
        pair.order(set_builders(&["b1"]));
        pair.done("mkdir", 0);
        pair.order(start_with("1", "b1", WorkerCommand::Shell(Box::new(arguments.clone()))));
        assert_eq!(pair.request("shell")["args"]["command"], list(["login".into(), second]));
        let FromWorker::Hello(info) = &pair.news()[0] else { panic!("a greeting") };
        assert!(!info.0.contains_key("lunabot_hides_words"));
    }
}

#[test]
fn each_command_has_the_words_of_its_worker_and_absolute_paths() {
    let upload = |source: &str| UploadFile {
        workdir: "build".into(),
        source: source.into(),
        max_size: None,
        block_size: 1 << 30,
        keep_stamp: true,
    };
    let said = on_posix(WorkerCommand::UploadFile(Box::new(upload("a/f"))));
    let wanted = map([
        ("path", "/w/b1-dir/build/a/f".into()),
        ("maxsize", Value::Nil),
        ("blocksize", 655_360.into()),
        ("keepstamp", true.into()),
    ]);
    assert_eq!(said, ("upload_file".into(), wanted));
    let path = |(_, args): (String, Value)| args["path"].as_str().unwrap().to_owned();
    for (source, posix, nt) in [
        ("~/f", "/home/me/f", r"C:\Users\me/f"),
        ("/abs", "/abs", "C:/abs"),
        (r"D:\f", r"/w/b1-dir/build/D:\f", r"D:\f"),
        ("f", "/w/b1-dir/build/f", r"C:\w\b1-dir\build\f"),
    ] {
        let command = WorkerCommand::UploadFile(Box::new(upload(source)));
        assert_eq!(path(on_posix(command.clone())), posix);
        assert_eq!(path(told_to_run("nt", r"C:\w", command)), nt);
    }
    let directory = UploadDirectory {
        workdir: "build".into(),
        source: "d".into(),
        max_size: Some(9),
        block_size: 0,
        compress: Some(Compression::Bzip2),
    };
    let wanted = map([
        ("path", "/w/b1-dir/build/d".into()),
        ("maxsize", 9.into()),
        ("blocksize", 1.into()),
        ("compress", "bz2".into()),
    ]);
    assert_eq!(
        on_posix(WorkerCommand::UploadDirectory(Box::new(directory))),
        ("upload_directory".into(), wanted)
    );
    let download = DownloadFile {
        workdir: "build".into(),
        destination: "~/d".into(),
        max_size: None,
        block_size: 16_384,
        mode: Some(0o600),
    };
    let wanted = map([
        ("path", "/home/me/d".into()),
        ("maxsize", Value::Nil),
        ("blocksize", 16_384.into()),
        ("mode", 0o600.into()),
    ]);
    assert_eq!(on_posix(WorkerCommand::DownloadFile(Box::new(download))), ("download_file".into(), wanted));
    let remove = RemoveDirectory {
        dirs: vec!["a".into(), "/b".into()],
        timeout: None,
        max_time: Some(Duration::from_secs(5)),
        log_environ: false,
    };
    let wanted = map([
        ("paths", list(["/w/b1-dir/a".into(), "/b".into()])),
        ("timeout", Value::Nil),
        ("maxTime", 5.into()),
        ("logEnviron", false.into()),
    ]);
    assert_eq!(on_posix(WorkerCommand::RemoveDirectory(Box::new(remove))), ("rmdir".into(), wanted));
    let copy = CopyDirectory {
        from: "a".into(),
        to: "b".into(),
        timeout: Some(Duration::from_secs(120)),
        max_time: None,
        log_environ: true,
    };
    let (name, args) = on_posix(WorkerCommand::CopyDirectory(Box::new(copy)));
    assert_eq!(
        (name.as_str(), &args["from_path"], &args["to_path"]),
        ("cpdir", &"/w/b1-dir/a".into(), &"/w/b1-dir/b".into())
    );
    let stat = StatPath { workdir: "build".into(), path: "f".into() };
    for (command, name, path) in [
        (WorkerCommand::Stat(Box::new(stat)), "stat", "/w/b1-dir/build/f"),
        (WorkerCommand::Glob { pattern: "**/*.c".into() }, "glob", "/w/b1-dir/**/*.c"),
        (WorkerCommand::ListDirectory { dir: "build".into() }, "listdir", "/w/b1-dir/build"),
        (WorkerCommand::RemoveFile { path: "~/f".into() }, "rmfile", "/home/me/f"),
    ] {
        assert_eq!(on_posix(command), (name.into(), map([("path", path.into())])));
    }
}

#[test]
fn numbers_that_do_not_fit_are_cut_off_and_nonsense_is_left_out() {
    let mut pair = Pair::attached(&["b1"]);
    pair.events();
    pair.order(start("1", "b1"));
    for (key, value) in [
        ("rc", Value::from(u64::MAX)),
        ("rc", "3".into()),
        ("elapsed", (-1.0).into()),
        ("elapsed", f64::NAN.into()),
        ("failure_reason", "weather".into()),
        ("stat", list([1.into()])),
        ("files", "f".into()),
        ("stdout", Value::Nil),
        ("stdout", list([])),
        ("stdout", list([list([]), list([]), list([])])),
        ("log", list(["name".into()])),
        ("unknown", 1.into()),
        // Old and odd, but clear.
        ("stdout", "plain".into()),
        ("elapsed", 2.into()),
        ("stat", Value::Array(vec![u64::MAX.into(); 10])),
    ] {
        pair.update("1", key, value);
    }
    for args in [Value::Nil, "x".into(), list(["rc".into(), 0.into()]), list([list(["rc".into()])])] {
        pair.call("update", "1", vec![("args", args)]);
    }
    let told: Vec<_> = pair
        .news()
        .into_iter()
        .map(|news| match news {
            FromWorker::Update { update, .. } => update,
            other => panic!("{other:?}"),
        })
        .collect();
    let most = FileStat {
        mode: u32::MAX,
        inode: u64::MAX,
        device: u64::MAX,
        links: u64::MAX,
        uid: u32::MAX,
        gid: u32::MAX,
        size: u64::MAX,
        accessed_at: i64::MAX,
        modified_at: i64::MAX,
        changed_at: i64::MAX,
    };
    assert_eq!(
        told,
        [
            Update::Rc(i32::MAX),
            output(LogStream::Stdout, "plain"),
            Update::Elapsed(Duration::from_secs(2)),
            Update::Stat(Box::new(most)),
        ]
    );
}
