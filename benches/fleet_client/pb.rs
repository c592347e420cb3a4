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
    facts::{facts, name},
    transport::Stream,
    work::{ELAPSED, Output, Work, header},
};

/// One link.
pub(crate) struct Peer {
    session: WorkerSession,
    stream: Box<dyn Stream>,
    header: String,
    /// When the last command ended.
    free: Option<Instant>,
}

impl Peer {
    /// Logs in; returns once the master has answered that.
    pub(crate) async fn attach(index: usize, stream: Box<dyn Stream>) -> io::Result<Self> {
        let session = WorkerSession::new(name(index), Secret::new("pw"), value(&facts(index)));
        let mut peer = Self { session, stream, header: header(&name(index)), free: None };
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
    pub(crate) async fn idle(&mut self, work: &Work) -> io::Result<()> {
        loop {
            while let Some(event) = self.session.poll_event() {
                if let WorkerEvent::Started(mut command) = event {
                    if let Some(since) = self.free.take() {
                        work.waited(since);
                    }
                    self.session.accept(&mut command);
                    self.wait_for(work).await?;
                    if work.take() {
                        self.carry_out(&command, work.output()).await?;
                        self.free = Some(Instant::now());
                        work.ended();
                    }
                }
            }
            self.say().await?;
            self.hear().await?;
        }
    }

    /// Waits until commands may begin; its master is answered meanwhile.
    async fn wait_for(&mut self, work: &Work) -> io::Result<()> {
        loop {
            self.say().await?;
            tokio::select! {
                biased;
                () = work.opened() => return Ok(()),
                heard = self.hear() => heard?,
            }
        }
    }

    /// A command that says much, or nothing, and does nothing; told as a `buildbot-worker` tells it.
    async fn carry_out(&mut self, command: &StartedCommand, output: Output) -> io::Result<()> {
        let (begin, mut bytes) = (Instant::now(), 0);
        self.update(command, "header", Value::text(self.header.clone()))?;
        for piece in output.pieces() {
            bytes += piece.len();
            self.update(command, "stdout", Value::text(piece))?;
            self.say().await?;
            // The answers to earlier ones, so that they do not pile up on the way.
            while let Some(heard) = self.hear().now_or_never() {
                heard?;
            }
            output.keep_pace(bytes, begin).await;
        }
        self.update(command, "rc", Value::Int(0))?;
        self.update(command, "header", Value::text(ELAPSED))?;
        self.update(command, "elapsed", Value::Float(0.001))?;
        self.session.complete(command.object, None);
        self.say().await?;
        Output::told(bytes, begin);
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
