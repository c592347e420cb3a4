//! A worker that functions of the configuration start and stop.

use crate::definition::{
    hook::Hook,
    plan::{FieldChange, changes},
    record::Record,
};

/// The functions that start and stop instances.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScriptDefinition {
    /// Starts an instance.
    pub start_instance: Hook,
    /// Stops it.
    pub stop_instance: Hook,
    /// Says whether it is well; nobody asks if absent.
    pub check_instance: Option<Hook>,
}

impl ScriptDefinition {
    pub(super) fn from_record(record: &Record) -> Option<Self> {
        Some(Self {
            start_instance: record.hook("start_instance")?,
            stop_instance: record.hook("stop_instance")?,
            check_instance: record.hook("check_instance"),
        })
    }

    /// The next call is of the new function: an instance is whatever they agree on.
    pub(super) fn changes(&self, new: &Self) -> Vec<FieldChange> {
        changes!(self, new;
            "start_instance" start_instance InPlace,
            "stop_instance" stop_instance InPlace,
            "check_instance" check_instance InPlace,
        )
    }
}
