//! Words that all rooms share: plain values, no behaviour that waits.
//!
//! # Laws
//! - Nothing here opens a file, a socket or a clock; an instant comes in as an argument.
//! - What is written here is what the database, the wire and the HTTP API carry, so each value has one text form.
//!
//! # Not here
//! What the operator wrote (`definition`), and how anything is done.

mod event;
mod ids;
mod letter;
mod log_record;
mod log_stream;
mod names;
mod outcome;
mod place;
mod properties;
mod quarantine;
mod secret;
mod source_stamp;
mod worker_info;
mod worker_word;

pub use event::{Event, EventKind};
pub use ids::{
    BuildId, BuildRequestId, BuilderId, BuildsetId, EventId, LetterId, LogId, MasterId, SchedulerId, StepId,
    WorkerId,
};
pub use letter::{LetterChannel, LetterKind, UnknownWord};
pub use log_record::RecordReader;
pub use log_stream::LogStream;
pub use names::{BuilderName, LockName, NameError, ReporterName, SchedulerName, WorkerName};
pub use outcome::Outcome;
pub use place::{Place, Places};
pub use properties::{Properties, Property, PropertyValue};
pub use quarantine::{Quarantine, QuarantineCause, UnknownCause, WorkerRecord};
pub use secret::Secret;
pub use source_stamp::{SourceStamp, SourceStamps};
pub use worker_info::WorkerInfo;
pub use worker_word::{Remark, WorkerWord, remark_line};

/// An instant, as the database and the API keep it.
pub type Timestamp = jiff::Timestamp;
