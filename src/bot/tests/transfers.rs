//! Files and folders on their way between worker and master.

use std::{
    collections::BTreeMap,
    fs,
    io::{Read, Write},
    os::unix::{
        ffi::OsStrExt,
        fs::{MetadataExt, PermissionsExt, symlink},
    },
    path::Path,
};

use bytes::Bytes;

use super::*;
use crate::{
    bot::testing::Move,
    protocol::{
        Transfer, TransferReply,
        command::{Compression, DownloadFile, UploadDirectory, UploadFile},
    },
};

fn upload(source: &str) -> UploadFile {
    UploadFile {
        workdir: "build".into(),
        source: source.into(),
        max_size: None,
        block_size: 16 * 1024,
        keep_stamp: false,
    }
}

fn upload_folder(source: &str) -> UploadDirectory {
    UploadDirectory {
        workdir: "build".into(),
        source: source.into(),
        max_size: None,
        block_size: 16 * 1024,
        compress: None,
    }
}

fn download(destination: &str) -> DownloadFile {
    DownloadFile {
        workdir: "build".into(),
        destination: destination.into(),
        max_size: None,
        block_size: 16 * 1024,
        mode: None,
    }
}

impl Master {
    async fn upload(&mut self, arguments: UploadFile) -> Told {
        self.carry_out(WorkerCommand::UploadFile(Box::new(arguments))).await
    }

    async fn upload_folder(&mut self, arguments: UploadDirectory) -> Told {
        self.carry_out(WorkerCommand::UploadDirectory(Box::new(arguments))).await
    }

    async fn download(&mut self, arguments: DownloadFile, stored: &[u8]) -> Told {
        self.stored = Bytes::copy_from_slice(stored);
        self.carry_out(WorkerCommand::DownloadFile(Box::new(arguments))).await
    }

    /// The command's folder, which exists.
    fn build(&self) -> PathBuf {
        let build = self.builddir().join("build");
        fs::create_dir_all(&build).unwrap();
        build
    }

    /// Hears updates until a transfer, which is not answered.
    async fn transfer(&mut self) -> Transfer {
        loop {
            match self.heard().await {
                FromWorker::Transfer { transfer, .. } => return transfer,
                FromWorker::Update { .. } => {}
                other => panic!("{other:?}"),
            }
        }
    }
}

/// Bytes that do not repeat soon.
fn noise(length: usize) -> Vec<u8> {
    (0..length as u64).map(|i| (i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8).collect()
}

/// What lies in a folder besides what is wanted.
fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().display().to_string()).collect();
    names.sort();
    names
}

#[tokio::test]
async fn a_file_goes_in_blocks_in_lock_step_with_its_times_at_the_end() {
    let mut master = Master::start().await;
    let bytes = noise(40_000);
    fs::write(master.build().join("ä b.bin"), &bytes).unwrap();
    let told = master.upload(UploadFile { keep_stamp: true, ..upload("ä b.bin") }).await;
    assert!(told.written == bytes);
    let blocks = [Move::Write(16_384), Move::Write(16_384), Move::Write(7_232), Move::Close, Move::Times];
    assert_eq!(told.moves, blocks);
    assert_eq!((told.rc, told.failure), (Some(0), None));
    assert_eq!(told.header, format!("sending {}\n", master.build().join("ä b.bin").display()));
    // By its absolute path, and from an empty one.
    fs::write(master.build().join("empty"), "").unwrap();
    let path = master.build().join("empty").display().to_string();
    assert_eq!(master.upload(upload(&path)).await.moves, [Move::Close]);
}

#[tokio::test]
async fn a_block_is_waited_for_before_the_next_is_sent() {
    let mut master = Master::start().await;
    fs::write(master.build().join("f"), noise(20_000)).unwrap();
    master.start_command(WorkerCommand::UploadFile(Box::new(upload("f")))).await;
    let Transfer::Write(first) = master.transfer().await else { panic!("no block") };
    assert_eq!(first.len(), 16_384);
    // An answer to a ping comes, though it was asked for later; a block does not.
    master.say(ToWorker::Ping(1)).await;
    assert_eq!(master.heard().await, FromWorker::Pong(1));
    master.reply(TransferReply::Taken).await;
    let Transfer::Write(second) = master.transfer().await else { panic!("no block") };
    assert_eq!(second.len(), 3_616);
    master.reply(TransferReply::Taken).await;
    assert_eq!(master.rest(Told::default()).await.moves, [Move::Close]);
}

