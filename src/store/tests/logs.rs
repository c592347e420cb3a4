//! Logs, from the first byte to the compressed file.

use super::{log::record::stream_of, *};
use crate::model::{EventKind, LogId, LogStream, Outcome, StepId};

async fn step(store: &Store) -> StepId {
    let build = begun(store, 1).await;
    store.begin_step(build.id, 0, "shell", "running", at(1)).await.unwrap()
}

/// Reads a whole log in pieces of about `most` bytes.
async fn read_all(store: &Store, log: LogId, most: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut offset = 0;
    loop {
        let piece = store.read_log(log, offset, most).await.unwrap();
        assert!(piece.bytes.is_empty() || piece.bytes.ends_with(b"\n"), "cut at the end of a record");
        assert_eq!(piece.next, offset + u64::try_from(piece.bytes.len()).unwrap());
        let ended = piece.bytes.is_empty();
        offset = piece.next;
        bytes.extend(piece.bytes);
        if piece.complete || ended {
            return bytes;
        }
    }
}

async fn row(store: &Store, log: LogId) -> LogRow {
    store.logs(&Query::all().filter("logid", FilterOp::Eq, &log)).await.unwrap().rows.remove(0)
}

/// Waits until a file is there, or gone.
async fn until(what: impl Fn() -> bool) {
    let waiting = async {
        while !what() {
            tokio::task::yield_now().await;
        }
    };
    timeout(Duration::from_secs(30), waiting).await.expect("it comes to pass");
}

