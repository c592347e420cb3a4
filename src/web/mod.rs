//! The HTTP API, in Buildbot's REST shapes: shows what is, asks the master for what shall be, decides nothing.
//!
//! # Laws
//! - An answer is bounded: a list has at most [`MOST_ROWS`](crate::store::MOST_ROWS) rows, a log comes as a stream.
//! - No secret is in any answer: the shapes have no place for one, and what was read as a secret is masked in all texts.
//!
//! # Not here
//! The socket itself (`master::socket`), who may connect (the mode of the socket).
//!
//! # Source
//! Paths, field names and JSON-RPC: Buildbot 4.3.0, its REST API.

mod caller;
pub mod control;
pub mod error;
mod explain;
pub mod generation;
pub mod lock;
mod log;
mod mask;
pub mod query;
pub mod resource;
mod source;

use axum::{Router, middleware, routing::get};
use caller::Caller;
use tokio::net::UnixListener;
use tokio_util::sync::CancellationToken;

use crate::master::MasterHandle;

/// All paths.
pub fn router(master: MasterHandle) -> Router {
    let api = Router::new()
        .route("/", get(resource::root))
        .route("/masters", get(resource::masters))
        .route("/masters/{id}", get(resource::master).post(control::master))
        .route("/generations", get(generation::list))
        .route("/locks", get(lock::list))
        .route("/forceschedulers", get(resource::force_schedulers))
        .route("/forceschedulers/{name}", get(resource::force_scheduler).post(control::force))
        .route("/workers/{key}", get(resource::one_worker).post(control::worker))
        .route("/builds/{id}", get(resource::one_build).post(control::build))
        .route("/builds/{id}/properties", get(resource::build_properties))
        .route("/buildrequests/{id}", get(resource::one_build_request).post(control::build_request))
        .route("/buildrequests/{id}/explain", get(explain::request))
        .route("/outbox/{id}", get(resource::one_letter).post(control::letter))
        .route("/logs/{id}/contents", get(log::contents))
        .route("/logs/{id}/raw", get(log::raw))
        .route("/logs/{id}/records", get(log::records))
        .route("/logs/{id}/follow", get(log::follow))
        .route("/{*path}", get(resource::by_path).fallback(error::method_not_allowed));
    let masked = middleware::map_response_with_state(master.masker().clone(), mask::answer);
    Router::new().nest("/api/v2", api).fallback(error::not_found).layer(masked).with_state(master)
}

/// Serves the API on a socket until `stop` is cancelled, then lets open requests end for a moment.
///
/// # Errors
/// Whatever keeps the socket from being served.
pub async fn serve(
    listener: UnixListener,
    master: MasterHandle,
    stop: CancellationToken,
) -> std::io::Result<()> {
    let service = router(master).into_make_service_with_connect_info::<Caller>();
    axum::serve(listener, service).with_graceful_shutdown(stop.cancelled_owned()).await
}
