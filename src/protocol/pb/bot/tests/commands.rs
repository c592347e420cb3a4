//! Commands from their start to their end, in both directions.

use std::collections::BTreeMap;

use proptest::{collection::vec, prelude::*};

use super::{super::orders::MAX_TEXT_BYTES, *};
use crate::protocol::command::{
    Compression, CopyDirectory, DownloadFile, EnvironmentChange, LogFile, MAX_BLOCK_BYTES, RemoveDirectory,
    ShellLine, StatPath, UploadDirectory, UploadFile,
};

fn any_text() -> impl Strategy<Value = String> {
    // A text may equal a word of the vocabulary.
    prop_oneof![any::<String>(), Just("None".to_owned()), Just("list".to_owned())]
}

fn any_size() -> impl Strategy<Value = Option<u64>> {
    prop::option::of(0..=i64::MAX.unsigned_abs())
}

fn any_block() -> impl Strategy<Value = u32> {
    1..=MAX_BLOCK_BYTES
}

/// None that is 0: a worker takes that for none at all.
fn any_time() -> impl Strategy<Value = Option<Duration>> {
    prop::option::of(prop_oneof![
        (1_u64..1_000_000_000).prop_map(Duration::from_millis),
        (1_u64..1_000_000_000).prop_map(Duration::from_secs),
    ])
}

fn any_change() -> impl Strategy<Value = EnvironmentChange> {
    prop_oneof![
        any_text().prop_map(EnvironmentChange::Set),
        vec(any_text(), 0..4).prop_map(EnvironmentChange::Joined),
        Just(EnvironmentChange::Unset),
    ]
}

fn any_log_file() -> impl Strategy<Value = LogFile> {
    (any_text(), any_text(), any::<bool>()).prop_map(|(name, path, follow)| LogFile {
        name: name.into(),
        path,
        follow,
    })
}

/// What is run, and its words as they may be shown; only if one of them is another.
fn any_line() -> impl Strategy<Value = (ShellLine, Option<Vec<String>>)> {
    let words = vec((any_text(), prop::option::of(any_text())), 1..5).prop_map(|words| {
        let (real, shown): (Vec<_>, Vec<_>) =
            words.into_iter().map(|(real, shown)| (real.clone(), shown.unwrap_or(real))).unzip();
        let hides = real != shown;
        (ShellLine::Argv(real), hides.then_some(shown))
    });
    prop_oneof![any_text().prop_map(|line| (ShellLine::Shell(line), None)), words]
}

fn any_shell() -> impl Strategy<Value = WorkerCommand> {
    let first = (
        any_line(),
        any_text(),
        prop::collection::btree_map(any_text(), any_change(), 0..4),
        prop::option::of(any_text()),
        (any_time(), any_time(), prop::option::of((0_u64..100_000).prop_map(Duration::from_millis))),
    );
    let second = (any_text(), any::<[bool; 4]>(), vec(any_log_file(), 0..3), any_size());
    (first, second).prop_map(
        |((line, workdir, env, stdin, times), (interrupt_signal, flags, log_files, max_lines))| {
            let (command, shown) = line;
            let (timeout, max_time, sigterm_time) = times;
            let [want_stdout, want_stderr, log_environ, use_pty] = flags;
            WorkerCommand::Shell(Box::new(ShellArguments {
                command,
                shown,
                workdir,
                env,
                stdin: stdin.map(Bytes::from),
                timeout,
                max_time,
                sigterm_time,
                interrupt_signal,
                want_stdout,
                want_stderr,
                log_environ,
                log_files,
                max_lines,
                use_pty,
            }))
        },
    )
}

fn any_transfer() -> impl Strategy<Value = WorkerCommand> {
    let compress = prop_oneof![Just(None), Just(Some(Compression::Gzip)), Just(Some(Compression::Bzip2))];
    let all =
        (any_text(), any_text(), any_size(), any_block(), any::<bool>(), compress, any::<Option<u32>>());
    (all, 0..3).prop_map(|((workdir, path, max_size, block_size, keep_stamp, compress, mode), kind)| {
        match kind {
            0 => WorkerCommand::UploadFile(Box::new(UploadFile {
                workdir,
                source: path,
                max_size,
                block_size,
                keep_stamp,
            })),
            1 => WorkerCommand::UploadDirectory(Box::new(UploadDirectory {
                workdir,
                source: path,
                max_size,
                block_size,
                compress,
            })),
            _ => WorkerCommand::DownloadFile(Box::new(DownloadFile {
                workdir,
                destination: path,
                max_size,
                block_size,
                mode,
            })),
        }
    })
}

