//! One connection that speaks msgpack over WebSocket.

use std::net::SocketAddr;

use tokio::sync::OwnedSemaphorePermit;

use crate::{net::Stream, worker::gate::Gate};

/// Serves a connection to its end. `turn` is given back once its worker is attached.
pub(super) async fn serve(stream: Stream, peer: SocketAddr, _gate: Gate, turn: OwnedSemaphorePermit) {
    drop((stream, turn));
    tracing::warn!(%peer, "msgpack is not served yet");
}
