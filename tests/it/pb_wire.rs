//! The wire of `buildbot-worker` 4.3.0 alone: a `MasterSession` and nothing else of a master.
//!
//! # Laws
//! - What a master says here follows from what it hears and from nothing else, so that what a worker said once can be
//!   given to it again (`recorded`).
//!
//! # Not here
//! Masters as an operator has them (`workers`).

mod bot;
mod live;
mod recorded;

use std::{collections::VecDeque, sync::Arc};

use bytes::Bytes;
use lunabot::{
    model::{LogStream, Secret, WorkerInfo},
    protocol::{
        CommandId, FromWorker, ShellArguments, ToWorker, Transfer, TransferReply, Update, WorkerCommand,
        command::{Compression, DownloadFile, ShellLine, UploadDirectory, UploadFile},
        message::BuilderFolder,
        pb::{MasterSession, SessionEvent},
    },
};

/// As whom the worker logs in, and with which password that nothing else has.
const NAME: &str = "w1";
const PASSWORD: &str = "pass1";
/// Another for each connection, but in tests.
const CHALLENGE: [u8; 16] =
    [0x83, 0x20, 0x66, 0xe3, 0x6e, 0x65, 0x84, 0x1e, 0x3c, 0x5e, 0x70, 0xea, 0x9d, 0x87, 0xf5, 0xe9];

/// The one builder.
const BUILDER: &str = "b1";

/// A command, and what the master does while it runs.
struct Order {
    command: WorkerCommand,
    /// What is given to a download.
    source: Bytes,
    interrupt: Interrupt,
}

#[derive(Clone, Copy, PartialEq)]
enum Interrupt {
    Never,
    /// With the start.
    AtOnce,
    /// When the first block has come.
    AtFirstBlock,
}

impl From<WorkerCommand> for Order {
    fn from(command: WorkerCommand) -> Self {
        Self { command, source: Bytes::new(), interrupt: Interrupt::Never }
    }
}

/// What became of a command.
#[derive(Debug, Default, PartialEq)]
struct Ended {
    stdout: String,
    stderr: String,
    header: String,
    /// Its watched files.
    logs: Vec<(String, String)>,
    /// All others, in order.
    updates: Vec<Update>,
    /// How long each block was that came or went.
    blocks: Vec<usize>,
    /// What was uploaded.
    taken: Vec<u8>,
    /// What was told of a transfer beside its blocks.
    told: Vec<Transfer>,
    failure: Option<String>,
}

impl Ended {
    fn rc(&self) -> Option<i32> {
        self.updates.iter().rev().find_map(|update| match update {
            Update::Rc(rc) => Some(*rc),
            _ => None,
        })
    }
}

/// A master that lets a worker in, gives it commands one after the other, and serves their transfers.
struct Play {
    session: MasterSession,
    info: Option<WorkerInfo>,
    is_attached: bool,
    orders: VecDeque<Order>,
    running: Option<(CommandId, Order, Ended)>,
    ended: Vec<Ended>,
    /// All that was heard of commands.
    heard: Vec<FromWorker>,
}

impl Play {
    fn new(orders: impl IntoIterator<Item = Order>) -> Self {
        Self {
            session: MasterSession::new(CHALLENGE),
            info: None,
            is_attached: false,
            orders: orders.into_iter().collect(),
            running: None,
            ended: Vec::new(),
            heard: Vec::new(),
        }
    }

    /// Hears the worker, and does what follows.
    fn hear(&mut self, bytes: &[u8]) {
        self.session.handle_input(bytes).unwrap();
        while let Some(event) = self.session.poll_event() {
            match event {
                SessionEvent::Login(attempt) => {
                    assert_eq!(attempt.name, NAME);
                    assert!(attempt.proves(&Secret::new(PASSWORD)));
                    self.session.accept_login();
                }
                SessionEvent::Attached => {
                    self.is_attached = true;
                    self.next();
                }
                SessionEvent::Message(message) => self.message(message),
            }
        }
    }