#[tokio::test]
async fn a_source_that_cannot_be_read_is_told_and_closed() {
    let mut master = Master::start().await;
    fs::create_dir(master.build().join("folder")).unwrap();
    rustix::fs::mkfifoat(rustix::fs::CWD, master.build().join("pipe"), rustix::fs::Mode::RWXU).unwrap();
    let mut sources = vec!["missing", "folder", "pipe"];
    if !rustix::process::geteuid().is_root() {
        fs::write(master.build().join("secret"), "").unwrap();
        fs::set_permissions(master.build().join("secret"), fs::Permissions::from_mode(0o000)).unwrap();
        sources.push("secret");
    }
    for source in sources {
        let told = master.upload(upload(source)).await;
        assert_eq!((told.rc, told.moves.as_slice()), (Some(1), [Move::Close].as_slice()), "{source}");
        let text = format!("Cannot open file '{}' for upload: ", master.build().join(source).display());
        assert!(told.text().starts_with(&text), "{}", told.text());
    }
    for source in ["missing", "pipe"] {
        let told = master.upload_folder(upload_folder(source)).await;
        assert_eq!((told.rc, told.moves.as_slice()), (Some(1), [].as_slice()), "{source}");
        let text = format!("Cannot read directory '{}' for upload: ", master.build().join(source).display());
        assert!(told.text().starts_with(&text), "{}", told.text());
    }
}

#[tokio::test]
async fn a_file_above_its_limit_is_cut_and_fails() {
    let mut master = Master::start().await;
    fs::write(master.build().join("f"), noise(20_000)).unwrap();
    // As long as the limit is too long, too.
    for limit in [20_000, 16_390] {
        let told = master.upload(UploadFile { max_size: Some(limit as u64), ..upload("f") }).await;
        assert!(told.written == noise(20_000)[..limit]);
        assert_eq!(told.rc, Some(1));
        let path = master.build().join("f").display().to_string();
        assert_eq!(told.text(), format!("Maximum filesize reached, truncating file '{path}'\n"));
    }
    assert_eq!(master.upload(UploadFile { max_size: Some(20_001), ..upload("f") }).await.rc, Some(0));

    let told =
        master.download(DownloadFile { max_size: Some(16_390), ..download("g") }, &noise(20_000)).await;
    assert_eq!(told.moves, [Move::Read(16_384), Move::Read(6), Move::Close]);
    assert_eq!(told.rc, Some(1));
    assert!(told.text().starts_with("Maximum filesize reached"));
    assert!(fs::read(master.build().join("g")).unwrap() == noise(20_000)[..16_390]);
}

#[tokio::test]
async fn an_interrupt_stops_a_transfer_before_the_next_block() {
    let mut master = Master::start().await;
    fs::write(master.build().join("f"), noise(100_000)).unwrap();
    fs::write(master.build().join("old"), "kept").unwrap();
    let commands = [
        (WorkerCommand::UploadFile(Box::new(upload("f"))), Move::Close),
        (WorkerCommand::UploadDirectory(Box::new(upload_folder("."))), Move::Unpack),
        (WorkerCommand::DownloadFile(Box::new(download("old"))), Move::Close),
    ];
    for (command, end) in commands {
        master.start_command(command).await;
        let first = master.transfer().await;
        assert!(matches!(first, Transfer::Write(_) | Transfer::Read { .. }));
        master.interrupt().await;
        // Its answer may come late, and is no answer to anything then.
        master.reply(TransferReply::Taken).await;
        let told = master.rest(Told::default()).await;
        assert_eq!((told.moves.as_slice(), told.rc), ([end].as_slice(), Some(1)));
        assert!(told.header.ends_with("command interrupted: stopped by ann\n"), "{}", told.header);
        assert_eq!(names(&master.build()), ["f", "old"]);
        assert_eq!(fs::read(master.build().join("old")).unwrap(), b"kept");
    }
}

#[tokio::test]
async fn a_link_that_goes_ends_a_transfer_and_leaves_nothing_of_it() {
    let mut master = Master::start().await;
    let build = master.build();
    master.start_command(WorkerCommand::DownloadFile(Box::new(download("f")))).await;
    assert_eq!(master.transfer().await, Transfer::Read { most: 16_384 });
    master.reply(TransferReply::Data("a block".into())).await;
    assert_eq!(master.transfer().await, Transfer::Read { most: 16_384 });
    assert_eq!(names(&build).len(), 1, "it lies beside its place");
    drop(master.link);
    timeout(KILL_LIMIT / 2, master.task).await.expect("the command is not ended at once").unwrap();
    eventually("nothing is left", || names(&build).is_empty()).await;
}