/// All that can be told on this wire.
fn any_command() -> impl Strategy<Value = WorkerCommand> {
    prop_oneof![
        3 => any_shell(),
        2 => any_transfer(),
        1 => any_text().prop_map(|dir| WorkerCommand::MakeDirectory { dirs: vec![dir] }),
        1 => (vec(any_text(), 1..4), any_time(), any_time(), any::<bool>()).prop_map(
            |(dirs, timeout, max_time, log_environ)| {
                WorkerCommand::RemoveDirectory(Box::new(RemoveDirectory { dirs, timeout, max_time, log_environ }))
            }
        ),
        1 => (any_text(), any_text(), any_time(), any_time(), any::<bool>()).prop_map(
            |(from, to, timeout, max_time, log_environ)| {
                WorkerCommand::CopyDirectory(Box::new(CopyDirectory { from, to, timeout, max_time, log_environ }))
            }
        ),
        1 => (any_text(), any_text())
            .prop_map(|(workdir, path)| WorkerCommand::Stat(Box::new(StatPath { workdir, path }))),
        1 => any_text().prop_map(|pattern| WorkerCommand::Glob { pattern }),
        1 => any_text().prop_map(|dir| WorkerCommand::ListDirectory { dir }),
        1 => any_text().prop_map(|path| WorkerCommand::RemoveFile { path }),
    ]
}

proptest! {
    #[test]
    fn what_a_master_orders_is_what_its_worker_hears(command in any_command()) {
        let mut pair = Pair::attached(&["b1"]);
        pair.order(start("1", "b1", command.clone()));
        let [BotEvent::Order(ToWorker::Start { id, builder, command: heard })] = &pair.heard[..] else {
            return Err(TestCaseError::fail(format!("{:?} {:?}", pair.heard, pair.news)));
        };
        prop_assert_eq!(heard, &command);
        prop_assert_eq!(&**builder, "b1");
        let id = id.clone();
        pair.complete(&id, None);
        prop_assert_eq!(&pair.news[..], &[FromWorker::Complete { id: CommandId::new("1"), failure: None }]);
    }
}

fn interrupts(heard: &[BotEvent]) -> Vec<(&str, &str)> {
    let interrupt = |event| match event {
        &BotEvent::Order(ToWorker::Interrupt { ref id, ref why }) => Some((id.as_str(), why.as_str())),
        _ => None,
    };
    heard.iter().filter_map(interrupt).collect()
}

#[test]
fn an_interrupt_reaches_its_command_and_its_end_is_still_told() {
    let mut pair = Pair::attached(&["b1"]);
    let id = pair.begin("1", "b1", shell());
    pair.order(ToWorker::Interrupt { id: CommandId::new("1"), why: "enough".into() });
    assert_eq!(interrupts(&pair.heard), [(id.as_str(), "enough")]);
    pair.update(&id, Update::Rc(-1));
    pair.complete(&id, None);
    let end = FromWorker::Complete { id: CommandId::new("1"), failure: None };
    assert_eq!(pair.news, [FromWorker::Update { id: CommandId::new("1"), update: Update::Rc(-1) }, end]);
    // There is none any more.
    pair.heard.clear();
    pair.order(ToWorker::Interrupt { id: CommandId::new("1"), why: "enough".into() });
    assert_eq!(pair.heard, []);
}

#[test]
fn an_interrupt_is_for_the_command_that_it_names_or_else_for_what_runs_there() {
    let mut master = PlainMaster::attached(&["b1", "b2"]);
    let glob = || Value::dict([("path", Value::text("*"))]);
    let (one, _) = master.begin("b1", "1", "glob", glob());
    let (two, _) = master.begin("b1", "2", "glob", glob());
    let (other, _) = master.begin("b2", "2", "glob", glob());
    let interrupt = |id: &str| [Value::text(id.to_owned()), Value::text("why")];
    assert_eq!(master.ask_builder("b1", "interruptCommand", &interrupt("2")), Ok(Value::None));
    assert_eq!(interrupts(&master.heard), [(two.as_str(), "why")]);
    master.heard.clear();
    assert_eq!(master.ask_builder("b1", "interruptCommand", &interrupt("odd")), Ok(Value::None));
    assert_eq!(interrupts(&master.heard), [(one.as_str(), "why"), (two.as_str(), "why")]);
    master.complete(&other, None);
    master.heard.clear();
    assert_eq!(master.ask_builder("b2", "interruptCommand", &interrupt("2")), Ok(Value::None));
    assert_eq!(master.heard, []);
}

