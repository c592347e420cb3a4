//! A folder from its tar stream, into which a worker may have put anything.
//!
//! # Laws
//! - Nothing is made outside the given folder: no absolute paths, no `..`, nothing through a link, no link that leads
//!   out. Links are made last, so that no entry can pass through one.
//! - Files and folders and links only; no bits but those of permission, and none of writing for others.
//! - Bytes and entries are bounded, whatever a compressed stream grows to; no header fills memory.
//!
//! # Source
//! What is refused is what Python's filter `data` for tar files refuses, which Buildbot uses.

mod merge;
mod meter;
#[cfg(test)]
mod tests;

pub(super) use merge::merge;

use std::{
    fs::{self, DirBuilder, File, FileTimes, OpenOptions},
    io::{self, BufReader, Read, Seek as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Component, Path, PathBuf},
    rc::Rc,
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, SystemTime},
};

use tar::{Archive, Entry, EntryType};

use self::meter::{Cut, Meter, Metered};
use crate::definition::step::Compression;

/// Why a stream cannot become a folder.
#[derive(Debug, thiserror::Error)]
pub(super) enum UnpackError {
    /// It is no tar stream, or one that was cut.
    #[error("it is no whole tar stream")]
    Broken {
        /// Where it went wrong.
        source: io::Error,
    },
    /// It grows beyond its bounds.
    #[error("it would take more than {most} bytes")]
    TooLarge {
        /// How many are allowed.
        most: u64,
    },
    /// It has too many entries.
    #[error("it has more than {MOST_ENTRIES} entries")]
    TooMany,
    /// It wants to reach out of its folder.
    #[error("`{}` leads out of the folder", path.display())]
    Outside {
        /// Which entry.
        path: PathBuf,
    },
    /// A link wants to.
    #[error("the link `{}` leads out of the folder, to `{}`", path.display(), to.display())]
    LinkOutside {
        /// Which entry.
        path: PathBuf,
        /// Where it leads.
        to: PathBuf,
    },
    /// It is no file, folder or link.
    #[error("`{}` is no file, folder or link", path.display())]
    Strange {
        /// Which entry.
        path: PathBuf,
    },
    /// What was sent is no folder.
    #[error("it is no folder on the worker")]
    NoFolder,
    /// An entry tells things of itself that cannot be read, its name among them perhaps.
    #[error("the attributes of `{}` cannot be read; is there a line break in its name?", path.display())]
    Attributes {
        /// Which entry, as the older part of its header has it.
        path: PathBuf,
    },
    /// Something of another kind is there.
    #[error("`{}` is there already, and is of another kind", path.display())]
    InTheWay {
        /// What.
        path: PathBuf,
    },
    /// The master's disk.
    #[error("cannot write `{}`", path.display())]
    Disk {
        /// What.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// It was stopped.
    #[error("it was stopped")]
    Stopped,
}

/// The most entries of a stream: each is an inode on the master's disk.
const MOST_ENTRIES: u64 = 1_000_000;

/// The most bytes between two entries: padding, names, attributes. They are held in memory.
const MOST_HEADER: u64 = 1 << 20;

/// What a stream may grow to, in bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Budget(u64);

impl Budget {
    /// For a stream of so many bytes: a hundredfold, which only zeros and bombs exceed, and 1 GiB in any case. Without
    /// compression files with holes can grow as well.
    pub(super) fn of_stream(bytes: u64) -> Self {
        Self(bytes.saturating_mul(100).max(1 << 30))
    }
}

/// Unpacks a stream into a folder that is empty and nobody else's.
pub(super) fn unpack(
    mut stream: File,
    compression: Option<Compression>,
    folder: &Path,
    budget: Budget,
    cancelled: &AtomicBool,
) -> Result<(), UnpackError> {
    stream.rewind().map_err(|source| UnpackError::Broken { source })?;
    let stream = BufReader::with_capacity(64 * 1024, stream);
    match compression {
        None => Unpacking::new(folder, budget, cancelled).run(stream),
        Some(Compression::Gzip) => {
            Unpacking::new(folder, budget, cancelled).run(flate2::bufread::MultiGzDecoder::new(stream))
        }
        Some(Compression::Bzip2) => {
            Unpacking::new(folder, budget, cancelled).run(bzip2::bufread::MultiBzDecoder::new(stream))
        }
    }
}

struct Unpacking<'a> {
    folder: &'a Path,
    most: u64,
    written: u64,
    meter: Rc<Meter>,
    cancelled: &'a AtomicBool,
    /// Made when all else is there.
    links: Vec<(PathBuf, PathBuf)>,
}

