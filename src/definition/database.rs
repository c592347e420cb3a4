//! Where the master keeps what it must not forget, as the operator defined it.

use std::fmt;

use crate::model::Secret;

/// The database.
#[derive(Clone, PartialEq, Eq)]
pub enum DatabaseDefinition {
    /// A file, below the master's folder unless absolute.
    Sqlite {
        /// Its path.
        path: std::path::PathBuf,
    },
    /// A PostgreSQL server.
    Postgres {
        /// The whole URL, which may hold a password.
        url: Secret,
    },
}

/// Why a text names no database.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DatabaseUrlError {
    /// Another kind of database.
    #[error(
        "`{scheme}` is no database that Lunabot knows; use `sqlite:///state.sqlite` or `postgresql://USER@HOST/NAME`"
    )]
    Scheme {
        /// What stands before the colon.
        scheme: String,
    },
    /// No file.
    #[error("the URL names no file; write `sqlite:///state.sqlite`")]
    NoPath,
}

impl DatabaseDefinition {
    /// Reads a URL as Buildbot (SQLAlchemy) writes it: three slashes for a path below the master's folder, four for an
    /// absolute one; `postgresql+psycopg2` and kin are PostgreSQL.
    pub fn parse(url: &str) -> Result<Self, DatabaseUrlError> {
        let (scheme, rest) = url.split_once(':').unwrap_or((url, ""));
        match scheme.split('+').next().unwrap_or_default() {
            "sqlite" => {
                let path = rest
                    .strip_prefix("///")
                    .filter(|path| !path.is_empty())
                    .ok_or(DatabaseUrlError::NoPath)?;
                Ok(Self::Sqlite { path: path.into() })
            }
            "postgresql" | "postgres" => {
                Ok(Self::Postgres { url: Secret::new(format!("postgresql:{rest}")) })
            }
            // What stands before a colon is a scheme; a text without one might be anything, a password included.
            _ if rest.is_empty() => Err(DatabaseUrlError::Scheme { scheme: "a text without a colon".into() }),
            other => Err(DatabaseUrlError::Scheme { scheme: other.to_owned() }),
        }
    }

    /// The kind and place for people, without what might be secret.
    pub fn shown(&self) -> String {
        match self {
            Self::Sqlite { path } => format!("sqlite {}", path.display()),
            Self::Postgres { url } => {
                // Everything after the last `@` is host and name; before it may stand a password, after `?` as well.
                let place = url.expose().rsplit_once('@').map_or("…", |(_, place)| place);
                format!("postgresql {}", place.split('?').next().unwrap_or_default())
            }
        }
    }
}

impl fmt::Debug for DatabaseDefinition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_read_as_buildbot_writes_them_and_never_show_a_password() {
        let sqlite = |path: &str| DatabaseDefinition::Sqlite { path: path.into() };
        assert_eq!(DatabaseDefinition::parse("sqlite:///state.sqlite"), Ok(sqlite("state.sqlite")));
        assert_eq!(DatabaseDefinition::parse("sqlite:////var/lib/x.sqlite"), Ok(sqlite("/var/lib/x.sqlite")));
        let postgres =
            DatabaseDefinition::parse("postgresql+psycopg2://bot:sesame@db/ci").expect("a good URL");
        assert_eq!(postgres.shown(), "postgresql db/ci");
        assert!(!format!("{postgres:?}").contains("sesame"));
        assert_eq!(DatabaseDefinition::parse("sqlite://"), Err(DatabaseUrlError::NoPath));
        let error = DatabaseDefinition::parse("mysql://bot:sesame@db/ci").expect_err("no such database");
        assert!(!error.to_string().contains("sesame"));
    }
}
