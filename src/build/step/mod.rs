//! What a step does, a file a kind.

pub mod shell;

use std::{collections::BTreeMap, sync::Arc};

use crate::{
    build::control::StopListener,
    definition::EnvironmentValue,
    model::{Outcome, Properties, StepId},
    store::Store,
    worker::ConnectionHandle,
};

/// What a step works with.
pub struct StepContext<'a> {
    /// Which.
    pub step: StepId,
    /// Where its logs go.
    pub store: &'a Store,
    /// Where its commands go.
    pub connection: &'a ConnectionHandle,
    /// The builder, as the worker knows it.
    pub builder: Arc<str>,
    /// The builder's environment, under the step's own.
    pub env: &'a BTreeMap<String, EnvironmentValue>,
    /// What it is rendered with.
    pub properties: &'a Properties,
    /// Says when somebody wants it to end.
    pub stop: StopListener,
}

/// How a step ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepEnd {
    /// Its outcome.
    pub outcome: Outcome,
    /// The line that people read.
    pub state: String,
    /// Whether the worker can be used for what follows.
    pub worker: WorkerLeft,
}

/// What is left of the worker after a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WorkerLeft {
    /// It is there.
    Connected,
    /// Its link was lost.
    Lost,
}

impl StepEnd {
    /// An end with the worker still there.
    pub fn new(outcome: Outcome, state: impl Into<String>) -> Self {
        Self { outcome, state: state.into(), worker: WorkerLeft::Connected }
    }

    /// The link was lost under the step.
    pub fn lost() -> Self {
        Self { outcome: Outcome::Retry, state: "lost connection".into(), worker: WorkerLeft::Lost }
    }
}
