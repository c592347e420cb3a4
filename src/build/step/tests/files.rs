//! Files and folders on their way.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    time::{Duration, SystemTime},
};

use super::*;
use crate::{
    definition::step::{Content, Download, Limits, UploadDirectory, UploadFile, UploadMany, UploadTarget},
    protocol::{command::MAX_BLOCK_BYTES, message::FileStat},
};

const FREE: Limits = Limits { max_size: None, block_size: 16 * 1024 };

pub(super) fn target(path: &str) -> UploadTarget {
    UploadTarget { master_dest: path.into(), url: None, url_text: None }
}

pub(super) fn upload(to: &str) -> UploadFile {
    UploadFile {
        source: "out/a.tar".into(),
        workdir: "build".into(),
        target: target(to),
        limits: FREE,
        mode: None,
        keep_stamp: false,
    }
}

fn download(content: Content) -> Download {
    Download {
        content,
        worker_dest: "conf/x".into(),
        workdir: "build".into(),
        limits: FREE,
        mode: Some(0o600),
    }
}

/// Plays a worker that uploads these blocks and ends with this exit code.
async fn send(worker: &mut Player, blocks: &[&'static [u8]], rc: i32) {
    let (id, _) = worker.start().await;
    for block in blocks {
        worker.write(&id, *block).await;
        assert_eq!(worker.reply().await, TransferReply::Taken);
    }
    worker.transfer(&id, Transfer::Close).await;
    worker.end(&id, rc).await;
}

#[tokio::test]
async fn an_uploaded_file_is_there_once_all_of_it_has_come_and_not_before() {
    let mut bench = bench().await;
    let place = bench.file("results/a.tar");
    let mut wanted = upload("results/a.tar");
    wanted.mode = Some(0o644);
    wanted.keep_stamp = true;
    wanted.limits.block_size = u32::MAX;
    wanted.target.url = Some("https://example.org/a.tar".into());
    let end = bench
        .run(StepKind::UploadFile(wanted), async |worker: &mut Player| {
            let (id, command) = worker.start().await;
            let WorkerCommand::UploadFile(command) = command else { panic!("{command:?}") };
            assert_eq!((command.source.as_str(), command.workdir.as_str()), ("out/a.tar", "build"));
            assert_eq!(command.block_size, MAX_BLOCK_BYTES, "no wire can carry more");
            worker.write(&id, &b"one "[..]).await;
            assert_eq!(worker.reply().await, TransferReply::Taken);
            worker.write(&id, &b"two"[..]).await;
            assert_eq!(worker.reply().await, TransferReply::Taken);
            assert!(!place.exists());
            worker.transfer(&id, Transfer::Close).await;
            worker.transfer(&id, Transfer::Times { accessed_at: 10.0, modified_at: 1e9 }).await;
            worker.end(&id, 0).await;
        })
        .await;
    assert_eq!(end, StepEnd::new(Outcome::Success, "uploading a.tar"));
    assert_eq!(fs::read(&place).unwrap(), b"one two");
    let found = fs::metadata(&place).unwrap();
    assert_eq!(found.permissions().mode() & 0o777, 0o644);
    assert_eq!(found.modified().unwrap(), SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000));
    let step = bench.store.steps(&Query::all()).await.unwrap().rows.remove(0);
    let address = serde_json::json!({ "name": "a.tar", "url": "https://example.org/a.tar" });
    assert_eq!(step.urls, [address]);
}

#[tokio::test]
async fn a_failed_upload_leaves_the_file_as_it_was() {
    let mut bench = bench().await;
    fs::write(bench.file("a.tar"), "old").unwrap();
    let end = bench
        .run(StepKind::UploadFile(upload("a.tar")), async |worker: &mut Player| {
            send(worker, &[b"half"], 1).await;
        })
        .await;
    assert_eq!(end, StepEnd::new(Outcome::Failure, "uploading a.tar (failure)"));
    assert_eq!(fs::read(bench.file("a.tar")).unwrap(), b"old");
    assert_eq!(bench.left_over(), Vec::<String>::new());
}

#[tokio::test]
async fn an_upload_without_its_end_is_not_shown_as_whole() {
    let mut bench = bench().await;
    fs::write(bench.file("a.tar"), "old").unwrap();
    // The second goes on writing after its end.
    for closes_first in [false, true] {
        let end = bench
            .run(StepKind::UploadFile(upload("a.tar")), async |worker: &mut Player| {
                let (id, _) = worker.start().await;
                if closes_first {
                    worker.transfer(&id, Transfer::Close).await;
                    worker.transfer(&id, Transfer::Close).await;
                }
                worker.write(&id, &b"half"[..]).await;
                assert_eq!(worker.reply().await, TransferReply::Taken);
                worker.end(&id, 0).await;
            })
            .await;
        assert_eq!(end.outcome, Outcome::Failure, "{}", end.state);
        assert!(end.state.contains("has not sent all of"), "{}", end.state);
        assert_eq!(fs::read(bench.file("a.tar")).unwrap(), b"old");
        assert_eq!(bench.left_over(), Vec::<String>::new());
    }
}

