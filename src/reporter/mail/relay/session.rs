//! One conversation: connect, TLS, login, sender, recipients, the mail, farewell.
//!
//! # Laws
//! - Each word that goes or comes is told, but the mail itself and what proves a login.
//! - What was said before TLS counts for nothing after it.

use std::{io, time::Duration};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    task,
    time::{self, Instant},
};

use super::{
    Accepted, Cause, Line, Phase, Refusal, Relay, RelayLogin, Reply, SendError, Speaker,
    line::stuffed,
    reply::{LONGEST_LINE, NoReply, Replying, clean},
};
use crate::{
    definition::{address::Address, reporter::Security},
    net::{self, ClientHandshakeError, ClientTls, Stream},
    reporter::mail::letter::spelled,
};

/// What is handed over.
pub(super) struct Envelope<'a> {
    pub(super) sender: &'a Address,
    pub(super) recipients: &'a [Address],
    pub(super) message: &'a [u8],
}

/// How long a host may take to say farewell, or why it has closed the link.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// Stands for what proves a login.
const HIDDEN: &str = "***";

/// One connection from its begin to its end. Without `security` there is no TLS, whatever the host offers.
pub(super) async fn deliver(
    relay: &Relay,
    hello: &str,
    envelope: &Envelope<'_>,
    security: Option<Security>,
    ends: Instant,
    tell: &mut (dyn FnMut(Line) + Send),
) -> Result<Accepted, SendError> {
    let mut session =
        Session { relay, ends, tell, phase: Phase::Connect, buffer: Vec::new(), secrets: Vec::new() };
    session.secrets = relay.login.iter().flat_map(proofs).collect();
    let outcome = session.converse(hello, envelope, security).await;
    outcome.map_err(|cause| SendError { host: relay.address(), phase: session.phase, cause })
}

/// What is never told: in the clear, and as it is sent.
fn proofs(login: &RelayLogin) -> Vec<String> {
    let (user, password) = (login.user.expose(), login.password.expose());
    let mut proofs = vec![plain_proof(login), BASE64_STANDARD.encode(password), BASE64_STANDARD.encode(user)];
    proofs.extend([password.to_owned(), user.to_owned()]);
    proofs.retain(|proof| !proof.is_empty());
    proofs
}

fn plain_proof(login: &RelayLogin) -> String {
    BASE64_STANDARD.encode(format!("\0{}\0{}", login.user.expose(), login.password.expose()))
}

struct Session<'a> {
    relay: &'a Relay,
    ends: Instant,
    tell: &'a mut (dyn FnMut(Line) + Send),
    phase: Phase,
    /// What has come and was not yet read.
    buffer: Vec<u8>,
    secrets: Vec<String>,
}

