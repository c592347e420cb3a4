//! Paths on the worker's machine, made on the master's: on this wire a worker wants absolute ones.
//!
//! # Source
//! What Python's `posixpath` and `ntpath` make of the same texts, which is what a worker on the other wire does by itself.

use std::borrow::Cow;

/// Whose rules a path follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum System {
    /// All but Windows.
    Posix,
    /// Windows: drives, shares, and both slashes.
    Nt,
}

/// Where the paths of a worker begin.
pub(super) struct Base {
    pub(super) system: System,
    /// The worker's folder, absolute.
    pub(super) dir: String,
    /// What `~` stands for, if the worker's environment says so. Told to nobody.
    pub(super) home: Option<String>,
}

impl Base {
    /// The path of the last of these, each of which begins at the one before unless it is absolute; the first begins at
    /// the worker's folder. Empty ones stand for where they begin.
    pub(super) fn path<const N: usize>(&self, parts: [&str; N]) -> String {
        parts.into_iter().fold(self.dir.clone(), |path, part| join(self.system, &path, part))
    }

    /// The same path with `~` at its begin replaced. `~somebody` stays: only the worker knows where they live.
    pub(super) fn expanded<'a>(&self, path: &'a str) -> Cow<'a, str> {
        let (Some(home), Some(rest)) = (&self.home, path.strip_prefix('~')) else { return path.into() };
        if !rest.is_empty() && !rest.starts_with(|c| self.system.separates(c)) {
            return path.into();
        }
        match self.system {
            System::Posix => format!("{}{rest}", home.trim_end_matches('/')).into(),
            System::Nt => format!("{home}{rest}").into(),
        }
    }
}

impl System {
    /// Whether this character stands between the names of a path.
    pub(super) fn separates(self, c: char) -> bool {
        c == '/' || self == Self::Nt && c == '\\'
    }

    /// Whether this path begins by itself, on a drive or at a root, wherever one stands.
    pub(super) fn is_anchored(self, path: &str) -> bool {
        path.starts_with(|c| self.separates(c)) || self == Self::Nt && drive(path).is_some()
    }
}

fn join(system: System, base: &str, path: &str) -> String {
    match system {
        _ if path.is_empty() => base.to_owned(),
        System::Posix if path.starts_with('/') => path.to_owned(),
        System::Posix if base.ends_with('/') => format!("{base}{path}"),
        System::Posix => format!("{base}/{path}"),
        System::Nt => join_nt(base, path),
    }
}

fn join_nt(base: &str, path: &str) -> String {
    let is_slash = |c| System::Nt.separates(c);
    let (base_drive, base_rest) = drive(base).unwrap_or(("", base));
    let (path_drive, path_rest) = drive(path).unwrap_or(("", path));
    if path_rest.starts_with(is_slash) {
        let drive = if path_drive.is_empty() { base_drive } else { path_drive };
        return format!("{drive}{path_rest}");
    }
    if !path_drive.is_empty() && !path_drive.eq_ignore_ascii_case(base_drive) {
        return path.to_owned();
    }
    let drive = if path_drive.is_empty() { base_drive } else { path_drive };
    let between = if base_rest.is_empty() || base_rest.ends_with(is_slash) { "" } else { "\\" };
    // A share is followed by a root; a drive may be followed by a place on it.
    let is_share = !drive.is_empty() && !drive.ends_with(':');
    let root = if is_share && !base_rest.starts_with(is_slash) { "\\" } else { "" };
    format!("{drive}{root}{base_rest}{between}{path_rest}")
}