    /// Whether the worker is in, and told who it is.
    fn check_attach(&self) {
        assert!(self.is_attached);
        let info = self.info.as_ref().expect("it said who it is");
        assert_eq!(info.text("version"), Some("4.3.0"));
        assert_eq!(info.text("system"), Some("posix"));
        assert_eq!(info.text("admin"), Some("w1's admin\n"));
        assert_eq!(info.0["worker_commands"]["uploadDirectory"], "3.3");
        assert!(!info.0.contains_key("environ"));
    }

    fn is_over(&self) -> bool {
        self.is_attached && self.running.is_none() && self.orders.is_empty()
    }

    fn next(&mut self) {
        let Some(order) = self.orders.pop_front() else { return };
        let id = CommandId::new(format!("{}", self.ended.len() + 1));
        let command = order.command.clone();
        self.session.handle_order(ToWorker::Start { id: id.clone(), builder: BUILDER.into(), command });
        if order.interrupt == Interrupt::AtOnce {
            self.interrupt(id.clone());
        }
        self.running = Some((id, order, Ended::default()));
    }

    fn interrupt(&mut self, id: CommandId) {
        self.session.handle_order(ToWorker::Interrupt { id, why: "the test says so".into() });
    }

    fn message(&mut self, message: FromWorker) {
        if let FromWorker::Hello(info) = message {
            self.info = Some(info);
            let list = vec![BuilderFolder { builder: BUILDER.into(), folder: BUILDER.into() }];
            return self.session.handle_order(ToWorker::SetBuilders(list));
        }
        self.heard.push(message.clone());
        let (running, order, ended) = self.running.as_mut().expect("only commands are told of");
        match message {
            FromWorker::Update { id, update } => {
                assert_eq!(id, *running);
                ended.updated(update);
            }
            FromWorker::Transfer { id, transfer } => {
                assert_eq!(id, *running);
                let reply = match transfer {
                    Transfer::Write(block) => {
                        ended.blocks.push(block.len());
                        ended.taken.extend_from_slice(&block);
                        TransferReply::Taken
                    }
                    Transfer::Read { most } => {
                        let length = order.source.len().min(most as usize);
                        ended.blocks.push(length);
                        TransferReply::Data(order.source.split_to(length))
                    }
                    other => return ended.told.push(other),
                };
                if order.interrupt == Interrupt::AtFirstBlock {
                    return self.interrupt(id);
                }
                self.session.handle_order(ToWorker::Reply { id, reply });
            }
            FromWorker::Complete { id, failure } => {
                assert_eq!(id, *running);
                let (_, _, mut ended) = self.running.take().expect("it was there");
                ended.failure = failure;
                self.ended.push(ended);
                self.next();
            }
            other => panic!("{other:?}"),
        }
    }
}

impl Ended {
    fn updated(&mut self, update: Update) {
        let add = |to: &mut String, bytes: &[u8]| to.push_str(std::str::from_utf8(bytes).unwrap());
        match update {
            Update::Output { stream: LogStream::Stdout, bytes } => add(&mut self.stdout, &bytes),
            Update::Output { stream: LogStream::Stderr, bytes } => add(&mut self.stderr, &bytes),
            Update::Output { bytes, .. } => add(&mut self.header, &bytes),
            Update::Log { name, bytes } => {
                self.logs.push((name.to_string(), String::from_utf8(bytes.to_vec()).unwrap()));
            }
            other => self.updates.push(other),
        }
    }
}

