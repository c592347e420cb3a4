//! Which builds of the last master go on in this one.
//!
//! # Laws
//! - A build goes on only by the steps that it began with, as far as their names tell; each by its newest definition.
//! - A build that another one waits for does not go on, since that one does not.
//!
//! # Not here
//! What was written of it (`store::resume`), and how it goes on (`run`, `line`).

use std::{sync::Arc, time::Duration};

use crate::{
    definition::{BuilderDefinition, MasterDefinition, StepKind, WorkerDefinition, WorkerKind},
    store::Unfinished,
};

/// Whether a build can go on by this configuration.
pub fn fits(definition: &MasterDefinition, build: &Unfinished) -> bool {
    parts(definition, build).is_some()
}

/// Its builder and its worker, and how long that may stay away; nothing if it cannot go on.
pub(super) fn parts<'a>(
    definition: &'a MasterDefinition,
    build: &Unfinished,
) -> Option<(&'a Arc<BuilderDefinition>, &'a Arc<WorkerDefinition>, Duration)> {
    let builder = definition.builders.get(&build.request.builder)?;
    let worker = definition.workers.get(&build.worker)?;
    let are_same = builder.steps.iter().map(|step| &step.name).eq(&build.running.steps);
    let running = builder.steps.get(usize::try_from(build.step_number).ok()?)?;
    let is_waited_for = build.request.parent.is_some_and(|parent| parent.waits);
    let goes_on = are_same
        && !is_waited_for
        && matches!(running.kind, StepKind::Shell(_))
        && matches!(worker.kind, WorkerKind::Remote { .. });
    goes_on.then_some((builder, worker, worker.resume_grace?))
}
