//! A program's log in its folder, as `DIR/lunabot.log`: appended to, and set aside when it has grown.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    num::NonZeroU64,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use tracing_subscriber::fmt::MakeWriter;

/// When a log is set aside, and how many are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rotation {
    /// How large it grows before it is set aside, in bytes; it never is if absent.
    pub(super) bytes: Option<NonZeroU64>,
    /// How many old logs are kept: `lunabot.log.1` is the newest. At least one is.
    pub(super) kept: u32,
}

impl Default for Rotation {
    /// Ten logs of 10 MB. Source: Buildbot's `rotateLength` and `maxRotatedFiles`.
    fn default() -> Self {
        Self { bytes: NonZeroU64::new(10_000_000), kept: 10 }
    }
}

/// A log file that is set aside by size. Cheap to copy; all copies write the same file.
#[derive(Clone, Debug)]
pub(super) struct LogFile(Arc<Mutex<Inner>>);

#[derive(Debug)]
struct Inner {
    path: PathBuf,
    file: File,
    size: u64,
    rotation: Rotation,
}

impl LogFile {
    /// Opens the file at its end; made if it is missing.
    pub(super) fn open(path: &Path, rotation: Rotation) -> io::Result<Self> {
        let file = append_to(path)?;
        let size = file.metadata()?.len();
        Ok(Self(Arc::new(Mutex::new(Inner { path: path.to_owned(), file, size, rotation }))))
    }
}

/// Opens a log at its end; made if it is missing, for its owner and its group.
pub(super) fn append_to(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt as _;
    OpenOptions::new().create(true).append(true).mode(0o640).open(path)
}

impl Inner {
    fn rotate(&mut self) -> io::Result<()> {
        let aside = |number: u32| PathBuf::from(format!("{}.{number}", self.path.display()));
        // Up to the first gap: one that is missing makes room for all newer ones.
        let last = (1..self.rotation.kept).find(|&number| !aside(number).exists());
        for number in (1..last.unwrap_or(self.rotation.kept)).rev() {
            fs::rename(aside(number), aside(number + 1))?;
        }
        fs::rename(&self.path, aside(1))?;
        self.file = append_to(&self.path)?;
        self.size = 0;
        Ok(())
    }
}

impl Write for LogFile {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let length = u64::try_from(line.len()).unwrap_or(u64::MAX);
        let limit = inner.rotation.bytes.map_or(u64::MAX, NonZeroU64::get);
        if inner.size > 0 && inner.size + length > limit {
            // A log that cannot be set aside goes on growing: better than none.
            if inner.rotate().is_err() {
                inner.size = 0;
            }
        }
        inner.file.write_all(line)?;
        inner.size += length;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).file.flush()
    }
}

impl<'a> MakeWriter<'a> for LogFile {
    type Writer = Self;
    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_log_is_set_aside_and_only_so_many_are_kept() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lunabot.log");
        let rotation = Rotation { bytes: NonZeroU64::new(10), kept: 2 };
        let mut log = LogFile::open(&path, rotation).unwrap();
        for line in ["one....\n", "two....\n", "three..\n", "four...\n"] {
            log.write_all(line.as_bytes()).unwrap();
        }
        let read = |name: &str| fs::read_to_string(dir.path().join(name)).unwrap();
        assert_eq!(read("lunabot.log"), "four...\n");
        assert_eq!(read("lunabot.log.1"), "three..\n");
        assert_eq!(read("lunabot.log.2"), "two....\n");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 3);
    }

    #[test]
    fn a_log_that_is_never_set_aside_grows() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lunabot.log");
        let mut log = LogFile::open(&path, Rotation { bytes: None, kept: 10 }).unwrap();
        for _ in 0..100 {
            log.write_all(b"one line of many\n").unwrap();
        }
        assert_eq!(fs::metadata(&path).unwrap().len(), 1700);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
