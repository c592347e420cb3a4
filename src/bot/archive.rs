//! A folder as a tar stream, made as it is read.
//!
//! # Laws
//! - No more than a block and a piece of a file is held; no thread waits for the reader.
//! - Links are kept and never followed. What is no file, folder or link is left out, and counted.
//! - Names are bytes as they are.

use std::{
    ffi::OsString,
    fs::{self, File, Metadata},
    io::{self, Read, Write},
    os::unix::{ffi::OsStrExt, fs::MetadataExt},
    path::{Path, PathBuf},
};

use bzip2::write::BzEncoder;
use flate2::write::GzEncoder;
use rustix::fs::OFlags;
use tar::{Builder, EntryType, Header};
use tokio_util::sync::CancellationToken;

use super::{job::reason, upload::open_regular};
use crate::protocol::command::Compression;

/// How much of a file is read at a time.
const PIECE_BYTES: usize = 64 * 1024;
/// A tar stream is made of these.
const RECORD_BYTES: u64 = 512;
/// The most bytes that the old header has room for as a number: eleven octal digits.
const OLD_SIZE: u64 = 0o777_7777_7777;
/// The longest name of the old header.
const OLD_NAME: usize = 100;

/// Why a folder cannot be sent.
#[derive(Debug, thiserror::Error)]
#[error("{}: {}", reason(source), path.display())]
pub(super) struct ArchiveError {
    path: PathBuf,
    source: io::Error,
}

/// See the module.
pub(super) struct Archive {
    builder: Builder<Sink>,
    /// The folders on the way to where we are.
    way: Vec<Folder>,
    file: Option<Piecewise>,
    finished: bool,
    left_out: u64,
}

struct Folder {
    path: PathBuf,
    /// Below the root.
    name: PathBuf,
    /// What is still to come, the next one last.
    names: Vec<OsString>,
}

struct Piecewise {
    file: File,
    path: PathBuf,
    left: u64,
    padding: u64,
}

impl Archive {
    /// The archive of a folder.
    pub(super) fn open(root: &Path, compression: Option<Compression>) -> Result<Self, ArchiveError> {
        let mut archive = Self {
            builder: Builder::new(Sink::new(compression)),
            way: Vec::new(),
            file: None,
            finished: false,
            left_out: 0,
        };
        // A link to a folder is followed here only: it is what was asked for.
        let metadata = fs::metadata(root).map_err(|source| failed(root, source))?;
        if !metadata.is_dir() {
            return Err(failed(root, io::ErrorKind::NotADirectory.into()));
        }
        archive.enter(root, PathBuf::new(), &metadata)?;
        Ok(archive)
    }

    /// How many were left out.
    pub(super) fn left_out(&self) -> u64 {
        self.left_out
    }

    /// The next bytes, `length` of them unless they are the last; none at the end, or if they are `unwanted`.
    pub(super) fn next_block(
        &mut self,
        length: usize,
        unwanted: &CancellationToken,
    ) -> Result<Vec<u8>, ArchiveError> {
        while !self.finished && self.builder.get_mut().ready().len() < length && !unwanted.is_cancelled() {
            self.advance()?;
        }
        let ready = self.builder.get_mut().ready();
        let rest = ready.split_off(length.min(ready.len()));
        Ok(std::mem::replace(ready, rest))
    }

    fn advance(&mut self) -> Result<(), ArchiveError> {
        if let Some(mut piecewise) = self.file.take() {
            if self.copy_piece(&mut piecewise).map_err(|source| failed(&piecewise.path, source))? {
                self.file = Some(piecewise);
            }
            return Ok(());
        }
        let Some(folder) = self.way.last_mut() else {
            let ended = self.builder.finish().and_then(|()| self.builder.get_mut().finish());
            self.finished = true;
            return ended.map_err(|source| failed(Path::new("the end of the stream"), source));
        };
        match folder.names.pop() {
            Some(name) => {
                let (path, name) = (folder.path.join(&name), folder.name.join(&name));
                self.add(&path, name)
            }
            None => {
                self.way.pop();
                Ok(())
            }
        }
    }

    /// Copies a piece of a file; whether more is to come.
    fn copy_piece(&mut self, piecewise: &mut Piecewise) -> io::Result<bool> {
        let sink = self.builder.get_mut();
        let copied = io::copy(&mut (&piecewise.file).take(piecewise.left.min(PIECE_BYTES as u64)), sink)?;
        if copied == 0 && piecewise.left > 0 {
            return Err(io::Error::other("it became shorter while it was read"));
        }
        piecewise.left -= copied;
        if piecewise.left == 0 {
            io::copy(&mut io::repeat(0).take(piecewise.padding), sink)?;
        }
        Ok(piecewise.left > 0)
    }