/// An exchange of which a recording is kept: its name, its command after the attach, and what must become of that.
type Exchange = (&'static str, Option<Order>, fn(&Ended));

/// What [`exchanges`] upload, and what they download.
fn sample_bytes() -> Vec<u8> {
    (0..250).collect()
}

/// What must lie in the builder's folder before the [`exchanges`]: paths and contents.
fn sample_files() -> [(&'static str, Vec<u8>); 2] {
    [("build/a.bin", sample_bytes()), ("build/d/x.txt", b"some text\n".to_vec())]
}

fn exchanges() -> Vec<Exchange> {
    let upload = UploadFile {
        workdir: "build".into(),
        source: "a.bin".into(),
        max_size: None,
        block_size: 100,
        keep_stamp: true,
    };
    let folder = || {
        WorkerCommand::UploadDirectory(Box::new(UploadDirectory {
            workdir: "build".into(),
            source: "d".into(),
            max_size: None,
            block_size: 128,
            compress: Some(Compression::Gzip),
        }))
    };
    let download = DownloadFile {
        workdir: "build".into(),
        destination: "b.bin".into(),
        max_size: None,
        block_size: 100,
        mode: Some(0o640),
    };
    let interrupted = |command, interrupt| Order { interrupt, ..Order::from(command) };
    vec![
        ("worker_attach", None, |_| {}),
        ("worker_shell", Some(shell("printf 'one\\ntwo'; echo oops >&2; exit 3").into()), |ended| {
            // The worker ends the last line by itself, after the exit code.
            assert_eq!((ended.stdout.as_str(), ended.stderr.as_str()), ("one\ntwo\n", "oops\n"));
            assert!(matches!(ended.updates[..], [Update::Rc(3), Update::Elapsed(_)]), "{ended:?}");
            assert!(ended.header.contains("using PTY: False"), "{ended:?}");
            assert_eq!(ended.failure, None);
        }),
        ("worker_upload", Some(WorkerCommand::UploadFile(Box::new(upload)).into()), |ended| {
            assert_eq!((&ended.blocks[..], &ended.taken), (&[100, 100, 50][..], &sample_bytes()));
            assert!(matches!(ended.told[..], [Transfer::Close, Transfer::Times { .. }]), "{ended:?}");
            assert_eq!((ended.rc(), &ended.failure), (Some(0), &None));
        }),
        (
            "worker_download",
            Some(Order {
                source: sample_bytes().into(),
                ..Order::from(WorkerCommand::DownloadFile(Box::new(download)))
            }),
            |ended| {
                assert_eq!(ended.blocks, [100, 100, 50, 0]);
                assert_eq!((&ended.told[..], ended.rc()), (&[Transfer::Close][..], Some(0)));
                assert_eq!(ended.failure, None);
            },
        ),
        ("worker_directory_upload", Some(folder().into()), |ended| {
            assert_eq!(ended.taken[..2], [0x1f, 0x8b], "it is gzip");
            assert_eq!(ended.blocks[0], 128);
            assert_eq!((&ended.told[..], ended.rc()), (&[Transfer::Unpack][..], Some(0)));
            assert_eq!(ended.failure, None);
        }),
        ("worker_interrupt", Some(interrupted(shell("exec sleep 100"), Interrupt::AtOnce)), |ended| {
            assert_eq!(ended.updates, [Update::Rc(-1)], "there is no time of who was interrupted");
            assert!(ended.header.contains("signal 9"), "{ended:?}");
        }),
        ("worker_interrupt_upload", Some(interrupted(folder(), Interrupt::AtFirstBlock)), |ended| {
            assert_eq!(ended.blocks, [128], "no block follows an interrupt");
            assert_eq!((&ended.told[..], ended.rc()), (&[Transfer::Unpack][..], Some(1)));
            assert_eq!(ended.failure, None);
        }),
    ]
}

fn shell(line: &str) -> WorkerCommand {
    WorkerCommand::Shell(Box::new(shell_arguments(line)))
}

fn shell_arguments(line: &str) -> ShellArguments {
    ShellArguments {
        shown: None,
        command: ShellLine::Shell(line.to_owned()),
        workdir: "build".into(),
        env: std::collections::BTreeMap::new(),
        stdin: None,
        timeout: None,
        max_time: None,
        sigterm_time: None,
        interrupt_signal: "KILL".into(),
        want_stdout: true,
        want_stderr: true,
        log_environ: false,
        log_files: Vec::new(),
        max_lines: None,
        use_pty: false,
    }
}

/// An interned name, as commands have it.
fn name(text: &str) -> Arc<str> {
    text.into()
}
