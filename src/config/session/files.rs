//! What a load wants of the file system, and the texts that it got.

#[cfg(test)]
use std::collections::BTreeSet;
use std::{
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use super::Session;
use crate::{
    config::{
        source::Sources,
        watch::{Sightings, Stamp},
    },
    model::Place,
};

/// The paths read so far, shared with the one who waits: he tells them even if the interpreter never comes back.
pub(in crate::config) type FilesRead = Arc<Mutex<FilesSeen>>;

/// What a load wanted of the file system.
#[derive(Clone, Debug, Default)]
pub(in crate::config) struct FilesSeen {
    /// Files that were read, in order.
    pub(in crate::config) read: Vec<PathBuf>,
    /// All that was looked for.
    pub(in crate::config) seen: Sightings,
    /// Which options were given: of which constructor, and whether they could be read.
    #[cfg(test)]
    pub(in crate::config) options: BTreeSet<(String, &'static str, bool)>,
}

/// Some lines of a file: its name, the first and the last.
pub(super) type Excerpt = (Arc<str>, u32, u32);

impl Session {
    /// The folder of the main file.
    pub(in crate::config) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The main file as place of what has no other.
    pub(in crate::config) fn main(&self) -> Place {
        Place::new(Arc::clone(&self.main), 0)
    }

    /// A file's name as it is shown, shared.
    pub(in crate::config) fn file(&self, shown: &str) -> Arc<str> {
        let mut names = self.names.borrow_mut();
        if let Some(name) = names.iter().rev().find(|name| &***name == shown) {
            return Arc::clone(name);
        }
        let name: Arc<str> = shown.into();
        names.push(Arc::clone(&name));
        name
    }

    /// All files' names as they are shown.
    pub(in crate::config) fn files(&self) -> Vec<Arc<str>> {
        self.names.borrow().clone()
    }

    /// Keeps the text of a file.
    pub(in crate::config) fn note_text(&self, path: &Path, shown: &str, text: &[u8]) {
        const OTHERS_READ: u32 = 0o004;
        let file = self.file(shown);
        // A file that was just read is there; if it is not any more, nobody can read it.
        let mode = std::fs::metadata(path).map(|metadata| metadata.mode());
        let is_exposed = mode.is_ok_and(|mode| mode & OTHERS_READ != 0);
        self.sources.borrow_mut().keep(file, String::from_utf8_lossy(text).into(), is_exposed);
    }

    /// Some lines of a file, counted from 1, the last one included.
    pub(in crate::config) fn lines(&self, shown: &str, first: u32, last: u32) -> Arc<str> {
        let key = (self.file(shown), first, last);
        if let Some(known) = self.excerpts.borrow().get(&key) {
            return Arc::clone(known);
        }
        let lines: Arc<str> = self.sources.borrow().lines(shown, first, last).into();
        self.excerpts.borrow_mut().insert(key, Arc::clone(&lines));
        lines
    }

    /// The texts so far.
    pub(in crate::config) fn sources(&self) -> Sources {
        self.sources.borrow().clone()
    }

    /// Notes that a file is going to be read, or is looked for in vain.
    pub(in crate::config) fn note_look(&self, path: &Path) {
        note_look(&self.read, path);
    }

    /// Notes that a file was read.
    pub(in crate::config) fn note_read(&self, path: &Path) {
        let mut files = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        if !files.read.iter().any(|known| known == path) {
            files.read.push(path.to_owned());
        }
    }

    /// Notes that an option was given, and whether it could be read.
    #[cfg(test)]
    pub(in crate::config) fn note_option(&self, constructor: String, option: &'static str, is_good: bool) {
        let mut files = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        files.options.insert((constructor, option, is_good));
    }
}

/// Notes what a file is before it is read. Of a file that is read twice, the first look counts: if it changed in between,
/// the load has seen half of a change.
pub(in crate::config) fn note_look(files: &FilesRead, path: &Path) {
    let stamp = Stamp::of(path);
    let mut files = files.lock().unwrap_or_else(PoisonError::into_inner);
    files.seen.entry(path.to_owned()).or_insert(stamp);
}
