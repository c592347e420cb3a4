//! Rows as the HTTP API shows them: Buildbot's field names, instants as whole seconds since 1970.
//!
//! Each row has its [`Table`]: what is selected, and which fields a question may name. So the list of a resource's
//! fields stands once, beside its row.

mod farm;
mod letter;
mod work;

use serde::Serializer;

use crate::{
    model::{MasterId, Timestamp},
    store::connection::Row,
};

pub use farm::{BuilderRow, ConfiguredOn, ConnectedTo, EventRow, GenerationRow, SchedulerRow, WorkerRow};
pub use letter::LetterRow;
pub use work::{BuildRequestRow, BuildRow, BuildsetRow, LogRow, StepRow};

/// A row of the API.
pub(super) trait ApiRow: Sized {
    /// Where it comes from.
    const TABLE: Table;

    /// A row of an answer; `master` is this master.
    fn read(row: &Row, master: MasterId) -> Result<Self, sqlx::Error>;
}

/// Where rows come from, and what may be asked about them.
pub(super) struct Table {
    /// The resource's name in the API and of the table.
    pub(super) resource: &'static str,
    /// The table in the database.
    pub(super) relation: &'static str,
    /// The columns of the table that a row is made of; they fit `SELECT` as well as `RETURNING`.
    pub(super) columns: &'static str,
    /// The fields that filters and orders may name.
    pub(super) fields: &'static [Field],
    /// Whether its rows can be counted at once: it grows with the configuration, not with history.
    pub(super) is_small: bool,
}

/// A field that a question may name.
pub(super) struct Field {
    /// Its name in the API.
    pub(super) name: &'static str,
    /// Its column.
    pub(super) column: &'static str,
    /// What it holds.
    pub(super) kind: FieldKind,
}

/// What a field holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FieldKind {
    /// A whole number, never absent.
    Integer,
    /// A whole number that may be absent.
    MaybeInteger,
    /// A text.
    Text,
    /// 0 or 1.
    Flag,
    /// True if the column holds anything.
    Present,
    /// Microseconds in the column, seconds in the API.
    Instant,
    /// A JSON array of texts.
    Texts,
}

const fn field(name: &'static str, column: &'static str, kind: FieldKind) -> Field {
    Field { name, column, kind }
}

fn seconds<S: Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_i64(at.as_second())
}

#[expect(clippy::ref_option, reason = "serde passes the field by reference")]
fn maybe_seconds<S: Serializer>(at: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
    match at {
        Some(at) => serializer.serialize_some(&at.as_second()),
        None => serializer.serialize_none(),
    }
}
