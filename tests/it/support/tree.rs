//! The source files of the crate, and which of them a `mod` names.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

/// The folder of `Cargo.toml`.
pub(crate) fn crate_root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// All Rust files below `folder`.
pub(crate) fn rust_files(folder: &Path) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display())) {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.insert(path);
            }
        }
    }
    found
}

/// A source file, parsed.
pub(crate) fn parse(file: &Path) -> syn::File {
    let text = std::fs::read_to_string(file).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
    syn::parse_file(&text).unwrap_or_else(|e| {
        panic!("{}:{}: {e}", file.display(), e.span().start().line);
    })
}

/// The files that the compiler reaches from the root of a crate, that root included.
pub(crate) fn named_by_modules(root: &Path) -> BTreeSet<PathBuf> {
    let mut named = BTreeSet::new();
    let folder = root.parent().expect("a file is in a folder").to_owned();
    let mut waiting = vec![(root.to_owned(), folder)];
    while let Some((file, folder)) = waiting.pop() {
        follow(&parse(&file).items, &folder, &mut waiting);
        named.insert(file);
    }
    named
}

/// Adds the file of each `mod x;`, with the folder in which its own modules are.
fn follow(items: &[syn::Item], folder: &Path, waiting: &mut Vec<(PathBuf, PathBuf)>) {
    for item in items {
        let syn::Item::Mod(module) = item else { continue };
        let below = folder.join(module.ident.to_string());
        if let Some((_, items)) = &module.content {
            follow(items, &below, waiting);
        } else if let Some(file) =
            [below.with_extension("rs"), below.join("mod.rs")].into_iter().find(|file| file.is_file())
        {
            waiting.push((file, below));
        }
    }
}
