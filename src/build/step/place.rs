//! Where a path of the configuration lies on the master.

use std::path::{Component, Path, PathBuf};

/// Why a path names no place for files.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum PlaceError {
    /// It is empty, or the master's folder itself.
    #[error("`{path}` is the master's own folder; name something in it")]
    Nothing {
        /// As it was given.
        path: String,
    },
    /// It begins in the master's folder and leaves it.
    #[error("`{path}` leads out of the master's folder; write an absolute path if that is meant")]
    Outside {
        /// As it was given.
        path: String,
    },
    /// There is no home.
    #[error("`{path}`: the user of the master has no home")]
    Homeless {
        /// As it was given.
        path: String,
    },
}

/// The path on the master that a rendered text names: absolute, below the home for `~/`, else below `master_dir`.
pub(super) fn on_master(master_dir: &Path, text: &str) -> Result<PathBuf, PlaceError> {
    if text == "~" || text.starts_with("~/") {
        let home = std::env::home_dir().ok_or_else(|| PlaceError::Homeless { path: text.to_owned() })?;
        return Ok(home.join(text.trim_start_matches('~').trim_start_matches('/')));
    }
    let path = Path::new(text);
    if path.is_absolute() {
        return Ok(path.to_owned());
    }
    let mut inside = PathBuf::new();
    for part in path.components() {
        match part {
            Component::Normal(name) => inside.push(name),
            Component::CurDir => {}
            Component::ParentDir if inside.pop() => {}
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => {
                return Err(PlaceError::Outside { path: text.to_owned() });
            }
        }
    }
    if inside.as_os_str().is_empty() {
        return Err(PlaceError::Nothing { path: text.to_owned() });
    }
    Ok(master_dir.join(inside))
}

/// The last part of a path for people; all of it if there is none.
pub(super) fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relative_paths_stay_in_the_masters_folder() {
        let at = |text| on_master(Path::new("/m"), text);
        assert_eq!(at("out/x.tar"), Ok("/m/out/x.tar".into()));
        assert_eq!(at("./a/../b/"), Ok("/m/b".into()));
        assert_eq!(at("/srv/out"), Ok("/srv/out".into()));
        for bad in ["../x", "a/../../x", ".."] {
            assert_eq!(at(bad), Err(PlaceError::Outside { path: bad.into() }));
        }
        for bad in ["", ".", "a/.."] {
            assert_eq!(at(bad), Err(PlaceError::Nothing { path: bad.into() }));
        }
    }
}
