//! Commands on their way from the master to what the worker is told to run.

use std::collections::BTreeMap;

use proptest::{collection, option, prelude::*};

use super::*;
use crate::protocol::{
    ShellArguments,
    command::{
        Compression, CopyDirectory, DownloadFile, EnvironmentChange, LogFile, MAX_BLOCK_BYTES,
        RemoveDirectory, ShellLine, StatPath, UploadDirectory, UploadFile,
    },
};

fn text() -> impl Strategy<Value = String> + Clone {
    "[a-zäß \\n:%{}$-]{0,12}"
}

fn path() -> impl Strategy<Value = String> + Clone {
    prop_oneof![
        "[a-zß *]{1,6}",
        "[a-z]{1,4}/[a-z~]{1,4}",
        "/[a-z]{1,4}/[a-z ]{0,4}",
        "~(/[a-z]{0,4})?",
        Just(String::new())
    ]
}

fn span() -> impl Strategy<Value = Option<Duration>> + Clone {
    option::of((1..10_000_000_u64).prop_map(Duration::from_millis))
}

fn block_size() -> impl Strategy<Value = u32> + Clone {
    1..=MAX_BLOCK_BYTES
}

fn line() -> impl Strategy<Value = (ShellLine, Option<Vec<String>>)> {
    let words = collection::vec((text(), option::of(text())), 1..5).prop_map(|words| {
        let real = words.iter().map(|(real, _)| real.clone()).collect();
        let shown = words.into_iter().map(|(real, shown)| shown.unwrap_or(real)).collect();
        (ShellLine::Argv(real), Some(shown))
    });
    prop_oneof![text().prop_map(|line| (ShellLine::Shell(line), None)), words]
}

fn change() -> impl Strategy<Value = EnvironmentChange> {
    prop_oneof![
        text().prop_map(EnvironmentChange::Set),
        collection::vec(text(), 0..3).prop_map(EnvironmentChange::Joined),
        Just(EnvironmentChange::Unset),
    ]
}

prop_compose! {
    fn shell()(
        (command, shown) in line(),
        workdir in path(),
        env in collection::btree_map("[A-Z]{1,4}", change(), 0..4),
        stdin in option::of(text()),
        (timeout, max_time, max_lines) in (span(), span(), option::of(any::<u64>())),
        sigterm_time in option::of((0..10_000_u64).prop_map(Duration::from_millis)),
        interrupt_signal in "KILL|TERM|INT",
        flags in any::<[bool; 4]>(),
        files in collection::btree_map("[a-z]{1,4}", (path(), any::<bool>()), 0..3),
    ) -> WorkerCommand {
        let [want_stdout, want_stderr, log_environ, use_pty] = flags;
        let log_file = |(name, (path, follow)): (String, _)| LogFile { name: name.into(), path, follow };
        WorkerCommand::Shell(Box::new(ShellArguments {
            command, shown, workdir, env, stdin: stdin.map(Bytes::from), timeout, max_time, sigterm_time, interrupt_signal,
            want_stdout, want_stderr, log_environ, log_files: files.into_iter().map(log_file).collect(), max_lines, use_pty,
        }))
    }
}

