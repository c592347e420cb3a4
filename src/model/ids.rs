//! Keys of rows in the store, one type for each table, so that they cannot be mixed up.

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub i64);

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }
    )*};
}

ids! {
    /// A master that has used this database; one folder is one master.
    MasterId,
    /// A worker, for as long as its name lives in the database.
    WorkerId,
    /// A builder, for as long as its name lives in the database.
    BuilderId,
    /// A scheduler, for as long as its name lives in the database.
    SchedulerId,
    /// What one trigger asked for: one request for each of its builders.
    BuildsetId,
    /// The wish for one build of one builder; retried, it may have several builds.
    BuildRequestId,
    /// One attempt at a request.
    BuildId,
    /// One step of a build.
    StepId,
    /// One log of a step.
    LogId,
    /// A message in the outbox. A number is never given again.
    LetterId,
    /// Something that happened. Ids grow with the order of commits.
    EventId,
}
