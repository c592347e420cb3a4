//! Closed logs are compressed in the background, in pieces that can be read one by one.
//!
//! A file is a row of zstd frames of 1 MiB of content each, then a table of them in a frame that every zstd program
//! skips: so `zstd -d` reads the file, and we find any byte or line without reading what lies before.
//!
//! # Laws
//! - The order is: marker, compressed file synced under its name, row, old file away, marker away. So the row never
//!   names a file that is not whole, and a crash leaves only what the next start finds by its marker.

use std::{
    collections::HashSet,
    fs::{self, File, OpenOptions},
    io::{self, Read, Seek as _, SeekFrom, Write as _},
    os::unix::fs::{FileExt as _, OpenOptionsExt as _},
    path::Path,
    sync::{Arc, PoisonError, Weak},
};

use memchr::memchr_iter;
use tokio_util::sync::CancellationToken;

use super::{Logs, Mark, blocking, remove, sync_folder};
use crate::{
    model::LogId,
    store::{
        Store, StoreError,
        connection::args,
        error::{JobError, failed},
    },
};

/// Content of one frame.
const FRAME: usize = 1024 * 1024;
/// zstd's own default: some 5 to 1 on logs at several hundred MB a second.
const LEVEL: i32 = 3;
/// Source: the zstd format, "Skippable Frames": 16 magic numbers from this one on; the low digit is ours to choose.
const SKIPPABLE: u32 = 0x184D_2A5B;
/// The last four bytes of a file with a table: `LBT1`.
const TABLE_MAGIC: u32 = u32::from_le_bytes(*b"LBT1");

/// The first condition is that of the index `logs_unsettled`.
pub(in crate::store) const WAITING_FOR_COMPRESSION: &str = "SELECT id FROM logs
     WHERE form IN ('open', 'plain') AND form = 'plain' AND masterid = $1 AND id > $2 ORDER BY id LIMIT 16";

/// A compressed log.
pub(super) struct Compressed {
    file: File,
    frames: Vec<Frame>,
}

struct Frame {
    /// Where its compressed bytes begin.
    place: u64,
    compressed: u32,
    /// Where its content begins, and the line ends before it.
    start: Mark,
    content: u32,
}

impl Store {
    /// Starts the task that compresses. It ends with the last handle of the store.
    pub(in crate::store) fn start_compressor(&self) {
        let (logs, orders) = (Arc::downgrade(&self.logs), self.orders.downgrade());
        let (wake, stop) = (Arc::clone(&self.logs.wake), self.logs.stop.clone());
        let (pool, master) = (self.pool.clone(), self.master);
        let store = move |logs: &Weak<Logs>| {
            Some(Self { orders: orders.upgrade()?, pool: pool.clone(), master, logs: logs.upgrade()? })
        };
        let task = tokio::spawn(async move {
            let mut passed_over = HashSet::new();
            if let Some(store) = store(&logs)
                && let Err(error) = store.sweep().await
            {
                tracing::warn!(%error, "leftovers of logs were not removed");
            }
            loop {
                // A handle of its own would keep the store open for ever.
                let Some(store) = store(&logs) else { break };
                if let Err(error) = store.compress_waiting(&mut passed_over).await {
                    tracing::warn!(%error, "logs wait uncompressed");
                }
                drop(store);
                tokio::select! {
                    // Both only wait; the work above is not cut off.
                    () = stop.cancelled() => break,
                    () = wake.notified() => {}
                }
            }
        });
        *self.logs.compressor.lock().unwrap_or_else(PoisonError::into_inner) = Some(task);
    }

    /// Compresses all that waits. One that fails is passed over until the next start.
    async fn compress_waiting(&self, passed_over: &mut HashSet<LogId>) -> Result<(), StoreError> {
        let deed = "find logs to compress";
        // From the first one each time: a log may be closed after one that was opened later.
        let mut next = LogId(0);
        while !self.logs.stop.is_cancelled() {
            let rows = self.pool.rows(WAITING_FOR_COMPRESSION, args![self.master.0, next.0]).await;
            let rows = rows.map_err(|error| failed(deed, error))?;
            if rows.is_empty() {
                break;
            }
            for row in rows {
                let log = LogId(row.integer("id").map_err(|error| failed(deed, error))?);
                next = log;
                if self.logs.stop.is_cancelled() {
                    break;
                }
                if passed_over.contains(&log) {
                    continue;
                }
                if let Err(error) = self.compress(log).await {
                    tracing::warn!(%log, %error, "a log was not compressed");
                    passed_over.insert(log);
                }
            }
        }
        Ok(())
    }

    async fn compress(&self, log: LogId) -> Result<(), super::LogError> {
        let (plain, compressed, marker) =
            (self.logs.plain(log), self.logs.compressed(log), self.logs.marker(log));
        let file_error =
            |source| super::LogError::File { path: self.logs.plain(log), source: Arc::new(source) };
        let stop = self.logs.stop.clone();
        let (from, to, mark) = (plain.clone(), compressed, marker.clone());
        let done = blocking(move || {
            File::create(&mark)?;
            compress_file(&from, &to, &stop)
        });
        if !done.await.map_err(file_error)? {
            return Ok(());
        }
        self.write("record that a log is compressed", move |work| {
            Box::pin(async move {
                work.execute("UPDATE logs SET form = 'zstd' WHERE id = $1 AND form = 'plain'", args![log.0])
                    .await?;
                Ok::<_, JobError<StoreError>>(())
            })
        })
        .await?;
        blocking(move || remove(&plain).and_then(|()| remove(&marker))).await.map_err(file_error)
    }
}

