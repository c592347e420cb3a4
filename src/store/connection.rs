//! One face for two databases: a statement is written once, in the SQL that both understand.
//!
//! The arms meet as low as possible, at the single statement, so that all above is written and compiled once. What
//! the two cannot say alike is a method of [`Dialect`].
//!
//! # Laws
//! - Values are bound, never pasted into a statement.
//! - Whole numbers are 64 bits wide in every table, flags are 0 and 1, instants are microseconds.

use std::time::Duration;

#[cfg(feature = "postgres")]
use sqlx::{PgConnection, PgPool, postgres::PgRow};
use sqlx::{Row as _, SqlSafeStr, SqliteConnection, SqlitePool, sqlite::SqliteRow};

use crate::model::{Outcome, Timestamp};

/// How long one question of a reader may take, the wait for a connection included.
const READ_LIMIT: Duration = Duration::from_secs(60);

/// Which database speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    Sqlite,
    #[cfg(feature = "postgres")]
    Postgres,
}

/// The type of a column in a list of rows that is bound as one value.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    Integer,
    Text,
}

/// A connection of either kind.
pub(super) enum Connection {
    Sqlite(Box<SqliteConnection>),
    #[cfg(feature = "postgres")]
    Postgres(Box<PgConnection>),
}

/// The readers' connections.
#[derive(Clone, Debug)]
pub(super) enum Pool {
    Sqlite(SqlitePool),
    #[cfg(feature = "postgres")]
    Postgres(PgPool),
}

/// A value that is bound.
#[derive(Clone, Debug)]
pub(super) enum Arg {
    Integer(Option<i64>),
    Text(Option<String>),
    Bytes(Option<Vec<u8>>),
}

/// A row of an answer.
pub(super) enum Row {
    Sqlite(SqliteRow),
    #[cfg(feature = "postgres")]
    Postgres(PgRow),
}

/// `args![a, b]`: values to be bound to `$1`, `$2`.
macro_rules! args {
    ($($value:expr),* $(,)?) => { vec![$($crate::store::connection::Arg::from($value)),*] };
}
pub(super) use args;

macro_rules! bound {
    ($sql:expr, $args:expr) => {
        $args.into_iter().fold(sqlx::query($sql), |query, arg| match arg {
            Arg::Integer(value) => query.bind(value),
            Arg::Text(value) => query.bind(value),
            Arg::Bytes(value) => query.bind(value),
        })
    };
}

impl Dialect {
    /// A list of rows as a table `(c0, c1, …)`, from one bound JSON array of arrays: bulk rows in one statement.
    pub(super) fn rows(self, parameter: u32, kinds: &[Kind]) -> String {
        let columns = kinds.iter().enumerate().map(|(i, kind)| match (self, kind) {
            (Self::Sqlite, _) => format!("json_extract(value, '$[{i}]') AS c{i}"),
            #[cfg(feature = "postgres")]
            (Self::Postgres, Kind::Integer) => format!("(value->>{i})::bigint AS c{i}"),
            #[cfg(feature = "postgres")]
            (Self::Postgres, Kind::Text) => format!("value->>{i} AS c{i}"),
        });
        let columns = columns.collect::<Vec<_>>().join(", ");
        match self {
            Self::Sqlite => format!("(SELECT {columns} FROM json_each(${parameter}))"),
            #[cfg(feature = "postgres")]
            Self::Postgres => format!("(SELECT {columns} FROM json_array_elements(${parameter}::json))"),
        }
    }

    /// A column of some rows, in its order, as one JSON array of numbers.
    pub(super) fn list(self, column: &str, rows: &str) -> String {
        match self {
            Self::Sqlite => format!(
                "(SELECT json_group_array({column}) FROM (SELECT {column} FROM {rows} ORDER BY {column}))"
            ),
            #[cfg(feature = "postgres")]
            Self::Postgres => {
                format!("(SELECT COALESCE(json_agg({column} ORDER BY {column}), '[]')::text FROM {rows})")
            }
        }
    }

    /// The condition that a column's JSON array of texts holds the bound text.
    pub(super) fn array_holds(self, column: &str, parameter: usize) -> String {
        match self {
            Self::Sqlite => format!("EXISTS (SELECT 1 FROM json_each({column}) WHERE value = ${parameter})"),
            #[cfg(feature = "postgres")]
            Self::Postgres => format!("{column}::jsonb ? ${parameter}"),
        }
    }

    /// The condition that a text holds the bound text, upper and lower case told apart.
    pub(super) fn text_holds(self, column: &str, parameter: usize) -> String {
        match self {
            Self::Sqlite => format!("instr({column}, ${parameter}) > 0"),
            #[cfg(feature = "postgres")]
            Self::Postgres => format!("strpos({column}, ${parameter}) > 0"),
        }
    }

