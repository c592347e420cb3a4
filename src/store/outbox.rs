//! Letters that are written and not yet sent.
//!
//! # Laws
//! - A letter is in the outbox from the transaction of that which it tells until it is sent or dropped: one sending takes
//!   one row away, and is told once.
//! - Who sends asks again after each event that adds a letter or has one retried, so that none waits for its turn.
//! - A letter that is given up stays for the operator to look at; of these, only the last 1000.
//!
//! # Not here
//! What a letter says, how it is sent, and when it is tried again (`reporter`).

use serde::Serialize;
use sqlx::AssertSqlSafe;

use crate::{
    model::{EventKind, LetterChannel, LetterId, LetterKind, ReporterName, Timestamp},
    store::{
        Store,
        connection::{Arg, Row, args, broken},
        error::{JobError, StoreError, failed},
        job::Work,
        row::{ApiRow, LetterRow},
    },
};

/// Letters that are read at once, since each comes whole.
const MOST_DUE: u32 = 100;

/// Letters that are written in one statement: with their nine values each they stay far below what a database takes.
const MOST_ADDED: usize = 100;

/// Letters that are given up and kept.
const MOST_GIVEN_UP: u32 = 1000;

/// How long an error may be that is kept.
const LONGEST_ERROR: usize = 500;

/// A letter to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewLetter {
    /// How it goes.
    pub channel: LetterChannel,
    /// What it is about.
    pub kind: LetterKind,
    /// The reporter that wrote it.
    pub reporter: ReporterName,
    /// By which it is told from all other letters: no two have the same.
    pub message_id: String,
    /// The address that it comes from.
    pub sender: String,
    /// The addresses that it goes to.
    pub recipients: Vec<String>,
    /// Its subject, for people.
    pub subject: String,
    /// All of it, as it goes over the wire.
    pub message: Vec<u8>,
}

/// A letter that waits to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueuedLetter {
    /// Its key.
    pub id: LetterId,
    /// What was written.
    pub letter: NewLetter,
    /// When it was written.
    pub created_at: Timestamp,
    /// How often it was tried, since it was written or since somebody asked for it to be tried again.
    pub attempts: u32,
}

/// What an event says of a letter: whom it goes to is for the outbox alone.
#[derive(Serialize)]
struct Told {
    letterid: LetterId,
    channel: LetterChannel,
    kind: LetterKind,
    reporter: ReporterName,
    recipients: usize,
    message_id: String,
    attempts: i64,
    last_error: Option<String>,
}

impl Store {
    /// Writes letters, due at once; their keys, in their order. To tell of something that the store does not know: what
    /// tells of a row is written with it.
    pub async fn add_letters(
        &self,
        letters: Vec<NewLetter>,
        at: Timestamp,
    ) -> Result<Vec<LetterId>, StoreError> {
        self.write("write letters", move |work| {
            Box::pin(async move { Ok::<_, JobError<StoreError>>(add(work, &letters, at).await?) })
        })
        .await
    }

    /// The letters that are to be tried by now, those that wait longest first. At most `limit`, and never more than 100.
    pub async fn due_letters(&self, at: Timestamp, limit: u32) -> Result<Vec<QueuedLetter>, StoreError> {
        let deed = "find letters to send";
        let rows = self.pool.rows(DUE, args![at, limit.min(MOST_DUE)]).await;
        let rows = rows.map_err(|error| failed(deed, error))?;
        rows.iter().map(queued).collect::<Result<_, _>>().map_err(|error| failed(deed, error))
    }

    /// When the next letter is to be tried, or was; nothing if none waits.
    pub async fn next_letter_at(&self) -> Result<Option<Timestamp>, StoreError> {
        let deed = "find the next letter to send";
        let row = self.pool.row(NEXT, args![]).await.map_err(|error| failed(deed, error))?;
        row.map(|row| row.instant("next_try_at")).transpose().map_err(|error| failed(deed, error))
    }

    /// Notes that a letter was sent: it leaves the outbox. False if it has left before.
    pub async fn letter_sent(&self, letter: LetterId, at: Timestamp) -> Result<bool, StoreError> {
        self.change("note that a letter was sent", SENT, args![letter.0], EventKind::LetterSent, at).await
    }

