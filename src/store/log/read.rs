//! Logs are read: in stored bytes or in lines, whether they are open, closed, compressed or in their row.

use std::{fs::File, io, os::unix::fs::FileExt as _, path::PathBuf, sync::Arc};

use memchr::{memchr_iter, memrchr};

use super::{LONGEST, LogError, Logs, Mark, blocking, compress::Compressed};
use crate::{
    model::LogId,
    store::{Store, connection::args, error::failed},
};

/// The most bytes of one piece.
const MOST_BYTES: usize = 1024 * 1024;
/// The most lines of one answer.
const MOST_LINES: u32 = 100_000;
/// The most bytes of one answer in lines; it ends earlier than asked where they would be more.
const MOST_TEXT: usize = 8 * 1024 * 1024;
/// How often a reader looks again because the file moved under it: from plain to compressed is one move.
const LOOKS: u32 = 3;

/// A piece of a log: whole records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogPiece {
    /// The records: each a letter, bytes, and a line end; a capital letter says that the line goes on.
    pub bytes: Vec<u8>,
    /// Where the next piece begins.
    pub next: u64,
    /// Whether nothing will follow.
    pub complete: bool,
}

/// Lines of a log, as Buildbot's `contents` gives them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLines {
    /// The number of the first one, from 0.
    pub first: u64,
    /// How many there are.
    pub count: u64,
    /// Each with its stream's letter and its line end. What is not UTF-8 is replaced. A line of more than 64 KiB
    /// counts as several.
    pub text: String,
}

enum Source {
    Memory(Vec<u8>),
    Plain(Option<File>),
    Compressed(Compressed),
}

struct Found {
    source: Source,
    is_closed: bool,
}

enum Place {
    Memory(Vec<u8>),
    Plain(PathBuf),
    Compressed(PathBuf),
}

impl Source {
    fn open(place: Place, is_closed: bool) -> io::Result<Self> {
        Ok(match place {
            Place::Memory(bytes) => Self::Memory(bytes),
            Place::Plain(path) => match File::open(&path) {
                // Nothing was written yet.
                Err(error) if error.kind() == io::ErrorKind::NotFound && !is_closed => Self::Plain(None),
                file => Self::Plain(Some(file?)),
            },
            Place::Compressed(path) => Self::Compressed(Compressed::open(&path)?),
        })
    }

    fn read_at(&self, offset: u64, most: usize) -> io::Result<Vec<u8>> {
        match self {
            Self::Memory(bytes) => {
                let rest = usize::try_from(offset).ok().and_then(|offset| bytes.get(offset..));
                Ok(rest.map_or_else(Vec::new, |rest| rest[..rest.len().min(most)].to_vec()))
            }
            Self::Plain(None) => Ok(Vec::new()),
            Self::Plain(Some(file)) => {
                let mut bytes = vec![0; most];
                let mut length = 0;
                while length < most {
                    let at = offset + u64::try_from(length).expect("a piece is small");
                    match file.read_at(&mut bytes[length..], at) {
                        Ok(0) => break,
                        Ok(more) => length += more,
                        Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                        Err(error) => return Err(error),
                    }
                }
                bytes.truncate(length);
                Ok(bytes)
            }
            Self::Compressed(compressed) => compressed.read_at(offset, most),
        }
    }

    /// Whole records from `offset` on.
    fn records(&self, offset: u64, most: usize) -> io::Result<Vec<u8>> {
        // A record always fits, so that a reader always gets on; what follows the last line end is not yet whole.
        let mut bytes = self.read_at(offset, most.clamp(LONGEST + 2, MOST_BYTES))?;
        bytes.truncate(memrchr(b'\n', &bytes).map_or(0, |end| end + 1));
        Ok(bytes)
    }

