//! Each command in the words of wire and worker.

use std::time::Duration;

use super::*;
use crate::protocol::command::{
    Compression, CopyDirectory, DownloadFile, LogFile, MAX_BLOCK_BYTES, RemoveDirectory, StatPath,
    UploadDirectory, UploadFile,
};

/// The command as the worker was asked for it: its name, and its arguments but for objects.
fn told(command: WorkerCommand) -> (String, Vec<(String, Value)>) {
    let started = Pair::attached(&["b1"]).begin(command);
    let Value::Dict(arguments) = started.arguments else { panic!("{:?}", started.arguments) };
    let mut arguments: Vec<_> = arguments
        .into_iter()
        .map(|(key, value)| {
            assert!(matches!(key, Value::Text(_)), "{key:?}");
            (key.as_text().unwrap().into_owned(), value)
        })
        .collect();
    arguments.sort_by(|one, other| one.0.cmp(&other.0));
    (started.name, arguments)
}

fn is_told(command: WorkerCommand, name: &str, arguments: &[(&str, Value)]) {
    let wanted: Vec<_> = arguments.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect();
    assert_eq!(told(command), (name.to_owned(), wanted));
}

#[test]
fn each_command_of_files_has_the_name_and_the_keys_that_a_worker_reads() {
    let dir = || "a/b".to_owned();
    is_told(WorkerCommand::MakeDirectory { dirs: vec![dir()] }, "mkdir", &[("dir", Value::text("a/b"))]);
    is_told(WorkerCommand::Glob { pattern: "**/*.o".into() }, "glob", &[("path", Value::text("**/*.o"))]);
    is_told(WorkerCommand::ListDirectory { dir: dir() }, "listdir", &[("dir", Value::text("a/b"))]);
    is_told(WorkerCommand::RemoveFile { path: dir() }, "rmfile", &[("path", Value::text("a/b"))]);
    is_told(
        WorkerCommand::Stat(Box::new(StatPath { workdir: "build".into(), path: dir() })),
        "stat",
        &[("file", Value::text("a/b")), ("workdir", Value::text("build"))],
    );
}

#[test]
fn folders_are_removed_and_copied_with_limits_that_are_told_also_where_there_are_none() {
    let remove = RemoveDirectory {
        dirs: vec!["a".into()],
        timeout: None,
        max_time: Some(Duration::from_millis(2500)),
        log_environ: true,
    };
    // Without the key a worker would take 120 s.
    is_told(
        WorkerCommand::RemoveDirectory(Box::new(remove)),
        "rmdir",
        &[
            ("dir", Value::text("a")),
            ("logEnviron", Value::Bool(true)),
            ("maxTime", Value::Float(2.5)),
            ("timeout", Value::None),
        ],
    );
    let copy = CopyDirectory {
        from: "a".into(),
        to: "b".into(),
        timeout: Some(Duration::from_secs(9)),
        max_time: None,
        log_environ: false,
    };
    is_told(
        WorkerCommand::CopyDirectory(Box::new(copy)),
        "cpdir",
        &[
            ("fromdir", Value::text("a")),
            ("logEnviron", Value::Bool(false)),
            ("maxTime", Value::None),
            ("timeout", Value::Int(9)),
            ("todir", Value::text("b")),
        ],
    );
}

/// The objects of a new connection: the challenger, the avatar, the command, its bytes.
const OBJECT: Value = Value::Remote(4);