/// What this wire can carry. Paths are those of a master: below a folder, absolute, or at home.
fn command() -> impl Strategy<Value = WorkerCommand> {
    let file = (path(), path(), option::of(any::<u64>()), block_size());
    let limits = (span(), span(), any::<bool>());
    prop_oneof![
        shell(),
        (file.clone(), any::<bool>()).prop_map(|((workdir, source, max_size, block_size), keep_stamp)| {
            WorkerCommand::UploadFile(Box::new(UploadFile {
                workdir,
                source,
                max_size,
                block_size,
                keep_stamp,
            }))
        }),
        (file.clone(), option::of(prop_oneof![Just(Compression::Gzip), Just(Compression::Bzip2)])).prop_map(
            |((workdir, source, max_size, block_size), compress)| {
                let upload = UploadDirectory { workdir, source, max_size, block_size, compress };
                WorkerCommand::UploadDirectory(Box::new(upload))
            }
        ),
        (file, option::of(any::<u32>())).prop_map(|((workdir, destination, max_size, block_size), mode)| {
            let download = DownloadFile { workdir, destination, max_size, block_size, mode };
            WorkerCommand::DownloadFile(Box::new(download))
        }),
        collection::vec(path(), 0..4).prop_map(|dirs| WorkerCommand::MakeDirectory { dirs }),
        (collection::vec(path(), 0..4), limits.clone()).prop_map(
            |(dirs, (timeout, max_time, log_environ))| {
                WorkerCommand::RemoveDirectory(Box::new(RemoveDirectory {
                    dirs,
                    timeout,
                    max_time,
                    log_environ,
                }))
            }
        ),
        (path(), path(), limits).prop_map(|(from, to, (timeout, max_time, log_environ))| {
            WorkerCommand::CopyDirectory(Box::new(CopyDirectory { from, to, timeout, max_time, log_environ }))
        }),
        (path(), path())
            .prop_map(|(workdir, path)| WorkerCommand::Stat(Box::new(StatPath { workdir, path }))),
        path().prop_map(|pattern| WorkerCommand::Glob { pattern }),
        path().prop_map(|dir| WorkerCommand::ListDirectory { dir }),
        path().prop_map(|path| WorkerCommand::RemoveFile { path }),
    ]
}

/// A path below a folder, or where it is by itself.
fn below(folder: &str, path: &str) -> String {
    match path {
        "" => folder.to_owned(),
        path if path.starts_with('/') => path.to_owned(),
        path if folder.ends_with('/') => format!("{folder}{path}"),
        path => format!("{folder}/{path}"),
    }
}

/// The same of a path that may begin at home.
fn below_or_home(folder: &str, path: &str) -> String {
    match path.strip_prefix('~') {
        Some(rest) => format!("/home/me{rest}"),
        None => below(folder, path),
    }
}

/// The command with all its paths absolute, for a builder in this folder.
fn absolute(command: WorkerCommand, folder: &str) -> WorkerCommand {
    match command {
        WorkerCommand::Shell(mut shell) => {
            shell.workdir = below(folder, &shell.workdir);
            let is_as_shown = matches!((&shell.command, &shell.shown), (ShellLine::Argv(real), Some(shown)) if real == shown);
            shell.shown = shell.shown.filter(|_| !is_as_shown);
            WorkerCommand::Shell(shell)
        }
        WorkerCommand::UploadFile(mut file) => {
            file.source = below_or_home(&below(folder, &file.workdir), &file.source);
            file.workdir = String::new();
            WorkerCommand::UploadFile(file)
        }
        WorkerCommand::UploadDirectory(mut dir) => {
            dir.source = below_or_home(&below(folder, &dir.workdir), &dir.source);
            dir.workdir = String::new();
            WorkerCommand::UploadDirectory(dir)
        }
        WorkerCommand::DownloadFile(mut file) => {
            file.destination = below_or_home(&below(folder, &file.workdir), &file.destination);
            file.workdir = String::new();
            WorkerCommand::DownloadFile(file)
        }
        WorkerCommand::MakeDirectory { dirs } => {
            WorkerCommand::MakeDirectory { dirs: dirs.iter().map(|dir| below(folder, dir)).collect() }
        }
        WorkerCommand::RemoveDirectory(mut remove) => {
            remove.dirs = remove.dirs.iter().map(|dir| below(folder, dir)).collect();
            WorkerCommand::RemoveDirectory(remove)
        }
        WorkerCommand::CopyDirectory(mut copy) => {
            (copy.from, copy.to) = (below(folder, &copy.from), below(folder, &copy.to));
            WorkerCommand::CopyDirectory(copy)
        }
        WorkerCommand::Stat(mut stat) => {
            stat.path = below(&below(folder, &stat.workdir), &stat.path);
            stat.workdir = String::new();
            WorkerCommand::Stat(stat)
        }
        WorkerCommand::Glob { pattern } => WorkerCommand::Glob { pattern: below(folder, &pattern) },
        WorkerCommand::ListDirectory { dir } => WorkerCommand::ListDirectory { dir: below(folder, &dir) },
        WorkerCommand::RemoveFile { path } => {
            WorkerCommand::RemoveFile { path: below_or_home(folder, &path) }
        }
    }
}