/// The drive (`C:`) or share (`\\server\share`) at the begin of a path of Windows, and the rest.
fn drive(path: &str) -> Option<(&str, &str)> {
    let is_slash = |c| System::Nt.separates(c);
    let bytes = path.as_bytes();
    if let [a, b, ..] = bytes
        && is_slash(char::from(*a))
        && is_slash(char::from(*b))
    {
        const DEVICE_SHARE: &str = r"\\?\UNC\";
        let head = path.get(..DEVICE_SHARE.len()).map(|head| head.replace('/', "\\").to_ascii_uppercase());
        let begin = if head.as_deref() == Some(DEVICE_SHARE) { DEVICE_SHARE.len() } else { 2 };
        let next = |from: usize| path[from..].find(is_slash).map(|at| from + at);
        let end = next(begin).and_then(|server| next(server + 1)).unwrap_or(path.len());
        return Some(path.split_at(end));
    }
    (bytes.first()?.is_ascii() && bytes.get(1) == Some(&b':')).then(|| path.split_at(2))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What Python 3.11 says.
    const NT: [(&str, &str, &str); 26] = [
        (r"C:\w", "b", r"C:\w\b"),
        (r"C:\w", "b/c", r"C:\w\b/c"),
        (r"C:\w", r"\x", r"C:\x"),
        (r"C:\w", "/x", "C:/x"),
        (r"C:\w", r"D:\x", r"D:\x"),
        (r"C:\w", "D:x", "D:x"),
        (r"C:\w", "c:x", r"c:\w\x"),
        (r"C:\w", "C:x", r"C:\w\x"),
        ("C:", "x", "C:x"),
        (r"C:\", "x", r"C:\x"),
        (r"C:\w\", "x", r"C:\w\x"),
        ("C:/w/", "x", "C:/w/x"),
        (r"C:\w", r"\\srv\share\x", r"\\srv\share\x"),
        (r"C:\w", "//srv/share", "//srv/share"),
        (r"C:\w", r"..\x", r"C:\w\..\x"),
        (r"\\srv\share", "x", r"\\srv\share\x"),
        (r"\\srv\share\w", "x", r"\\srv\share\w\x"),
        (r"\\srv\share\w", r"\x", r"\\srv\share\x"),
        (r"\\srv\share\w", "c:x", "c:x"),
        ("//srv/share/w", "/x", "//srv/share/x"),
        (r"\\?\C:\w", "x", r"\\?\C:\w\x"),
        (r"\\?\UNC\srv\share\w", r"\x", r"\\?\UNC\srv\share\x"),
        ("w", "x", r"w\x"),
        (r"\w", "x", r"\w\x"),
        (r"\w", "C:x", "C:x"),
        (r"\\srv\", "x", r"\\srv\\x"),
    ];

    const POSIX: [(&str, &str, &str); 7] = [
        ("/w", "b", "/w/b"),
        ("/w/", "b", "/w/b"),
        ("/w", "/b", "/b"),
        ("/w", r"a\b", r"/w/a\b"),
        ("/w", r"C:\x", r"/w/C:\x"),
        ("/w", "../x", "/w/../x"),
        ("/", "b", "/b"),
    ];

    fn base(system: System, dir: &str, home: Option<&str>) -> Base {
        Base { system, dir: dir.into(), home: home.map(str::to_owned) }
    }

    #[test]
    fn paths_are_joined_as_python_does_it_on_each_system() {
        for (dir, path, wanted) in NT {
            assert_eq!(base(System::Nt, dir, None).path([path]), wanted, "{dir} and {path}");
        }
        for (dir, path, wanted) in POSIX {
            assert_eq!(base(System::Posix, dir, None).path([path]), wanted, "{dir} and {path}");
        }
        assert_eq!(base(System::Nt, r"C:\w", None).path(["b", "build", r"sub\f"]), r"C:\w\b\build\sub\f");
        assert_eq!(base(System::Posix, "/w", None).path(["b", "", "f"]), "/w/b/f");
        assert_eq!(base(System::Posix, "/w", None).path(["b", "/abs", "f"]), "/abs/f");
    }

    #[test]
    fn a_tilde_is_the_home_of_the_worker_and_of_nobody_else() {
        let posix = base(System::Posix, "/w", Some("/home/me/"));
        for (path, wanted) in
            [("~", "/home/me"), ("~/f", "/home/me/f"), ("~you/f", "~you/f"), ("a~", "a~"), ("~\\f", "~\\f")]
        {
            assert_eq!(posix.expanded(path), wanted);
        }
        let nt = base(System::Nt, r"C:\w", Some(r"C:\Users\me"));
        for (path, wanted) in [("~", r"C:\Users\me"), ("~/f", r"C:\Users\me/f"), (r"~\f", r"C:\Users\me\f")] {
            assert_eq!(nt.expanded(path), wanted);
        }
        assert_eq!(base(System::Posix, "/w", None).expanded("~/f"), "~/f");
    }

    #[test]
    fn what_begins_by_itself_is_known_by_the_systems_rules() {
        for (path, posix, nt) in [
            ("a", false, false),
            ("/a", true, true),
            (r"\a", false, true),
            ("C:a", false, true),
            (r"\\s\h", false, true),
            ("é:", false, false),
        ] {
            assert_eq!(
                (System::Posix.is_anchored(path), System::Nt.is_anchored(path)),
                (posix, nt),
                "{path}"
            );
        }
    }
}
