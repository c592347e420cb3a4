//! The way of one command's news to the master.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::{
    model::LogStream,
    protocol::{CommandId, FromWorker, Transfer, Update, link::Sender},
};

/// The link is down, or the worker stops: nothing more is told, and what runs is to be killed.
#[derive(Debug)]
pub(super) struct Gone;

/// See the module.
#[derive(Clone, Debug)]
pub(super) struct Outlet {
    pub(super) id: CommandId,
    pub(super) to_master: Sender<FromWorker>,
    pub(super) gone: CancellationToken,
}

impl Outlet {
    /// Tells news, once the master has read enough of the earlier ones.
    ///
    /// # Cancel safety
    /// Dropped before it returns, nothing was told. So it is with the others.
    pub(super) async fn update(&self, update: Update) -> Result<(), Gone> {
        self.tell(FromWorker::Update { id: self.id.clone(), update }).await
    }

    /// Tells a text of our own.
    pub(super) async fn header(&self, text: String) -> Result<(), Gone> {
        self.update(Update::Output { stream: LogStream::Header, bytes: text.into() }).await
    }

    /// Moves bytes, or asks for some.
    pub(super) async fn transfer(&self, transfer: Transfer) -> Result<(), Gone> {
        self.tell(FromWorker::Transfer { id: self.id.clone(), transfer }).await
    }

    /// Tells how it ended, and its end.
    pub(super) async fn finish(
        &self,
        rc: i32,
        elapsed: Duration,
        failure: Option<String>,
    ) -> Result<(), Gone> {
        self.update(Update::Rc(rc)).await?;
        self.update(Update::Elapsed(elapsed)).await?;
        self.complete(failure).await
    }

    /// Tells that it could not be carried out, and its end.
    pub(super) async fn fail(&self, why: String) -> Result<(), Gone> {
        self.update(Update::Elapsed(Duration::ZERO)).await?;
        self.complete(Some(why)).await
    }

    /// Tells the end.
    pub(super) async fn complete(&self, failure: Option<String>) -> Result<(), Gone> {
        self.tell(FromWorker::Complete { id: self.id.clone(), failure }).await
    }

    async fn tell(&self, message: FromWorker) -> Result<(), Gone> {
        tokio::select! {
            // Dropped unfinished, it has sent nothing.
            sent = self.to_master.send(message) => sent.map_err(|_| Gone),
            () = self.gone.cancelled() => Err(Gone),
        }
    }
}