impl<'a> Unpacking<'a> {
    fn new(folder: &'a Path, budget: Budget, cancelled: &'a AtomicBool) -> Self {
        let meter = Rc::new(Meter::new(budget.0));
        Self { folder, most: budget.0, written: 0, meter, cancelled, links: Vec::new() }
    }

    fn run<R: Read>(mut self, stream: R) -> Result<(), UnpackError> {
        let metered = Metered::new(stream, Rc::clone(&self.meter), self.cancelled);
        let mut archive = Archive::new(metered);
        let mut entries = archive.entries().map_err(|source| self.broken(source))?;
        let mut count = 0;
        loop {
            self.meter.bound_header(Some(MOST_HEADER));
            let Some(entry) = entries.next() else { break };
            let mut entry = entry.map_err(|source| self.broken(source))?;
            self.meter.bound_header(None);
            count += 1;
            if count > MOST_ENTRIES {
                return Err(UnpackError::TooMany);
            }
            self.entry(&mut entry)?;
            // What was not wanted of it must not count as part of the next header.
            io::copy(&mut entry, &mut io::sink()).map_err(|source| self.broken(source))?;
        }
        // An empty stream is what an interrupted worker leaves, never a folder.
        if count == 0 {
            return Err(UnpackError::Broken { source: io::ErrorKind::UnexpectedEof.into() });
        }
        self.make_links()
    }

    fn broken(&self, source: io::Error) -> UnpackError {
        match self.meter.cut() {
            Some(Cut::Stopped) => UnpackError::Stopped,
            Some(Cut::All) => UnpackError::TooLarge { most: self.most },
            Some(Cut::Header) | None => UnpackError::Broken { source },
        }
    }

    fn entry<R: Read>(&mut self, entry: &mut Entry<'_, R>) -> Result<(), UnpackError> {
        let given = entry.path().map_err(|source| self.broken(source))?.into_owned();
        // The library passes over what it cannot read, and would give the entry another name.
        let attributes = entry.pax_extensions().map_err(|source| self.broken(source))?;
        if attributes.is_some_and(|mut attributes| attributes.any(|attribute| attribute.is_err())) {
            return Err(UnpackError::Attributes { path: given });
        }
        let kind = entry.header().entry_type();
        let path = inside(&given).ok_or_else(|| UnpackError::Outside { path: given.clone() })?;
        let at = self.folder.join(&path);
        if path.as_os_str().is_empty() {
            // The folder itself, which Python's archives begin with.
            return if kind == EntryType::Directory { Ok(()) } else { Err(UnpackError::NoFolder) };
        }
        match kind {
            EntryType::Directory => make_folders(&at, self.folder),
            EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => {
                make_folders(at.parent().unwrap_or(self.folder), self.folder)?;
                self.file(entry, &at)
            }
            EntryType::Symlink => {
                let to = link_name(entry).ok_or_else(|| UnpackError::Strange { path: given.clone() })?;
                let to = to.map_err(|source| self.broken(source))?;
                if !stays_inside(&path, &to) {
                    return Err(UnpackError::LinkOutside { path: given, to });
                }
                self.links.push((at, to));
                Ok(())
            }
            EntryType::Link => {
                let to = link_name(entry).ok_or_else(|| UnpackError::Strange { path: given.clone() })?;
                let to = to.map_err(|source| self.broken(source))?;
                let Some(target) = inside(&to) else {
                    return Err(UnpackError::LinkOutside { path: given, to });
                };
                make_folders(at.parent().unwrap_or(self.folder), self.folder)?;
                make_room(&at)?;
                fs::hard_link(self.folder.join(target), &at).map_err(|source| disk(&at, source))
            }
            // Attributes of the whole archive say nothing of files.
            EntryType::XGlobalHeader => Ok(()),
            _ => Err(UnpackError::Strange { path: given }),
        }
    }

