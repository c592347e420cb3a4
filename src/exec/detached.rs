//! A program that outlives the one that starts it: a service in the background.
//!
//! # Laws
//! - It is the one child that nobody ends, that has our environment, and whose end is not waited for: once it runs, it
//!   is its own master. It leaves our session itself, since only it can.
//! - It reads nothing. What it says on its standard output is heard for as long as the caller likes, and a line of it is
//!   no longer than 4 KiB.
//! - It has no open file of ours but those three.

use std::{ffi::OsString, fs::File, io, path::Path, process::ExitStatus, process::Stdio, time::Duration};

use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader, Take},
    process::{Child, ChildStdout},
    time::timeout,
};

use super::orphans;

/// The longest line that is heard of it.
const LINE_BYTES: u64 = 4096;

/// How long a child may take to end once it has closed its standard output.
const END_LIMIT: Duration = Duration::from_secs(5);

/// A program in the background.
#[derive(Debug)]
pub struct Detached {
    id: u32,
    child: Child,
    stdout: Take<BufReader<ChildStdout>>,
}

/// What was heard of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// A line.
    Line,
    /// Nothing more comes; how it ended, if it has.
    Closed(Option<ExitStatus>),
    /// Nothing within the time.
    Nothing,
}

/// Starts a program in a folder. What it says on standard error goes into a file.
///
/// Must be called within the runtime. Blocks for as long as the system takes to start it.
pub fn detached(program: &Path, arguments: &[OsString], dir: &Path, stderr: File) -> io::Result<Detached> {
    #[expect(clippy::disallowed_methods, reason = "this is the room that starts children")]
    let mut command = tokio::process::Command::new(program);
    command.args(arguments).current_dir(dir).kill_on_drop(false);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(stderr);
    let mut child = orphans::start(|| command.spawn(), Child::id)?;
    let stdout = child.stdout.take().expect("its standard output is a pipe");
    let id = child.id().expect("it has not been waited for");
    Ok(Detached { id, child, stdout: BufReader::new(stdout).take(LINE_BYTES) })
}

impl Detached {
    /// Its process id.
    pub fn id(&self) -> u32 {
        self.id
    }

    /// Waits for a line of its standard output, for `limit` of wall time.
    ///
    /// # Cancel safety
    /// The beginning of a line may be lost.
    pub async fn hear(&mut self, limit: Duration) -> io::Result<Heard> {
        let mut line = Vec::new();
        match timeout(limit, self.stdout.read_until(b'\n', &mut line)).await {
            Err(_) => Ok(Heard::Nothing),
            Ok(Ok(0)) => {
                let ended = timeout(END_LIMIT, self.child.wait()).await;
                Ok(Heard::Closed(ended.ok().transpose()?))
            }
            Ok(heard) => heard.map(|_| Heard::Line),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::testing::{eventually, is_running, within},
        *,
    };

    fn start(line: &str) -> (Detached, tempfile::TempDir) {
        let dir = tempfile::tempdir().unwrap();
        let log = File::create(dir.path().join("log")).unwrap();
        let arguments = ["-c", line].map(OsString::from);
        (detached(Path::new("/bin/sh"), &arguments, dir.path(), log).unwrap(), dir)
    }

    const LONG: Duration = Duration::from_secs(60);

    #[tokio::test]
    async fn it_is_heard_and_its_errors_stand_in_the_file() {
        let (mut program, dir) = start("pwd; echo oops >&2; exit 3");
        assert_eq!(within(program.hear(LONG)).await.unwrap(), Heard::Line);
        let Heard::Closed(Some(status)) = within(program.hear(LONG)).await.unwrap() else { panic!() };
        assert_eq!(status.code(), Some(3));
        assert_eq!(std::fs::read_to_string(dir.path().join("log")).unwrap(), "oops\n");
    }

    #[tokio::test]
    async fn it_lives_on_when_nobody_hears_it_any_more() {
        let (mut program, _dir) = start("sleep 1000");
        assert_eq!(program.hear(Duration::from_millis(10)).await.unwrap(), Heard::Nothing);
        let id = program.id();
        drop(program);
        tokio::task::yield_now().await;
        assert!(is_running(id));
        let pid = rustix::process::Pid::from_raw(id.try_into().unwrap()).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
        eventually("it is gone", || !is_running(id)).await;
    }
}
