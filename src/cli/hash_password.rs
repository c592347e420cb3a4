//! `lunabot hash-password`: a password in, its hash out, for the `password` of a worker that speaks msgpack.
//!
//! # Laws
//! - The password is read from standard input, never from an argument, which every user of the machine could see. On a
//!   terminal it is asked for twice and not shown; the terminal is left as it was, also after Ctrl-C.

use std::{
    io::{self, IsTerminal as _, Read as _},
    process::ExitCode,
};

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

use crate::{
    cli::failure::{Failure, Kind},
    definition::{HashedPassword, Passwords, SecretText},
    model::Secret,
    net::random,
};

/// The longest password, in bytes: beyond it, somebody has given the wrong file.
const LONGEST: u64 = 4096;

/// Reads a password and prints its hash.
pub(super) async fn run() -> Result<ExitCode, Failure> {
    let password = if io::stdin().is_terminal() { ask().await? } else { blocking(read_all).await? };
    if password.expose().is_empty() {
        return Err(Failure::message(Kind::Failed, "the password is empty, so nobody could log in"));
    }
    if !is_plain(&password) {
        let text = "this is a hash already, or looks like one; a worker cannot have it as its password";
        return Err(Failure::message(Kind::Failed, text));
    }
    let hash = blocking(move || Ok(HashedPassword::make(&password, &random()))).await?;
    anstream::println!("{}", hash.expose());
    Ok(ExitCode::SUCCESS)
}

/// Whether a configuration would take it for a password, and not for the hash of one.
fn is_plain(password: &Secret) -> bool {
    Passwords::new(vec![SecretText::Given(password.clone())])
        .is_ok_and(|passwords| passwords.plain().next().is_some())
}

/// Reads and hashes on a thread of its own, which does not keep the process.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, Failure> {
    let done = tokio::task::spawn_blocking(work).await.map_err(|error| Failure::new(Kind::Failed, error))?;
    done.map_err(|error| {
        Failure::new(Kind::Failed, anyhow::Error::new(error).context("cannot read the password"))
    })
}

/// All of standard input, without the end of its line.
fn read_all() -> io::Result<Secret> {
    let mut text = String::new();
    io::stdin().lock().take(LONGEST + 1).read_to_string(&mut text)?;
    one_line(text)
}

/// A line of standard input, without its end.
fn read_line() -> io::Result<Secret> {
    let mut text = String::new();
    io::stdin().read_line(&mut text)?;
    one_line(text)
}

fn one_line(text: String) -> io::Result<Secret> {
    let text = Secret::new(text);
    let line = text.expose().strip_suffix('\n').unwrap_or(text.expose());
    let line = line.strip_suffix('\r').unwrap_or(line);
    if line.len() as u64 > LONGEST {
        return Err(io::Error::other(format!("it has more than {LONGEST} bytes")));
    }
    if line.contains('\n') {
        return Err(io::Error::other("it has more than one line"));
    }
    Ok(Secret::new(line))
}

/// Asks for it twice.
async fn ask() -> Result<Secret, Failure> {
    let _silent = Silent::new().map_err(|error| {
        Failure::new(Kind::Environment, anyhow::Error::new(error).context("cannot hide what is typed"))
    })?;
    let typed = async {
        anstream::eprint!("Password: ");
        let first = blocking(read_line).await?;
        anstream::eprint!("\nAgain: ");
        let second = blocking(read_line).await?;
        anstream::eprintln!();
        if first == second {
            Ok(first)
        } else {
            Err(Failure::message(Kind::Failed, "the two are not the same"))
        }
    };
    tokio::select! {
        typed = typed => typed,
        _ = tokio::signal::ctrl_c() => {
            anstream::eprintln!();
            Err(Failure::message(Kind::Failed, "given up"))
        }
    }
}

/// A terminal that does not show what is typed, until this is dropped.
struct Silent(Termios);

impl Silent {
    fn new() -> rustix::io::Result<Self> {
        let before = tcgetattr(io::stdin())?;
        let mut silent = before.clone();
        silent.local_modes.remove(LocalModes::ECHO);
        tcsetattr(io::stdin(), OptionalActions::Flush, &silent)?;
        Ok(Self(before))
    }
}

impl Drop for Silent {
    fn drop(&mut self) {
        if let Err(error) = tcsetattr(io::stdin(), OptionalActions::Flush, &self.0) {
            anstream::eprintln!("the terminal may not show what is typed ({error}); `stty echo` helps");
        }
    }
}