#[tokio::test]
async fn a_fetched_file_takes_its_place_with_its_permissions() {
    let mut master = Master::start().await;
    let mode = |path: &Path| path.metadata().unwrap().mode() & 0o7777;
    let told = master.download(DownloadFile { mode: Some(0o640), ..download("new/folder/ä") }, b"one").await;
    assert_eq!(told.moves, [Move::Read(16_384), Move::Read(16_384), Move::Close]);
    assert_eq!((told.rc, told.output.as_slice()), (Some(0), b"".as_slice()));
    let path = master.build().join("new/folder/ä");
    assert_eq!((fs::read(&path).unwrap().as_slice(), mode(&path)), (b"one".as_slice(), 0o640));

    // Without permissions of its own it keeps those that were there; a link is followed.
    symlink("new/folder/ä", master.build().join("link")).unwrap();
    assert_eq!(master.download(download("link"), b"two").await.rc, Some(0));
    assert_eq!((fs::read(&path).unwrap().as_slice(), mode(&path)), (b"two".as_slice(), 0o640));
    assert!(master.build().join("link").is_symlink());
    assert_eq!(names(path.parent().unwrap()), ["ä"]);

    fs::create_dir(master.build().join("folder")).unwrap();
    for bad in ["folder", "new/folder/ä/below", "..", "/dev/null"] {
        let told = master.download(download(bad), b"three").await;
        assert_eq!((told.rc, told.moves.as_slice()), (Some(1), [Move::Close].as_slice()), "{bad}");
        assert!(told.text().starts_with("Cannot open file '"), "{}", told.text());
    }
    assert!(!Path::new("/dev/null").is_file());
}

#[tokio::test]
async fn a_master_that_answers_wrongly_fails_the_transfer() {
    let mut master = Master::start().await;
    for (answer, text) in [
        (TransferReply::Taken, "the master sent no data\n"),
        (TransferReply::Data(Bytes::from(vec![0; 16_385])), "the master sent more than it was asked for\n"),
    ] {
        master.start_command(WorkerCommand::DownloadFile(Box::new(download("f")))).await;
        assert!(matches!(master.transfer().await, Transfer::Read { .. }));
        master.reply(answer).await;
        let told = master.rest(Told::default()).await;
        assert_eq!((told.rc, told.text()), (Some(1), text.to_owned()));
        assert!(names(&master.build()).is_empty());
    }
}

#[tokio::test]
async fn a_large_file_goes_both_ways_one_block_at_a_time() {
    let mut master = Master::start().await;
    let bytes = noise(50 * 1024 * 1024);
    fs::write(master.build().join("large"), &bytes).unwrap();
    // More than a wire can carry is asked for, and not taken.
    let told = master.upload(UploadFile { block_size: u32::MAX, ..upload("large") }).await;
    assert!(told.written == bytes);
    assert_eq!((told.moves.len(), told.moves[0]), (81, Move::Write(655_360)));
    let told = master.download(DownloadFile { block_size: u32::MAX, ..download("copy") }, &bytes).await;
    assert_eq!((told.rc, told.moves[0]), (Some(0), Move::Read(655_360)));
    assert!(fs::read(master.build().join("copy")).unwrap() == bytes);
}

/// What is in a tar stream: mode, and what a file holds or where a link leads.
fn unpacked(stream: impl Read) -> BTreeMap<Vec<u8>, (u32, Vec<u8>)> {
    let mut archive = tar::Archive::new(stream);
    let entries = archive.entries().unwrap();
    entries
        .map(|entry| {
            let mut entry = entry.unwrap();
            let mut held = entry.link_name_bytes().map(|link| link.to_vec()).unwrap_or_default();
            entry.read_to_end(&mut held).unwrap();
            (entry.path_bytes().to_vec(), (entry.header().mode().unwrap(), held))
        })
        .collect()
}