impl Session<'_> {
    async fn converse(
        &mut self,
        hello: &str,
        envelope: &Envelope<'_>,
        security: Option<Security>,
    ) -> Result<Accepted, Cause> {
        let relay = self.relay;
        let to = (relay.host.as_str(), relay.port);
        let socket =
            self.within(relay.limits.connect, TcpStream::connect(to)).await?.map_err(Cause::Socket)?;
        net::tune(&socket).map_err(Cause::Socket)?;
        if let Ok(peer) = socket.peer_addr() {
            self.note(format!("connected to {peer}"));
        }
        let mut stream = Stream::Plain(socket);
        let mut is_encrypted = false;
        if security == Some(Security::Smtps) {
            stream = self.secured(stream).await?;
            is_encrypted = true;
            self.phase = Phase::Connect;
        }
        let greeting = self.reply(&mut stream, relay.limits.answer).await?;
        done(greeting)?;
        let mut offers = self.hello(&mut stream, hello).await?;
        if !is_encrypted && security.is_some() {
            if offers.offer("STARTTLS").is_some() {
                self.phase = Phase::Tls;
                done(self.ask(&mut stream, "STARTTLS").await?)?;
                if !self.buffer.is_empty() {
                    return Err(Cause::Smuggled);
                }
                stream = self.secured(stream).await?;
                is_encrypted = true;
                self.phase = Phase::Connect;
                offers = self.hello(&mut stream, hello).await?;
            } else if security == Some(Security::StartTls) {
                self.phase = Phase::Tls;
                return Err(Cause::NoTls);
            }
        }
        if let Some(login) = &relay.login {
            self.phase = Phase::Login;
            if !is_encrypted {
                tracing::warn!(host = %relay.address(), "the login goes to the host in the clear; `useTls` would keep it back");
                self.note("the login goes in the clear".to_owned());
            }
            self.log_in(&mut stream, login, &offers).await?;
        }
        let accepted = self.hand_over(&mut stream, envelope, &offers).await?;
        // It has the mail: how it says farewell is no matter.
        let farewell = async {
            self.say(&mut stream, "QUIT", b"QUIT\r\n").await?;
            self.reply(&mut stream, LAST_WORDS).await
        };
        if let Err(error) = farewell.await {
            self.note(format!("no farewell: {error}"));
        }
        Ok(Accepted { is_encrypted, ..accepted })
    }

    async fn hello(&mut self, stream: &mut Stream, name: &str) -> Result<Reply, Cause> {
        let offers = self.ask(stream, &format!("EHLO {name}")).await?;
        if offers.code / 100 != 5 {
            return done(offers);
        }
        // A host of the oldest kind, which offers nothing.
        let Reply { code, .. } = done(self.ask(stream, &format!("HELO {name}")).await?)?;
        Ok(Reply { code, lines: Vec::new() })
    }

    async fn log_in(&mut self, stream: &mut Stream, login: &RelayLogin, offers: &Reply) -> Result<(), Cause> {
        let ways: Vec<&str> = offers.offer("AUTH").into_iter().flatten().collect();
        let knows = |way: &str| ways.iter().any(|offered| offered.eq_ignore_ascii_case(way));
        let last = if knows("PLAIN") {
            let command = format!("AUTH PLAIN {}\r\n", plain_proof(login));
            self.say(stream, &format!("AUTH PLAIN {HIDDEN}"), command.as_bytes()).await?;
            self.reply(stream, self.relay.limits.answer).await?
        } else if knows("LOGIN") {
            let mut reply = self.ask(stream, "AUTH LOGIN").await?;
            for proof in [&login.user, &login.password] {
                if reply.code / 100 != 3 {
                    return Err(Cause::Refused(reply));
                }
                let line = format!("{}\r\n", BASE64_STANDARD.encode(proof.expose()));
                self.say(stream, HIDDEN, line.as_bytes()).await?;
                reply = self.reply(stream, self.relay.limits.answer).await?;
            }
            reply
        } else {
            return Err(Cause::NoLogin(ways.join(", ")));
        };
        done(last).map(drop)
    }

    async fn hand_over(
        &mut self,
        stream: &mut Stream,
        envelope: &Envelope<'_>,
        offers: &Reply,
    ) -> Result<Accepted, Cause> {
        let mut addresses = envelope.recipients.iter().chain([envelope.sender]);
        let is_ascii = envelope.message.is_ascii() && addresses.all(|address| address.as_str().is_ascii());
        self.phase = Phase::Sender;
        if !is_ascii && offers.offer("SMTPUTF8").is_none() {
            return Err(Cause::AsciiOnly);
        }
        let more = if is_ascii { "" } else { " SMTPUTF8" };
        done(self.ask(stream, &format!("MAIL FROM:<{}>{more}", spelled(envelope.sender))).await?)?;
        self.phase = Phase::Recipient;
        let mut refused = Vec::new();
        for address in envelope.recipients {
            let reply = self.ask(stream, &format!("RCPT TO:<{}>", spelled(address))).await?;
            match reply.code {
                200..300 => {}
                // It closes the link.
                421 => return Err(Cause::Refused(reply)),
                _ => refused.push(Refusal { address: address.clone(), reply }),
            }
        }
        if refused.len() == envelope.recipients.len() {
            return Err(Cause::NobodyTaken(refused));
        }
        self.phase = Phase::Data;
        let go_on = self.ask(stream, "DATA").await?;
        if go_on.code / 100 != 3 {
            return Err(Cause::Refused(go_on));
        }
        let data = stuffed(envelope.message);
        self.say(stream, &format!("({} bytes of mail)", data.len()), &data).await?;
        let reply = done(self.reply(stream, self.relay.limits.whole).await?)?;
        Ok(Accepted { reply, is_encrypted: false, refused })
    }

    /// The same connection through TLS.
    async fn secured(&mut self, stream: Stream) -> Result<Stream, Cause> {
        self.phase = Phase::Tls;
        let loaded = task::spawn_blocking(|| ClientTls::load(None, None)).await;
        let tls =
            loaded.map_err(|error| Cause::Socket(io::Error::other(error)))?.map_err(Cause::Authorities)?;
        let handshake = tls.connect(stream, &self.relay.host);
        let stream = self.within(self.relay.limits.connect, handshake).await?.map_err(Cause::Handshake)?;
        self.note("TLS from here on".to_owned());
        Ok(stream)
    }

    async fn ask(&mut self, stream: &mut Stream, command: &str) -> Result<Reply, Cause> {
        self.say(stream, command, format!("{command}\r\n").as_bytes()).await?;
        self.reply(stream, self.relay.limits.answer).await
    }

    async fn say(&mut self, stream: &mut Stream, shown: &str, bytes: &[u8]) -> Result<(), Cause> {
        self.told(Speaker::Client, shown.to_owned());
        let writing = async {
            stream.write_all(bytes).await?;
            stream.flush().await
        };
        // The mail itself may be long.
        let limit = self.relay.limits.answer.max(Duration::from_secs(bytes.len() as u64 / 10_000));
        match self.within(limit, writing).await? {
            Ok(()) => Ok(()),
            // It may have said why it closed the link.
            Err(error) => match self.reply(stream, LAST_WORDS).await {
                Ok(reply) if !reply.is_done() => Err(Cause::Refused(reply)),
                _ => Err(broken(error)),
            },
        }
    }

    async fn reply(&mut self, stream: &mut Stream, limit: Duration) -> Result<Reply, Cause> {
        let mut replying = Replying::default();
        loop {
            let line = self.line(stream, limit).await?;
            let shown = self.hidden(&clean(&line));
            self.told(Speaker::Host, shown.clone());
            match replying.take(&line) {
                Ok(None) => {}
                Ok(Some(mut reply)) => {
                    for line in &mut reply.lines {
                        *line = self.hidden(line);
                    }
                    return Ok(reply);
                }
                Err(NoReply) => return Err(Cause::NoSmtp(shown.chars().take(100).collect())),
            }
        }
    }

    /// A line without its end.
    async fn line(&mut self, stream: &mut Stream, limit: Duration) -> Result<Vec<u8>, Cause> {
        loop {
            if let Some(end) = memchr::memchr(b'\n', &self.buffer) {
                let mut line: Vec<u8> = self.buffer.drain(..=end).collect();
                line.pop();
                line.pop_if(|byte| *byte == b'\r');
                return Ok(line);
            }
            if self.buffer.len() > LONGEST_LINE {
                let begin = self.buffer.get(..100).unwrap_or_default();
                return Err(Cause::NoSmtp(self.hidden(&clean(begin))));
            }
            let mut chunk = [0; 4096];
            match self.within(limit, stream.read(&mut chunk)).await? {
                Ok(0) => return Err(Cause::HungUp),
                Ok(count) => self.buffer.extend_from_slice(chunk.get(..count).unwrap_or_default()),
                Err(error) => return Err(broken(error)),
            }
        }
    }

    /// Borrows nothing of the session: whoever hears of the conversation need not be shared between threads.
    fn within<T, F: Future<Output = T>>(
        &self,
        limit: Duration,
        work: F,
    ) -> impl Future<Output = Result<T, Cause>> + use<T, F> {
        let (ends, whole) = (self.ends, self.relay.limits.whole);
        async move {
            let step = Instant::now() + limit;
            let until = step.min(ends);
            let outcome = time::timeout_at(until, work).await;
            outcome.map_err(|_| if until == step { Cause::Silent(limit) } else { Cause::TooLong(whole) })
        }
    }

    fn hidden(&self, text: &str) -> String {
        self.secrets.iter().fold(text.to_owned(), |text, secret| text.replace(secret.as_str(), HIDDEN))
    }

    fn note(&mut self, text: String) {
        (self.tell)(Line::note(text));
    }

    fn told(&mut self, speaker: Speaker, text: String) {
        (self.tell)(Line { speaker, text });
    }
}

/// What was done; all else is a refusal.
fn done(reply: Reply) -> Result<Reply, Cause> {
    if reply.is_done() { Ok(reply) } else { Err(Cause::Refused(reply)) }
}

/// A link that broke. A host may say only now what it has against the handshake.
fn broken(error: io::Error) -> Cause {
    match ClientHandshakeError::from_late(&error) {
        Some(late) => Cause::Handshake(late),
        None => Cause::Socket(error),
    }
}
