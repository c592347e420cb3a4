//! Requests that give way: to a newer one that would build the same, or for a reason that somebody tells.
//!
//! # Laws
//! - Only a request that waits gives way, and none that another build waits for. It is complete then, skipped, and says why.
//! - Those that give way to a new request do so in the transaction that adds it: there is no instant at which both are gone.
//! - However many give way, it takes the same few statements; and the index has no other request to look at.
//!
//! # Not here
//! Whether a builder wants it (`definition::collapse`), and the function that may decide (`build::queue::collapse`).
//!
//! # Source
//! Behaviour: Buildbot, `process/buildrequest.py`, `BuildRequestCollapser`.

use std::collections::BTreeMap;

use blake2::{Blake2s256, Digest as _};
use bytes::Bytes;
use sqlx::AssertSqlSafe;

use crate::{
    model::{BuildRequestId, BuilderId, BuilderName, BuildsetId, EventKind, Outcome, Properties, Timestamp},
    store::{
        QueueMark, QueuedRequest, Store, StoreError,
        connection::{Dialect, Kind, args, clean},
        generation::json,
        job::Work,
        request::{self, OLDER_LOWER, OLDER_SAME},
        row::{ApiRow, BuildRequestRow, BuildsetRow},
    },
};

/// Properties that tell who asked, and not what is built.
const OF_THE_ASKER: [&str; 2] = ["reason", "owner"];

/// Properties of the source stamp, which are empty where nobody has said anything.
const OF_THE_SOURCE: [&str; 5] = ["codebase", "repository", "branch", "project", "revision"];

impl Store {
    /// The waiting requests of a builder that are older than another one, in the order of the queue, and that may give
    /// way. `after` is the [mark](QueuedRequest::mark) of the last one of the page before. At most `limit`, and never
    /// more than 10,000.
    pub async fn older_requests(
        &self,
        builder: &BuilderName,
        newer: BuildRequestId,
        after: Option<QueueMark>,
        limit: u32,
    ) -> Result<Vec<QueuedRequest>, StoreError> {
        self.queue_page((OLDER_SAME, OLDER_LOWER), builder, after, limit, Some(newer.0.into())).await
    }

    /// Lets a waiting request give way to a newer one that is not complete. False if that cannot be, for one of them was
    /// begun, cancelled or gave way itself meanwhile.
    ///
    /// # Cancel safety
    /// Dropped before it returns, the request may have given way all the same.
    pub async fn collapse_request(
        &self,
        old: BuildRequestId,
        new: BuildRequestId,
        at: Timestamp,
    ) -> Result<bool, StoreError> {
        self.write("collapse a build request", move |work| {
            Box::pin(async move {
                let sql = "SELECT 1 AS here FROM build_requests o JOIN build_requests n ON n.builderid = o.builderid
                     WHERE o.id = $1 AND n.id = $2 AND o.id < n.id AND n.complete_at IS NULL
                         AND o.claimed_at IS NULL AND o.complete_at IS NULL AND o.waited_for = 0";
                let may = work.row(sql, args![old.0, new.0]).await?.is_some();
                if may {
                    let because = format!("{COLLAPSED_INTO}{new}");
                    request::complete(work, old, Outcome::Skipped, Some(&because), at).await?;
                }
                Ok(may)
            })
        })
        .await
    }

    /// Gives a waiting request an outcome without a build, and says why. False if it waits no more.
    ///
    /// # Cancel safety
    /// Dropped before it returns, the request may be given up all the same.
    pub async fn give_up_request(
        &self,
        request: BuildRequestId,
        outcome: Outcome,
        because: &str,
        at: Timestamp,
    ) -> Result<bool, StoreError> {
        let because = clean(because.to_owned());
        self.write("give up a build request", move |work| {
            Box::pin(request::complete_waiting(work, request, outcome, Some(because), at))
        })
        .await
    }
}

const COLLAPSED_INTO: &str = "collapsed into request ";

/// A digest of what a request with these properties would build.
pub(super) fn key(properties: &Properties) -> String {
    let counts = |name: &str, value: &serde_json::Value| {
        let is_unsaid = OF_THE_SOURCE.contains(&name) && value.as_str() == Some("");
        !is_unsaid && !OF_THE_ASKER.contains(&name)
    };
    // Names and members of tables come in their order, so that equal properties have equal texts.
    let what: Vec<(&String, &serde_json::Value)> = properties
        .into_iter()
        .map(|(name, property)| (name, &property.value))
        .filter(|(name, value)| counts(name, value))
        .collect();
    let what = serde_json::to_vec(&what).expect("properties are JSON");
    format!("{:x}", Bytes::copy_from_slice(&Blake2s256::digest(what)))
}