    /// What begins a transaction that writes. SQLite takes its lock at once: a later upgrade could fail.
    pub(super) const fn begin(self) -> &'static str {
        match self {
            Self::Sqlite => "BEGIN IMMEDIATE",
            #[cfg(feature = "postgres")]
            Self::Postgres => "BEGIN",
        }
    }
}

impl Connection {
    pub(super) const fn dialect(&self) -> Dialect {
        match self {
            Self::Sqlite(_) => Dialect::Sqlite,
            #[cfg(feature = "postgres")]
            Self::Postgres(_) => Dialect::Postgres,
        }
    }

    /// Runs a statement; the number of rows that it touched.
    pub(super) async fn execute(&mut self, sql: impl SqlSafeStr, args: Vec<Arg>) -> Result<u64, sqlx::Error> {
        match self {
            Self::Sqlite(connection) => {
                Ok(bound!(sql, args).execute(&mut **connection).await?.rows_affected())
            }
            #[cfg(feature = "postgres")]
            Self::Postgres(connection) => {
                Ok(bound!(sql, args).execute(&mut **connection).await?.rows_affected())
            }
        }
    }

    /// Runs a statement that answers with rows.
    pub(super) async fn rows(
        &mut self,
        sql: impl SqlSafeStr,
        args: Vec<Arg>,
    ) -> Result<Vec<Row>, sqlx::Error> {
        Ok(match self {
            Self::Sqlite(connection) => {
                let rows = bound!(sql, args).fetch_all(&mut **connection).await?;
                rows.into_iter().map(Row::Sqlite).collect()
            }
            #[cfg(feature = "postgres")]
            Self::Postgres(connection) => {
                let rows = bound!(sql, args).fetch_all(&mut **connection).await?;
                rows.into_iter().map(Row::Postgres).collect()
            }
        })
    }

    /// The first row of an answer.
    pub(super) async fn row(
        &mut self,
        sql: impl SqlSafeStr,
        args: Vec<Arg>,
    ) -> Result<Option<Row>, sqlx::Error> {
        Ok(self.rows(sql, args).await?.into_iter().next())
    }

    /// The first row of an answer which has one by its nature.
    pub(super) async fn one(&mut self, sql: impl SqlSafeStr, args: Vec<Arg>) -> Result<Row, sqlx::Error> {
        self.row(sql, args).await?.ok_or(sqlx::Error::RowNotFound)
    }

    /// Ends the connection in order. The server notices by itself if that fails.
    pub(super) async fn close(self) {
        let closed = match self {
            Self::Sqlite(connection) => sqlx::Connection::close(*connection).await,
            #[cfg(feature = "postgres")]
            Self::Postgres(connection) => sqlx::Connection::close(*connection).await,
        };
        if let Err(error) = closed {
            tracing::debug!(%error, "the database connection did not close in order");
        }
    }
}

impl Pool {
    pub(super) const fn dialect(&self) -> Dialect {
        match self {
            Self::Sqlite(_) => Dialect::Sqlite,
            #[cfg(feature = "postgres")]
            Self::Postgres(_) => Dialect::Postgres,
        }
    }

    /// Asks a question outside any transaction.
    pub(super) async fn rows(&self, sql: impl SqlSafeStr, args: Vec<Arg>) -> Result<Vec<Row>, sqlx::Error> {
        let answer = async {
            Ok(match self {
                Self::Sqlite(pool) => {
                    bound!(sql, args).fetch_all(pool).await?.into_iter().map(Row::Sqlite).collect()
                }
                #[cfg(feature = "postgres")]
                Self::Postgres(pool) => {
                    bound!(sql, args).fetch_all(pool).await?.into_iter().map(Row::Postgres).collect()
                }
            })
        };
        tokio::time::timeout(READ_LIMIT, answer).await.unwrap_or(Err(sqlx::Error::PoolTimedOut))
    }

    /// The first row of an answer.
    pub(super) async fn row(&self, sql: impl SqlSafeStr, args: Vec<Arg>) -> Result<Option<Row>, sqlx::Error> {
        Ok(self.rows(sql, args).await?.into_iter().next())
    }

    /// Ends all connections, once their questions are answered.
    pub(super) async fn close(&self) {
        match self {
            Self::Sqlite(pool) => pool.close().await,
            #[cfg(feature = "postgres")]
            Self::Postgres(pool) => pool.close().await,
        }
    }
}

macro_rules! from_column {
    ($row:expr, $column:expr) => {
        match $row {
            Row::Sqlite(row) => row.try_get($column),
            #[cfg(feature = "postgres")]
            Row::Postgres(row) => row.try_get($column),
        }
    };
}

impl Row {
    pub(super) fn integer(&self, column: &str) -> Result<i64, sqlx::Error> {
        from_column!(self, column)
    }

    pub(super) fn maybe_integer(&self, column: &str) -> Result<Option<i64>, sqlx::Error> {
        from_column!(self, column)
    }

