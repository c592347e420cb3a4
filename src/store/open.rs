//! How a database is opened: its file or server, its version, its connections.

use std::{
    fs::{OpenOptions, Permissions},
    io,
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    time::Duration,
};

#[cfg(feature = "postgres")]
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{
    ConnectOptions,
    migrate::{MigrateError, Migrator},
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

use crate::{
    definition::DatabaseDefinition,
    model::MasterId,
    store::connection::{Connection, Pool, args},
};

/// How long another process may hold SQLite's lock before a statement gives up.
const BUSY_LIMIT: Duration = Duration::from_secs(10);
/// How long connecting, or the wait for a free connection, may take.
const ACQUIRE_LIMIT: Duration = Duration::from_secs(10);
/// Readers beside the writer. SQLite has a thread for each.
const SQLITE_READERS: u32 = 4;
#[cfg(feature = "postgres")]
const POSTGRES_READERS: u32 = 8;

static SQLITE_MIGRATIONS: Migrator = sqlx::migrate!("src/store/migrations/sqlite");
#[cfg(feature = "postgres")]
static POSTGRES_MIGRATIONS: Migrator = sqlx::migrate!("src/store/migrations/postgres");

/// Why the store could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The file of the database cannot be made, read or written.
    #[error("cannot open the database file `{}`", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The folder of the logs cannot be made or read.
    #[error("cannot use the folder `{}` for logs", path.display())]
    Logs {
        /// Which folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The URL of the server cannot be read. It is not shown, since it may hold a password.
    #[error("the PostgreSQL URL cannot be read; write `postgresql://USER@HOST/NAME`")]
    Url {
        /// Why.
        source: sqlx::Error,
    },
    /// The database does not answer, or is none.
    #[error("cannot open the database {database}")]
    Database {
        /// Which, without what might be secret.
        database: String,
        /// What it said.
        source: sqlx::Error,
    },
    /// The tables could not be brought to this program's version.
    #[error("cannot bring the database {database} to version {known}")]
    Migrate {
        /// Which, without what might be secret.
        database: String,
        /// The version of this program.
        known: i64,
        /// What went wrong.
        source: MigrateError,
    },
    /// A later Lunabot has used this database.
    #[error(
        "the database {database} has version {found}, which a later Lunabot wrote; this one knows up to version {known}"
    )]
    LaterVersion {
        /// Which, without what might be secret.
        database: String,
        /// Its version.
        found: i64,
        /// The latest version that this program knows.
        known: i64,
    },
    /// This program was built without PostgreSQL.
    #[error(
        "this Lunabot was built without PostgreSQL; build it with the cargo feature `postgres`, or use SQLite"
    )]
    WithoutPostgres,
}

/// Makes connections to one database.
pub(super) enum Opener {
    Sqlite(Box<SqliteConnectOptions>),
    #[cfg(feature = "postgres")]
    Postgres(Box<PgConnectOptions>),
}

/// An open database of the right version.
pub(super) struct Opened {
    pub(super) opener: Opener,
    pub(super) connection: Connection,
    pub(super) pool: Pool,
    pub(super) master: MasterId,
}

impl Opener {
    async fn new(database: &DatabaseDefinition, base: &Path) -> Result<Self, OpenError> {
        match database {
            DatabaseDefinition::Sqlite { path } => {
                let path = base.join(path);
                let file = path.clone();
                tokio::task::spawn_blocking(move || make_private(&file))
                    .await
                    .unwrap_or_else(|error| Err(io::Error::other(error)))
                    .map_err(|source| OpenError::File { path: path.clone(), source })?;
                let options = SqliteConnectOptions::new()
                    .filename(path)
                    .journal_mode(SqliteJournalMode::Wal)
                    .synchronous(SqliteSynchronous::Full)
                    .foreign_keys(true)
                    .busy_timeout(BUSY_LIMIT)
                    .disable_statement_logging();
                Ok(Self::Sqlite(Box::new(options)))
            }
            #[cfg(feature = "postgres")]
            DatabaseDefinition::Postgres { url } => {
                let options: PgConnectOptions =
                    url.expose().parse().map_err(|source| OpenError::Url { source })?;
                let options = options
                    .application_name("lunabot")
                    .options([
                        ("statement_timeout", "60000"),
                        ("idle_in_transaction_session_timeout", "120000"),
                    ])
                    .disable_statement_logging();
                Ok(Self::Postgres(Box::new(options)))
            }
            #[cfg(not(feature = "postgres"))]
            DatabaseDefinition::Postgres { .. } => Err(OpenError::WithoutPostgres),
        }
    }