#[test]
fn commands_of_one_name_on_two_builders_are_two() {
    let mut master = PlainMaster::attached(&["b1", "b2"]);
    let (one, first) = master.begin_shell("b1", "1");
    let (two, second) = master.begin_shell("b2", "1");
    assert_ne!(one, two);
    master.update(&two, Update::Rc(2));
    master.update(&one, Update::Rc(1));
    master.complete(&two, None);
    master.complete(&one, None);
    let calls: Vec<_> = master.calls.iter().map(|(call, _)| (call.object, call.method.as_str())).collect();
    let wanted = [(second, "update"), (first, "update"), (second, "complete"), (first, "complete")];
    assert_eq!(calls, wanted);
}

#[test]
fn two_builders_work_at_once_and_each_hears_its_own() {
    let mut pair = Pair::attached(&["b1", "b2"]);
    let one = pair.begin("1", "b1", shell());
    let two = pair.begin("2", "b2", shell());
    pair.update(&one, stdout(b"one\n"));
    pair.update(&two, stdout(b"two\n"));
    pair.wait();
    pair.complete(&two, None);
    let update =
        |id: &str, text: &'static [u8]| FromWorker::Update { id: CommandId::new(id), update: stdout(text) };
    let end = FromWorker::Complete { id: CommandId::new("2"), failure: None };
    assert_eq!(pair.news, [update("1", b"one\n"), update("2", b"two\n"), end]);
    pair.order(ToWorker::Interrupt { id: CommandId::new("1"), why: "enough".into() });
    assert_eq!(interrupts(&pair.heard), [(one.as_str(), "enough")]);
}

#[test]
fn a_second_command_on_a_busy_builder_interrupts_the_first_and_both_run_to_their_ends() {
    let mut master = PlainMaster::attached(&["b1", "b2"]);
    let (other, _) = master.begin_shell("b2", "1");
    let (one, first) = master.begin_shell("b1", "1");
    let (two, second) = master.begin_shell("b1", "2");
    assert_eq!(interrupts(&master.heard), [(one.as_str(), "another command was started on its builder")]);
    // Not twice.
    let (three, _) = master.begin_shell("b1", "3");
    assert_eq!(
        interrupts(&master.heard)[1..],
        [(two.as_str(), "another command was started on its builder")]
    );
    for id in [&one, &two, &three, &other] {
        master.update(id, Update::Rc(-1));
        master.complete(id, None);
    }
    let of = |object| master.calls.iter().filter(|(call, _)| call.object == object).count();
    assert_eq!((of(first), of(second)), (2, 2));
    assert_eq!(master.calls.len(), 8);
}

/// Buildbot asks for several globs at once; its worker has answered the first before it reads the second.
#[test]
fn questions_that_are_asked_at_once_do_not_interrupt_each_other() {
    let mut master = PlainMaster::attached(&["b1"]);
    for (name, key) in
        [("glob", "path"), ("stat", "file"), ("listdir", "dir"), ("mkdir", "dir"), ("rmfile", "path")]
    {
        master.begin("b1", name, name, Value::dict([(key, Value::text("x"))]));
    }
    assert_eq!(master.heard, []);
    let (id, _) = master.begin_shell("b1", "1");
    assert_eq!(master.heard, []);
    master.begin("b1", "2", "glob", Value::dict([("path", Value::text("x"))]));
    assert_eq!(interrupts(&master.heard), [(id.as_str(), "another command was started on its builder")]);
}

