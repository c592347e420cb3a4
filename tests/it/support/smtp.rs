//! An SMTP server of somebody else, from PyPI, for one test.
//!
//! # Laws
//! - It ends with its test.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use serde_json::Value;

use crate::support::{certificates::Authority, master::eventually, tree};

/// The Python that has it, if there is one on this machine.
pub(crate) fn program() -> Option<PathBuf> {
    std::env::var_os("LUNABOT_TEST_SMTP").filter(|path| !path.is_empty()).map(PathBuf::from)
}

/// How the server speaks TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tls {
    /// Not at all.
    None,
    /// It offers STARTTLS.
    Asked,
    /// From the first byte.
    AtOnce,
}

/// A server that runs.
pub(crate) struct Smtp {
    child: Child,
    dir: tempfile::TempDir,
    port: u16,
}

/// A mail that it has taken.
#[derive(Debug)]
pub(crate) struct Mail {
    /// `from`, `to`, `hello`, `encrypted`, `authenticated`.
    pub(crate) envelope: Value,
    /// As it came.
    pub(crate) text: String,
}

impl Smtp {
    /// Starts one with further options of `tests/services/smtp_server.py`. Its certificate, for `localhost`, is from an
    /// authority of its own.
    ///
    /// # Panics
    /// If there is no program: ask [`program`] first.
    pub(crate) fn start(tls: Tls, options: &[&str]) -> Self {
        let dir = tempfile::Builder::new().prefix("smtp").tempdir_in("/tmp").unwrap();
        let authority = Authority::new();
        let pair = authority.issue("localhost");
        let write = |name: &str, text: &str| {
            let path = dir.path().join(name);
            fs::write(&path, text).unwrap();
            path
        };
        write("ca.pem", &authority.pem);
        let (cert, key) = (write("cert.pem", &pair.cert), write("key.pem", &pair.key));
        fs::create_dir(dir.path().join("mails")).unwrap();
        #[expect(clippy::disallowed_methods, reason = "the test plays the operator of another program")]
        let mut command = Command::new(program().expect("the test asked for it"));
        command.arg(tree::crate_root().join("tests/services/smtp_server.py")).arg(dir.path().join("mails"));
        let word = match tls {
            Tls::None => "none",
            Tls::Asked => "starttls",
            Tls::AtOnce => "smtps",
        };
        command.args(["--tls", word]).arg("--cert").arg(cert).arg("--key").arg(key).args(options);
        let log = fs::File::create(dir.path().join("log")).unwrap();
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(log);
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let port = line.trim().strip_prefix("listening ").and_then(|port| port.parse().ok());
        let log = || fs::read_to_string(dir.path().join("log")).unwrap_or_default();
        let port = port.unwrap_or_else(|| panic!("the SMTP server did not start: {}", log()));
        Self { child, dir, port }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// The authority behind its certificate.
    pub(crate) fn authority(&self) -> PathBuf {
        self.dir.path().join("ca.pem")
    }

    /// The mails that it has taken, the first one first.
    pub(crate) fn mails(&self) -> Vec<Mail> {
        let mails = self.dir.path().join("mails");
        let read = |path: &Path| fs::read(path).ok();
        (1..)
            .map_while(|number: u32| {
                let envelope = read(&mails.join(format!("{number}.json")))?;
                let text = read(&mails.join(format!("{number}.eml")))?;
                let envelope = serde_json::from_slice(&envelope).unwrap();
                Some(Mail { envelope, text: String::from_utf8_lossy(&text).into_owned() })
            })
            .collect()
    }

    /// Waits until it has taken so many.
    pub(crate) fn wait_for(&self, count: usize) -> Vec<Mail> {
        eventually(&format!("{count} mails"), || {
            let mails = self.mails();
            (mails.len() >= count).then_some(mails)
        })
    }
}

impl Drop for Smtp {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