proptest! {
    #[test]
    fn every_command_of_a_master_is_what_its_worker_is_told_to_run(command in command()) {
        let mut pair = Pair::attached();
        let wanted = absolute(command.clone(), "/w/b1-dir");
        prop_assert_eq!(pair.start("1", command), wanted);
        pair.say(complete("1", None));
        prop_assert_eq!(pair.told(), [complete("1", None)]);
    }
}

#[test]
fn what_buildbots_master_leaves_out_or_says_as_nothing_has_the_workers_default() {
    let wanted =
        ShellArguments { workdir: "/w/b".into(), log_environ: true, ..ShellArguments::sample("make") };
    let least = [("workdir", Value::from("/w/b")), ("command", "make".into())];
    let names = [
        "env",
        "logfiles",
        "timeout",
        "maxTime",
        "max_lines",
        "sigtermTime",
        "usePTY",
        "logEnviron",
        "initial_stdin",
        "interruptSignal",
        "want_stdout",
        "want_stderr",
    ];
    let mut all = least.to_vec();
    all.extend(names.map(|name| (name, Value::Nil)));
    // As its steps of copies and checkouts have it; and what no worker knows.
    let numbers = [
        ("timeout", 0.into()),
        ("want_stdout", 1.into()),
        ("interruptSignal", "".into()),
        ("dir", "x".into()),
    ];
    for fields in [least.to_vec(), all, [&least[..], &numbers].concat()] {
        let arguments = Value::Map(fields.into_iter().map(|(name, value)| (name.into(), value)).collect());
        assert_eq!(
            Talk::new().start("1", "shell", arguments),
            WorkerCommand::Shell(Box::new(wanted.clone()))
        );
    }
    let folders = RemoveDirectory {
        dirs: vec!["/a".into()],
        timeout: Some(Duration::from_secs(120)),
        max_time: None,
        log_environ: true,
    };
    let paths = map([("paths", list(["/a".into()]))]);
    assert_eq!(Talk::new().start("1", "rmdir", paths), WorkerCommand::RemoveDirectory(Box::new(folders)));
}

#[test]
fn odd_forms_that_are_clear_are_understood() {
    let arguments = map([
        ("workdir", "/w".into()),
        ("command", Value::Binary(b"make".to_vec())),
        ("env", map([("A", Value::Binary(b"x".to_vec()))])),
        ("logfiles", map([("l", "f.log".into()), ("m", map([("filename", "g.log".into())]))])),
        ("want_stderr", 0.into()),
        ("initial_stdin", Value::Binary(vec![0xff])),
    ]);
    let WorkerCommand::Shell(shell) = Talk::new().start("1", "shell", arguments) else { panic!("a shell") };
    let log_file = |name: &str, path: &str| LogFile { name: name.into(), path: path.into(), follow: false };
    assert_eq!(shell.command, ShellLine::Shell("make".into()));
    assert_eq!(shell.env, BTreeMap::from([("A".to_owned(), EnvironmentChange::Set("x".into()))]));
    assert_eq!(shell.log_files, [log_file("l", "f.log"), log_file("m", "g.log")]);
    assert_eq!((shell.want_stdout, shell.want_stderr), (true, false));
    assert_eq!(shell.stdin, Some(Bytes::from_static(&[0xff])));
    for (bytes, wanted) in [(0_u64, 1), (9, 9), (u64::MAX, MAX_BLOCK_BYTES)] {
        let arguments = map([
            ("path", "/f".into()),
            ("maxsize", Value::Nil),
            ("blocksize", bytes.into()),
            ("mode", Value::Nil),
        ]);
        let WorkerCommand::DownloadFile(file) = Talk::new().start("1", "download_file", arguments) else {
            panic!("a file")
        };
        assert_eq!(file.block_size, wanted);
    }
}