on_both! {
    async fn a_small_log_comes_back_exactly_from_its_row(house: &House) {
        let mut open = house.furnished().await;
        let step = step(&open.store).await;
        let mut log = open.store.open_log(step, "stdio", at(2)).await.unwrap();
        let id = log.id();
        assert!(!row(&open.store, id).await.complete);
        assert!(read_all(&open.store, id, 100).await.is_empty());
        log.append(LogStream::Header, b"make all\n").await.unwrap();
        log.append(LogStream::Stdout, b"caf\xe9 \x00\xff\r\nhalf").await.unwrap();
        log.append(LogStream::Stderr, b"oh").await.unwrap();
        log.flush().await.unwrap();
        assert_eq!(read_all(&open.store, id, 100).await, b"hmake all\nocaf\xe9 \x00\xff\r\n", "flushed lines are seen");
        assert_eq!(row(&open.store, id).await.num_lines, 2);
        log.append(LogStream::Stderr, b" no\n").await.unwrap();
        log.append(LogStream::Stdout, b" a line").await.unwrap();
        log.close(at(3)).await.unwrap();

        let bytes = read_all(&open.store, id, 1).await;
        assert_eq!(bytes, b"hmake all\nocaf\xe9 \x00\xff\r\neoh no\nOhalf a line\n");
        let row = row(&open.store, id).await;
        assert_eq!((row.complete, row.num_lines, row.num_bytes), (true, 4, i64::try_from(bytes.len()).unwrap()));
        assert!(!house.logs().join("0").join(format!("{id}.log")).exists(), "its bytes are in the row");
        let lines = open.store.log_lines(id, 1, 9).await.unwrap();
        assert_eq!((lines.count, lines.text.as_str()), (3, "ocaf\u{FFFD} \0\u{FFFD}\r\neoh no\nohalf a line\n"));
        let last = told(&mut open, 8).await.pop().unwrap();
        assert_eq!((last.kind, &last.body), (EventKind::LogFinished, &serde_json::to_value(&row).unwrap()));
    }

    async fn a_large_log_comes_back_exactly_open_closed_and_compressed(house: &House) {
        let open = house.furnished().await;
        let store = &open.store;
        let step = step(store).await;
        let mut log = store.open_log(step, "stdio", at(2)).await.unwrap();
        let id = log.id();
        let mut sent = Vec::new();
        for n in 0..60_000_u32 {
            let mut line = format!("line {n} of what a compiler says when nobody listens to it ").into_bytes();
            line.push(u8::try_from(n % 256).unwrap());
            line.push(b'\n');
            sent.extend(line);
        }
        sent.extend(vec![b'x'; 300_000]);
        sent.extend(b"\nthe end");
        // Cut anywhere, another stream in between.
        for (n, piece) in sent.chunks(10_007).enumerate() {
            log.append(LogStream::Stdout, piece).await.unwrap();
            log.append(LogStream::Stderr, if n % 2 == 0 { b"half " } else { b"whole\n" }).await.unwrap();
        }
        log.flush().await.unwrap();
        let early = read_all(store, id, 70_000).await;
        assert!(sent.starts_with(&stream_of(&early, LogStream::Stdout)));
        let early_lines = store.log_lines(id, 55_000, 3).await.unwrap();
        log.close(at(3)).await.unwrap();

        // Readable at each moment of the move, then from the compressed file alone.
        let plain = house.logs().join("0").join(format!("{id}.log"));
        let bytes = read_all(store, id, 70_000).await;
        assert_eq!(stream_of(&bytes, LogStream::Stdout), sent);
        assert!(bytes.starts_with(&early));
        until(|| !plain.exists()).await;
        until(|| !house.logs().join("pending").join(id.to_string()).exists()).await;
        assert_eq!(read_all(store, id, 1).await, bytes);
        assert_eq!(read_all(store, id, usize::MAX).await, bytes);
        let size = std::fs::metadata(house.logs().join("0").join(format!("{id}.log.zst"))).unwrap().len();
        assert!(size * 4 < u64::try_from(bytes.len()).unwrap(), "it is smaller: {size}");

        let row = row(store, id).await;
        let records: Vec<&[u8]> = bytes.split_inclusive(|byte| *byte == b'\n').collect();
        assert_eq!(row.num_lines, i64::try_from(records.len()).unwrap());
        assert_eq!(row.num_bytes, i64::try_from(bytes.len()).unwrap());
        // The record which lies across the border of the first two frames, and its neighbours.
        let across = memchr::memchr_iter(b'\n', &bytes[..1024 * 1024]).count();
        for first in [0, 1, across - 1, across, across + 1, 17_000, 55_000, records.len() - 2, records.len(), records.len() + 5] {
            let lines = store.log_lines(id, u64::try_from(first).unwrap(), 3).await.unwrap();
            let wanted: Vec<&[u8]> = records.iter().skip(first).take(3).copied().collect();
            let mut text = String::from_utf8_lossy(&wanted.concat()).into_owned();
            text = text.split_inclusive('\n').map(|line| line[..1].to_ascii_lowercase() + &line[1..]).collect();
            assert_eq!((lines.count, lines.text), (u64::try_from(wanted.len()).unwrap(), text), "{first}");
        }
        assert_eq!(store.log_lines(id, 55_000, 3).await.unwrap(), early_lines, "an open log numbers its lines alike");
    }

    async fn logs_of_one_name_have_their_own_slugs(house: &House) {
        let open = house.furnished().await;
        let step = step(&open.store).await;
        for _ in 0..2 {
            open.store.open_log(step, "a/b", at(2)).await.unwrap().close(at(3)).await.unwrap();
        }
        let logs = open.store.logs(&Query::all().filter("stepid", FilterOp::Eq, &step)).await.unwrap().rows;
        assert_eq!(logs.iter().map(|log| log.slug.as_str()).collect::<Vec<_>>(), ["a_b", "a_b_1"]);
        let error = open.store.read_log(LogId(99), 0, 1).await.unwrap_err();
        assert!(matches!(error, LogError::Unknown { log: LogId(99) }), "{error}");
    }

    async fn a_log_whose_last_record_was_torn_keeps_all_its_bytes(house: &House) {
        let open = house.furnished().await;
        let step = step(&open.store).await;
        let mut small = open.store.open_log(step, "small", at(2)).await.unwrap();
        let mut large = open.store.open_log(step, "large", at(2)).await.unwrap();
        let empty = open.store.open_log(step, "empty", at(2)).await.unwrap();
        small.append(LogStream::Stdout, b"whole\n").await.unwrap();
        small.flush().await.unwrap();
        let text = b"a line of some length\n".repeat(1000);
        large.append(LogStream::Stdout, &text).await.unwrap();
        large.flush().await.unwrap();
        for log in [&small, &large] {
            let path = house.logs().join("0").join(format!("{}.log", log.id()));
            let mut bytes = std::fs::read(&path).unwrap();
            bytes.extend(b"etor");
            std::fs::write(path, bytes).unwrap();
        }
        let again = house.open().await;
        again.store.resolve_unfinished([].into(), &[], at(9)).await.unwrap();
        assert_eq!(read_all(&again.store, small.id(), 99).await, b"owhole\nEtor\n");
        let bytes = read_all(&again.store, large.id(), 99).await;
        assert_eq!(stream_of(&bytes, LogStream::Stdout), text);
        assert_eq!(stream_of(&bytes, LogStream::Stderr), b"tor");
        assert_eq!(row(&again.store, large.id()).await.num_lines, 1001);
        assert!(row(&again.store, empty.id()).await.complete);
    }

    async fn what_a_crash_left_between_two_forms_is_removed_at_the_next_start(house: &House) {
        let open = house.furnished().await;
        let step = step(&open.store).await;
        let mut log = open.store.open_log(step, "stdio", at(2)).await.unwrap();
        let id = log.id();
        log.append(LogStream::Stdout, &b"some line\n".repeat(1000)).await.unwrap();
        log.close(at(3)).await.unwrap();
        let folder = house.logs().join("0");
        let (plain, marker) = (folder.join(format!("{id}.log")), house.logs().join("pending").join(id.to_string()));
        until(|| !plain.exists() && !marker.exists()).await;
        let bytes = read_all(&open.store, id, 99).await;
        open.store.close().await;
        // Killed after the row told of the compressed file, before the old one was removed.
        std::fs::write(&plain, &bytes).unwrap();
        std::fs::write(&marker, b"").unwrap();
        let open = house.open().await;
        until(|| !plain.exists() && !marker.exists()).await;
        assert_eq!(read_all(&open.store, id, 99).await, bytes);
    }

    async fn a_log_that_cannot_be_written_says_where_and_keeps_what_it_has(house: &House) {
        let open = house.furnished().await;
        let step = step(&open.store).await;
        // A file where the folder should be.
        std::fs::write(house.logs().join("0"), b"").unwrap();
        let mut log = open.store.open_log(step, "stdio", at(2)).await.unwrap();
        let id = log.id();
        log.append(LogStream::Stdout, b"one\n").await.unwrap();
        let error = log.flush().await.unwrap_err();
        assert!(error.to_string().contains(&format!("{id}.log")), "{error}");
        assert!(log.append(LogStream::Stdout, b"two\n").await.is_err());
        assert!(log.close(at(3)).await.is_err());
        assert!(row(&open.store, id).await.complete, "nothing stays open for ever");
        let end = EndedStep { outcome: Outcome::Exception, state: "no disk", hidden: false };
        open.store.finish_step(step, end, at(4)).await.unwrap();
    }
}
