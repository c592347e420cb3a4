//! Why a host did not take a mail.
//!
//! # Laws
//! - An error fits in one line and shows no password.
//! - It is worth another try unless the host said of this mail that it never will be.

use std::{fmt, io, time::Duration};

use super::{Refusal, reply::Reply};
use crate::net::{ClientHandshakeError, TlsError};

/// Why a host did not take a mail.
#[derive(Debug, thiserror::Error)]
#[error("{host}: {phase}: {cause}")]
pub struct SendError {
    /// The host, with its port.
    pub host: String,
    /// How far it came.
    pub phase: Phase,
    /// What went wrong.
    pub cause: Cause,
}

/// A part of the conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// The connection, and what the host says first.
    Connect,
    /// TLS.
    Tls,
    /// The login.
    Login,
    /// The sender.
    Sender,
    /// To whom it goes.
    Recipient,
    /// The mail itself.
    Data,
}

/// What went wrong.
#[derive(Debug)]
pub enum Cause {
    /// There is no way there, or the link broke.
    Socket(io::Error),
    /// It did not answer in this time.
    Silent(Duration),
    /// The whole took longer than this.
    TooLong(Duration),
    /// It hung up.
    HungUp,
    /// It speaks something else.
    NoSmtp(String),
    /// It refuses.
    Refused(Reply),
    /// It refuses every address.
    NobodyTaken(Vec<Refusal>),
    /// It offers no STARTTLS, which is demanded.
    NoTls,
    /// It sent words in the clear that would be taken for words of TLS.
    Smuggled,
    /// The handshake failed.
    Handshake(ClientHandshakeError),
    /// It cannot be told whom to trust.
    Authorities(TlsError),
    /// It knows no way to log in that is spoken here.
    NoLogin(String),
    /// It takes no addresses of other letters than ASCII's.
    AsciiOnly,
}

impl SendError {
    /// Whether another try may go better.
    ///
    /// What passes by itself is: a host that is down, slow or busy (4xx), a link that breaks, also after the mail itself, when
    /// nobody knows whether it was taken: twice is better than never. So is what an operator mends while the mail waits, as
    /// news is lost otherwise: a login that is refused (535 too), a certificate, a wrong port. What a host says of this mail
    /// for good (5xx) is not.
    pub fn is_worth_retry(&self) -> bool {
        match &self.cause {
            Cause::Refused(reply) => reply.is_for_now() || matches!(self.phase, Phase::Tls | Phase::Login),
            Cause::NobodyTaken(refused) => refused.iter().any(|refusal| refusal.reply.is_for_now()),
            Cause::AsciiOnly => false,
            _ => true,
        }
    }

    /// What the host said, if it said why.
    pub fn reply(&self) -> Option<&Reply> {
        match &self.cause {
            Cause::Refused(reply) => Some(reply),
            Cause::NobodyTaken(refused) => refused.first().map(|refusal| &refusal.reply),
            _ => None,
        }
    }

    /// Whether the host offered TLS and there was none.
    pub(super) const fn is_unproved_host(&self) -> bool {
        let has_tried = matches!(self.cause, Cause::Handshake(_) | Cause::Authorities(_) | Cause::Refused(_));
        matches!(self.phase, Phase::Tls) && has_tried
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Socket(error) => write!(f, "{error}"),
            Self::Silent(limit) => write!(f, "it did not answer within {} s", limit.as_secs_f64()),
            Self::TooLong(limit) => write!(f, "the whole took longer than {} s", limit.as_secs_f64()),
            Self::HungUp => f.write_str("it hung up"),
            Self::NoSmtp(line) => write!(f, "it speaks no SMTP, but says {line:?}"),
            Self::Refused(reply) => write!(f, "it says `{reply}`"),
            Self::NobodyTaken(refused) => {
                const NAMED: usize = 3;
                for (index, refusal) in refused.iter().take(NAMED).enumerate() {
                    let comma = if index == 0 { "" } else { "; " };
                    write!(f, "{comma}to {} it says `{}`", refusal.address, refusal.reply)?;
                }
                match refused.len().saturating_sub(NAMED) {
                    0 => Ok(()),
                    more => write!(f, "; and {more} more are refused"),
                }
            }
            Self::NoTls => f.write_str("it offers no STARTTLS, which is demanded"),
            Self::Smuggled => f.write_str("it sent more in the clear than its answer to STARTTLS"),
            Self::Handshake(error) => match std::error::Error::source(error) {
                None => write!(f, "{error}"),
                Some(source) => write!(f, "{error}: {source}"),
            },
            Self::Authorities(error) => write!(f, "{error}"),
            Self::NoLogin(offered) if offered.is_empty() => f.write_str("it offers no login on this link"),
            Self::NoLogin(offered) => {
                write!(f, "it knows only the logins {offered}, and PLAIN and LOGIN are spoken here")
            }
            Self::AsciiOnly => f.write_str("it takes no address with letters that are not ASCII"),
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connect => "the connection",
            Self::Tls => "TLS",
            Self::Login => "the login",
            Self::Sender => "the sender",
            Self::Recipient => "the recipients",
            Self::Data => "the mail itself",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(phase: Phase, code: u16) -> SendError {
        let reply = Reply { code, lines: vec!["no".into()] };
        SendError { host: "mx:25".into(), phase, cause: Cause::Refused(reply) }
    }

    #[test]
    fn what_passes_or_can_be_mended_is_tried_again() {
        assert!(error(Phase::Recipient, 450).is_worth_retry());
        assert!(!error(Phase::Recipient, 550).is_worth_retry());
        assert!(!error(Phase::Connect, 554).is_worth_retry());
        assert!(error(Phase::Connect, 421).is_worth_retry());
        assert!(error(Phase::Login, 535).is_worth_retry());
        assert!(error(Phase::Tls, 502).is_worth_retry());
        let lost = SendError { cause: Cause::HungUp, ..error(Phase::Data, 0) };
        assert!(lost.is_worth_retry());
        assert_eq!(error(Phase::Sender, 550).to_string(), "mx:25: the sender: it says `550 no`");
    }
}
