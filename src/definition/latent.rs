//! Workers that are started on demand, as the operator defined them.

use std::time::Duration;

/// How long an idle instance is kept. Idle is one that runs no build.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdlePolicy {
    /// It ends with its build.
    StopAtOnce,
    /// It waits this long for another build.
    StopAfter(Duration),
    /// It ends with the master, or when it is taken out of the configuration.
    KeepUntilShutdown,
}

impl IdlePolicy {
    /// The policy of a span: none at all ends an instance at once.
    pub const fn after(span: Duration) -> Self {
        if span.is_zero() { Self::StopAtOnce } else { Self::StopAfter(span) }
    }
}
