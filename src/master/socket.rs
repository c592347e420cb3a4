//! The Unix socket of the command line, for the owner alone.

use std::{
    fs, io,
    os::unix::{ffi::OsStrExt as _, fs::DirBuilderExt as _, fs::PermissionsExt as _},
    path::{Path, PathBuf},
};

use tokio::net::UnixListener;

/// What a Unix socket's address can hold, with the zero byte at its end.
///
/// Source: `sun_path` in unix(7).
const LONGEST_PATH: usize = 107;

/// Why there is no socket.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// The kernel takes no such path.
    #[error("the path of the socket has {length} bytes, at most {LONGEST_PATH} are possible: {}", path.display())]
    TooLong {
        /// Which.
        path: PathBuf,
        /// How long.
        length: usize,
    },
    /// It cannot be made.
    #[error("cannot listen on {}", path.display())]
    Bind {
        /// Where.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Whether a socket can have this path at all.
pub fn check_path(path: &Path) -> Result<(), SocketError> {
    let length = path.as_os_str().as_bytes().len();
    if length > LONGEST_PATH { Err(SocketError::TooLong { path: path.to_owned(), length }) } else { Ok(()) }
}

/// Listens on a path, in place of a socket that an earlier master left: the caller holds the folder's lock.
///
/// The socket is made in a folder that nobody else can enter and moved to its place with its mode set, so that there
/// is no moment at which another user could connect.
pub fn listen(path: &Path) -> Result<UnixListener, SocketError> {
    check_path(path)?;
    let bind = |source| SocketError::Bind { path: path.to_owned(), source };
    let nursery = path.with_file_name(".s");
    let made = nursery.join("s");
    let in_nursery = || -> io::Result<UnixListener> {
        match fs::DirBuilder::new().mode(0o700).create(&nursery) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                fs::set_permissions(&nursery, fs::Permissions::from_mode(0o700))?;
                remove(&made)?;
            }
            other => other?,
        }
        let listener = UnixListener::bind(&made)?;
        fs::set_permissions(&made, fs::Permissions::from_mode(0o600))?;
        fs::rename(&made, path)?;
        fs::remove_dir(&nursery)?;
        Ok(listener)
    };
    in_nursery().map_err(bind)
}

/// Removes a socket; one that is gone already is as good.
pub fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_socket_is_for_the_owner_alone_and_replaces_a_dead_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lunabot.sock");
        drop(listen(&path).unwrap());
        let _listener = listen(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(tokio::net::UnixStream::connect(&path).await.is_ok());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_path_that_no_socket_can_have_is_told_before_anything_is_made() {
        let path = Path::new("/tmp").join("x".repeat(120)).join("lunabot.sock");
        assert!(matches!(check_path(&path), Err(SocketError::TooLong { length: 138, .. })));
    }
}
