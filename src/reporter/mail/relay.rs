//! The way of a mail to the host that takes it: SMTP, one mail a connection.
//!
//! # Laws
//! - Every step has a limit, and so has the whole.
//! - A password goes only to the host, never into an error, a log, a `Debug` or what is told of the conversation; not
//!   over a link on which TLS was tried in vain, either.
//! - Whom the host must be is decided in `net`, as for every other peer; nothing turns that off. Where TLS is only used if it
//!   is offered, a host that cannot prove itself is spoken to in the clear, as one that offers none: who can forge the
//!   proof can take the offer away, too.
//! - An error tells the host, the phase, what the host said, and whether it is worth another try.
//!
//! # Not here
//! The next try, and what becomes of a mail that nobody takes. The form of a mail (`letter`).
//!
//! # Source
//! RFC 5321, 3207 (STARTTLS), 4954 (AUTH), 6531 (SMTPUTF8).

mod error;
mod line;
mod reply;
mod session;

use std::{fmt, time::Duration};

use tokio::time::Instant;

pub use error::{Cause, Phase, SendError};
pub use line::{Line, Speaker};
pub use reply::Reply;

use crate::{
    definition::{
        ReporterDefinition, SecretError, SecretText, Secrets, address::Address, reporter::Security,
    },
    model::Secret,
    reporter::mail::host_name,
};

/// A host that takes mails.
#[derive(Clone, Debug)]
pub struct Relay {
    /// Its name or address; its certificate is for it.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How the link to it is kept from other eyes.
    pub security: Security,
    /// The login there.
    pub login: Option<RelayLogin>,
    /// How long all may take.
    pub limits: Limits,
}

/// A login at a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RelayLogin {
    /// Who.
    pub user: Secret,
    /// The proof.
    pub password: Secret,
}

/// How long all may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Until there is a connection; with TLS twice.
    pub connect: Duration,
    /// Until the host answers; after the mail itself the limit is that of the whole.
    pub answer: Duration,
    /// The whole.
    pub whole: Duration,
}

/// A mail that the host has taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// What it said to it; many hosts tell their number of it.
    pub reply: Reply,
    /// Whether nobody could read along.
    pub is_encrypted: bool,
    /// To whom it does not go, though it goes to others.
    pub refused: Vec<Refusal>,
}

/// An address that a host does not take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The address.
    pub address: Address,
    /// What the host said.
    pub reply: Reply,
}

impl Limits {
    /// Those of a mail that nobody waits for.
    pub const USUAL: Self = Self {
        connect: Duration::from_secs(30),
        answer: Duration::from_secs(60),
        whole: Duration::from_secs(5 * 60),
    };
}

impl Relay {
    /// A host without a login, with the usual limits.
    pub fn new(host: impl Into<String>, port: u16, security: Security) -> Self {
        Self { host: host.into(), port, security, login: None, limits: Limits::USUAL }
    }

    /// The host of a reporter; its login is asked of `secrets`.
    ///
    /// # Errors
    /// The first secret that cannot be had.
    ///
    /// # Cancel safety
    /// Dropped before it returns, nothing is left behind.
    pub async fn of(reporter: &ReporterDefinition, secrets: &dyn Secrets) -> Result<Self, SecretError> {
        let mut relay = Self::new(&reporter.relay_host, reporter.port, reporter.security);
        if let Some(login) = &reporter.login {
            let user = known(&login.user, secrets).await?;
            let password = known(&login.password, secrets).await?;
            relay.login = Some(RelayLogin { user, password });
        }
        Ok(relay)
    }

    /// Hands a mail over. `sender` is told of what cannot be delivered later; `message` is a whole mail.
    ///
    /// # Errors
    /// [`SendError`]: none of `recipients` will get it, as far as that is known. After the mail itself a host may have taken
    /// it although its answer is lost; then it comes twice, with the same Message-ID.
    ///
    /// # Cancel safety
    /// Dropped before it returns, the connection is closed; whether the host has the mail is not known.
    pub async fn send(
        &self,
        sender: &Address,
        recipients: &[Address],
        message: &[u8],
    ) -> Result<Accepted, SendError> {
        self.send_told(sender, recipients, message, &mut |_| {}).await
    }

    /// The same, telling each line of the conversation.
    ///
    /// # Errors
    /// As [`Relay::send`].
    ///
    /// # Cancel safety
    /// As [`Relay::send`].
    pub async fn send_told(
        &self,
        sender: &Address,
        recipients: &[Address],
        message: &[u8],
        tell: &mut (dyn FnMut(Line) + Send),
    ) -> Result<Accepted, SendError> {
        let envelope = session::Envelope { sender, recipients, message };
        let ends = Instant::now() + self.limits.whole;
        let hello = host_name();
        let first = session::deliver(self, &hello, &envelope, Some(self.security), ends, tell).await;
        match first {
            Err(error)
                if self.security == Security::IfOffered
                    && self.login.is_none()
                    && error.is_unproved_host() =>
            {
                tracing::warn!(host = %error.host, why = %error, "mail goes in the clear; `useTls` would keep it back");
                tell(Line::note(format!("{}; once more, in the clear", error.cause)));
                session::deliver(self, &hello, &envelope, None, ends, tell).await
            }
            outcome => outcome,
        }
    }

    fn address(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

async fn known(text: &SecretText, secrets: &dyn Secrets) -> Result<Secret, SecretError> {
    match text {
        SecretText::Given(secret) => Ok(secret.clone()),
        SecretText::Named(name) => secrets.secret(name).await,
    }
}

impl fmt::Display for Relay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.address(), self.security)
    }
}

#[cfg(test)]
mod tests;