#[test]
fn a_builder_that_is_taken_away_has_its_commands_interrupted_and_their_ends_are_told() {
    let mut master = PlainMaster::attached(&["b1", "b2"]);
    let (one, object) = master.begin_shell("b1", "1");
    master.begin_shell("b2", "2");
    master.set_builders(&["b2"]);
    let [BotEvent::Order(ToWorker::Interrupt { id, why }), BotEvent::Order(ToWorker::SetBuilders(list))] =
        &master.heard[..]
    else {
        panic!("{:?}", master.heard)
    };
    assert_eq!((id, why.as_str(), list.len()), (&one, "its builder was taken away", 1));
    master.set_builders(&["b2"]);
    assert_eq!(interrupts(&master.heard).len(), 1, "not twice");
    master.complete(&one, None);
    assert_eq!((master.calls[0].0.object, master.methods()), (object, vec!["complete"]));
}

#[test]
fn the_end_is_told_with_its_failure_in_a_form_that_masters_read() {
    let mut master = PlainMaster::attached(&["b1"]);
    let (id, object) = master.begin_shell("b1", "1");
    master.complete(&id, Some("the disk is gone"));
    let end = master.answer(&Value::None);
    assert_eq!((end.object, end.method.as_str()), (object, "complete"));
    let [failure @ Value::Failure(fields)] = end.args.as_slice() else { panic!("{end:?}") };
    let fields: BTreeMap<_, _> =
        fields.iter().map(|(key, value)| (key.as_text().unwrap().into_owned(), value)).collect();
    assert_eq!(fields["type"], &Value::Bytes("builtins.RuntimeError".into()));
    assert_eq!(fields["value"], &Value::text("the disk is gone"));
    let parents = fields["parents"].as_items().unwrap();
    assert!(parents.contains(&Value::text("builtins.Exception")), "{parents:?}");
    assert_eq!(fields["traceback"], &Value::text("Traceback unavailable\n"));
    assert_eq!(Failure::read(failure).to_string(), "builtins.RuntimeError: the disk is gone");
    let mut pair = Pair::attached(&["b1"]);
    let id = pair.begin("1", "b1", shell());
    pair.complete(&id, Some(&"x".repeat(1_000_000)));
    let [FromWorker::Complete { failure: Some(failure), .. }] = &pair.news[..] else {
        panic!("{:?}", pair.news)
    };
    assert_eq!(failure.len(), "builtins.RuntimeError: ".len() + 16 * 1024);
}

#[test]
fn a_commands_object_is_given_back_once_its_end_was_answered_whatever_was_answered() {
    let mut master = PlainMaster::attached(&["b1"]);
    for is_error in [false, true] {
        let (id, _) = master.begin_shell("b1", "1");
        master.complete(&id, None);
        assert_eq!(master.held(), 1);
        if is_error {
            master.refuse("builtins.ValueError", "no");
            let [BotEvent::Failed(failure)] = &master.heard[..] else { panic!("{:?}", master.heard) };
            assert_eq!(failure, "the end of a command was not heard: builtins.ValueError: no");
        } else {
            master.answer(&Value::None);
            assert_eq!(master.heard, []);
        }
        assert_eq!(master.held(), 0);
    }
}

#[test]
fn nothing_follows_the_end_of_a_command() {
    let mut master = PlainMaster::attached(&["b1"]);
    let (id, _) = master.begin_shell("b1", "1");
    master.complete(&id, None);
    master.complete(&id, None);
    master.update(&id, Update::Rc(0));
    master.update(&id, stdout(b"line\n"));
    assert_eq!(master.methods(), ["complete"]);
    assert_eq!(master.bot.due(), None);
}

#[test]
fn a_long_name_or_reason_of_a_master_is_kept_in_part_and_still_found() {
    let mut master = PlainMaster::attached(&["b1"]);
    let long = "n".repeat(100_000);
    let (id, _) = master.begin_shell("b1", &long);
    assert!(id.as_str().len() < 100, "{id}");
    let (other, _) = master.begin("b1", "2", "glob", Value::dict([("path", Value::text("x"))]));
    assert_ne!(id, other);
    master.heard.clear();
    let args = [Value::text(long.clone()), Value::text(long)];
    assert_eq!(master.ask_builder("b1", "interruptCommand", &args), Ok(Value::None));
    let [(named, why)] = interrupts(&master.heard)[..] else { panic!("{:?}", master.heard) };
    assert_eq!((named, why.len()), (id.as_str(), MAX_TEXT_BYTES));
}
