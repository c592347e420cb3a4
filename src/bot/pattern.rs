//! Finds the paths that match a pattern.
//!
//! Source of what matches: Python's `glob` with `recursive=True`. `*`, `?` and `[…]` match within a name, and no name
//! that begins with `.` unless the pattern does; `**` stands for any number of folders, and at the end also for files.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use glob::{MatchOptions, Pattern};
use tokio_util::sync::CancellationToken;

/// The most paths or names that a command tells: more is a mistake, and would fill the master's memory.
pub(super) const MAX_FILES: usize = 100_000;

const OPTIONS: MatchOptions =
    MatchOptions { case_sensitive: true, require_literal_separator: true, require_literal_leading_dot: true };

/// More than [`MAX_FILES`] would have to be told, or nobody waits any more.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TooMany;

/// All existing paths that match `pattern`, below `folder` unless it is absolute. Folders that cannot be read have
/// nothing in them.
pub(super) fn find(
    folder: &Path,
    pattern: &str,
    unwanted: &CancellationToken,
) -> Result<Vec<String>, TooMany> {
    let mut starts = vec![if pattern.starts_with('/') { PathBuf::from("/") } else { folder.to_owned() }];
    let mut parts = pattern.split('/').filter(|part| !part.is_empty()).peekable();
    while let Some(part) = parts.next() {
        let mut found = Vec::new();
        // Two of them say no more than one.
        if part == "**" && parts.peek() == Some(&"**") {
            continue;
        }
        for start in starts {
            if part == "**" {
                below(start, parts.peek().is_none(), &mut found, unwanted)?;
            } else if part.contains(['*', '?', '[']) {
                let pattern = compiled(part);
                for name in names(&start).unwrap_or_default() {
                    if pattern.matches_with(&name, OPTIONS) {
                        found.push(start.join(name));
                    }
                }
            } else {
                let path = start.join(part);
                if path.symlink_metadata().is_ok() {
                    found.push(path);
                }
            }
            within_limits(&found, unwanted)?;
        }
        starts = found;
    }
    // What `**` finds by two ways is told once.
    starts.sort_unstable();
    starts.dedup();
    let only_folders = pattern.ends_with('/');
    let told = starts.into_iter().filter(|path| !only_folders || path.is_dir());
    Ok(told.map(|path| path.to_string_lossy().into_owned()).collect())
}

/// The names in a folder. Those that are no text are told as well as they can be.
pub(super) fn names(folder: &Path) -> io::Result<Vec<String>> {
    fs::read_dir(folder)?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
}

/// The folder and all below it; files too, if `with_files`.
fn below(
    start: PathBuf,
    with_files: bool,
    found: &mut Vec<PathBuf>,
    unwanted: &CancellationToken,
) -> Result<(), TooMany> {
    if !start.is_dir() {
        return Ok(());
    }
    let mut waiting = vec![start];
    while let Some(folder) = waiting.pop() {
        if let Ok(entries) = fs::read_dir(&folder) {
            for entry in entries.flatten() {
                if entry.file_name().as_encoded_bytes().starts_with(b".") {
                    continue;
                }
                // A link to a folder is told but not entered: it may lead in a circle.
                if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                    waiting.push(entry.path());
                } else if with_files || entry.path().is_dir() {
                    found.push(entry.path());
                }
            }
        }
        found.push(folder);
        within_limits(found, unwanted)?;
    }
    Ok(())
}

fn within_limits(found: &[PathBuf], unwanted: &CancellationToken) -> Result<(), TooMany> {
    if found.len() > MAX_FILES || unwanted.is_cancelled() { Err(TooMany) } else { Ok(()) }
}

/// A part of a pattern. Every text is one: a bracket that is not closed stands for itself.
pub(super) fn compiled(part: &str) -> Pattern {
    let mut single = part.to_owned();
    while single.contains("**") {
        single = single.replace("**", "*");
    }
    Pattern::new(&single)
        .or_else(|_| Pattern::new(&single.replace('[', "[[]")))
        .unwrap_or_else(|_| Pattern::new(&Pattern::escape(part)).expect("an escaped text is a pattern"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_matches_is_what_python_matches() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        for folder in ["a/deep/er", "b", ".hidden/x"] {
            fs::create_dir_all(root.join(folder)).unwrap();
        }
        for file in
            ["a/1.txt", "a/deep/2.txt", "a/deep/er/3.txt", "b/[1].txt", ".hidden/x/4.txt", "b/ä.txt", ".dot"]
        {
            fs::write(root.join(file), "").unwrap();
        }
        std::os::unix::fs::symlink("..", root.join("b/up")).unwrap();
        let found = |pattern: &str| {
            let prefix = format!("{}/", root.display());
            let found = find(root, pattern, &CancellationToken::new()).unwrap();
            found.iter().map(|path| path.replacen(&prefix, "", 1)).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(found("*"), "a b");
        assert_eq!(found(".d*"), ".dot");
        assert_eq!(found("a/?.txt"), "a/1.txt");
        assert_eq!(found("a/[!2].txt"), "a/1.txt");
        assert_eq!(found("**/*.txt"), "a/1.txt a/deep/2.txt a/deep/er/3.txt b/[1].txt b/ä.txt");
        assert_eq!(found("a/**/**/3.txt"), "a/deep/er/3.txt");
        assert_eq!(found("a/deep/**"), "a/deep a/deep/2.txt a/deep/er a/deep/er/3.txt");
        assert_eq!(found("b/[[]1].txt"), "b/[1].txt");
        assert_eq!(found("b/[1*"), "b/[1].txt");
        assert_eq!(found("a**.nothing"), "");
        assert_eq!(found("*/"), "a b");
        assert_eq!(found("b/ä.txt"), "b/ä.txt");
        assert_eq!(found("b/../a/1.txt"), "b/../a/1.txt");
        assert_eq!(found(&format!("{}/a/*.txt", root.display())), "a/1.txt");
    }
}