#[test]
fn a_hidden_word_is_run_and_another_is_shown() {
    // As Buildbot's master writes `("obfuscated", "sesame", "<db>")`, too.
    let hidden = list(["obfuscated".into(), "sesame".into(), "<db>".into()]);
    let arguments = map([("workdir", "/w".into()), ("command", list(["login".into(), hidden]))]);
    let WorkerCommand::Shell(shell) = Talk::new().start("1", "shell", arguments) else { panic!("a shell") };
    assert_eq!(shell.command, ShellLine::Argv(vec!["login".into(), "sesame".into()]));
    assert_eq!(shell.shown, Some(vec!["login".into(), "<db>".into()]));
}

#[test]
fn a_start_that_makes_no_sense_is_refused_and_nothing_runs() {
    let words = |word: Value| map([("workdir", "/w".into()), ("command", list([word]))]);
    let shell =
        |name: &str, value: Value| map([("workdir", "/w".into()), ("command", "make".into()), (name, value)]);
    let file = |mode: Value| {
        map([("path", "/f".into()), ("maxsize", Value::Nil), ("blocksize", 9.into()), ("mode", mode)])
    };
    for (name, arguments, wanted) in [
        ("rmmount", map([]), "unrecognized WorkerCommand 'rmmount'"),
        ("uploadFile", map([]), "unrecognized WorkerCommand 'uploadFile'"),
        ("shell", map([("command", "make".into())]), "its argument `workdir` is missing"),
        ("shell", map([("workdir", "/w".into())]), "its argument `command` is missing"),
        (
            "shell",
            map([("workdir", 3.into()), ("command", "make".into())]),
            "its argument `workdir` is not a path",
        ),
        (
            "shell",
            words(3.into()),
            "its argument `command` is not a line, or words of which the first is a program",
        ),
        ("shell", words(list(["obfuscated".into(), "sesame".into()])), "its argument `command` is not"),
        ("shell", words(list(["a".into(), "sesame".into(), "b".into()])), "its argument `command` is not"),
        ("shell", words(Value::Binary(vec![0xff])), "its argument `command` is not"),
        ("shell", map([("workdir", "/w".into()), ("command", list([]))]), "its argument `command` is not"),
        ("shell", shell("env", map([("A", 3.into())])), "its argument `env` is not"),
        ("shell", shell("env", list([])), "its argument `env` is not"),
        ("shell", shell("timeout", (-1).into()), "its argument `timeout` is not seconds"),
        ("shell", shell("maxTime", f64::NAN.into()), "its argument `maxTime` is not seconds"),
        ("shell", shell("sigtermTime", "1".into()), "its argument `sigtermTime` is not seconds"),
        ("shell", shell("usePTY", "slave-config".into()), "its argument `usePTY` is not true or false"),
        ("shell", shell("max_lines", (-1).into()), "its argument `max_lines` is not a number of lines"),
        ("shell", shell("logfiles", map([("l", map([]))])), "its argument `logfiles` is not"),
        ("mkdir", map([("paths", "/a".into())]), "its argument `paths` is not a list of paths"),
        ("cpdir", map([("from_path", "/a".into())]), "its argument `to_path` is missing"),
        ("stat", map([("path", Value::Nil)]), "its argument `path` is not a path"),
        ("upload_file", map([("path", "/f".into())]), "its argument `maxsize` is missing"),
        (
            "download_file",
            map([("path", "/f".into()), ("maxsize", Value::Nil)]),
            "its argument `blocksize` is missing",
        ),
        ("download_file", file(u64::MAX.into()), "its argument `mode` is not nothing or permissions"),
    ] {
        let mut talk = Talk::new();
        let fields = vec![("command_id", "7".into()), ("command_name", name.into()), ("args", arguments)];
        let why = talk.ask("start_command", fields).expect_err(wanted);
        assert!(why.starts_with(&format!("(command 7): {wanted}")), "{why}");
        assert!(!why.contains("sesame"), "{why}");
        assert_eq!((talk.events(), talk.ops(), talk.bot.crew.len()), (vec![], vec![], 0));
    }
}
