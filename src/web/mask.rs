//! Keeps secrets out of answers. Logs are streams, and masked where they are written (`build`).

use axum::{
    body::{Body, to_bytes},
    extract::State,
    http::{HeaderValue, Response, StatusCode, header},
};
use tracing::error;

use crate::secret::Masker;

/// An answer without secrets, if it is JSON.
pub(super) async fn answer(State(masker): State<Masker>, answer: Response<Body>) -> Response<Body> {
    let is_json = |kind: &HeaderValue| kind.as_bytes().starts_with(b"application/json");
    if !answer.headers().get(header::CONTENT_TYPE).is_some_and(is_json) {
        return answer;
    }
    let (mut head, body) = answer.into_parts();
    // An answer is bounded by its rows, and in memory already.
    let Ok(whole) = to_bytes(body, usize::MAX).await else {
        error!("an answer cannot be read back");
        head.status = StatusCode::INTERNAL_SERVER_ERROR;
        return Response::from_parts(head, Body::empty());
    };
    let masked = match masker.mask_json(&whole) {
        std::borrow::Cow::Borrowed(_) => whole,
        std::borrow::Cow::Owned(masked) => masked.into(),
    };
    head.headers.insert(header::CONTENT_LENGTH, masked.len().into());
    Response::from_parts(head, Body::from(masked))
}