#[tokio::test]
async fn what_is_too_large_is_interrupted_and_still_answered() {
    let mut bench = bench().await;
    let mut wanted = upload("a.tar");
    wanted.limits.max_size = Some(5);
    let end = bench
        .run(StepKind::UploadFile(wanted), async |worker: &mut Player| {
            let (id, _) = worker.start().await;
            worker.write(&id, &b"123"[..]).await;
            assert_eq!(worker.reply().await, TransferReply::Taken);
            worker.write(&id, &b"456"[..]).await;
            // A worker that got an error here would never end its command.
            worker.interrupted().await;
            assert_eq!(worker.reply().await, TransferReply::Taken);
            worker.write(&id, &b"789"[..]).await;
            assert_eq!(worker.reply().await, TransferReply::Taken);
            worker.transfer(&id, Transfer::Close).await;
            worker.end(&id, 1).await;
        })
        .await;
    assert_eq!(end.outcome, Outcome::Failure);
    assert!(end.state.contains("a.tar` has more than 5 bytes"), "{}", end.state);
    assert!(!bench.file("a.tar").exists());
    assert_eq!(bench.left_over(), Vec::<String>::new());
}

#[tokio::test]
async fn a_stop_and_a_lost_link_leave_nothing_of_an_upload() {
    let mut bench = bench().await;
    let control = bench.control.clone();
    let end = bench
        .run(StepKind::UploadFile(upload("a.tar")), async |worker: &mut Player| {
            let (id, _) = worker.start().await;
            worker.write(&id, &b"half"[..]).await;
            assert_eq!(worker.reply().await, TransferReply::Taken);
            control.stop(StopKind::Cancel, "enough");
            worker.interrupted().await;
            worker.transfer(&id, Transfer::Close).await;
            worker.end(&id, 1).await;
        })
        .await;
    assert_eq!(end, StepEnd::new(Outcome::Cancelled, "uploading a.tar interrupted: enough"));
    assert_eq!(bench.left_over(), Vec::<String>::new());

    let connection = bench.connection.clone();
    let end = bench
        .run(StepKind::UploadFile(upload("a.tar")), async |worker: &mut Player| {
            let (id, _) = worker.start().await;
            worker.write(&id, &b"half"[..]).await;
            assert_eq!(worker.reply().await, TransferReply::Taken);
            connection.close();
        })
        .await;
    assert_eq!(end, StepEnd::lost());
    assert!(!bench.file("a.tar").exists());
    assert_eq!(bench.left_over(), Vec::<String>::new());
}

#[tokio::test]
async fn a_place_that_cannot_be_written_is_told_before_the_worker_is_asked() {
    let mut bench = bench().await;
    fs::write(bench.file("file"), "").unwrap();
    for (to, words) in [("file/a.tar", "file`: "), ("../a.tar", "leads out of the master's folder")] {
        let end = bench.run(StepKind::UploadFile(upload(to)), async |_: &mut Player| {}).await;
        assert_eq!(end.outcome, Outcome::Exception);
        assert!(end.state.contains(words), "{}", end.state);
    }
}

#[tokio::test]
async fn a_download_gives_the_file_block_by_block() {
    let mut bench = bench().await;
    fs::write(bench.file("secret.conf"), "0123456789").unwrap();
    let file = StepKind::Download(download(Content::File("secret.conf".into())));
    let end = bench
        .run(file, async |worker: &mut Player| {
            let (id, command) = worker.start().await;
            let WorkerCommand::DownloadFile(command) = command else { panic!("{command:?}") };
            assert_eq!((command.destination.as_str(), command.mode), ("conf/x", Some(0o600)));
            for block in ["0123", "4567", "89", "", ""] {
                worker.transfer(&id, Transfer::Read { most: 4 }).await;
                assert_eq!(worker.reply().await, TransferReply::Data(block.into()));
            }
            worker.transfer(&id, Transfer::Close).await;
            worker.end(&id, 0).await;
        })
        .await;
    assert_eq!(end, StepEnd::new(Outcome::Success, "downloading to x"));
}