    pub(super) fn text(&self, column: &str) -> Result<String, sqlx::Error> {
        from_column!(self, column)
    }

    pub(super) fn maybe_text(&self, column: &str) -> Result<Option<String>, sqlx::Error> {
        from_column!(self, column)
    }

    pub(super) fn maybe_bytes(&self, column: &str) -> Result<Option<Vec<u8>>, sqlx::Error> {
        from_column!(self, column)
    }

    pub(super) fn flag(&self, column: &str) -> Result<bool, sqlx::Error> {
        Ok(self.integer(column)? != 0)
    }

    pub(super) fn instant(&self, column: &str) -> Result<Timestamp, sqlx::Error> {
        instant(column, self.integer(column)?)
    }

    pub(super) fn maybe_instant(&self, column: &str) -> Result<Option<Timestamp>, sqlx::Error> {
        self.maybe_integer(column)?.map(|micros| instant(column, micros)).transpose()
    }

    pub(super) fn maybe_outcome(&self, column: &str) -> Result<Option<Outcome>, sqlx::Error> {
        let Some(code) = self.maybe_integer(column)? else { return Ok(None) };
        let code = i32::try_from(code).map_err(|error| broken(column, error))?;
        Outcome::try_from(code).map(Some).map_err(|error| broken(column, error))
    }

    /// A value that is kept as JSON text.
    pub(super) fn json<T: serde::de::DeserializeOwned>(&self, column: &str) -> Result<T, sqlx::Error> {
        serde_json::from_str(&self.text(column)?).map_err(|error| broken(column, error))
    }

    /// A text with laws of its own, such as a name.
    pub(super) fn parsed<T>(&self, column: &str) -> Result<T, sqlx::Error>
    where
        T: TryFrom<String, Error: std::error::Error + Send + Sync + 'static>,
    {
        T::try_from(self.text(column)?).map_err(|error| broken(column, error))
    }

    pub(super) fn maybe_parsed<T>(&self, column: &str) -> Result<Option<T>, sqlx::Error>
    where
        T: TryFrom<String, Error: std::error::Error + Send + Sync + 'static>,
    {
        let text = self.maybe_text(column)?;
        text.map(|text| T::try_from(text).map_err(|error| broken(column, error))).transpose()
    }
}

/// A column holds what this program did not write.
pub(super) fn broken(column: &str, error: impl std::error::Error + Send + Sync + 'static) -> sqlx::Error {
    sqlx::Error::ColumnDecode { index: column.to_owned(), source: Box::new(error) }
}

fn instant(column: &str, micros: i64) -> Result<Timestamp, sqlx::Error> {
    Timestamp::from_microsecond(micros).map_err(|error| broken(column, error))
}

/// PostgreSQL's texts cannot hold a zero byte; both databases get the sign for "not shown" instead.
pub(super) fn clean(text: String) -> String {
    if text.contains('\0') { text.replace('\0', "\u{FFFD}") } else { text }
}

impl From<i64> for Arg {
    fn from(value: i64) -> Self {
        Self::Integer(Some(value))
    }
}

impl From<i32> for Arg {
    fn from(value: i32) -> Self {
        Self::Integer(Some(value.into()))
    }
}

impl From<u32> for Arg {
    fn from(value: u32) -> Self {
        Self::Integer(Some(value.into()))
    }
}

impl From<bool> for Arg {
    fn from(value: bool) -> Self {
        Self::Integer(Some(value.into()))
    }
}

impl From<Timestamp> for Arg {
    fn from(at: Timestamp) -> Self {
        Self::Integer(Some(at.as_microsecond()))
    }
}

impl From<Outcome> for Arg {
    fn from(outcome: Outcome) -> Self {
        outcome.code().into()
    }
}

impl From<String> for Arg {
    fn from(value: String) -> Self {
        Self::Text(Some(clean(value)))
    }
}

impl From<&str> for Arg {
    fn from(value: &str) -> Self {
        value.to_owned().into()
    }
}

impl From<Option<&str>> for Arg {
    fn from(value: Option<&str>) -> Self {
        value.map_or(Self::Text(None), Into::into)
    }
}

impl From<Option<String>> for Arg {
    fn from(value: Option<String>) -> Self {
        Self::Text(value.map(clean))
    }
}

impl From<Vec<u8>> for Arg {
    fn from(value: Vec<u8>) -> Self {
        Self::Bytes(Some(value))
    }
}

impl From<Option<i64>> for Arg {
    fn from(value: Option<i64>) -> Self {
        Self::Integer(value)
    }
}

impl From<Option<Timestamp>> for Arg {
    fn from(at: Option<Timestamp>) -> Self {
        Self::Integer(at.map(Timestamp::as_microsecond))
    }
}

impl From<Option<Vec<u8>>> for Arg {
    fn from(value: Option<Vec<u8>>) -> Self {
        Self::Bytes(value)
    }
}
