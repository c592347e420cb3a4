//! Answers for what went wrong: a status, a cause, a hint.

use axum::{
    Json,
    http::{StatusCode, Uri},
    response::{IntoResponse, Response},
};
use serde_json::json;
use tracing::error;

use crate::{
    build::queue::ExplainError,
    master::RequestError,
    store::{LogError, QueryError, StoreError},
    worker::operator::OrderError,
};

/// What went wrong with a request.
#[derive(Debug)]
pub struct ApiError {
    status: StatusCode,
    text: String,
    hint: Option<String>,
}

impl ApiError {
    /// There is no such thing.
    pub fn not_found(text: impl Into<String>) -> Self {
        Self { status: StatusCode::NOT_FOUND, text: text.into(), hint: None }
    }

    /// The request makes no sense.
    pub fn bad_request(text: impl Into<String>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, text: text.into(), hint: None }
    }

    /// The same with a hint.
    #[must_use]
    pub fn hint(mut self, hint: Option<&str>) -> Self {
        self.hint = hint.map(str::to_owned);
        self
    }

    /// The status.
    pub const fn status(&self) -> StatusCode {
        self.status
    }

    /// The body, `{"error": …, "hint": …}`.
    pub fn body(&self) -> serde_json::Value {
        match &self.hint {
            Some(hint) => json!({ "error": self.text, "hint": hint }),
            None => json!({ "error": self.text }),
        }
    }

    /// What went wrong, in one line.
    pub fn text(&self) -> &str {
        &self.text
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        (self.status, Json(self.body())).into_response()
    }
}

impl From<StoreError> for ApiError {
    fn from(failure: StoreError) -> Self {
        // The chain may name hosts and statements: that is for the log.
        error!(error = &failure as &dyn std::error::Error, "the database failed under a request");
        let text = "the database cannot be used now; the master's log tells why".into();
        Self { status: StatusCode::SERVICE_UNAVAILABLE, text, hint: None }
    }
}

impl From<LogError> for ApiError {
    fn from(failure: LogError) -> Self {
        match failure {
            LogError::Store(failure) => failure.into(),
            LogError::Unknown { .. } => Self::not_found(failure.to_string()),
            LogError::File { .. } => {
                error!(error = &failure as &dyn std::error::Error, "a log cannot be read");
                let text = "the log cannot be read; the master's own log tells why".into();
                Self { status: StatusCode::INTERNAL_SERVER_ERROR, text, hint: None }
            }
        }
    }
}

impl From<QueryError> for ApiError {
    fn from(failure: QueryError) -> Self {
        match failure {
            QueryError::Store(failure) => failure.into(),
            other => Self::bad_request(other.to_string()),
        }
    }
}

impl From<ExplainError> for ApiError {
    fn from(failure: ExplainError) -> Self {
        match failure {
            ExplainError::Store(failure) => failure.into(),
            ExplainError::Stopped | ExplainError::Late => {
                Self { status: StatusCode::SERVICE_UNAVAILABLE, text: failure.to_string(), hint: None }
            }
        }
    }
}

impl From<RequestError> for ApiError {
    fn from(failure: RequestError) -> Self {
        match failure {
            RequestError::Force(failure) => Self::not_found(failure.to_string()).hint(failure.hint()),
            RequestError::Store(failure) | RequestError::Order(OrderError::Store(failure)) => failure.into(),
            RequestError::Order(failure) => {
                let (status, hint) = match failure {
                    OrderError::NotConnected { .. } | OrderError::Local { .. } => {
                        (StatusCode::CONFLICT, Some("`pause` keeps builds away from it"))
                    }
                    OrderError::ToldAlready { .. } => {
                        (StatusCode::CONFLICT, Some("start it again: it is welcome"))
                    }
                    OrderError::Late | OrderError::Stopping | OrderError::Store(_) => {
                        (StatusCode::SERVICE_UNAVAILABLE, None)
                    }
                };
                Self { status, text: failure.to_string(), hint: None }.hint(hint)
            }
            RequestError::Reload(failure) => {
                Self { status: StatusCode::SERVICE_UNAVAILABLE, text: failure.to_string(), hint: None }
            }
            RequestError::NoSuchLetter(_) => {
                let hint = "`lunabot outbox` shows those that are there";
                Self::not_found(failure.to_string()).hint(Some(hint))
            }
            RequestError::NotRunning(_) | RequestError::NotQueued(_) => {
                Self { status: StatusCode::CONFLICT, text: failure.to_string(), hint: None }
            }
        }
    }
}

/// For a path that means nothing.
pub async fn not_found(uri: Uri) -> ApiError {
    ApiError::not_found(format!("there is nothing at {}", uri.path()))
}

/// For a path that can only be read.
pub async fn method_not_allowed(uri: Uri) -> ApiError {
    let text = format!("{} takes no such method", uri.path());
    ApiError { status: StatusCode::METHOD_NOT_ALLOWED, text, hint: None }
}
