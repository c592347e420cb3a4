//! Notes beside the logs of a running step: how far they hold what its command said.
//!
//! A master that is killed leaves logs that end anywhere. A note says at which place the logs and the worker's own count
//! of its news agree; from there on the worker says everything again.
//!
//! # Laws
//! - A note is written after the logs that it tells of, and takes the place of the one before it in one move.
//! - What is behind the place of a note is cut off before a log goes on. A log that is shorter than its note says goes on
//!   nowhere.
//!
//! # Not here
//! When notes are made, and what becomes of a step (`build`).

use std::{
    fs::{self, File, OpenOptions},
    io::{self, BufReader, Read as _, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use base64::engine::general_purpose::STANDARD as BASE64;
use memchr::memchr_iter;
use serde::{Deserialize, Serialize};

use super::{LogError, LogWriter, Logs, blocking, make_folder, record::Cutter, remove, writer::Sink};
use crate::{
    model::{LogId, StepId},
    store::Store,
};

/// How far the logs of a step hold what its command said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// The last of the worker's numbers that all logs hold.
    pub number: u64,
    /// The logs, as they were then.
    pub logs: Vec<LogPlace>,
}

/// A place in an open log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogPlace {
    /// Which log.
    pub log: LogId,
    /// Its name within the step.
    pub name: String,
    /// How long its file is.
    pub bytes: u64,
    /// What has no line end yet, of each stream.
    #[serde(with = "streams")]
    pub(super) partial: [Vec<u8>; 3],
}

/// How long a note may be: the begin of a line for each stream of some logs.
const MOST_BYTES: u64 = 64 * 1024 * 1024;

impl Store {
    /// Keeps a note of a running step, in the place of the one before. It outlives the process, not the machine.
    ///
    /// # Errors
    /// [`LogError::File`]; the note before it is still there.
    pub async fn keep_note(&self, step: StepId, note: Note) -> Result<(), LogError> {
        let path = self.logs.note(step);
        let file = path.clone();
        blocking(move || write(&file, &note)).await.map_err(|source| failed(path, source))
    }

    /// Forgets the note of a step, if there is one.
    ///
    /// # Errors
    /// [`LogError::File`].
    pub async fn drop_note(&self, step: StepId) -> Result<(), LogError> {
        let path = self.logs.note(step);
        let file = path.clone();
        blocking(move || remove(&file)).await.map_err(|source| failed(path, source))
    }

    /// The note of a step; nothing if there is none, or none that can be read.
    pub(in crate::store) async fn note(&self, step: StepId) -> Option<Note> {
        let path = self.logs.note(step);
        blocking(move || read(&path)).await.ok()
    }

    /// Removes the notes of all steps but these.
    pub(in crate::store) async fn sweep_notes(&self, but: &[StepId]) -> Result<(), LogError> {
        let kept: Vec<_> = but.iter().map(|step| self.logs.note(*step)).collect();
        let folder = self.logs.notes();
        let path = folder.clone();
        let swept = blocking(move || {
            let entries = match fs::read_dir(&folder) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
                entries => entries?,
            };
            for entry in entries {
                let path = entry?.path();
                if !kept.contains(&path) {
                    remove(&path)?;
                }
            }
            Ok(())
        });
        swept.await.map_err(|source| failed(path, source))
    }

    /// Goes on with an open log at a place where it was; what is behind it is cut off.
    ///
    /// # Errors
    /// [`LogError::File`] if its file is shorter than that, or cannot be used.
    pub async fn reopen_log(&self, place: LogPlace) -> Result<LogWriter, LogError> {
        let LogPlace { log, bytes, partial, .. } = place;
        let path = self.logs.plain(log);
        let live = self.logs.add_live(log);
        let (file, seen) = (path.clone(), Arc::clone(&live));
        let opened = blocking(move || {
            let opened = cut_back(&file, bytes)?;
            let mut records = 0;
            if let Some(opened) = &opened {
                // Readers find their lines by marks, which are made as the log grows.
                let mut reader = BufReader::new(opened.try_clone()?);
                let mut chunk = vec![0; 64 * 1024];
                loop {
                    let length = reader.read(&mut chunk)?;
                    if length == 0 {
                        break;
                    }
                    let lines = memchr_iter(b'\n', &chunk[..length]).count();
                    let lines = u64::try_from(lines).expect("a piece is small");
                    seen.grow(u64::try_from(length).expect("a piece is small"), lines);
                    records += lines;
                }
            }
            let file = opened.map(|_| OpenOptions::new().append(true).open(&file)).transpose()?;
            Ok((file, records))
        });
        match opened.await {
            Ok((file, records)) => {
                let sink = Sink::reopened(path, file, bytes, records, live);
                Ok(LogWriter::reopened(self.clone(), log, Cutter::of(partial), sink))
            }
            Err(source) => {
                self.logs.remove_live(log);
                Err(failed(path, source))
            }
        }
    }
}

