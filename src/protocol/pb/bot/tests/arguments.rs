//! What masters tell a command, and what a worker answers that it does not understand.

use super::{
    super::{arguments, orders::MAX_COMMANDS},
    *,
};
use crate::protocol::{
    command::{EnvironmentChange, LogFile, MAX_BLOCK_BYTES, RemoveDirectory, ShellLine},
    pb::jelly::pairs,
};

fn dict<const N: usize>(arguments: [(&'static str, Value); N]) -> Value {
    Value::dict(arguments)
}

fn text(text: &'static str) -> Value {
    Value::text(text)
}

fn read(name: &str, arguments: &Value) -> WorkerCommand {
    arguments::read(name, arguments).unwrap().command
}

fn refused(name: &str, arguments: &Value) -> Failure {
    arguments::read(name, arguments).unwrap_err()
}

/// The arguments with one more, or with another value of one.
fn with(arguments: &Value, key: &'static str, value: Value) -> Value {
    let mut all = without(arguments, key);
    all.extend(pairs([(key, value)]));
    Value::Dict(all)
}

fn without(arguments: &Value, key: &str) -> Vec<(Value, Value)> {
    let others =
        arguments.as_pairs().unwrap().iter().filter(|(name, _)| *name != Value::text(key.to_owned()));
    others.cloned().collect()
}

fn line() -> Value {
    dict([("workdir", text("build")), ("command", text("make"))])
}

fn upload() -> Value {
    dict([
        ("workdir", text("build")),
        ("workersrc", text("a")),
        ("writer", Value::Remote(9)),
        ("maxsize", Value::None),
        ("blocksize", Value::Int(16384)),
        ("keepstamp", Value::Bool(true)),
        ("compress", Value::None),
    ])
}

fn download() -> Value {
    dict([
        ("workdir", text("build")),
        ("workerdest", text("a")),
        ("reader", Value::Remote(9)),
        ("maxsize", Value::Int(5)),
        ("blocksize", Value::Int(700_000)),
        ("mode", Value::Int(0o640)),
    ])
}

/// Each command, its arguments, and which of them must be there.
fn all() -> Vec<(&'static str, Value, Vec<&'static str>)> {
    let upload_needs = ["workdir", "workersrc", "writer", "maxsize", "blocksize"];
    vec![
        ("shell", line(), vec!["workdir", "command"]),
        ("uploadFile", upload(), upload_needs.to_vec()),
        ("uploadDirectory", upload(), [&upload_needs[..], &["compress"]].concat()),
        ("downloadFile", download(), vec!["workdir", "workerdest", "reader", "maxsize", "blocksize", "mode"]),
        ("mkdir", dict([("dir", text("d"))]), vec!["dir"]),
        ("rmdir", dict([("dir", text("d"))]), vec!["dir"]),
        ("cpdir", dict([("fromdir", text("a")), ("todir", text("b"))]), vec!["fromdir", "todir"]),
        ("stat", dict([("file", text("a"))]), vec!["file"]),
        ("glob", dict([("path", text("*"))]), vec!["path"]),
        ("listdir", dict([("dir", text("d"))]), vec!["dir"]),
        ("rmfile", dict([("path", text("a"))]), vec!["path"]),
    ]
}

#[test]
fn an_argument_that_must_be_there_is_missed_by_its_name() {
    for (name, arguments, needed) in all() {
        read(name, &arguments);
        for key in needed {
            let failure = refused(name, &Value::Dict(without(&arguments, key)));
            assert_eq!(
                (failure.kind.as_str(), failure.value.clone()),
                ("builtins.KeyError", format!("'{key}'")),
                "{name}"
            );
            assert!(failure.is("builtins.Exception"));
        }
    }
}

#[test]
fn an_argument_of_another_type_is_named_and_its_value_is_not() {
    let odd = Value::List(vec![Value::Opaque, text("sesame")]);
    for (name, arguments, needed) in all() {
        for key in needed {
            let failure = refused(name, &with(&arguments, key, odd.clone()));
            assert_eq!(failure.kind, "builtins.ValueError", "{name} {key}");
            assert!(failure.value.contains(key) && !failure.value.contains("sesame"), "{failure}");
        }
        assert!(refused(name, &Value::Int(1)).is("builtins.ValueError"));
    }
    for (key, wrong) in [
        ("command", Value::List(Vec::new())),
        ("command", Value::Bytes(Bytes::from_static(b"\xff"))),
        ("command", Value::Tuple(vec![text("obfuscated"), Value::Int(1), text("x")])),
        ("env", text("A=b")),
        ("env", dict([("A", Value::Int(1))])),
        ("logfiles", Value::List(Vec::new())),
        ("logfiles", dict([("log", Value::Int(1))])),
        ("logfiles", dict([("log", dict([("filename", text("a")), ("follow", text("yes"))]))])),
        ("timeout", text("10")),
        ("timeout", Value::Int(-1)),
        ("timeout", Value::Float(f64::NAN)),
        ("maxTime", Value::Float(1e300)),
        ("sigtermTime", Value::Int(-1)),
        ("max_lines", Value::Int(-1)),
        ("max_lines", Value::Float(1.0)),
        ("usePTY", text("yes")),
        ("want_stdout", text("no")),
        ("initial_stdin", Value::Int(1)),
        ("interruptSignal", Value::Int(9)),
    ] {
        let failure = refused("shell", &with(&line(), key, wrong.clone()));
        assert_eq!(failure.kind, "builtins.ValueError", "{key} {wrong:?}");
    }
    for (key, wrong) in [
        ("blocksize", Value::Int(0)),
        ("blocksize", Value::None),
        ("maxsize", Value::Int(-1)),
        ("writer", Value::Int(9)),
        ("compress", text("zip")),
    ] {
        assert_eq!(
            refused("uploadDirectory", &with(&upload(), key, wrong)).kind,
            "builtins.ValueError",
            "{key}"
        );
    }
    assert!(refused("downloadFile", &with(&download(), "mode", Value::Int(-1))).is("builtins.ValueError"));
    let nameless = dict([("log", dict([("follow", Value::Bool(true))]))]);
    assert!(refused("shell", &with(&line(), "logfiles", nameless)).is("builtins.KeyError"));
}

#[test]
fn a_command_that_no_worker_knows_is_refused_as_a_worker_of_buildbot_does() {
    let failure = refused("svn", &dict([]));
    assert!(failure.is("buildbot_worker.base.UnknownCommand") && failure.is("twisted.spread.pb.Error"));
    assert!(failure.value.contains("svn"), "{failure}");
}

#[test]
fn both_names_of_a_command_mean_the_same() {
    for (name, other) in [("uploadFile", "upload_file"), ("uploadDirectory", "upload_directory")] {
        assert_eq!(read(name, &upload()), read(other, &upload()));
    }
    assert_eq!(read("downloadFile", &download()), read("download_file", &download()));
}

#[test]
fn masters_that_say_slave_and_bytes_are_understood() {
    let old = Value::Dict(without(&upload(), "workersrc"));
    assert_eq!(read("uploadFile", &with(&old, "slavesrc", text("a"))), read("uploadFile", &upload()));
    // Of both the newer counts.
    assert_eq!(read("uploadFile", &with(&upload(), "slavesrc", text("b"))), read("uploadFile", &upload()));
    let old = Value::Dict(without(&download(), "workerdest"));
    assert_eq!(read("downloadFile", &with(&old, "slavedest", text("a"))), read("downloadFile", &download()));
    let bytes = |bytes: &'static str| Value::Bytes(bytes.into());
    let old = Value::Dict(vec![
        (bytes("workdir"), bytes("build")),
        (bytes("command"), Value::List(vec![bytes("make"), text("all")])),
        (bytes("env"), Value::Dict(vec![(bytes("A"), bytes("b"))])),
        (bytes("usePTY"), bytes("slave-config")),
        (bytes("logEnviron"), Value::Int(0)),
    ]);
    let wanted = ShellArguments {
        command: ShellLine::Argv(vec!["make".into(), "all".into()]),
        env: [("A".to_owned(), EnvironmentChange::Set("b".into()))].into(),
        ..ShellArguments::sample("")
    };
    assert_eq!(read("shell", &old), WorkerCommand::Shell(Box::new(wanted)));
}

#[test]
fn what_a_master_does_not_say_is_as_a_worker_of_buildbot_takes_it() {
    let wanted = ShellArguments { log_environ: true, ..ShellArguments::sample("make") };
    assert_eq!(read("shell", &line()), WorkerCommand::Shell(Box::new(wanted.clone())));
    let mut nothing = line();
    for key in [
        "env",
        "logfiles",
        "timeout",
        "maxTime",
        "max_lines",
        "sigtermTime",
        "initial_stdin",
        "interruptSignal",
    ] {
        nothing = with(&nothing, key, Value::None);
    }
    nothing = with(&nothing, "timeout", Value::Int(0));
    nothing = with(&nothing, "usePTY", Value::None);
    assert_eq!(read("shell", &nothing), WorkerCommand::Shell(Box::new(wanted)));
    let limit = Some(Duration::from_secs(120));
    let remove =
        |timeout| RemoveDirectory { dirs: vec!["d".into()], timeout, max_time: None, log_environ: true };
    let dir = dict([("dir", text("d"))]);
    assert_eq!(read("rmdir", &dir), WorkerCommand::RemoveDirectory(Box::new(remove(limit))));
    let unlimited = with(&dir, "timeout", Value::None);
    assert_eq!(read("rmdir", &unlimited), WorkerCommand::RemoveDirectory(Box::new(remove(None))));
    let WorkerCommand::UploadFile(upload) = read("uploadFile", &Value::Dict(without(&upload(), "keepstamp")))
    else {
        panic!("it is one")
    };
    assert!(!upload.keep_stamp);
    let WorkerCommand::Stat(stat) = read("stat", &dict([("file", text("a"))])) else { panic!("it is one") };
    assert_eq!((stat.workdir.as_str(), stat.path.as_str()), ("", "a"));
}

#[test]
fn numbers_stand_for_yes_and_no_and_times_may_have_fractions() {
    let mut arguments = line();
    for (key, value) in [
        ("want_stdout", Value::Int(0)),
        ("want_stderr", Value::Bool(false)),
        ("usePTY", Value::Int(1)),
        ("timeout", Value::Float(0.5)),
        ("maxTime", Value::Int(7)),
        ("sigtermTime", Value::Int(0)),
        ("initial_stdin", text("in")),
        ("max_lines", Value::Int(3)),
        ("interruptSignal", text("TERM")),
    ] {
        arguments = with(&arguments, key, value);
    }
    let wanted = ShellArguments {
        want_stdout: false,
        want_stderr: false,
        use_pty: true,
        timeout: Some(Duration::from_millis(500)),
        max_time: Some(Duration::from_secs(7)),
        sigterm_time: Some(Duration::ZERO),
        stdin: Some("in".into()),
        max_lines: Some(3),
        interrupt_signal: "TERM".into(),
        log_environ: true,
        ..ShellArguments::sample("make")
    };
    assert_eq!(read("shell", &arguments), WorkerCommand::Shell(Box::new(wanted)));
}

#[test]
fn a_hidden_word_is_run_as_it_is_and_shown_as_it_may_be() {
    let hidden = Value::Tuple(vec![text("obfuscated"), text("sesame"), text("XXX")]);
    let words = Value::List(vec![text("login"), hidden.clone(), Value::Tuple(vec![text("a")])]);
    assert!(refused("shell", &with(&line(), "command", words)).is("builtins.ValueError"));
    let words = Value::List(vec![text("login"), hidden.clone()]);
    let WorkerCommand::Shell(shell) = read("shell", &with(&line(), "command", words)) else {
        panic!("it is one")
    };
    assert_eq!(shell.command, ShellLine::Argv(vec!["login".into(), "sesame".into()]));
    assert_eq!(shell.shown, Some(vec!["login".into(), "XXX".into()]));
    // A whole line that is hidden.
    let WorkerCommand::Shell(shell) = read("shell", &with(&line(), "command", hidden)) else {
        panic!("it is one")
    };
    let line = |line: &str| ["/bin/sh", "-c", line].map(str::to_owned).to_vec();
    assert_eq!((shell.command, shell.shown), (ShellLine::Argv(line("sesame")), Some(line("XXX"))));
}

#[test]
fn watched_files_are_paths_or_say_more() {
    let files = dict([
        ("a", text("a.log")),
        ("b", dict([("filename", text("b.log")), ("follow", Value::Int(1))])),
        ("c", dict([("filename", text("c.log"))])),
    ]);
    let WorkerCommand::Shell(shell) = read("shell", &with(&line(), "logfiles", files)) else {
        panic!("it is one")
    };
    let file = |name: &str, follow| LogFile { name: name.into(), path: format!("{name}.log"), follow };
    assert_eq!(shell.log_files, [file("a", false), file("b", true), file("c", false)]);
}

#[test]
fn several_folders_are_made_and_removed_and_blocks_are_no_longer_than_is_taken() {
    let several = dict([("dir", Value::List(vec![text("a"), text("b")]))]);
    assert_eq!(read("mkdir", &several), WorkerCommand::MakeDirectory { dirs: vec!["a".into(), "b".into()] });
    let WorkerCommand::RemoveDirectory(remove) = read("rmdir", &several) else { panic!("it is one") };
    assert_eq!(remove.dirs, ["a", "b"]);
    let WorkerCommand::DownloadFile(download) = read("downloadFile", &download()) else {
        panic!("it is one")
    };
    assert_eq!(
        (download.block_size, download.max_size, download.mode),
        (MAX_BLOCK_BYTES, Some(5), Some(0o640))
    );
}

#[test]
fn a_start_that_is_refused_is_answered_leaves_nothing_behind_and_the_next_one_begins() {
    let mut master = PlainMaster::attached(&["b1"]);
    for (name, arguments, kind) in [
        ("svn", dict([]), "buildbot_worker.base.UnknownCommand"),
        ("shell", dict([("workdir", text("x"))]), "builtins.KeyError"),
        ("uploadFile", with(&upload(), "blocksize", text("many")), "builtins.ValueError"),
        ("shell", Value::None, "builtins.ValueError"),
    ] {
        let writer = Value::Remote(master.publish());
        let arguments = if name == "uploadFile" { with(&arguments, "writer", writer) } else { arguments };
        let failure = master.start("b1", "1", name, arguments).unwrap_err();
        assert!(failure.is(kind), "{name}: {failure}");
        // Those of the commands that have no writer were never told of.
    }
    assert_eq!(master.heard, []);
    assert_eq!(master.held(), 3, "three writers, of which nobody was told");
    let (id, _) = master.begin_shell("b1", "1");
    master.complete(&id, None);
    assert_eq!(master.methods(), ["complete"]);
}

#[test]
fn objects_of_which_a_command_has_no_use_are_given_back_at_once() {
    let mut master = PlainMaster::attached(&["b1"]);
    let object = master.publish();
    master.begin("b1", "1", "shell", with(&line(), "reader", Value::Remote(object)));
    assert_eq!(master.held(), 1, "the command's own");
}

#[test]
fn more_commands_than_can_be_followed_are_refused() {
    let mut master = PlainMaster::attached(&["b1"]);
    for number in 0..MAX_COMMANDS {
        master.begin("b1", &number.to_string(), "glob", dict([("path", text("*"))]));
    }
    let failure = master.start("b1", "x", "shell", line()).unwrap_err();
    assert!(failure.value.contains("512 commands"), "{failure}");
}