/// Compresses a file under another name, durably. False if it was told to stop.
fn compress_file(from: &Path, to: &Path, stop: &CancellationToken) -> io::Result<bool> {
    let temporary = to.with_extension("zst.tmp");
    let mut input = File::open(from)?;
    let mut output =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
    let mut compressor = zstd::bulk::Compressor::new(LEVEL)?;
    compressor.include_checksum(true)?;
    let mut content = Vec::with_capacity(FRAME);
    let mut table = Vec::new();
    let mut count: u32 = 0;
    loop {
        if stop.is_cancelled() {
            return Ok(false);
        }
        content.clear();
        Read::by_ref(&mut input).take(u64::try_from(FRAME).unwrap_or(u64::MAX)).read_to_end(&mut content)?;
        if content.is_empty() {
            break;
        }
        let frame = compressor.compress(&content)?;
        output.write_all(&frame)?;
        for number in [frame.len(), content.len(), memchr_iter(b'\n', &content).count()] {
            table.extend_from_slice(&u32::try_from(number).expect("a frame is small").to_le_bytes());
        }
        count += 1;
    }
    table.extend_from_slice(&count.to_le_bytes());
    table.extend_from_slice(&TABLE_MAGIC.to_le_bytes());
    let size =
        u32::try_from(table.len()).map_err(|_| io::Error::other("the log is too large for its table"))?;
    output.write_all(&SKIPPABLE.to_le_bytes())?;
    output.write_all(&size.to_le_bytes())?;
    output.write_all(&table)?;
    output.sync_all()?;
    fs::rename(&temporary, to)?;
    sync_folder(to)?;
    Ok(true)
}

impl Compressed {
    /// Opens a file and reads its table.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let damaged =
            || io::Error::new(io::ErrorKind::InvalidData, "the table of the compressed log is damaged");
        let mut file = File::open(path)?;
        let end = file.seek(SeekFrom::End(0))?;
        let mut last = [0; 8];
        file.read_exact_at(&mut last, end.checked_sub(8).ok_or_else(damaged)?)?;
        let (count, magic) = last.split_at(4);
        if word(magic) != TABLE_MAGIC {
            return Err(damaged());
        }
        let size = u64::from(word(count)) * 12;
        let begin = end.checked_sub(8 + size).ok_or_else(damaged)?;
        let mut table = vec![0; usize::try_from(size).map_err(|_| damaged())?];
        file.read_exact_at(&mut table, begin)?;
        let (mut place, mut start) = (0, Mark::default());
        let mut frames = Vec::with_capacity(table.len() / 12);
        for entry in table.chunks_exact(12) {
            let (compressed, content, lines) = (word(&entry[..4]), word(&entry[4..8]), word(&entry[8..]));
            frames.push(Frame { place, compressed, start, content });
            place += u64::from(compressed);
            start.offset += u64::from(content);
            start.lines += u64::from(lines);
        }
        Ok(Self { file, frames })
    }

    /// Content from `offset` on, at most `most` bytes; less only at the end.
    pub(super) fn read_at(&self, offset: u64, most: usize) -> io::Result<Vec<u8>> {
        let damaged =
            || io::Error::new(io::ErrorKind::InvalidData, "a frame of the compressed log is damaged");
        let first =
            self.frames.partition_point(|frame| frame.start.offset + u64::from(frame.content) <= offset);
        let mut bytes = Vec::new();
        for frame in &self.frames[first..] {
            if bytes.len() >= most {
                break;
            }
            let content = usize::try_from(frame.content).map_err(|_| damaged())?;
            if content > FRAME {
                return Err(damaged());
            }
            let mut compressed = vec![0; usize::try_from(frame.compressed).map_err(|_| damaged())?];
            self.file.read_exact_at(&mut compressed, frame.place)?;
            let content = zstd::bulk::decompress(&compressed, content)?;
            let skipped =
                usize::try_from(offset.saturating_sub(frame.start.offset)).map_err(|_| damaged())?;
            let piece = content.get(skipped..).ok_or_else(damaged)?;
            bytes.extend_from_slice(&piece[..piece.len().min(most - bytes.len())]);
        }
        Ok(bytes)
    }

    /// The last frame with fewer line ends before it than `line`.
    pub(super) fn before(&self, line: u64) -> Mark {
        let index = self.frames.partition_point(|frame| frame.start.lines < line);
        index.checked_sub(1).map_or_else(Mark::default, |index| self.frames[index].start)
    }
}

fn word(bytes: &[u8]) -> u32 {
    u32::from_le_bytes(bytes.try_into().expect("a word has four bytes"))
}
