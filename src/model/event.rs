//! What happened, told once its transaction is committed.

use crate::model::{EventId, Timestamp};

/// Something that happened, as a row of the store and a message of `mq`.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Event {
    /// Grows with the order of commits.
    pub id: EventId,
    /// What kind of thing, of what.
    pub kind: EventKind,
    /// The key of the row that it is about.
    pub key: i64,
    /// When.
    pub at: Timestamp,
    /// What a listener would otherwise have to ask for, in the API's shapes.
    pub body: serde_json::Value,
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $variant:ident = $topic:literal,)*) => {
        /// What kind of thing happened: a topic of Buildbot's message queue, `noun/what`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum EventKind {
            $($(#[$doc])* $variant,)*
        }

        impl EventKind {
            /// All kinds.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The text kept in the store: `builds/finished`.
            pub const fn topic(self) -> &'static str {
                match self { $(Self::$variant => $topic,)* }
            }
        }
    };
}

kinds! {
    /// A trigger asked for builds.
    BuildsetAdded = "buildsets/new",
    /// All builds of a buildset have ended.
    BuildsetComplete = "buildsets/complete",
    /// A build is wanted.
    BuildRequestAdded = "buildrequests/new",
    /// A request went to a worker.
    BuildRequestClaimed = "buildrequests/claimed",
    /// A request came back to the queue.
    BuildRequestUnclaimed = "buildrequests/unclaimed",
    /// A request has its outcome.
    BuildRequestComplete = "buildrequests/complete",
    /// A build began.
    BuildStarted = "builds/new",
    /// A build has its outcome.
    BuildFinished = "builds/finished",
    /// A step began.
    StepStarted = "steps/new",
    /// A step waits for its locks, or has them now.
    StepUpdated = "steps/updated",
    /// A step has its outcome.
    StepFinished = "steps/finished",
    /// A log was opened.
    LogOpened = "logs/new",
    /// A log is whole.
    LogFinished = "logs/finished",
    /// A worker's link is up.
    WorkerAttached = "workers/connected",
    /// A worker's link is gone.
    WorkerDetached = "workers/disconnected",
    /// A worker was paused, told to stop when its builds are done, or quarantined; or that is over.
    WorkerStateChanged = "workers/state_updated",
    /// A worker is missing, and that is told now: once for each time that it went away.
    WorkerMissing = "workers/missing",
    /// A worker that was told to be missing is back, and that is told now.
    WorkerReturned = "workers/returned",
    /// A letter is to be sent.
    LetterAdded = "letters/new",
    /// A letter was sent, and has left the outbox.
    LetterSent = "letters/sent",
    /// A letter was not sent this time, and will be tried again.
    LetterFailed = "letters/failed",
    /// A letter was not sent, and is not tried again unless somebody asks for it.
    LetterGivenUp = "letters/given_up",
    /// Somebody asked for a letter to be tried at once.
    LetterRetried = "letters/retried",
    /// A letter has left the outbox without being sent.
    LetterDropped = "letters/dropped",
    /// A configuration is in force.
    ConfigurationCommitted = "configurations/committed",
}

/// A topic that no version of this program writes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown event topic `{0}`")]
pub struct UnknownTopic(pub String);

impl std::str::FromStr for EventKind {
    type Err = UnknownTopic;
    fn from_str(topic: &str) -> Result<Self, UnknownTopic> {
        Self::ALL
            .iter()
            .copied()
            .find(|kind| kind.topic() == topic)
            .ok_or_else(|| UnknownTopic(topic.to_owned()))
    }
}

impl serde::Serialize for EventKind {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.topic())
    }
}

impl<'de> serde::Deserialize<'de> for EventKind {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let topic = String::deserialize(deserializer)?;
        topic.parse().map_err(serde::de::Error::custom)
    }
}