    fn add(&mut self, path: &Path, name: PathBuf) -> Result<(), ArchiveError> {
        let metadata = match path.symlink_metadata() {
            // It went between the listing and now.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            metadata => metadata.map_err(|source| failed(path, source))?,
        };
        let kind = metadata.file_type();
        if kind.is_dir() {
            self.enter(path, name, &metadata)
        } else if kind.is_symlink() {
            let target = fs::read_link(path).map_err(|source| failed(path, source))?;
            self.head(&name, EntryType::Symlink, 0, &metadata, Some(&target))
                .map_err(|source| failed(path, source))
        } else if kind.is_file() {
            self.add_file(path, &name).map_err(|source| failed(path, source))
        } else {
            self.left_out += 1;
            Ok(())
        }
    }

    fn enter(&mut self, path: &Path, name: PathBuf, metadata: &Metadata) -> Result<(), ArchiveError> {
        let listed = fs::read_dir(path)
            .and_then(|entries| entries.map(|entry| Ok(entry?.file_name())).collect::<io::Result<Vec<_>>>());
        let mut names = listed.map_err(|source| failed(path, source))?;
        // The same folder makes the same stream.
        names.sort_unstable_by(|a, b| b.cmp(a));
        let mut told = if name.as_os_str().is_empty() { OsString::from(".") } else { name.clone().into() };
        told.push("/");
        self.head(Path::new(&told), EntryType::Directory, 0, metadata, None)
            .map_err(|source| failed(path, source))?;
        self.way.push(Folder { path: path.to_owned(), name, names });
        Ok(())
    }

    fn add_file(&mut self, path: &Path, name: &Path) -> io::Result<()> {
        // What was a file a moment ago may be a link now.
        let file = open_regular(path, OFlags::NOFOLLOW)?;
        let metadata = file.metadata()?;
        self.head(name, EntryType::Regular, metadata.len(), &metadata, None)?;
        let padding = metadata.len().next_multiple_of(RECORD_BYTES) - metadata.len();
        if metadata.len() > 0 {
            self.file = Some(Piecewise { file, path: path.to_owned(), left: metadata.len(), padding });
        }
        Ok(())
    }

    /// Writes what stands before each: the old header, and before it what that has no room for.
    fn head(
        &mut self,
        name: &Path,
        kind: EntryType,
        size: u64,
        metadata: &Metadata,
        target: Option<&Path>,
    ) -> io::Result<()> {
        let name = name.as_os_str().as_bytes();
        let target = target.map(|target| target.as_os_str().as_bytes());
        let size_text = size.to_string();
        let mut extensions = Vec::new();
        if does_not_fit(name) {
            extensions.push(("path", name));
        }
        if let Some(target) = target.filter(|target| does_not_fit(target)) {
            extensions.push(("linkpath", target));
        }
        if size > OLD_SIZE {
            extensions.push(("size", size_text.as_bytes()));
        }
        self.builder.append_pax_extensions(extensions)?;
        let mut header = Header::new_ustar();
        header.set_entry_type(kind);
        header.set_size(size.min(OLD_SIZE));
        header.set_mode(metadata.mode() & 0o7777);
        header.set_mtime(u64::try_from(metadata.mtime()).unwrap_or(0));
        // Whose it is means nothing on another machine.
        header.set_uid(0);
        header.set_gid(0);
        let old = header.as_old_mut();
        put(&mut old.name, name);
        put(&mut old.linkname, target.unwrap_or_default());
        header.set_cksum();
        self.builder.append(&header, io::empty())
    }
}

fn failed(path: &Path, source: io::Error) -> ArchiveError {
    ArchiveError { path: path.to_owned(), source }
}

fn does_not_fit(text: &[u8]) -> bool {
    text.len() > OLD_NAME || !text.is_ascii()
}

fn put(field: &mut [u8], text: &[u8]) {
    let length = text.len().min(field.len());
    field[..length].copy_from_slice(&text[..length]);
}

/// Where the stream goes.
enum Sink {
    Plain(Vec<u8>),
    Gzip(GzEncoder<Vec<u8>>),
    Bzip2(BzEncoder<Vec<u8>>),
}

impl Sink {
    fn new(compression: Option<Compression>) -> Self {
        match compression {
            None => Self::Plain(Vec::new()),
            Some(Compression::Gzip) => Self::Gzip(GzEncoder::new(Vec::new(), flate2::Compression::default())),
            Some(Compression::Bzip2) => Self::Bzip2(BzEncoder::new(Vec::new(), bzip2::Compression::best())),
        }
    }

    /// What may go.
    fn ready(&mut self) -> &mut Vec<u8> {
        match self {
            Self::Plain(ready) => ready,
            Self::Gzip(encoder) => encoder.get_mut(),
            Self::Bzip2(encoder) => encoder.get_mut(),
        }
    }

    fn finish(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(_) => Ok(()),
            Self::Gzip(encoder) => encoder.try_finish(),
            Self::Bzip2(encoder) => encoder.try_finish(),
        }
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(ready) => ready.write(bytes),
            Self::Gzip(encoder) => encoder.write(bytes),
            Self::Bzip2(encoder) => encoder.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
