//! Secrets from a program: `pass`, or one that the configuration names.
//!
//! # Laws
//! - No shell: words go to the program as they are. A name of a secret cannot begin with `-`, so it is never an option.
//! - It has a limit of time and of output; what it writes on its standard error is told nobody, since it may be a secret.
//! - It sees the master's environment without what is the master's own: `LUNABOT_…`, `NOTIFY_SOCKET`.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use bytes::Bytes;

use super::MOST_BYTES;
use crate::{
    exec::{Exit, News, Program, SpawnError, Spec, spawn},
    model::{LogStream, Secret},
};

/// How long `pass` may take. It may have to wake an agent.
pub(super) const PASS_WITHIN: Duration = Duration::from_secs(10);

/// What stands for the name of the secret.
const NAME: &str = "%(name)s";

/// A program that knows secrets.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    /// Program and arguments.
    pub(super) words: Vec<String>,
    /// What is set in its environment.
    pub(super) env: BTreeMap<OsString, OsString>,
    /// What it reads.
    pub(super) stdin: Option<Secret>,
    /// How long it may take.
    pub(super) limit: Duration,
    /// What of its output counts.
    pub(super) takes: Takes,
}

/// What of a program's output is the secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Takes {
    /// All of it.
    All,
    /// All of it without line ends at its end.
    Stripped,
    /// The first line.
    FirstLine,
}

/// Why a program gave no secret, and no other provider is asked in its place.
#[derive(Debug, thiserror::Error)]
pub(super) enum ProgramError {
    #[error(transparent)]
    Start(#[from] SpawnError),
    #[error("`{program}` did not answer within {} s", limit.as_secs_f64())]
    Late { program: String, limit: Duration },
    #[error("`{program}` was ended by signal {signal}")]
    Signal { program: String, signal: i32 },
    #[error("`{program}` wrote more than {MOST_BYTES} bytes")]
    TooMuch { program: String },
    #[error("`{program}` wrote what is not UTF-8")]
    NotText { program: String },
    #[error("`{program}` wrote nothing")]
    Empty { program: String },
}

/// What a program answered.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// The secret.
    Secret(Secret),
    /// It ended with this exit code, so it does not have it.
    No(i32),
}

impl Asked {
    /// `pass`, with the pass phrase of its key.
    pub(super) fn pass(dir: Option<PathBuf>, phrase: Option<Secret>) -> Self {
        let mut env = BTreeMap::new();
        if let Some(dir) = dir {
            env.insert("PASSWORD_STORE_DIR".into(), dir.into_os_string());
        }
        if phrase.is_some() {
            // Buildbot puts the phrase here, from where it comes into the process list as an argument of gpg.
            let options = "--batch --pinentry-mode loopback --passphrase-fd 0";
            env.insert("PASSWORD_STORE_GPG_OPTS".into(), options.into());
        }
        let words = vec!["pass".to_owned(), "show".to_owned(), NAME.to_owned()];
        Self { words, env, stdin: phrase, limit: PASS_WITHIN, takes: Takes::FirstLine }
    }

    /// The program, for people.
    pub(super) fn shown(&self) -> String {
        self.words.first().cloned().unwrap_or_default()
    }

    /// Asks for a secret, in this folder.
    pub(super) async fn ask(&self, name: &str, dir: &Path) -> Result<Answer, ProgramError> {
        let mut spec = Spec::new(Program::Argv(self.words_for(name)), dir);
        spec.env = passed_on(std::env::vars_os());
        spec.env.extend(self.env.clone());
        spec.stdin = self.stdin.as_ref().map(|text| Bytes::from(text.expose().to_owned()));
        spec.want_stderr = false;
        spec.max_time = Some(self.limit);
        let program = self.shown();
        let mut process = spawn(spec).await?;
        let mut output = Vec::new();
        let ended = loop {
            match process.next().await {
                Some(News::Output { stream: LogStream::Stdout, bytes }) => output.extend_from_slice(&bytes),
                Some(News::Output { .. } | News::Killing(_)) => {}
                Some(News::Ended(ended)) => break ended,
                // The runtime stops.
                None => return Ok(Answer::No(-1)),
            }
            if output.len() > MOST_BYTES {
                process.kill().await;
                return Err(ProgramError::TooMuch { program });
            }
        };
        match ended.exit {
            _ if ended.reason.is_some() => Err(ProgramError::Late { program, limit: self.limit }),
            Exit::Code(0) => self.taken(output).map(Answer::Secret),
            Exit::Code(code) => Ok(Answer::No(code)),
            Exit::Signal(signal) => Err(ProgramError::Signal { program, signal }),
            Exit::Undead => Err(ProgramError::Late { program, limit: self.limit }),
        }
    }

    fn words_for(&self, name: &str) -> Vec<OsString> {
        let mut words: Vec<OsString> =
            self.words.iter().map(|word| word.replace(NAME, name).into()).collect();
        if !self.words.iter().any(|word| word.contains(NAME)) {
            words.push(name.into());
        }
        words
    }

    fn taken(&self, output: Vec<u8>) -> Result<Secret, ProgramError> {
        let text = String::from_utf8(output).map_err(|_| ProgramError::NotText { program: self.shown() })?;
        let text = match self.takes {
            Takes::All => &text,
            Takes::Stripped => text.trim_end_matches(['\r', '\n']),
            Takes::FirstLine => text.lines().next().unwrap_or_default(),
        };
        if text.is_empty() {
            return Err(ProgramError::Empty { program: self.shown() });
        }
        Ok(Secret::new(text))
    }
}

fn passed_on(variables: impl Iterator<Item = (OsString, OsString)>) -> BTreeMap<OsString, OsString> {
    variables
        .filter(|(name, _)| !name.as_bytes().starts_with(b"LUNABOT_") && name != "NOTIFY_SOCKET")
        .collect()
}
