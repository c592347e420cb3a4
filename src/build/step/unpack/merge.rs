//! An unpacked folder gets its place, where there may be one already.
//!
//! # Laws
//! - Nothing is followed: a link where a folder should be is in the way.

use std::{
    fs::{self, File, Permissions},
    io,
    os::unix::fs::PermissionsExt as _,
    path::Path,
};

use super::{UnpackError, disk};

/// Moves a folder to its place. If there is one already, what it holds beside stays.
///
/// # Errors
/// What was moved before an error stays moved; each file is whole.
pub(in crate::build::step) fn merge(from: &Path, to: &Path) -> Result<(), UnpackError> {
    // One order for the whole disk costs less than one for each file.
    let staging = File::open(from).map_err(|source| disk(from, source))?;
    rustix::fs::syncfs(&staging).map_err(|errno| disk(from, errno.into()))?;
    fs::set_permissions(from, Permissions::from_mode(0o755)).map_err(|source| disk(from, source))?;
    move_folder(from, to)?;
    let above = to.parent().unwrap_or(Path::new("/"));
    File::open(above).and_then(|folder| folder.sync_all()).map_err(|source| disk(above, source))
}

fn move_folder(from: &Path, to: &Path) -> Result<(), UnpackError> {
    match to.symlink_metadata() {
        Ok(found) if found.is_dir() => {}
        Ok(_) => return Err(UnpackError::InTheWay { path: to.to_owned() }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return fs::rename(from, to).map_err(|source| disk(to, source));
        }
        Err(source) => return Err(disk(to, source)),
    }
    for entry in fs::read_dir(from).map_err(|source| disk(from, source))? {
        let entry = entry.map_err(|source| disk(from, source))?;
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        if entry.file_type().map_err(|error| disk(&source, error))?.is_dir() {
            move_folder(&source, &target)?;
        } else if target.symlink_metadata().is_ok_and(|found| found.is_dir()) {
            return Err(UnpackError::InTheWay { path: target });
        } else {
            fs::rename(&source, &target).map_err(|source| disk(&target, source))?;
        }
    }
    Ok(())
}