    /// Notes that a letter was not sent this time, why, and when it is tried again. Of the error the first line or so is
    /// kept. False if it has left the outbox.
    pub async fn letter_failed(
        &self,
        letter: LetterId,
        error: &str,
        next_try_at: Timestamp,
        at: Timestamp,
    ) -> Result<bool, StoreError> {
        let args = args![letter.0, one_line(error), next_try_at];
        self.change("note that a letter was not sent", FAILED, args, EventKind::LetterFailed, at).await
    }

    /// Some have a letter now: it goes to these alone from now on. False if it has left the outbox.
    pub async fn letter_reached_others(&self, letter: LetterId, left: &[String]) -> Result<bool, StoreError> {
        let left = serde_json::to_string(left).expect("a list of texts is plain data");
        self.write("note who has a letter", move |work| {
            Box::pin(async move {
                let changed = work.execute(NARROWED, args![left, letter.0]).await?;
                Ok::<_, JobError<StoreError>>(changed > 0)
            })
        })
        .await
    }

    /// Notes that a letter was not sent and why, and that it is not tried again. False if it has left the outbox.
    pub async fn letter_given_up(
        &self,
        letter: LetterId,
        error: &str,
        at: Timestamp,
    ) -> Result<bool, StoreError> {
        let args = args![letter.0, one_line(error), at];
        self.write("give up a letter", move |work| {
            Box::pin(async move {
                let known = told(work, GIVEN_UP, args, EventKind::LetterGivenUp, at).await?;
                if known > 0 {
                    told(work, TOO_MANY, args![MOST_GIVEN_UP], EventKind::LetterDropped, at).await?;
                }
                Ok::<_, JobError<StoreError>>(known > 0)
            })
        })
        .await
    }

    /// Makes a letter due at once, as if it had never been tried; also one that is given up. False if there is none.
    pub async fn retry_letter(&self, letter: LetterId, at: Timestamp) -> Result<bool, StoreError> {
        self.change("try a letter again", RETRIED, args![letter.0, at], EventKind::LetterRetried, at).await
    }

    /// Takes a letter out of the outbox without sending it. False if there is none.
    pub async fn drop_letter(&self, letter: LetterId, at: Timestamp) -> Result<bool, StoreError> {
        self.change("drop a letter", SENT, args![letter.0], EventKind::LetterDropped, at).await
    }

    /// Changes one letter and tells it; false if there is none.
    async fn change(
        &self,
        deed: &'static str,
        sql: &'static str,
        args: Vec<Arg>,
        kind: EventKind,
        at: Timestamp,
    ) -> Result<bool, StoreError> {
        self.write(deed, move |work| {
            Box::pin(async move { Ok::<_, JobError<StoreError>>(told(work, sql, args, kind, at).await? > 0) })
        })
        .await
    }
}

pub(super) const DUE: &str = "SELECT id, channel, kind, reporter, message_id, sender, recipients, subject, message, created_at, attempts
     FROM outbox WHERE given_up_at IS NULL AND next_try_at <= $1 ORDER BY next_try_at, id LIMIT $2";

pub(super) const NEXT: &str =
    "SELECT next_try_at FROM outbox WHERE given_up_at IS NULL ORDER BY next_try_at, id LIMIT 1";

const SENT: &str = "DELETE FROM outbox WHERE id = $1";

const FAILED: &str =
    "UPDATE outbox SET attempts = attempts + 1, last_error = $2, next_try_at = $3 WHERE id = $1";

const NARROWED: &str = "UPDATE outbox SET recipients = $1 WHERE id = $2";

const GIVEN_UP: &str =
    "UPDATE outbox SET attempts = attempts + 1, last_error = $2, given_up_at = $3 WHERE id = $1";

const RETRIED: &str = "UPDATE outbox SET attempts = 0, next_try_at = $2, given_up_at = NULL WHERE id = $1";

pub(super) const TOO_MANY: &str = "DELETE FROM outbox WHERE given_up_at IS NOT NULL
     AND id <= (SELECT id FROM outbox WHERE given_up_at IS NOT NULL ORDER BY id DESC LIMIT 1 OFFSET $1)";

