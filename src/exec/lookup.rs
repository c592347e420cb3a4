//! Finds a program as the child would, so that a failure can be told exactly.
//!
//! The path that is found is given to the system, which then need not fork this whole process to search: a child of
//! a large master starts as fast as one of a small one.

use std::{
    ffi::{OsStr, OsString},
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

use rustix::fs::{Access, access};

use super::spec::SpawnError;

// What is searched if there is no `PATH`. Source: POSIX `confstr(_CS_PATH)` as glibc answers it.
const DEFAULT_PATH: &str = "/bin:/usr/bin";

/// The absolute path of `program` for a child in `dir` whose `PATH` is `path`.
pub(super) fn find(program: &OsStr, dir: &Path, path: Option<&OsStr>) -> Result<PathBuf, SpawnError> {
    if program.is_empty() {
        return Err(SpawnError::Empty);
    }
    if program.as_bytes().contains(&b'/') {
        return match judge(&dir.join(program)) {
            Found::Runs => Ok(dir.join(program)),
            Found::MayNot => Err(SpawnError::NotExecutable { program: program.to_owned() }),
            Found::Absent => Err(SpawnError::NotFound { program: program.to_owned(), path: None }),
        };
    }
    let path = path.unwrap_or(OsStr::new(DEFAULT_PATH));
    let mut barred = false;
    for folder in path.as_bytes().split(|&byte| byte == b':') {
        // An empty entry means the current folder, as joining it does.
        let candidate = dir.join(OsStr::from_bytes(folder)).join(program);
        match judge(&candidate) {
            Found::Runs => return Ok(candidate),
            Found::MayNot => barred = true,
            Found::Absent => {}
        }
    }
    let program = program.to_owned();
    Err(if barred {
        SpawnError::NotExecutable { program }
    } else {
        SpawnError::NotFound { program, path: Some(OsString::from(path)) }
    })
}

enum Found {
    Runs,
    MayNot,
    Absent,
}

fn judge(candidate: &Path) -> Found {
    match candidate.metadata() {
        Err(_) => Found::Absent,
        Ok(metadata) if metadata.is_file() && access(candidate, Access::EXEC_OK).is_ok() => Found::Runs,
        Ok(_) => Found::MayNot,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn the_first_executable_file_in_the_path_is_found_and_others_are_told_apart() {
        let dir = tempfile::tempdir().unwrap();
        for (folder, name, mode) in [("a", "tool", 0o644), ("b", "tool", 0o755), ("a", "text", 0o644)] {
            let file = dir.path().join(folder).join(name);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(&file, "").unwrap();
            std::fs::set_permissions(&file, PermissionsExt::from_mode(mode)).unwrap();
        }
        std::fs::create_dir(dir.path().join("b/folder")).unwrap();
        let find = |program: &str| find(OsStr::new(program), dir.path(), Some(OsStr::new("a:b:none")));
        assert_eq!(find("tool").unwrap(), dir.path().join("b/tool"));
        assert_eq!(find("b/tool").unwrap(), dir.path().join("b/tool"));
        assert_eq!(find("text").unwrap_err().to_string(), "cannot start `text`: it is not executable");
        assert_eq!(find("folder").unwrap_err().shell_code(), Some(126));
        assert_eq!(
            find("no-tool").unwrap_err().to_string(),
            "cannot start `no-tool`: no such program in `a:b:none`"
        );
        assert_eq!(find("./no-tool").unwrap_err().to_string(), "cannot start `./no-tool`: no such program");
        assert_eq!(find("./no-tool").unwrap_err().shell_code(), Some(127));
    }

    #[test]
    fn without_a_path_the_system_folders_are_searched() {
        assert!(find(OsStr::new("sh"), Path::new("/"), None).is_ok());
    }
}
