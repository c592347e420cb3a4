//! Secrets in files: one file for each, in a folder that nobody else can read.
//!
//! # Laws
//! - Folder and file belong to the master's user or to root, and nobody else may read them: otherwise it is an error, and no
//!   other provider is asked in its place.
//! - What is read lies in the folder, wherever links lead.
//! - What was looked at is what is read: the file is opened once.

use std::{
    fs::{File, Metadata, OpenOptions},
    io::{self, Read as _},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use rustix::fs::OFlags;

use super::MOST_BYTES;
use crate::model::Secret;

/// The folder of secrets if the configuration names no provider.
pub const DEFAULT_FOLDER: &str = "secrets";

/// A folder of secrets.
#[derive(Clone, Debug)]
pub(super) struct Folder {
    pub(super) path: PathBuf,
    pub(super) suffixes: Vec<String>,
    pub(super) strip: bool,
}

/// Why a secret that is there cannot be had.
#[derive(Debug, thiserror::Error)]
pub(super) enum FileError {
    #[error("{what} {} is open to others (mode {mode:04o}); run `chmod {better} {}`", path.display(), path.display())]
    Open { what: &'static str, path: PathBuf, mode: u32, better: &'static str },
    #[error("{what} {} belongs to user {owner}, not to the master's ({user}) or root", path.display())]
    Foreign { what: &'static str, path: PathBuf, owner: u32, user: u32 },
    #[error("{} is a link that leads out of its folder", path.display())]
    Outside { path: PathBuf },
    #[error("{} is no {what}", path.display())]
    Kind { what: &'static str, path: PathBuf },
    #[error("{} has more than {MOST_BYTES} bytes", path.display())]
    TooLarge { path: PathBuf },
    #[error("{} holds bytes that are not UTF-8", path.display())]
    NotText { path: PathBuf },
    #[error("{} is empty", path.display())]
    Empty { path: PathBuf },
    #[error("cannot read {}: {source}", path.display())]
    Read { path: PathBuf, source: io::Error },
}

impl Folder {
    /// The files that a secret may lie in, in the order in which they are looked for.
    pub(super) fn files(&self, name: &str) -> Vec<PathBuf> {
        self.suffixes.iter().map(|suffix| self.path.join(format!("{name}{suffix}"))).collect()
    }

    /// The secret of this name; nothing if there is no file for it. Blocks for as long as the file system takes.
    pub(super) fn read(&self, name: &str) -> Result<Option<Secret>, FileError> {
        let Some(folder) = self.checked()? else { return Ok(None) };
        for path in self.files(name) {
            let Some(real) = real(&path)? else { continue };
            if !real.starts_with(&folder) {
                return Err(FileError::Outside { path });
            }
            // `infra/bsd` lies in a folder of its own.
            for between in real.ancestors().skip(1).take_while(|between| *between != folder) {
                check_folder(between)?;
            }
            return self.content(&path, &real).map(Some);
        }
        Ok(None)
    }

    /// Where the folder really is, if it is there and in order.
    pub(super) fn checked(&self) -> Result<Option<PathBuf>, FileError> {
        let Some(folder) = real(&self.path)? else { return Ok(None) };
        check_folder(&folder)?;
        Ok(Some(folder))
    }

    fn content(&self, path: &Path, real: &Path) -> Result<Secret, FileError> {
        let failed = |source| FileError::Read { path: path.to_owned(), source };
        // No link any more, and no wait for the other end of a pipe.
        let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let flags = i32::try_from(flags.bits()).expect("the flags of open are an int");
        let file = OpenOptions::new().read(true).custom_flags(flags).open(real).map_err(failed)?;
        let metadata = file.metadata().map_err(failed)?;
        if !metadata.is_file() {
            return Err(FileError::Kind { what: "file", path: path.to_owned() });
        }
        check("the file", path, &metadata, "600")?;
        let bytes = read(&file).map_err(failed)?;
        if bytes.len() > MOST_BYTES {
            return Err(FileError::TooLarge { path: path.to_owned() });
        }
        let text = String::from_utf8(bytes).map_err(|_| FileError::NotText { path: path.to_owned() })?;
        let text = if self.strip { text.trim_end_matches(['\r', '\n']) } else { &text };
        if text.is_empty() {
            return Err(FileError::Empty { path: path.to_owned() });
        }
        Ok(Secret::new(text))
    }
}

fn read(file: &File) -> io::Result<Vec<u8>> {
    let most = u64::try_from(MOST_BYTES).expect("a small number") + 1;
    let mut bytes = Vec::new();
    file.take(most).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Where a path really leads; nothing if nothing is there.
fn real(path: &Path) -> Result<Option<PathBuf>, FileError> {
    match path.canonicalize() {
        Ok(real) => Ok(Some(real)),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            Ok(None)
        }
        Err(source) => Err(FileError::Read { path: path.to_owned(), source }),
    }
}

fn check_folder(path: &Path) -> Result<(), FileError> {
    let metadata = path.metadata().map_err(|source| FileError::Read { path: path.to_owned(), source })?;
    if !metadata.is_dir() {
        return Err(FileError::Kind { what: "folder", path: path.to_owned() });
    }
    check("the folder", path, &metadata, "700")
}

fn check(
    what: &'static str,
    path: &Path,
    metadata: &Metadata,
    better: &'static str,
) -> Result<(), FileError> {
    let (mode, owner) = (metadata.mode() & 0o7777, metadata.uid());
    let user = rustix::process::geteuid().as_raw();
    if owner != 0 && owner != user {
        return Err(FileError::Foreign { what, path: path.to_owned(), owner, user });
    }
    if mode & 0o077 != 0 {
        return Err(FileError::Open { what, path: path.to_owned(), mode, better });
    }
    Ok(())
}
