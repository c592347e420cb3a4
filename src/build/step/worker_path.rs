//! Paths on a worker, by the rules of its system.

use crate::model::WorkerInfo;

/// The rules of a worker's paths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::build) enum WorkerPaths {
    /// `/` alone.
    Posix,
    /// `\`, and `/` as well; letters of drives.
    Windows,
}

impl WorkerPaths {
    /// The rules of a worker, by what it says of its system.
    ///
    /// Source: Python's `os.name`, which a worker sends as `system`.
    pub(in crate::build) fn of(info: &WorkerInfo) -> Self {
        if info.text("system") == Some("nt") { Self::Windows } else { Self::Posix }
    }

    /// `path` as seen from `base`; itself if it is absolute.
    pub(in crate::build) fn join(self, base: &str, path: &str) -> String {
        if self.is_absolute(path) {
            return path.to_owned();
        }
        let sign = match self {
            Self::Posix => '/',
            Self::Windows => '\\',
        };
        let path = match self {
            Self::Posix => path.to_owned(),
            // A folder below another is written `a/b` in the configuration, whatever the worker.
            Self::Windows => path.replace('/', "\\"),
        };
        if base.is_empty() || base.ends_with(|c| self.divides(c)) {
            format!("{base}{path}")
        } else {
            format!("{base}{sign}{path}")
        }
    }

    /// The last part of a path.
    pub(in crate::build) fn file_name(self, path: &str) -> &str {
        let path = path.trim_end_matches(|c| self.divides(c));
        path.rsplit(|c| self.divides(c)).next().unwrap_or_default()
    }

    fn divides(self, c: char) -> bool {
        c == '/' || (self == Self::Windows && c == '\\')
    }

    fn is_absolute(self, path: &str) -> bool {
        let drive = self == Self::Windows && path.as_bytes().get(1) == Some(&b':');
        drive || path.starts_with(|c| self.divides(c))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_system_has_its_own_rules() {
        let (posix, windows) = (WorkerPaths::Posix, WorkerPaths::Windows);
        assert_eq!(posix.join("/w", "b"), "/w/b");
        assert_eq!(posix.join("/", "b"), "/b");
        assert_eq!(posix.join("/w", "/abs"), "/abs");
        assert_eq!(posix.join("build", "a\\b"), "build/a\\b");
        assert_eq!(windows.join(r"C:\w", "b/c"), r"C:\w\b\c");
        assert_eq!(windows.join(r"C:\w\", "b"), r"C:\w\b");
        assert_eq!(windows.join(r"C:\w", r"D:\x"), r"D:\x");
        assert_eq!(windows.join(r"C:\w", r"\x"), r"\x");
        assert_eq!(posix.file_name("/a/b/"), "b");
        assert_eq!(posix.file_name(r"/a/b\c"), r"b\c");
        assert_eq!(windows.file_name(r"C:\a/b\c.txt"), "c.txt");
    }
}