/// Changes letters and tells each; how many.
async fn told(
    work: &mut Work,
    sql: &str,
    args: Vec<Arg>,
    kind: EventKind,
    at: Timestamp,
) -> Result<usize, sqlx::Error> {
    let sql = format!("{sql} RETURNING {}", LetterRow::TABLE.columns);
    let rows = work.rows(AssertSqlSafe(sql), args).await?;
    for row in &rows {
        tell(work, LetterRow::read(row, work.master)?, kind, at);
    }
    Ok(rows.len())
}

fn tell(work: &mut Work, letter: LetterRow, kind: EventKind, at: Timestamp) {
    let LetterRow { letterid, channel, kind: about, reporter, message_id, attempts, last_error, .. } = letter;
    let recipients = letter.recipients.len();
    let body =
        Told { letterid, channel, kind: about, reporter, recipients, message_id, attempts, last_error };
    work.tell(kind, letterid.0, at, &body);
}

/// Writes letters, due at once, and tells each; their keys, in their order.
pub(super) async fn add(
    work: &mut Work,
    letters: &[NewLetter],
    at: Timestamp,
) -> Result<Vec<LetterId>, sqlx::Error> {
    let mut ids = Vec::with_capacity(letters.len());
    for some in letters.chunks(MOST_ADDED) {
        let mut args = args![at];
        let mut values = Vec::with_capacity(some.len());
        for letter in some {
            let first = args.len() + 1;
            let bound: Vec<String> = (first..first + 8).map(|n| format!("${n}")).collect();
            values.push(format!("({}, $1, $1)", bound.join(", ")));
            let recipients = serde_json::to_string(&letter.recipients).expect("texts are JSON");
            args.extend(args![
                letter.channel.word(),
                letter.kind.word(),
                letter.reporter.as_str(),
                letter.message_id.as_str(),
                letter.sender.as_str(),
                recipients,
                letter.subject.as_str(),
                letter.message.clone(),
            ]);
        }
        let sql = format!(
            "INSERT INTO outbox (channel, kind, reporter, message_id, sender, recipients, subject, message, created_at, next_try_at)
             VALUES {} RETURNING {}",
            values.join(", "),
            LetterRow::TABLE.columns
        );
        let rows = work.rows(AssertSqlSafe(sql), args).await?;
        let rows = rows.iter().map(|row| LetterRow::read(row, work.master));
        let mut rows = rows.collect::<Result<Vec<_>, _>>()?;
        // Neither database promises an order of what it returns; both give numbers in the order of the values.
        rows.sort_by_key(|row| row.letterid);
        for row in rows {
            ids.push(row.letterid);
            tell(work, row, EventKind::LetterAdded, at);
        }
    }
    Ok(ids)
}

fn queued(row: &Row) -> Result<QueuedLetter, sqlx::Error> {
    let letter = NewLetter {
        channel: row.text("channel")?.parse().map_err(|error| broken("channel", error))?,
        kind: row.text("kind")?.parse().map_err(|error| broken("kind", error))?,
        reporter: row.parsed("reporter")?,
        message_id: row.text("message_id")?,
        sender: row.text("sender")?,
        recipients: row.json("recipients")?,
        subject: row.text("subject")?,
        message: row.maybe_bytes("message")?.unwrap_or_default(),
    };
    Ok(QueuedLetter {
        id: LetterId(row.integer("id")?),
        letter,
        created_at: row.instant("created_at")?,
        attempts: u32::try_from(row.integer("attempts")?).unwrap_or(u32::MAX),
    })
}

/// What a relay or a program has said, as one line that no terminal obeys.
fn one_line(text: &str) -> String {
    let words = text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty());
    let line = words.collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(LONGEST_ERROR) {
        None => line,
        Some(_) => line.chars().take(LONGEST_ERROR - 1).chain(['…']).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_that_is_kept_is_one_line_of_a_bounded_length() {
        assert_eq!(one_line(" 550 5.1.1\r\n\tno such\0user\u{1b}[31m\n"), "550 5.1.1 no such user [31m");
        assert_eq!(one_line(&"ä".repeat(LONGEST_ERROR)), "ä".repeat(LONGEST_ERROR));
        let long = one_line(&"ä".repeat(9000));
        assert_eq!(long.chars().count(), LONGEST_ERROR);
        assert!(long.ends_with("ä…"));
    }
}
