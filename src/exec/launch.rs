//! The step between a child's fork and its program, in which it gets a session of its own.
//!
//! The standard library can give a child a group but no session, and code of ours may not run in a forked process
//! without `unsafe`. So the child first runs this very program again, which changes itself as is asked and then becomes
//! the command: the same process, with nothing left of the step. Why so: `docs/design/isolation.md`.
//!
//! # Laws
//! - A program that does not call [`stand_by`] first of all is never run again: its children have a group only.
//! - The variables of a command steer the command's loader, not the step's.
//!
//! # Not here
//! Signals that are blocked, and SIGPIPE: the standard library gives children the defaults.

use std::{
    env,
    ffi::{OsStr, OsString},
    io::{self, Write},
    os::unix::{
        ffi::{OsStrExt, OsStringExt},
        process::CommandExt,
    },
    path::Path,
    process::{Command, ExitCode},
    sync::OnceLock,
};

use rustix::{
    fs::{Access, access},
    process::{Resource, getrlimit, ioctl_tiocsctty, setrlimit, setsid},
    stdio,
};

/// This program, whatever became of its file meanwhile.
const OURSELVES: &str = "/proc/self/exe";
/// What it is called during the step: a name that nobody gives a program.
const CALLED: &str = "lunabot: launch";
/// Variables by which a loader can be told to load something else, or to speak: hidden from the step's own.
const LOADERS: [&str; 2] = ["LD_", "GLIBC_TUNABLES"];
/// What hides them.
const HIDDEN: &str = "LUNABOT_LAUNCH_";
/// What stands for yes and no in the step's arguments.
const YES: &str = "y";
const NO: &str = "n";

/// Whether this program can be run for the step.
static STANDS_BY: OnceLock<bool> = OnceLock::new();

/// Lets children of this process have sessions of their own. Call it first in `main`: in a child that is about to become a
/// command it does not return, or returns the exit code with which to end at once.
#[must_use = "a child that cannot become its command must end"]
pub fn stand_by() -> Option<ExitCode> {
    let mut arguments = env::args_os();
    if arguments.next().is_some_and(|name| name == CALLED) {
        return Some(launch(arguments));
    }
    STANDS_BY.get_or_init(|| access(OURSELVES, Access::EXEC_OK).is_ok());
    None
}

/// Whether children of this process are launched.
pub(super) fn stands_by() -> bool {
    STANDS_BY.get().is_some_and(|&stands_by| stands_by)
}

/// What a child is to become.
#[derive(Debug)]
pub(super) struct Launch<'a> {
    /// The file of its program.
    pub(super) file: &'a Path,
    /// What the program is called.
    pub(super) called: &'a OsStr,
    /// How many files it may open: the soft limit, if it is another than ours.
    pub(super) open_files: Option<u64>,
    /// Whether its standard input is the terminal that it is to rule.
    pub(super) on_terminal: bool,
}

impl Launch<'_> {
    /// The beginning of the command that does it, if this program can; the program's own arguments follow.
    pub(super) fn command(&self) -> Option<Command> {
        if !stands_by() {
            return None;
        }
        #[expect(clippy::disallowed_methods, reason = "this is the room that starts children")]
        let mut command = Command::new(OURSELVES);
        command
            .arg0(CALLED)
            .arg(if self.on_terminal { YES } else { NO })
            .arg(self.open_files.map_or_else(|| NO.to_owned(), |most| most.to_string()))
            .arg(self.file)
            .arg(self.called);
        Some(command)
    }
}

/// A variable as it goes through the step.
pub(super) fn hidden(name: &OsStr) -> OsString {
    let is_loaders = LOADERS.iter().any(|start| name.as_bytes().starts_with(start.as_bytes()));
    let mut hidden = OsString::from(if is_loaders { HIDDEN } else { "" });
    hidden.push(name);
    hidden
}

/// The same variable again.
fn shown(name: OsString) -> OsString {
    match name.as_bytes().strip_prefix(HIDDEN.as_bytes()) {
        Some(rest) => OsString::from_vec(rest.to_vec()),
        None => name,
    }
}

fn launch(mut arguments: env::ArgsOs) -> ExitCode {
    let (Some(on_terminal), Some(open_files), Some(file), Some(called)) =
        (arguments.next(), arguments.next(), arguments.next(), arguments.next())
    else {
        return ExitCode::from(126);
    };
    let on_terminal = on_terminal == YES;
    let open_files = open_files.to_str().and_then(|most| most.parse().ok());
    let error = prepare(on_terminal, open_files).err().unwrap_or_else(|| {
        #[expect(clippy::disallowed_methods, reason = "this is the room that starts children")]
        let mut command = Command::new(&file);
        let variables = env::vars_os().map(|(name, value)| (shown(name), value));
        command.env_clear().envs(variables.collect::<Vec<_>>()).arg0(&called).args(arguments).exec()
    });
    // There is nowhere left to say that this cannot be said.
    drop(writeln!(io::stderr(), "cannot start `{}`: {error}", called.display()));
    // Source: POSIX, as a shell tells a program that is missing from one that cannot be run.
    ExitCode::from(if error.kind() == io::ErrorKind::NotFound { 127 } else { 126 })
}

fn prepare(on_terminal: bool, open_files: Option<u64>) -> io::Result<()> {
    setsid()?;
    if on_terminal {
        ioctl_tiocsctty(stdio::stdin())?;
    }
    if let Some(most) = open_files {
        let mut limit = getrlimit(Resource::Nofile);
        limit.current = Some(most);
        setrlimit(Resource::Nofile, limit)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_steer_the_loader_is_hidden_on_the_way_and_nothing_else() {
        for name in ["LD_PRELOAD", "LD_LIBRARY_PATH", "GLIBC_TUNABLES"] {
            let hidden = hidden(OsStr::new(name));
            assert!(hidden.to_str().unwrap().starts_with(HIDDEN));
            assert_eq!(shown(hidden), name);
        }
        let odd = OsStr::from_bytes(b"OLD_\xff");
        assert_eq!(hidden(odd), odd);
        assert_eq!(shown(odd.to_owned()), odd);
    }

    #[test]
    fn a_program_that_does_not_stand_by_is_not_run_again() {
        let launch = Launch {
            file: Path::new("/bin/sh"),
            called: OsStr::new("sh"),
            open_files: None,
            on_terminal: false,
        };
        // This test's own program: run again, it would run all tests.
        assert!(launch.command().is_none());
    }
}