impl Logs {
    /// The folder of the notes.
    fn notes(&self) -> PathBuf {
        self.root.join("resume")
    }

    /// The note of a step.
    fn note(&self, step: StepId) -> PathBuf {
        self.notes().join(step.to_string())
    }
}

/// The file of a log, cut back to this length; nothing if there is none and none is needed.
fn cut_back(path: &Path, bytes: u64) -> io::Result<Option<File>> {
    let file = match OpenOptions::new().read(true).write(true).open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound && bytes == 0 => return Ok(None),
        file => file?,
    };
    if file.metadata()?.len() < bytes {
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "it is shorter than it was"));
    }
    file.set_len(bytes)?;
    Ok(Some(file))
}

fn write(path: &Path, note: &Note) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        make_folder(folder)?;
    }
    let new = path.with_extension("new");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
    file.write_all(&serde_json::to_vec(note)?)?;
    // Not synced: a note is for a process that dies. After the death of the machine, a log is as likely to be short.
    fs::rename(new, path)
}

fn read(path: &Path) -> io::Result<Note> {
    let mut text = Vec::new();
    File::open(path)?.take(MOST_BYTES).read_to_end(&mut text)?;
    Ok(serde_json::from_slice(&text)?)
}

fn failed(path: PathBuf, source: io::Error) -> LogError {
    LogError::File { path, source: Arc::new(source) }
}

/// Bytes that JSON cannot hold.
mod streams {
    use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer, de::Error as _};

    use base64::Engine as _;

    use super::BASE64;

    pub(super) fn serialize<S: Serializer>(streams: &[Vec<u8>; 3], to: S) -> Result<S::Ok, S::Error> {
        streams.each_ref().map(|bytes| BASE64.encode(bytes)).serialize(to)
    }

    pub(super) fn deserialize<'d, D: Deserializer<'d>>(from: D) -> Result<[Vec<u8>; 3], D::Error> {
        let texts = <[String; 3]>::deserialize(from)?;
        let mut streams = [const { Vec::new() }; 3];
        for (bytes, text) in streams.iter_mut().zip(texts) {
            *bytes = BASE64.decode(text).map_err(D::Error::custom)?;
        }
        Ok(streams)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(number: u64) -> Note {
        let partial = [b"begun \xff".to_vec(), Vec::new(), Vec::new()];
        Note { number, logs: vec![LogPlace { log: LogId(3), name: "stdio".into(), bytes: 7, partial }] }
    }

    #[test]
    fn a_note_takes_the_place_of_the_one_before() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("resume/9");
        for number in 1..4 {
            write(&path, &sample(number)).unwrap();
            assert_eq!(read(&path).unwrap(), sample(number));
        }
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }

    #[test]
    fn a_torn_note_is_none() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("9");
        let text = serde_json::to_vec(&sample(1)).unwrap();
        fs::write(&path, &text[..text.len() - 4]).unwrap();
        assert!(read(&path).is_err());
    }

    #[test]
    fn a_log_is_cut_back_and_never_made_longer() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("1.log");
        assert!(cut_back(&path, 0).unwrap().is_none());
        assert!(cut_back(&path, 1).is_err());
        fs::write(&path, "oone\notwo\n").unwrap();
        assert!(cut_back(&path, 5).unwrap().is_some());
        assert_eq!(fs::read_to_string(&path).unwrap(), "oone\n");
        assert!(cut_back(&path, 6).is_err());
        assert_eq!(fs::read_to_string(&path).unwrap(), "oone\n");
    }
}