fn folder_of_all_kinds(folder: &Path) -> BTreeMap<Vec<u8>, (u32, Vec<u8>)> {
    let long = format!("sub/{}/{}", "l".repeat(120), "n".repeat(200));
    let odd = std::ffi::OsStr::from_bytes(b"odd\xff");
    fs::create_dir_all(folder.join(&long).parent().unwrap()).unwrap();
    let mut all: BTreeMap<Vec<u8>, (u32, Vec<u8>)> = BTreeMap::new();
    for (name, bytes) in [
        (Path::new("ä"), b"unicode".to_vec()),
        (Path::new(odd), b"bytes".to_vec()),
        (Path::new(&long), noise(512)),
        (Path::new("sub/large"), noise(200_001)),
        (Path::new("empty"), Vec::new()),
    ] {
        fs::write(folder.join(name), &bytes).unwrap();
        fs::set_permissions(folder.join(name), fs::Permissions::from_mode(0o750)).unwrap();
        all.insert(name.as_os_str().as_bytes().to_vec(), (0o750, bytes));
    }
    for (number, target) in ["/nonexistent/far", &"t".repeat(150), "ä", ".."].into_iter().enumerate() {
        let name = format!("link{number}");
        symlink(target, folder.join(&name)).unwrap();
        all.insert(name.into_bytes(), (0o777, target.as_bytes().to_vec()));
    }
    for name in ["./".to_owned(), "sub/".to_owned(), format!("sub/{}/", "l".repeat(120))] {
        fs::set_permissions(folder.join(&name), fs::Permissions::from_mode(0o755)).unwrap();
        all.insert(name.into_bytes(), (0o755, Vec::new()));
    }
    rustix::fs::mkfifoat(rustix::fs::CWD, folder.join("sub/pipe"), rustix::fs::Mode::RWXU).unwrap();
    all
}

#[tokio::test]
async fn a_folder_goes_as_a_tar_stream_with_names_links_and_permissions() {
    let mut master = Master::start().await;
    let folder = master.build().join("out");
    let all = folder_of_all_kinds(&folder);
    for compress in [None, Some(Compression::Gzip), Some(Compression::Bzip2)] {
        let told = master.upload_folder(UploadDirectory { compress, ..upload_folder("out") }).await;
        assert_eq!(told.rc, Some(0), "{}", told.text());
        assert!(told.header.ends_with("left out 1 that are no files, folders or links\n"), "{}", told.header);
        let (end, blocks) = told.moves.split_last().unwrap();
        assert_eq!(*end, Move::Unpack);
        let (last, full) = blocks.split_last().unwrap();
        assert!(full.iter().all(|block| *block == Move::Write(16_384)), "{last:?} {full:?}");
        let stream = told.written.as_slice();
        let found = match compress {
            None => unpacked(stream),
            Some(Compression::Gzip) => unpacked(flate2::read::GzDecoder::new(stream)),
            Some(Compression::Bzip2) => unpacked(bzip2::read::BzDecoder::new(stream)),
        };
        assert!(found == all, "{:?}\n{:?}", found.keys(), all.keys());
    }
}

#[tokio::test]
async fn a_folder_above_its_limit_is_cut_and_fails() {
    let mut master = Master::start().await;
    fs::write(master.build().join("f"), noise(30_000)).unwrap();
    let told = master.upload_folder(UploadDirectory { max_size: Some(20_000), ..upload_folder("") }).await;
    assert_eq!(told.moves, [Move::Write(16_384), Move::Write(3_616), Move::Unpack]);
    assert_eq!(told.rc, Some(1));
    assert!(told.text().starts_with("Maximum filesize reached"), "{}", told.text());
}

#[tokio::test]
async fn a_file_that_grows_or_shrinks_on_its_way_spoils_no_stream() {
    let mut master = Master::start().await;
    let path = master.build().join("f");
    fs::write(&path, noise(500_000)).unwrap();
    master.start_command(WorkerCommand::UploadDirectory(Box::new(upload_folder("")))).await;
    let mut told = Told::default();
    while told.moves.is_empty() {
        assert!(!master.hear(&mut told).await);
    }
    fs::File::options().append(true).open(&path).unwrap().write_all(b"more").unwrap();
    let told = master.rest(told).await;
    assert_eq!(told.rc, Some(0));
    assert_eq!(unpacked(told.written.as_slice())[b"f".as_slice()].1.len(), 500_000);

    master.start_command(WorkerCommand::UploadDirectory(Box::new(upload_folder("")))).await;
    let mut told = Told::default();
    while told.moves.is_empty() {
        assert!(!master.hear(&mut told).await);
    }
    fs::write(&path, "").unwrap();
    let told = master.rest(told).await;
    assert_eq!((told.rc, told.moves.contains(&Move::Unpack)), (Some(1), false));
    assert!(told.text().contains("it became shorter while it was read: "), "{}", told.text());
}

#[tokio::test]
async fn home_is_where_a_tilde_leads() {
    let mut master = Master::start().await;
    let told = master.upload(upload("~/no such file")).await;
    let home = std::env::var("HOME").unwrap();
    assert_eq!(told.header, format!("sending {home}/no such file\n"));
    let told = master.upload(upload("~nobody")).await;
    assert_eq!(told.header, format!("sending {}/~nobody\n", master.build().display()));
}
