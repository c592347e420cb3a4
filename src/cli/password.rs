//! Where a password comes from: a terminal, standard input, a file.
//!
//! # Laws
//! - On a terminal it is not shown, and the terminal is left as it was, also after Ctrl-C.
//! - It is one line that is not empty, without its end.

use std::{
    fs::File,
    io::{self, IsTerminal as _, Read},
    path::Path,
};

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

use crate::{
    cli::failure::{Failure, Kind},
    model::Secret,
};

/// The longest password, in bytes: beyond it, somebody has given the wrong file.
const LONGEST: u64 = 4096;

/// Asks for it where there is a terminal, else reads all of standard input. If `again`, it is asked for twice.
pub(super) async fn from_stdin(prompt: &str, again: bool) -> Result<Secret, Failure> {
    if !io::stdin().is_terminal() {
        return blocking(|| read_all(io::stdin().lock())).await;
    }
    let _silent = Silent::new().map_err(|error| {
        Failure::new(Kind::Environment, anyhow::Error::new(error).context("cannot hide what is typed"))
    })?;
    tokio::select! {
        typed = ask(prompt, again) => typed,
        _ = tokio::signal::ctrl_c() => {
            anstream::eprintln!();
            Err(Failure::message(Kind::Failed, "given up"))
        }
    }
}

/// Reads it from a file. Blocks for as long as the file system takes to read a short file.
pub(super) fn from_file(path: &Path) -> io::Result<Secret> {
    // Asked first: opening a pipe would wait for whoever writes to it.
    if !path.metadata()?.is_file() {
        return Err(io::Error::other("it is no file"));
    }
    read_all(File::open(path)?)
}

/// Works on a thread of its own, which does not keep the process.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, Failure> {
    let done = tokio::task::spawn_blocking(work).await.map_err(|error| Failure::new(Kind::Failed, error))?;
    done.map_err(|error| {
        Failure::new(Kind::Failed, anyhow::Error::new(error).context("cannot read the password"))
    })
}

fn read_all(from: impl Read) -> io::Result<Secret> {
    let mut text = String::new();
    from.take(LONGEST + 1).read_to_string(&mut text)?;
    one_line(text)
}

/// A line of standard input.
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
    if line.is_empty() {
        return Err(io::Error::other("it is empty"));
    }
    Ok(Secret::new(line))
}

async fn ask(prompt: &str, again: bool) -> Result<Secret, Failure> {
    anstream::eprint!("{prompt}: ");
    let first = blocking(read_line).await?;
    anstream::eprintln!();
    if again {
        anstream::eprint!("Again: ");
        let second = blocking(read_line).await?;
        anstream::eprintln!();
        if first != second {
            return Err(Failure::message(Kind::Failed, "the two are not the same"));
        }
    }
    Ok(first)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_one_line_of_a_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("password");
        let read = |bytes: &[u8]| {
            std::fs::write(&path, bytes).unwrap();
            from_file(&path).map_err(|error| error.to_string())
        };
        assert_eq!(read(b"sesame\r\n"), Ok(Secret::new("sesame")));
        assert_eq!(read(b" se same "), Ok(Secret::new(" se same ")));
        assert_eq!(read("sesäme".as_bytes()), Ok(Secret::new("sesäme")));
        assert_eq!(read(b"\n"), Err("it is empty".to_owned()));
        assert_eq!(read(b"two\nlines\n"), Err("it has more than one line".to_owned()));
        assert_eq!(read(&[b'x'; 5000]), Err("it has more than 4096 bytes".to_owned()));
        assert!(read(b"\xff").is_err());
        assert_eq!(from_file(dir.path()).unwrap_err().to_string(), "it is no file");
    }
}
