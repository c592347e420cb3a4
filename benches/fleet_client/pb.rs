//! A worker that speaks Perspective Broker.

use std::{io, time::Instant};

use futures_util::FutureExt as _;
use lunabot::{
    model::Secret,
    protocol::pb::{
        jelly::Value,
        worker::{StartedCommand, WorkerEvent, WorkerSession},
    },
};
use serde_json::Value as Json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::{
    Output,
    facts::{facts, name},
    transport::Stream,
};

/// One link.
pub(crate) struct Peer {
    session: WorkerSession,
    stream: Box<dyn Stream>,
}

impl Peer {
    /// Logs in; returns once the master has answered that.
    pub(crate) async fn attach(index: usize, stream: Box<dyn Stream>) -> io::Result<Self> {
        let session = WorkerSession::new(name(index), Secret::new("pw"), value(&facts(index)));
        let mut peer = Self { session, stream };
        while !peer.session.is_attached() {
            peer.hear().await?;
            while let Some(event) = peer.session.poll_event() {
                if let WorkerEvent::Refused(failure) = event {
                    return Err(io::Error::other(format!("refused: {failure:?}")));
                }
            }
            peer.say().await?;
        }
        Ok(peer)
    }

    /// Answers its master, and carries commands out, until the link ends.
    pub(crate) async fn idle(&mut self, output: Output) -> io::Result<()> {
        loop {
            while let Some(event) = self.session.poll_event() {
                if let WorkerEvent::Started(command) = event {
                    self.carry_out(command, output).await?;
                }
            }
            self.say().await?;
            self.hear().await?;
        }
    }

    /// A command that says much and does nothing.
    async fn carry_out(&mut self, mut command: StartedCommand, output: Output) -> io::Result<()> {
        self.session.accept(&mut command);
        let (begin, mut bytes) = (Instant::now(), 0);
        for piece in output.pieces() {
            bytes += piece.len();
            self.update(&command, "stdout", Value::text(piece))?;
            self.say().await?;
            // The answers to earlier ones, so that they do not pile up on the way.
            while let Some(heard) = self.hear().now_or_never() {
                heard?;
            }
        }
        self.update(&command, "rc", Value::Int(0))?;
        self.session.complete(command.object, None);
        self.say().await?;
        if bytes > 0 {
            Output::told(bytes, begin);
        }
        Ok(())
    }

    fn update(&mut self, command: &StartedCommand, key: &'static str, value: Value) -> io::Result<()> {
        self.session.update(command.object, vec![(Value::dict([(key, value)]), 0)]).map_err(io::Error::other)
    }

    async fn hear(&mut self) -> io::Result<()> {
        let mut input = [0; 4096];
        let count = self.stream.read(&mut input).await?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.session.handle_input(&input[..count]).map_err(io::Error::other)
    }

    async fn say(&mut self) -> io::Result<()> {
        while let Some(bytes) = self.session.poll_output() {
            self.stream.write_all(&bytes).await?;
        }
        self.stream.flush().await
    }
}

/// As this wire says it.
fn value(json: &Json) -> Value {
    match json {
        Json::Null => Value::None,
        Json::Bool(yes) => Value::Bool(*yes),
        Json::Number(number) => Value::Int(number.as_i64().expect("facts have small numbers")),
        Json::String(text) => Value::text(text.clone()),
        Json::Array(items) => Value::List(items.iter().map(value).collect()),
        Json::Object(pairs) => {
            Value::Dict(pairs.iter().map(|(key, item)| (Value::text(key.clone()), value(item))).collect())
        }
    }
}
