//! A worker that speaks msgpack over WebSocket.

use std::{io, time::Instant};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use futures_util::{FutureExt as _, SinkExt as _, StreamExt as _};
use rmpv::Value;
use serde_json::Value as Json;
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{Error, Message, client::IntoClientRequest as _, http::header::AUTHORIZATION},
};

use crate::{
    facts::{facts, name},
    transport::Stream,
    work::{ELAPSED, Output, Work, header},
};

/// One link.
pub(crate) struct Peer {
    socket: WebSocketStream<Box<dyn Stream>>,
    index: usize,
    next: u64,
    commands: Vec<Command>,
    /// When the last command of the shell ended.
    free: Option<Instant>,
}

/// A command that the master has started.
struct Command {
    id: Value,
    name: String,
}

impl Peer {
    /// Logs in; returns once the master has had its first folder made, which is the last that it wants of a new worker.
    pub(crate) async fn attach(index: usize, stream: Box<dyn Stream>) -> io::Result<Self> {
        let mut request = "ws://127.0.0.1/".into_client_request().map_err(io::Error::other)?;
        let credentials = STANDARD.encode(format!("{}:pw", name(index)));
        let value = format!("Basic {credentials}").parse().map_err(io::Error::other)?;
        request.headers_mut().insert(AUTHORIZATION, value);
        let (socket, _) = tokio_tungstenite::client_async(request, stream).await.map_err(io::Error::other)?;
        let mut peer = Self { socket, index, next: 0, commands: Vec::new(), free: None };
        loop {
            peer.hear().await?;
            let mut is_attached = false;
            for command in std::mem::take(&mut peer.commands) {
                is_attached |= command.name == "mkdir";
                peer.end(&command).await?;
            }
            if is_attached {
                return Ok(peer);
            }
        }
    }

    /// Answers its master, and carries commands out, until the link ends.
    pub(crate) async fn idle(&mut self, work: &Work) -> io::Result<()> {
        loop {
            self.hear().await?;
            for command in std::mem::take(&mut self.commands) {
                if command.name != "shell" {
                    self.end(&command).await?;
                    continue;
                }
                if let Some(since) = self.free.take() {
                    work.waited(since);
                }
                self.wait_for(work).await?;
                if work.take() {
                    self.carry_out(&command, work.output()).await?;
                    self.free = Some(Instant::now());
                    work.ended();
                }
            }
        }
    }

    /// Waits until commands may begin; its master is answered meanwhile.
    async fn wait_for(&mut self, work: &Work) -> io::Result<()> {
        loop {
            // An answer that is begun is said to its end, so only the message is waited for here.
            tokio::select! {
                biased;
                () = work.opened() => return Ok(()),
                message = self.socket.next() => self.answer(message).await?,
            }
        }
    }

    /// A command that says much, or nothing, and does nothing; told as a `buildbot-worker` tells it.
    async fn carry_out(&mut self, command: &Command, output: Output) -> io::Result<()> {
        let (begin, mut bytes) = (Instant::now(), 0);
        self.update(command, "header", lines(header(&name(self.index)))).await?;
        for piece in output.pieces() {
            bytes += piece.len();
            self.update(command, "stdout", lines(piece)).await?;
            // The answers to earlier ones, so that they do not pile up on the way.
            while let Some(heard) = self.hear().now_or_never() {
                heard?;
            }
            output.keep_pace(bytes, begin).await;
        }
        self.update(command, "rc", 0.into()).await?;
        self.update(command, "header", lines(ELAPSED.to_owned())).await?;
        self.update(command, "elapsed", 0.001.into()).await?;
        self.complete(command).await?;
        Output::told(bytes, begin);
        Ok(())
    }

    /// A command that is no more than its end.
    async fn end(&mut self, command: &Command) -> io::Result<()> {
        self.update(command, "rc", 0.into()).await?;
        self.complete(command).await
    }

    async fn complete(&mut self, command: &Command) -> io::Result<()> {
        let fields =
            vec![("op", "complete".into()), ("command_id", command.id.clone()), ("args", Value::Nil)];
        self.request(fields).await
    }

    async fn update(&mut self, command: &Command, key: &'static str, value: Value) -> io::Result<()> {
        let args = Value::Array(vec![Value::Array(vec![key.into(), value])]);
        self.request(vec![("op", "update".into()), ("command_id", command.id.clone()), ("args", args)]).await
    }

    async fn request(&mut self, mut fields: Vec<(&'static str, Value)>) -> io::Result<()> {
        fields.push(("seq_number", self.next.into()));
        self.next += 1;
        self.say(fields).await
    }

    async fn say(&mut self, fields: Vec<(&'static str, Value)>) -> io::Result<()> {
        let map = Value::Map(fields.into_iter().map(|(key, value)| (key.into(), value)).collect());
        let mut bytes = Vec::new();
        rmpv::encode::write_value(&mut bytes, &map).map_err(io::Error::other)?;
        self.socket.send(Message::binary(bytes)).await.map_err(other)
    }

    /// Takes one message, and answers it if it is a request.
    async fn hear(&mut self) -> io::Result<()> {
        let message = self.socket.next().await;
        self.answer(message).await
    }

    async fn answer(&mut self, message: Option<Result<Message, Error>>) -> io::Result<()> {
        let message = message.ok_or(io::ErrorKind::UnexpectedEof)?.map_err(other)?;
        let Message::Binary(bytes) = message else { return Ok(()) };
        let value = rmpv::decode::read_value(&mut bytes.as_ref()).map_err(io::Error::other)?;
        let field = |name: &str| {
            value
                .as_map()
                .and_then(|map| map.iter().find(|(key, _)| key.as_str() == Some(name)))
                .map(|(_, value)| value)
        };
        let result = match field("op").and_then(Value::as_str) {
            Some("response") | None => return Ok(()),
            Some("get_worker_info") => rmp(&facts(self.index)),
            Some("start_command") => {
                let id = field("command_id").cloned().unwrap_or(Value::Nil);
                let name = field("command_name").and_then(Value::as_str).unwrap_or_default().to_owned();
                self.commands.push(Command { id, name });
                Value::Nil
            }
            Some(_) => Value::Nil,
        };
        let number = field("seq_number").cloned().unwrap_or(Value::Nil);
        self.say(vec![("op", "response".into()), ("seq_number", number), ("result", result)]).await
    }
}

/// Text of whole lines, as this wire says it: with where each ends, and when it came.
fn lines(text: String) -> Value {
    let ends: Vec<Value> =
        text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at.into()).collect();
    let times = vec![Value::F64(0.0); ends.len()];
    Value::Array(vec![text.into(), Value::Array(ends), Value::Array(times)])
}

fn other(error: Error) -> io::Error {
    io::Error::other(error)
}

/// As this wire says it.
fn rmp(json: &Json) -> Value {
    match json {
        Json::Null => Value::Nil,
        Json::Bool(yes) => (*yes).into(),
        Json::Number(number) => number.as_i64().expect("facts have small numbers").into(),
        Json::String(text) => text.as_str().into(),
        Json::Array(items) => Value::Array(items.iter().map(rmp).collect()),
        Json::Object(pairs) => {
            Value::Map(pairs.iter().map(|(key, item)| (key.as_str().into(), rmp(item))).collect())
        }
    }
}