/// Lets all older requests give way that would build the same as these new ones and are no more urgent.
pub(super) async fn give_way(
    work: &mut Work,
    new: &[(BuilderId, BuildRequestId)],
    key: &str,
    urgency: i64,
    at: Timestamp,
) -> Result<(), sqlx::Error> {
    if new.is_empty() {
        return Ok(());
    }
    let pairs = json(new.iter().map(|(builder, request)| (builder.0, request.0)));
    let args = args![at, Outcome::Skipped, pairs, key, urgency];
    let rows = work.rows(AssertSqlSafe(all_at_once(work.dialect())), args).await?;
    let mut of_buildsets: BTreeMap<BuildsetId, i64> = BTreeMap::new();
    for row in &rows {
        let row = BuildRequestRow::read(row, work.master)?;
        *of_buildsets.entry(row.buildsetid).or_default() += 1;
        work.tell(EventKind::BuildRequestComplete, row.buildrequestid.0, at, &row);
    }
    if of_buildsets.is_empty() {
        return Ok(());
    }
    let counts = json(of_buildsets.iter().map(|(buildset, count)| (buildset.0, *count)));
    // Nothing is milder than skipped, so that it is the gravest only where it is alone.
    let sql = format!(
        "UPDATE buildsets SET open_requests = open_requests - r.c1, worst = COALESCE(worst, $2)
         FROM {} AS r WHERE buildsets.id = r.c0",
        work.dialect().rows(1, &[Kind::Integer, Kind::Integer])
    );
    work.execute(AssertSqlSafe(sql), args![counts.as_str(), Outcome::Skipped]).await?;
    let sql = format!(
        "UPDATE buildsets SET results = worst, complete_at = $1
         WHERE id IN (SELECT c0 FROM {} AS r) AND open_requests = 0 AND complete_at IS NULL RETURNING {}",
        work.dialect().rows(2, &[Kind::Integer]),
        BuildsetRow::TABLE.columns
    );
    for row in work.rows(AssertSqlSafe(sql), args![at, counts]).await? {
        let row = BuildsetRow::read(&row, work.master)?;
        work.tell(EventKind::BuildsetComplete, row.bsid.0, at, &row);
    }
    Ok(())
}

/// All that give way to the new requests of a buildset, at once.
pub(super) fn all_at_once(dialect: Dialect) -> String {
    // Of a plain join, SQLite would make one that looks at all requests that are open. The last condition is for
    // PostgreSQL, which asks it again of a row that another master has claimed meanwhile.
    format!(
        "WITH alike AS MATERIALIZED (
             SELECT o.id AS old, r.c1 AS new FROM {} AS r CROSS JOIN build_requests o
             WHERE o.builderid = r.c0 AND o.collapse_key = $4 AND o.urgency >= $5 AND o.id < r.c1
                 AND o.claimed_at IS NULL AND o.complete_at IS NULL AND o.waited_for = 0 AND o.collapse_key IS NOT NULL
         )
         UPDATE build_requests SET complete_at = $1, results = $2, ended_because = '{COLLAPSED_INTO}' || alike.new
         FROM alike WHERE build_requests.id = alike.old AND COALESCE(claimed_at, complete_at) IS NULL
         RETURNING {}",
        dialect.rows(3, &[Kind::Integer, Kind::Integer]),
        BuildRequestRow::TABLE.columns
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn key_of(pairs: &[(&str, serde_json::Value)]) -> String {
        let mut properties = Properties::new();
        for (name, value) in pairs {
            properties.set(*name, value.clone(), "Force Build Form");
        }
        key(&properties)
    }

    #[test]
    fn requests_are_alike_if_they_would_build_the_same_whoever_asks() {
        let plain = key_of(&[("branch", json!("main")), ("os", json!({ "b": 1, "a": [2] }))]);
        assert_eq!(plain.len(), 64);
        for alike in [
            key_of(&[("os", json!({ "a": [2], "b": 1 })), ("branch", json!("main"))]),
            key_of(&[
                ("branch", json!("main")),
                ("os", json!({ "b": 1, "a": [2] })),
                ("owner", json!("ada")),
                ("reason", json!("x")),
            ]),
            key_of(&[
                ("branch", json!("main")),
                ("os", json!({ "b": 1, "a": [2] })),
                ("revision", json!("")),
            ]),
        ] {
            assert_eq!(alike, plain);
        }
        for other in [
            key_of(&[("branch", json!("main"))]),
            key_of(&[("branch", json!("release")), ("os", json!({ "b": 1, "a": [2] }))]),
            key_of(&[
                ("branch", json!("main")),
                ("os", json!({ "b": 1, "a": [2] })),
                ("revision", json!("abc")),
            ]),
            key_of(&[("branch", json!("main")), ("os", json!({ "b": 1, "a": [2] })), ("other", json!(""))]),
        ] {
            assert_ne!(other, plain);
        }
    }
}
