//! Rows about what is told to people: the outbox.

use serde::Serialize;

use super::{ApiRow, FieldKind, Table, field, maybe_seconds, seconds};
use crate::{
    model::{LetterChannel, LetterId, LetterKind, MasterId, ReporterName, Timestamp},
    store::connection::{Row, broken},
};

/// A letter in the outbox, without the letter itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LetterRow {
    /// Its key.
    pub letterid: LetterId,
    /// How it goes.
    pub channel: LetterChannel,
    /// What it is about.
    pub kind: LetterKind,
    /// The reporter that wrote it.
    pub reporter: ReporterName,
    /// By which it is told from all other letters, also after it has arrived.
    pub message_id: String,
    /// The address that it comes from.
    pub sender: String,
    /// The addresses that it goes to.
    pub recipients: Vec<String>,
    /// Its subject.
    pub subject: String,
    /// How many bytes it has.
    pub size: i64,
    /// When it was written.
    #[serde(serialize_with = "seconds")]
    pub created_at: Timestamp,
    /// How often it was tried, since it was written or since somebody asked for it to be tried again.
    pub attempts: i64,
    /// When it is tried next; nothing if it is given up.
    #[serde(serialize_with = "maybe_seconds")]
    pub next_try_at: Option<Timestamp>,
    /// Why it was not sent when it was last tried: one line.
    pub last_error: Option<String>,
    /// Since when it is given up.
    #[serde(serialize_with = "maybe_seconds")]
    pub given_up_at: Option<Timestamp>,
}

impl ApiRow for LetterRow {
    const TABLE: Table = Table {
        resource: "outbox",
        relation: "outbox",
        columns: "id, channel, kind, reporter, message_id, sender, recipients, subject, CAST(length(message) AS BIGINT) AS size, created_at, attempts, next_try_at, last_error, given_up_at",
        fields: &[
            field("letterid", "id", FieldKind::Integer),
            field("channel", "channel", FieldKind::Text),
            field("kind", "kind", FieldKind::Text),
            field("reporter", "reporter", FieldKind::Text),
            field("message_id", "message_id", FieldKind::Text),
            field("sender", "sender", FieldKind::Text),
            field("recipients", "recipients", FieldKind::Texts),
            field("subject", "subject", FieldKind::Text),
            field("created_at", "created_at", FieldKind::Instant),
            field("attempts", "attempts", FieldKind::Integer),
            field("next_try_at", "next_try_at", FieldKind::Instant),
            field("given_up", "given_up_at", FieldKind::Present),
            field("given_up_at", "given_up_at", FieldKind::Instant),
        ],
        is_small: true,
    };

    fn read(row: &Row, _: MasterId) -> Result<Self, sqlx::Error> {
        let given_up_at = row.maybe_instant("given_up_at")?;
        Ok(Self {
            letterid: LetterId(row.integer("id")?),
            channel: row.text("channel")?.parse().map_err(|error| broken("channel", error))?,
            kind: row.text("kind")?.parse().map_err(|error| broken("kind", error))?,
            reporter: row.parsed("reporter")?,
            message_id: row.text("message_id")?,
            sender: row.text("sender")?,
            recipients: row.json("recipients")?,
            subject: row.text("subject")?,
            size: row.integer("size")?,
            created_at: row.instant("created_at")?,
            attempts: row.integer("attempts")?,
            next_try_at: given_up_at.is_none().then_some(row.instant("next_try_at")?),
            last_error: row.maybe_text("last_error")?,
            given_up_at,
        })
    }
}
