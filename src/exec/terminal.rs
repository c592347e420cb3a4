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

#[cfg(test)]
mod tests {
    use super::super::{
        testing::{eventually, is_running, within},
        *,
    };

    async fn run(line: &str, change: impl FnOnce(&mut Spec)) -> (Vec<u8>, Ended) {
        let path = std::env::var_os("PATH").unwrap();
        let mut spec = Spec {
            env: [("PATH".into(), path)].into(),
            on_terminal: true,
            ..Spec::new(Program::Shell(line.to_owned()), "/")
        };
        change(&mut spec);
        let mut process = within(spawn(spec)).await.unwrap();
        let mut output = Vec::new();
        loop {
            match within(process.next()).await.unwrap() {
                News::Output { bytes, .. } => output.extend(bytes),
                News::Killing(_) => {}
                News::Ended(ended) => return (output, ended),
            }
        }
    }

    #[tokio::test]
    async fn a_child_rules_its_terminal_and_leads_its_group() {
        let line = "echo here > /dev/tty; exec sh -c 'test $$ = $(ps -o pgid= -p $$) && exit 3'";
        let (output, ended) = run(line, |_| ()).await;
        assert_eq!((output.as_slice(), ended.exit), (b"here\n".as_slice(), Exit::Code(3)));
    }

    #[tokio::test]
    async fn all_that_is_written_before_the_end_is_told() {
        let (output, ended) = run("head -c 300000 /dev/zero | tr '\\0' x; echo end >&2", |_| ()).await;
        assert_eq!((output.len(), ended.exit), (300_004, Exit::Code(0)));
        assert!(output.ends_with(b"xend\n"));
    }

    #[tokio::test]
    async fn one_that_is_interrupted_before_it_starts_is_killed() {
        for _ in 0..20 {
            let (_, ended) = run("sleep 1000", |spec| spec.interrupt.cancel()).await;
            assert_eq!((ended.exit, ended.reason), (Exit::Signal(9), Some(KillReason::Interrupted)));
        }
    }

    #[tokio::test]
    async fn those_that_it_leaves_lose_their_terminal() {
        let (output, ended) = run("sleep 1000 & echo $!", |_| ()).await;
        assert_eq!(ended.exit, Exit::Code(0));
        let left = str::from_utf8(&output).unwrap().trim().parse().unwrap();
        eventually("it is gone", || !is_running(left)).await;
    }
}
