//! `DIR/lunabot.log`: appended to, and set aside when it has grown.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use tracing_subscriber::fmt::MakeWriter;

/// How large a log grows before it is set aside, in bytes. Source: Buildbot's `rotateLength`.
pub(super) const ROTATE_BYTES: u64 = 10_000_000;

/// How many old logs are kept: `lunabot.log.1` (the newest) to `.10`. Source: Buildbot's `maxRotatedFiles`.
pub(super) const KEPT: u32 = 10;

/// A log file that is set aside by size. Cheap to copy; all copies write the same file.
#[derive(Clone, Debug)]
pub(super) struct LogFile(Arc<Mutex<Inner>>);

#[derive(Debug)]
struct Inner {
    path: PathBuf,
    file: File,
    size: u64,
    rotate_bytes: u64,
    kept: u32,
}

impl LogFile {
    /// Opens the file at its end; made if it is missing.
    pub(super) fn open(path: &Path, rotate_bytes: u64, kept: u32) -> io::Result<Self> {
        let file = append_to(path)?;
        let size = file.metadata()?.len();
        Ok(Self(Arc::new(Mutex::new(Inner { path: path.to_owned(), file, size, rotate_bytes, kept }))))
    }
}

fn append_to(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt as _;
    OpenOptions::new().create(true).append(true).mode(0o640).open(path)
}

impl Inner {
    fn rotate(&mut self) -> io::Result<()> {
        let aside = |number: u32| PathBuf::from(format!("{}.{number}", self.path.display()));
        for number in (1..self.kept).rev() {
            if aside(number).exists() {
                fs::rename(aside(number), aside(number + 1))?;
            }
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
        if inner.size > 0 && inner.size + length > inner.rotate_bytes {
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
        let mut log = LogFile::open(&path, 10, 2).unwrap();
        for line in ["one....\n", "two....\n", "three..\n", "four...\n"] {
            log.write_all(line.as_bytes()).unwrap();
        }
        let read = |name: &str| fs::read_to_string(dir.path().join(name)).unwrap();
        assert_eq!(read("lunabot.log"), "four...\n");
        assert_eq!(read("lunabot.log.1"), "three..\n");
        assert_eq!(read("lunabot.log.2"), "two....\n");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 3);
    }
}
