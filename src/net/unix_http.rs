//! HTTP with JSON over a Unix socket: how the command line speaks to its master.

use std::{path::Path, time::Duration};

use bytes::Bytes;
use serde_json::Value;

/// How long a master may take to answer; what follows a log has no such limit.
const ANSWER_WITHIN: Duration = Duration::from_secs(60);

/// A client of one socket.
#[derive(Clone, Debug)]
pub struct UnixHttp {
    client: reqwest::Client,
    base: String,
}

/// Why there is no answer, or a refusal.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// Nobody listens on the socket.
    #[error("nobody answers on the socket")]
    Connect(#[source] reqwest::Error),
    /// The connection broke, or took too long.
    #[error("the request was not answered")]
    Broken(#[source] reqwest::Error),
    /// The master says no.
    #[error("{text}")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// Why.
        text: String,
        /// What to do.
        hint: Option<String>,
    },
}

impl UnixHttp {
    /// A client that connects at its first request.
    pub fn new(socket: &Path, base: &str) -> Result<Self, HttpError> {
        let builder = reqwest::Client::builder().unix_socket(socket).connect_timeout(Duration::from_secs(5));
        let client = builder.build().map_err(HttpError::Broken)?;
        // The host is not looked up: every request goes to the socket.
        Ok(Self { client, base: format!("http://lunabot{base}") })
    }

    /// Reads a resource.
    pub async fn get(&self, path: &str, pairs: &[(&str, &str)]) -> Result<Value, HttpError> {
        let request = self.client.get(format!("{}{path}", self.base)).query(pairs).timeout(ANSWER_WITHIN);
        read(request.send().await.map_err(sort)?).await
    }

    /// Calls a JSON-RPC method; the answer is its result.
    pub async fn call(&self, path: &str, method: &str, params: Value) -> Result<Value, HttpError> {
        let body = serde_json::json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        let request = self.client.post(format!("{}{path}", self.base)).json(&body).timeout(ANSWER_WITHIN);
        let mut answer = read(request.send().await.map_err(sort)?).await?;
        Ok(answer["result"].take())
    }

    /// Reads a body piece by piece, for as long as it takes.
    pub async fn stream(&self, path: &str) -> Result<BodyStream, HttpError> {
        let response = self.client.get(format!("{}{path}", self.base)).send().await.map_err(sort)?;
        if response.status().is_success() {
            return Ok(BodyStream { response });
        }
        read(response).await?;
        Err(HttpError::Refused { status: 500, text: "an answer of no kind".into(), hint: None })
    }
}

/// A body that comes piece by piece.
#[derive(Debug)]
pub struct BodyStream {
    response: reqwest::Response,
}

impl BodyStream {
    /// The next piece; nothing at the end.
    pub async fn next(&mut self) -> Result<Option<Bytes>, HttpError> {
        self.response.chunk().await.map_err(HttpError::Broken)
    }
}

async fn read(response: reqwest::Response) -> Result<Value, HttpError> {
    let status = response.status();
    let body = response.bytes().await.map_err(HttpError::Broken)?;
    if status.is_success() {
        return serde_json::from_slice(&body)
            .map_err(|_| refusal(status.as_u16(), "the answer is no JSON".into(), None));
    }
    let value: Value = serde_json::from_slice(&body).unwrap_or_default();
    // Plain answers carry `error` as text, JSON-RPC as an object.
    let (text, hint) = match &value["error"] {
        Value::String(text) => (Some(text.clone()), value["hint"].as_str()),
        error => (error["message"].as_str().map(str::to_owned), error["hint"].as_str()),
    };
    let text = text.unwrap_or_else(|| format!("the answer has the status {status}"));
    Err(refusal(status.as_u16(), text, hint.map(str::to_owned)))
}

const fn refusal(status: u16, text: String, hint: Option<String>) -> HttpError {
    HttpError::Refused { status, text, hint }
}

fn sort(error: reqwest::Error) -> HttpError {
    if error.is_connect() { HttpError::Connect(error) } else { HttpError::Broken(error) }
}