#[test]
fn transfers_tell_each_key_also_where_it_is_empty() {
    let upload = UploadFile {
        workdir: "build".into(),
        source: "a".into(),
        max_size: None,
        block_size: 16384,
        keep_stamp: true,
    };
    is_told(
        WorkerCommand::UploadFile(Box::new(upload)),
        "uploadFile",
        &[
            ("blocksize", Value::Int(16384)),
            ("keepstamp", Value::Bool(true)),
            ("maxsize", Value::None),
            ("workdir", Value::text("build")),
            ("workersrc", Value::text("a")),
            ("writer", OBJECT),
        ],
    );
    let directory = UploadDirectory {
        workdir: "build".into(),
        source: "a".into(),
        max_size: Some(7),
        block_size: 16384,
        compress: Some(Compression::Bzip2),
    };
    for (compress, word) in [
        (None, Value::None),
        (Some(Compression::Gzip), Value::text("gz")),
        (Some(Compression::Bzip2), Value::text("bz2")),
    ] {
        is_told(
            WorkerCommand::UploadDirectory(Box::new(UploadDirectory { compress, ..directory.clone() })),
            "uploadDirectory",
            &[
                ("blocksize", Value::Int(16384)),
                ("compress", word),
                ("maxsize", Value::Int(7)),
                ("workdir", Value::text("build")),
                ("workersrc", Value::text("a")),
                ("writer", OBJECT),
            ],
        );
    }
    for (mode, word) in [(None, Value::None), (Some(0o640), Value::Int(416))] {
        let download = DownloadFile {
            workdir: "build".into(),
            destination: "a".into(),
            max_size: Some(u64::MAX),
            block_size: 16384,
            mode,
        };
        is_told(
            WorkerCommand::DownloadFile(Box::new(download)),
            "downloadFile",
            &[
                ("blocksize", Value::Int(16384)),
                ("maxsize", Value::Int(i64::MAX)),
                ("mode", word),
                ("reader", OBJECT),
                ("workdir", Value::text("build")),
                ("workerdest", Value::text("a")),
            ],
        );
    }
}

#[test]
fn a_block_is_never_longer_than_a_peer_takes_nor_empty() {
    for (wanted, clamped) in
        [(0, 1), (MAX_BLOCK_BYTES, 655_360), (MAX_BLOCK_BYTES + 1, 655_360), (u32::MAX, 655_360)]
    {
        let download = DownloadFile {
            workdir: "build".into(),
            destination: "a".into(),
            max_size: None,
            block_size: wanted,
            mode: None,
        };
        let started = Pair::attached(&["b1"]).begin(WorkerCommand::DownloadFile(Box::new(download)));
        assert_eq!(started.argument("blocksize"), Some(&Value::Int(clamped)), "{wanted}");
    }
}

#[test]
fn a_shell_command_tells_its_logs_its_lines_and_its_terminal() {
    let file = |name: &str, follow| LogFile { name: name.into(), path: format!("{name}.txt"), follow };
    let arguments = ShellArguments {
        log_files: vec![file("one", false), file("two", true)],
        max_lines: Some(1000),
        use_pty: true,
        interrupt_signal: "INT".into(),
        ..shell("make")
    };
    let (name, arguments) = told(WorkerCommand::Shell(Box::new(arguments)));
    assert_eq!(name, "shell");
    let follow = Value::dict([("filename", Value::text("two.txt")), ("follow", Value::Bool(true))]);
    for (key, value) in [
        ("logfiles", Value::dict([("one", Value::text("one.txt")), ("two", follow)])),
        ("max_lines", Value::Int(1000)),
        ("usePTY", Value::Bool(true)),
        ("interruptSignal", Value::text("INT")),
    ] {
        assert!(arguments.contains(&(key.to_owned(), value)), "{key}: {arguments:?}");
    }
}

#[test]
fn a_word_that_is_a_secret_is_told_with_what_may_be_shown_in_its_place() {
    let texts = |words: [&str; 2]| words.map(str::to_owned).to_vec();
    let arguments = ShellArguments {
        command: ShellLine::Argv(texts(["login", "sesame"])),
        shown: Some(texts(["login", "<db>"])),
        ..shell("")
    };
    let (_, arguments) = told(WorkerCommand::Shell(Box::new(arguments)));
    let hidden = Value::Tuple(["obfuscated", "sesame", "<db>"].map(Value::text).to_vec());
    let command = Value::List(vec![Value::text("login"), hidden]);
    assert!(arguments.contains(&("command".to_owned(), command)), "{arguments:?}");
}

#[test]
fn a_terminal_is_always_a_boolean() {
    let (_, arguments) = told(WorkerCommand::Shell(Box::new(shell("make"))));
    assert!(arguments.contains(&("usePTY".to_owned(), Value::Bool(false))), "{arguments:?}");
}

#[test]
fn arguments_that_are_too_long_for_the_wire_fail_their_command_alone() {
    let mut pair = Pair::attached(&["b1"]);
    let command = WorkerCommand::MakeDirectory { dirs: vec!["x".repeat(700_000)] };
    pair.order(ToWorker::Start { id: CommandId::new("1"), builder: "b1".into(), command });
    let news = pair.news();
    assert!(matches!(&news[..], [FromWorker::Complete { failure: Some(_), .. }]), "{news:?}");
    assert_eq!(pair.begin(WorkerCommand::MakeDirectory { dirs: vec!["x".into()] }).name, "mkdir");
}