    fn file<R: Read>(&mut self, entry: &mut Entry<'_, R>, at: &Path) -> Result<(), UnpackError> {
        make_room(at)?;
        // Of the bits only those of permission; nobody but the owner may write.
        let mode = entry.header().mode().unwrap_or(0o644) & 0o755 | 0o600;
        let open = OpenOptions::new().write(true).create_new(true).mode(mode).open(at);
        let mut file = open.map_err(|source| disk(at, source))?;
        let mut block = vec![0; 64 * 1024];
        loop {
            let count = match entry.read(&mut block) {
                Ok(0) => break,
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(source) => return Err(self.broken(source)),
            };
            // Holes of a file come from no stream, so they are counted here.
            self.written += u64::try_from(count).expect("memory is smaller than 2^64 bytes");
            if self.written > self.most {
                return Err(UnpackError::TooLarge { most: self.most });
            }
            if self.cancelled.load(Ordering::Relaxed) {
                return Err(UnpackError::Stopped);
            }
            io::Write::write_all(&mut file, &block[..count]).map_err(|source| disk(at, source))?;
        }
        if let Ok(seconds) = entry.header().mtime()
            && let Some(modified) = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
        {
            let times = FileTimes::new().set_modified(modified);
            // A time that the file system cannot hold is no reason to lose the file.
            if let Err(error) = file.set_times(times) {
                tracing::debug!(path = %at.display(), %error, "a file keeps the time of its arrival");
            }
        }
        Ok(())
    }

    fn make_links(self) -> Result<(), UnpackError> {
        // First all folders above them, while there is no link yet that one could pass through.
        for (at, _) in &self.links {
            make_folders(at.parent().unwrap_or(self.folder), self.folder)?;
        }
        for (at, to) in self.links {
            make_room(&at)?;
            std::os::unix::fs::symlink(to, &at).map_err(|source| disk(&at, source))?;
        }
        Ok(())
    }
}

fn link_name<R: Read>(entry: &Entry<'_, R>) -> Option<io::Result<PathBuf>> {
    entry.link_name().map(|name| name.map(std::borrow::Cow::into_owned)).transpose()
}

fn disk(path: &Path, source: io::Error) -> UnpackError {
    UnpackError::Disk { path: path.to_owned(), source }
}

/// The path of an entry without `.`; nothing if it leads out. `/` alone is the folder itself: so Python names it.
fn inside(path: &Path) -> Option<PathBuf> {
    if path == Path::new("/") {
        return Some(PathBuf::new());
    }
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            Component::Normal(name) => out.push(name),
            Component::CurDir => {}
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    Some(out)
}

/// Whether a link at `path` that leads to `to` stays in the folder, whatever other links there are.
///
/// `..` may stand at the beginning alone: there it climbs true folders. After a name it would climb from wherever
/// another link of that name leads.
fn stays_inside(path: &Path, to: &Path) -> bool {
    let depth = path.components().count() - 1;
    let mut climbs = 0;
    let mut named = false;
    for part in to.components() {
        match part {
            Component::Normal(_) => named = true,
            Component::CurDir => {}
            Component::ParentDir if !named => climbs += 1,
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => return false,
        }
    }
    climbs <= depth
}

/// Makes a folder and those above it, below `root`. None of them is a link.
fn make_folders(path: &Path, root: &Path) -> Result<(), UnpackError> {
    let below = path.strip_prefix(root).expect("all that is made lies below the folder");
    let mut at = root.to_owned();
    for part in below.components() {
        at.push(part);
        match DirBuilder::new().mode(0o755).create(&at) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                if !at.symlink_metadata().map_err(|source| disk(&at, source))?.is_dir() {
                    return Err(UnpackError::InTheWay { path: at });
                }
            }
            Err(source) => return Err(disk(&at, source)),
        }
    }
    Ok(())
}

/// Removes what an earlier entry of the same name, or an earlier upload, has left; but no folder.
fn make_room(at: &Path) -> Result<(), UnpackError> {
    match at.symlink_metadata() {
        Ok(found) if found.is_dir() => Err(UnpackError::InTheWay { path: at.to_owned() }),
        Ok(_) => fs::remove_file(at).map_err(|source| disk(at, source)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(source) => Err(disk(at, source)),
    }
}
