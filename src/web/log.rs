//! The bytes of logs.

use std::{convert::Infallible, time::Duration};

use axum::{
    Json,
    body::{Body, Bytes},
    extract::{Path, Query as UrlQuery, State},
    http::header,
    response::{IntoResponse, Response},
};
use futures_util::stream;
use serde_json::{Value, json};
use tokio::time;
use tracing::warn;

use crate::{
    master::MasterHandle,
    model::{LogId, RecordReader},
    store::Store,
    web::{error::ApiError, query::Asked, resource::Pairs},
};

/// How much of a log is in memory at once.
const PIECE_BYTES: usize = 256 * 1024;

/// How often an open log is looked at for news.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// `GET /api/v2/logs/ID/contents`: lines, each with the letter of its stream before it; `offset` and `limit` count lines.
pub(super) async fn contents(
    State(master): State<MasterHandle>,
    Path(id): Path<i64>,
    UrlQuery(pairs): Pairs,
) -> Result<Json<Value>, ApiError> {
    let asked = Asked::parse(&pairs)?;
    let lines = master.store().log_lines(LogId(id), asked.query.offset.into(), asked.query.limit).await?;
    let chunk = json!({ "logid": id, "firstline": lines.first, "content": lines.text });
    Ok(Json(json!({ "logchunks": [chunk], "meta": {} })))
}

/// `GET /api/v2/logs/ID/raw`: the bytes as the command wrote them, as far as they are there.
pub(super) async fn raw(
    State(master): State<MasterHandle>,
    Path(id): Path<i64>,
) -> Result<Response, ApiError> {
    stream_log(master.store().clone(), LogId(id), Form::Raw, Until::Now).await
}

/// `GET /api/v2/logs/ID/records`: records as they are kept, letter and line, as far as they are there.
pub(super) async fn records(
    State(master): State<MasterHandle>,
    Path(id): Path<i64>,
) -> Result<Response, ApiError> {
    stream_log(master.store().clone(), LogId(id), Form::Records, Until::Now).await
}

/// `GET /api/v2/logs/ID/follow`: records as they are kept, letter and line, until the log is complete.
pub(super) async fn follow(
    State(master): State<MasterHandle>,
    Path(id): Path<i64>,
) -> Result<Response, ApiError> {
    stream_log(master.store().clone(), LogId(id), Form::Records, Until::Complete).await
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Raw,
    Records,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Until {
    Now,
    Complete,
}

struct Position {
    store: Store,
    log: LogId,
    offset: u64,
    reader: RecordReader,
    form: Form,
    until: Until,
}

impl Position {
    /// The bytes of records as the command wrote them.
    fn bytes_of(&mut self, records: &[u8]) -> Bytes {
        let mut out = Vec::with_capacity(records.len());
        let read: Result<(), Infallible> = self.reader.feed(records, |_, bytes| {
            out.extend_from_slice(bytes);
            Ok(())
        });
        match read {
            Ok(()) => out.into(),
        }
    }
}

async fn stream_log(store: Store, log: LogId, form: Form, until: Until) -> Result<Response, ApiError> {
    // The first look tells whether there is such a log, while the status can still say so.
    store.read_log(log, 0, 1).await?;
    let start = Position { store, log, offset: 0, reader: RecordReader::new(), form, until };
    let pieces = stream::unfold(start, |position| async move { next_piece(position).await });
    let kind = [(header::CONTENT_TYPE, "application/octet-stream")];
    Ok((kind, Body::from_stream(pieces)).into_response())
}

async fn next_piece(mut position: Position) -> Option<(Result<Bytes, Infallible>, Position)> {
    loop {
        let piece = match position.store.read_log(position.log, position.offset, PIECE_BYTES).await {
            Ok(piece) => piece,
            Err(failure) => {
                warn!(log = %position.log, error = &failure as &dyn std::error::Error, "cannot read a log");
                return None;
            }
        };
        let at_end = piece.bytes.is_empty();
        position.offset = piece.next;
        if !at_end {
            let bytes = match position.form {
                Form::Records => piece.bytes.into(),
                Form::Raw => position.bytes_of(&piece.bytes),
            };
            return Some((Ok(bytes), position));
        }
        if piece.complete || position.until == Until::Now {
            return None;
        }
        time::sleep(LOOK_EVERY).await;
    }
}
