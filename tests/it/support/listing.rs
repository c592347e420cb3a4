//! What is in a folder, as lines that two runs can be compared by.

use std::{
    fs,
    os::unix::{ffi::OsStrExt as _, fs::PermissionsExt as _},
    path::Path,
};

/// All that is in a folder and below, sorted; of a file what `told` says of its permissions and its bytes.
pub(crate) fn listing(root: &Path, told: impl Fn(u32, &[u8]) -> String) -> Vec<String> {
    let mut found = Vec::new();
    let mut waiting = vec![root.to_owned()];
    while let Some(folder) = waiting.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            let path = entry.path();
            let name = path.strip_prefix(root).unwrap().as_os_str().as_bytes().escape_ascii().to_string();
            let kind = entry.file_type().unwrap();
            if kind.is_dir() {
                found.push(format!("{name}/"));
                waiting.push(path);
            } else if kind.is_symlink() {
                found.push(format!("{name} -> {}", fs::read_link(path).unwrap().display()));
            } else {
                let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
                found.push(format!("{name} {}", told(mode, &fs::read(&path).unwrap())));
            }
        }
    }
    found.sort();
    found
}