#[tokio::test]
async fn texts_and_values_are_downloaded_as_files() {
    let mut bench = bench().await;
    let json = Worth::Plain(serde_json::json!({ "a": 1 }));
    for (content, text) in [(Content::Text("hello".into()), "hello"), (Content::Json(json), r#"{"a":1}"#)] {
        let play = async |worker: &mut Player| {
            let (id, _) = worker.start().await;
            for block in [text, ""] {
                worker.transfer(&id, Transfer::Read { most: 100 }).await;
                assert_eq!(worker.reply().await, TransferReply::Data(block.into()));
            }
            worker.end(&id, 0).await;
        };
        assert_eq!(bench.run(StepKind::Download(download(content)), play).await.outcome, Outcome::Success);
    }
}

#[tokio::test]
async fn what_is_no_file_on_the_master_is_a_failure_that_names_it() {
    let mut bench = bench().await;
    fs::create_dir(bench.file("folder")).unwrap();
    for name in ["missing", "folder"] {
        let file = StepKind::Download(download(Content::File(name.into())));
        let end = bench.run(file, async |_: &mut Player| {}).await;
        assert_eq!(end.outcome, Outcome::Failure);
        assert!(end.state.contains(&format!("{name}` is no file on the master")), "{}", end.state);
    }
}

/// A tar stream with one file.
fn tar(name: &str, bytes: &[u8]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_ustar();
    header.set_size(u64::try_from(bytes.len()).unwrap());
    header.set_mode(0o644);
    builder.append_data(&mut header, name, bytes).unwrap();
    builder.into_inner().unwrap()
}

fn folder(to: &str) -> UploadDirectory {
    UploadDirectory {
        source: "html".into(),
        workdir: "build".into(),
        target: target(to),
        limits: FREE,
        compress: None,
    }
}

#[tokio::test]
async fn a_folder_comes_into_one_that_may_be_there() {
    let mut bench = bench().await;
    for name in ["first", "second"] {
        let stream = tar(&format!("{name}/index.html"), name.as_bytes());
        let end = bench
            .run(StepKind::UploadDirectory(folder("site")), async |worker: &mut Player| {
                let (id, _) = worker.start().await;
                for block in stream.chunks(600) {
                    worker.write(&id, block.to_vec()).await;
                    assert_eq!(worker.reply().await, TransferReply::Taken);
                }
                worker.transfer(&id, Transfer::Unpack).await;
                worker.end(&id, 0).await;
            })
            .await;
        assert_eq!(end, StepEnd::new(Outcome::Success, "uploading html"));
    }
    assert_eq!(fs::read(bench.file("site/first/index.html")).unwrap(), b"first");
    assert_eq!(fs::read(bench.file("site/second/index.html")).unwrap(), b"second");
    assert_eq!(bench.left_over(), Vec::<String>::new());
}

#[tokio::test]
async fn a_folder_that_was_cut_by_an_interrupt_is_no_folder() {
    let mut bench = bench().await;
    let stream = tar("index.html", &[1; 3000]);
    for rc in [0, 1] {
        let half = stream[..1000].to_vec();
        let end = bench
            .run(StepKind::UploadDirectory(folder("site")), async |worker: &mut Player| {
                let (id, _) = worker.start().await;
                worker.write(&id, half).await;
                assert_eq!(worker.reply().await, TransferReply::Taken);
                worker.transfer(&id, Transfer::Unpack).await;
                worker.end(&id, rc).await;
            })
            .await;
        assert_eq!(end.outcome, Outcome::Failure, "{}", end.state);
        assert!(!bench.file("site").exists());
        assert_eq!(bench.left_over(), Vec::<String>::new());
    }
}

#[tokio::test]
async fn many_files_are_found_by_a_pattern_and_come_one_after_the_other() {
    let mut bench = bench().await;
    let wanted = UploadMany {
        sources: vec!["*.deb".into()],
        glob: true,
        workdir: "build".into(),
        target: target("packages"),
        limits: FREE,
        mode: None,
        keep_stamp: false,
        compress: None,
    };
    let play = async |worker: &mut Player| {
        let (id, command) = worker.start().await;
        assert_eq!(command, WorkerCommand::Glob { pattern: "build/*.deb".into() });
        let files = ["/w/b/build/z.deb", "/w/b/build/a.deb"].map(str::to_owned).to_vec();
        worker.update(&id, Update::Files(files)).await;
        worker.end(&id, 0).await;
        for path in ["/w/b/build/a.deb", "/w/b/build/z.deb"] {
            let (id, command) = worker.start().await;
            let WorkerCommand::Stat(stat) = command else { panic!("{command:?}") };
            assert_eq!(stat.path, path);
            let found = FileStat { mode: 0o100_644, ..FileStat::default() };
            worker.update(&id, Update::Stat(Box::new(found))).await;
            worker.end(&id, 0).await;
            send(worker, &[b"package"], 0).await;
        }
    };
    let end = bench.run(StepKind::UploadMany(wanted.clone()), play).await;
    assert_eq!(end, StepEnd::new(Outcome::Success, "uploading 2 files"));
    for name in ["a.deb", "z.deb"] {
        assert_eq!(fs::read(bench.file("packages").join(name)).unwrap(), b"package");
    }

    let none = async |worker: &mut Player| {
        let (id, _) = worker.start().await;
        worker.update(&id, Update::Files(Vec::new())).await;
        worker.end(&id, 0).await;
    };
    assert_eq!(bench.run(StepKind::UploadMany(wanted.clone()), none).await.outcome, Outcome::Skipped);

    let hostile = async |worker: &mut Player| {
        let (id, _) = worker.start().await;
        worker.update(&id, Update::Files(vec!["/w/b/..".into()])).await;
        worker.end(&id, 0).await;
    };
    assert_eq!(bench.run(StepKind::UploadMany(wanted.clone()), hostile).await.outcome, Outcome::Failure);

    let missing = UploadMany { glob: false, sources: vec!["gone".into()], ..wanted };
    let end = bench
        .run(StepKind::UploadMany(missing), async |worker: &mut Player| {
            let (id, _) = worker.start().await;
            worker.end(&id, 2).await;
        })
        .await;
    assert_eq!(end, StepEnd::new(Outcome::Failure, "gone is not there"));
}