    /// A connection of its own.
    pub(super) async fn connect(&self) -> Result<Connection, sqlx::Error> {
        Ok(match self {
            Self::Sqlite(options) => Connection::Sqlite(Box::new(options.connect().await?)),
            #[cfg(feature = "postgres")]
            Self::Postgres(options) => Connection::Postgres(Box::new(options.connect().await?)),
        })
    }

    /// Readers, connected when they are first needed.
    fn pool(&self) -> Pool {
        match self {
            Self::Sqlite(options) => {
                let options = options.as_ref().clone().pragma("query_only", "ON");
                let pool =
                    SqlitePoolOptions::new().max_connections(SQLITE_READERS).acquire_timeout(ACQUIRE_LIMIT);
                Pool::Sqlite(pool.connect_lazy_with(options))
            }
            #[cfg(feature = "postgres")]
            Self::Postgres(options) => {
                let pool =
                    PgPoolOptions::new().max_connections(POSTGRES_READERS).acquire_timeout(ACQUIRE_LIMIT);
                Pool::Postgres(pool.connect_lazy_with(options.as_ref().clone()))
            }
        }
    }

    fn migrations(&self) -> &'static Migrator {
        match self {
            Self::Sqlite(_) => &SQLITE_MIGRATIONS,
            #[cfg(feature = "postgres")]
            Self::Postgres(_) => &POSTGRES_MIGRATIONS,
        }
    }
}

pub(super) async fn open(database: &DatabaseDefinition, base: &Path) -> Result<Opened, OpenError> {
    let opener = Opener::new(database, base).await?;
    let trouble = |source| OpenError::Database { database: database.shown(), source };
    let mut connection = tokio::time::timeout(ACQUIRE_LIMIT, opener.connect())
        .await
        .unwrap_or(Err(sqlx::Error::PoolTimedOut))
        .map_err(trouble)?;
    migrate(&opener, &mut connection, &database.shown()).await?;
    // What tells this master from others in the database. A SQLite file has only one, wherever it is moved.
    let name = match database {
        DatabaseDefinition::Sqlite { .. } => "master".to_owned(),
        DatabaseDefinition::Postgres { .. } => base.display().to_string(),
    };
    let sql = "INSERT INTO masters (name) VALUES ($1) ON CONFLICT (name) DO UPDATE SET name = excluded.name RETURNING id";
    let row = connection.one(sql, args![name]).await.map_err(trouble)?;
    let master = MasterId(row.integer("id").map_err(trouble)?);
    Ok(Opened { pool: opener.pool(), opener, connection, master })
}

async fn migrate(opener: &Opener, connection: &mut Connection, database: &str) -> Result<(), OpenError> {
    let migrations = opener.migrations();
    let done = match connection {
        Connection::Sqlite(connection) => migrations.run(&mut **connection).await,
        #[cfg(feature = "postgres")]
        Connection::Postgres(connection) => migrations.run(&mut **connection).await,
    };
    let known = migrations.iter().map(|migration| migration.version).max().unwrap_or_default();
    match done {
        Ok(()) => Ok(()),
        Err(MigrateError::VersionMissing(version)) => {
            let latest = connection.row("SELECT MAX(version) AS latest FROM _sqlx_migrations", args![]).await;
            let latest = latest.ok().flatten().and_then(|row| row.integer("latest").ok());
            let found = latest.unwrap_or(version);
            Err(OpenError::LaterVersion { database: database.to_owned(), found, known })
        }
        Err(source) => Err(OpenError::Migrate { database: database.to_owned(), known, source }),
    }
}

/// Makes the file if it is missing, and closes it to others: it holds what builds were told in confidence. The
/// files that SQLite puts beside it take over its mode.
fn make_private(path: &Path) -> io::Result<()> {
    let file =
        OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)?;
    if file.metadata()?.permissions().mode() & 0o077 != 0 {
        file.set_permissions(Permissions::from_mode(0o600))?;
    }
    Ok(())
}
