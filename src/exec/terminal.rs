//! A terminal for a child, with us in the place of the person before it.
//!
//! Its output is read as from a pipe: lines end as the child ends them, and nothing is echoed. Its input stays open and
//! says nothing.

use std::{io, os::fd::OwnedFd};

use rustix::{
    fs::{Mode, OFlags, open as open_path},
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{LocalModes, OptionalActions, OutputModes, Winsize, tcgetattr, tcsetattr, tcsetwinsize},
};
use tokio::net::unix::pipe;

/// What programs that ask are told. Source: what most terminals begin with.
const SIZE: Winsize = Winsize { ws_row: 25, ws_col: 80, ws_xpixel: 0, ws_ypixel: 0 };

/// A new terminal: our side, and that of the child.
///
/// Must be called within the runtime.
pub(super) fn open() -> io::Result<(pipe::Receiver, OwnedFd)> {
    let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
    grantpt(&ours)?;
    unlockpt(&ours)?;
    let name = ptsname(&ours, Vec::new())?;
    let theirs = open_path(name.as_c_str(), OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC, Mode::empty())?;
    let mut modes = tcgetattr(&theirs)?;
    modes.local_modes.remove(LocalModes::ECHO);
    modes.output_modes.remove(OutputModes::ONLCR);
    tcsetattr(&theirs, OptionalActions::Now, &modes)?;
    tcsetwinsize(&theirs, SIZE)?;
    // No pipe, but read like one.
    Ok((pipe::Receiver::from_owned_fd_unchecked(ours)?, theirs))
}