    fn lines(&self, mut mark: Mark, first: u64, count: u32) -> io::Result<(Vec<u8>, u64)> {
        let (mut found, mut lines) = (Vec::new(), 0);
        let wanted = u64::from(count.min(MOST_LINES));
        while lines < wanted && found.len() < MOST_TEXT {
            let bytes = self.records(mark.offset, MOST_BYTES)?;
            if bytes.is_empty() {
                break;
            }
            let mut start = 0;
            for end in memchr_iter(b'\n', &bytes) {
                // A mark may lie within a line, but never within the first that is wanted.
                if mark.lines >= first && lines < wanted {
                    found.extend_from_slice(&bytes[start..=end]);
                    lines += 1;
                }
                mark.lines += 1;
                start = end + 1;
            }
            mark.offset += u64::try_from(bytes.len()).expect("a piece is small");
        }
        Ok((found, lines))
    }
}

impl Store {
    /// Reads a log from a byte of its stored form on: 0, or the `next` of the piece before. About `most` bytes, at
    /// least a record and never more than 1 MiB. An empty piece of a log that is not complete means: later.
    ///
    /// # Errors
    /// [`LogError::Unknown`] if there is no such log, [`LogError::File`] if its file cannot be read.
    pub async fn read_log(&self, log: LogId, offset: u64, most: usize) -> Result<LogPiece, LogError> {
        let (is_closed, (bytes, at_end)) = self
            .read(log, move |source, _| {
                let bytes = source.records(offset, most)?;
                let next = offset + u64::try_from(bytes.len()).expect("a piece is small");
                let at_end = source.read_at(next, 1)?.is_empty();
                Ok((bytes, at_end))
            })
            .await?;
        let next = offset + u64::try_from(bytes.len()).expect("a piece is small");
        Ok(LogPiece { bytes, next, complete: is_closed && at_end })
    }

    /// Reads lines of a log: `count` from number `first` on, fewer at its end, and never more than 100,000 lines or
    /// about 8 MiB.
    ///
    /// # Errors
    /// [`LogError::Unknown`] if there is no such log, [`LogError::File`] if its file cannot be read.
    pub async fn log_lines(&self, log: LogId, first: u64, count: u32) -> Result<LogLines, LogError> {
        let reading = self.read(log, move |source, logs| {
            let mark = match source {
                Source::Memory(_) => Mark::default(),
                Source::Plain(_) => logs.live(log).map_or_else(Mark::default, |live| live.before(first)),
                Source::Compressed(compressed) => compressed.before(first),
            };
            source.lines(mark, first, count)
        });
        let (_, (mut bytes, count)) = reading.await?;
        // A capital only tells that the line goes on.
        let mut begins = true;
        for byte in &mut bytes {
            if begins {
                byte.make_ascii_lowercase();
            }
            begins = *byte == b'\n';
        }
        let text = String::from_utf8(bytes)
            .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned());
        Ok(LogLines { first, count, text })
    }

    /// Finds the bytes of a log and reads among them, off the runtime.
    async fn read<T: Send + 'static>(
        &self,
        log: LogId,
        read: impl Fn(&Source, &Logs) -> io::Result<T> + Clone + Send + 'static,
    ) -> Result<(bool, T), LogError> {
        let deed = "read a log";
        let mut looks = 0;
        loop {
            looks += 1;
            let row = self.pool.row("SELECT form, content FROM logs WHERE id = $1", args![log.0]).await;
            let row = row.map_err(|error| failed(deed, error))?.ok_or(LogError::Unknown { log })?;
            let form = row.text("form").map_err(|error| failed(deed, error))?;
            let is_closed = form != "open";
            let (place, path) = match form.as_str() {
                "inline" => {
                    let bytes = row.maybe_bytes("content").map_err(|error| failed(deed, error))?;
                    (Place::Memory(bytes.unwrap_or_default()), PathBuf::new())
                }
                "zstd" => (Place::Compressed(self.logs.compressed(log)), self.logs.compressed(log)),
                _ => (Place::Plain(self.logs.plain(log)), self.logs.plain(log)),
            };
            let (read, logs) = (read.clone(), Arc::clone(&self.logs));
            let done = blocking(move || {
                let found = Found { source: Source::open(place, is_closed)?, is_closed };
                Ok((found.is_closed, read(&found.source, &logs)?))
            });
            match done.await {
                // Its bytes moved after we read the row.
                Err(error) if error.kind() == io::ErrorKind::NotFound && looks < LOOKS => {}
                done => {
                    return done.map_err(|error| LogError::File { path, source: Arc::new(error) });
                }
            }
        }
    }
}
