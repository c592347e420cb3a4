//! A real worker at the other end.

use std::{
    fs,
    io::{ErrorKind, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    time::Duration,
};

use bytes::Bytes;
use lunabot::protocol::{
    FailureReason, ShellArguments, Transfer, Update, WorkerCommand,
    command::{
        CopyDirectory, DownloadFile, LogFile, MAX_BLOCK_BYTES, RemoveDirectory, ShellLine, StatPath,
        UploadFile,
    },
};

use super::{
    BUILDER, Ended, NAME, Order, PASSWORD, Play, exchanges, name, recorded, sample_files, shell_arguments,
};
use crate::support::{
    master::eventually,
    real_worker::{self, RealWorker, free_port},
    skip::skip,
};

/// How long the worker may be silent.
const SILENCE: Duration = Duration::from_secs(60);

/// A worker that calls a port here, with these files in its builder's folder.
fn called() -> (RealWorker, TcpStream) {
    let port = free_port();
    let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
    listener.set_nonblocking(true).unwrap();
    let mut worker = RealWorker::create(port, NAME, PASSWORD);
    for (path, content) in sample_files() {
        let path = worker.path().join(BUILDER).join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    worker.run_bare();
    let socket = eventually("the worker calls", || match listener.accept() {
        Ok((socket, _)) => Some(socket),
        Err(error) if error.kind() == ErrorKind::WouldBlock => None,
        Err(error) => panic!("{error}"),
    });
    socket.set_nonblocking(false).unwrap();
    socket.set_read_timeout(Some(SILENCE)).unwrap();
    socket.set_write_timeout(Some(SILENCE)).unwrap();
    (worker, socket)
}

/// Plays to the end; gives all that the worker said.
fn converse(play: &mut Play, mut socket: &TcpStream) -> Vec<u8> {
    let mut heard = Vec::new();
    let mut space = vec![0; 64 * 1024];
    loop {
        while let Some(bytes) = play.session.poll_output() {
            socket.write_all(&bytes).unwrap();
        }
        if play.is_over() {
            return heard;
        }
        let count = socket.read(&mut space).unwrap();
        assert!(count > 0, "the worker hung up after {:?}", play.ended);
        heard.extend_from_slice(&space[..count]);
        play.hear(&space[..count]);
    }
}

/// Does nothing unless it is asked for: it writes into `tests/wire/pb`.
#[test]
fn exchanges_are_recorded_where_that_is_asked_for() {
    if std::env::var_os("LUNABOT_TEST_RECORD").is_none() {
        return;
    }
    for (name, order, check) in exchanges() {
        let (_worker, socket) = called();
        let mut play = Play::new(order);
        let heard = converse(&mut play, &socket);
        play.check_attach();
        play.ended.iter().for_each(check);
        recorded::keep(name, &heard);
    }
}

/// A command, and what must become of it; looked at when all have ended.
type Case = (Order, fn(&Ended, &RealWorker));

type Check = Box<dyn Fn(&Ended, &RealWorker)>;

/// More than two of the longest blocks.
fn long_bytes() -> Bytes {
    (0..1_500_000_u32).flat_map(u32::to_le_bytes).take(1_500_000).collect()
}

fn upload(source: &str, max_size: Option<u64>, block_size: u32) -> Order {
    let upload = UploadFile {
        workdir: "build".into(),
        source: source.into(),
        max_size,
        block_size,
        keep_stamp: false,
    };
    WorkerCommand::UploadFile(Box::new(upload)).into()
}

fn files() -> Vec<Case> {
    let long = DownloadFile {
        workdir: "build".into(),
        destination: "sub/long.bin".into(),
        max_size: None,
        block_size: u32::MAX,
        mode: Some(0o600),
    };
    let stat = |path: &str| {
        let stat = StatPath { workdir: "build".into(), path: path.into() };
        Order::from(WorkerCommand::Stat(Box::new(stat)))
    };
    let long = WorkerCommand::DownloadFile(Box::new(long));
    vec![
        (Order { source: long_bytes(), ..Order::from(long) }, |ended, worker| {
            assert_eq!(ended.blocks, [655_360, 655_360, 189_280, 0]);
            assert_eq!(ended.rc(), Some(0));
            assert_eq!(fs::read(worker.build_dir(BUILDER).join("sub/long.bin")).unwrap(), long_bytes());
        }),
        (upload("sub/long.bin", None, MAX_BLOCK_BYTES), |ended, _| {
            assert_eq!(ended.blocks, [655_360, 655_360, 189_280]);
            assert_eq!((ended.rc(), &ended.told[..]), (Some(0), &[Transfer::Close][..]));
            assert_eq!(ended.taken, long_bytes());
        }),
        (upload("sub/long.bin", Some(1000), 600), |ended, _| {
            assert_eq!((&ended.blocks[..], ended.rc()), (&[600, 400][..], Some(1)));
            assert!(ended.stderr.contains("Maximum filesize reached"), "{ended:?}");
        }),
        (upload("missing", None, 600), |ended, _| {
            assert_eq!((ended.blocks.len(), &ended.told[..]), (0, &[Transfer::Close][..]));
            assert_eq!(ended.rc(), Some(1));
            assert!(ended.stderr.contains("Cannot open file"), "{ended:?}");
        }),
        (stat("sub/long.bin"), |ended, _| {
            let [Update::Stat(stat), Update::Rc(0), Update::Elapsed(_)] = &ended.updates[..] else {
                panic!("{ended:?}")
            };
            assert_eq!((stat.mode, stat.size, stat.links), (0o100_600, 1_500_000, 1));
        }),
        (stat("missing"), |ended, _| {
            assert_eq!(ended.rc(), Some(2));
            assert!(ended.header.contains("No such file"), "{ended:?}");
        }),
    ]
}

fn folders() -> Vec<Case> {
    let make = |dir: &str| WorkerCommand::MakeDirectory { dirs: vec![dir.into()] };
    let made = StatPath { workdir: String::new(), path: "new/deep".into() };
    let copy = CopyDirectory {
        from: "build/d".into(),
        to: "above/copy".into(),
        timeout: Some(Duration::from_secs(60)),
        max_time: None,
        log_environ: false,
    };
    let remove = RemoveDirectory {
        dirs: ["above", "new", "missing"].map(str::to_owned).to_vec(),
        timeout: None,
        max_time: Some(Duration::from_secs(60)),
        log_environ: false,
    };
    vec![
        (make("new/deep").into(), |ended, _| assert_eq!(ended.rc(), Some(0))),
        (make("new/deep").into(), |ended, _| assert_eq!(ended.rc(), Some(0))),
        (WorkerCommand::Stat(Box::new(made)).into(), |ended, _| {
            let Some(Update::Stat(stat)) = ended.updates.first() else { panic!("{ended:?}") };
            assert_eq!(stat.mode & 0o170_000, 0o040_000, "it is a folder");
        }),
        (WorkerCommand::CopyDirectory(Box::new(copy)).into(), |ended, _| {
            assert_eq!((ended.rc(), &ended.failure), (Some(0), &None));
        }),
        (WorkerCommand::Glob { pattern: "**/*.txt".into() }.into(), |ended, worker| {
            let Some(Update::Files(files)) = ended.updates.first() else { panic!("{ended:?}") };
            let copied = worker.path().join(BUILDER).join("above/copy/x.txt");
            assert!(files.iter().any(|file| copied.as_os_str() == file.as_str()), "{files:?}");
        }),
        (WorkerCommand::ListDirectory { dir: "build".into() }.into(), |ended, _| {
            let Some(Update::Files(files)) = ended.updates.first() else { panic!("{ended:?}") };
            assert!(files.contains(&"a.bin".to_owned()) && files.contains(&"d".to_owned()), "{files:?}");
        }),
        (WorkerCommand::RemoveDirectory(Box::new(remove)).into(), |ended, worker| {
            assert_eq!((ended.rc(), &ended.failure), (Some(0), &None), "{ended:?}");
            assert!(!worker.path().join(BUILDER).join("new").exists());
        }),
        (WorkerCommand::RemoveFile { path: "build/a.bin".into() }.into(), |ended, worker| {
            assert_eq!(ended.rc(), Some(0));
            assert!(!worker.build_dir(BUILDER).join("a.bin").exists());
        }),
        (WorkerCommand::RemoveFile { path: "build/a.bin".into() }.into(), |ended, _| {
            assert_eq!(ended.rc(), Some(2));
        }),
    ]
}

fn shells() -> Vec<Case> {
    let shell = |arguments| Order::from(WorkerCommand::Shell(Box::new(arguments)));
    let watch = LogFile { name: name("test.log"), path: "t.log".into(), follow: false };
    let watching =
        ShellArguments { log_files: vec![watch], ..shell_arguments("printf 'first\\nlast' > t.log") };
    let many = "i=0; while [ $i -lt 1000 ]; do echo line; i=$((i+1)); done; exec sleep 100";
    let limited = ShellArguments { max_lines: Some(10), ..shell_arguments(many) };
    let terminal = ShellArguments { use_pty: true, ..shell_arguments("test -t 1 && echo a terminal") };
    let words = ShellArguments {
        command: ShellLine::Argv(vec!["cat".into()]),
        stdin: Some(Bytes::from_static("grüße\n".as_bytes())),
        ..shell_arguments("")
    };
    let silent =
        ShellArguments { timeout: Some(Duration::from_millis(300)), ..shell_arguments("exec sleep 100") };
    vec![
        (shell(watching), |ended, _| {
            assert_eq!(ended.rc(), Some(0));
            let text: String = ended.logs.iter().map(|(_, text)| text.as_str()).collect();
            assert_eq!(text, "first\nlast\n");
            assert!(ended.logs.iter().all(|(name, _)| name == "test.log"), "{:?}", ended.logs);
        }),
        (shell(limited), |ended, _| {
            assert!(
                ended.updates.contains(&Update::FailureReason(FailureReason::MaxLines)),
                "{:?}",
                ended.updates
            );
            assert_eq!(ended.rc(), Some(-1));
        }),
        (shell(terminal), |ended, _| {
            assert_eq!((ended.stdout.trim(), ended.rc()), ("a terminal", Some(0)));
        }),
        (shell(words), |ended, _| assert_eq!((ended.stdout.as_str(), ended.rc()), ("grüße\n", Some(0)))),
        (shell(silent), |ended, _| {
            assert!(
                ended.updates.contains(&Update::FailureReason(FailureReason::TimeoutWithoutOutput)),
                "{:?}",
                ended.updates
            );
        }),
    ]
}

#[test]
fn a_real_worker_carries_out_each_command_as_it_is_told() {
    const TEST: &str = "a_real_worker_carries_out_each_command_as_it_is_told";
    if real_worker::program().is_none() {
        return skip(TEST, "LUNABOT_TEST_BUILDBOT_WORKER is not set");
    }
    let (worker, socket) = called();
    let (mut orders, mut checks): (Vec<_>, Vec<Check>) = (Vec::new(), Vec::new());
    for (_, order, check) in exchanges() {
        if let Some(order) = order {
            orders.push(order);
            checks.push(Box::new(move |ended, _| check(ended)));
        }
    }
    for (order, check) in [files(), folders(), shells()].into_iter().flatten() {
        orders.push(order);
        checks.push(Box::new(check));
    }
    let mut play = Play::new(orders);
    converse(&mut play, &socket);
    play.check_attach();
    assert_eq!(play.ended.len(), checks.len());
    for (ended, check) in play.ended.iter().zip(checks) {
        check(ended, &worker);
    }
}
