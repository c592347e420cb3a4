//! What a build needs to ask for other builds, and to look after them.

use std::sync::Arc;

use crate::{
    build::{Running, lending::Lending},
    definition::Triggers,
    mq::Mq,
};

/// What all builds share that may ask for builds. A clone is another handle on the same.
#[derive(Clone, Debug)]
pub struct Family {
    /// Who is asked.
    pub triggers: Arc<dyn Triggers>,
    /// Who tells what became of it.
    pub mq: Mq,
    /// The builds that run.
    pub running: Running,
    /// Those that wait.
    pub lending: Lending,
}
