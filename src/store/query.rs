//! Questions of the HTTP API: filters, orders, limits; compiled to SQL by the fields that a resource has.
//!
//! # Laws
//! - A field is looked up in its resource's list, a value is bound: nothing of a question is pasted into a statement.
//! - An answer has an order without ties, so that pages neither overlap nor leave gaps.

use crate::store::{
    connection::{Arg, Dialect},
    error::StoreError,
    row::{ApiRow, Field, FieldKind, Table},
};

/// The most rows that one answer may have.
pub const MOST_ROWS: u32 = 10_000;

/// A question for rows of one resource. All filters must hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    /// Which rows.
    pub filters: Vec<Filter>,
    /// In which order; by key if empty, and where these leave a tie.
    pub order: Vec<OrderBy>,
    /// How many at most: 1 to [`MOST_ROWS`]; more counts as that.
    pub limit: u32,
    /// How many are skipped first. They are read all the same: page through history by a filter on the key instead.
    pub offset: u32,
}

/// A condition on a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    /// The field's name in the API.
    pub field: String,
    /// How it compares.
    pub op: FilterOp,
    /// With what: with several, `Eq` and `Contains` want one of them to fit, all others want all to.
    pub values: Vec<String>,
}

/// How a field compares with a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FilterOp {
    /// Equal.
    Eq,
    /// Not equal, or absent.
    Ne,
    /// Less.
    Lt,
    /// Less or equal.
    Le,
    /// Greater.
    Gt,
    /// Greater or equal.
    Ge,
    /// A text that holds it, or a list that has it.
    Contains,
}

/// An order by one field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderBy {
    /// The field's name in the API.
    pub field: String,
    /// Which way.
    pub direction: Direction,
}

/// Which way an order goes. What is absent is least.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// The least first.
    Ascending,
    /// The greatest first.
    Descending,
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T> {
    /// The rows.
    pub rows: Vec<T>,
    /// How many there would be without limit and offset, where that is known without counting history.
    pub total: Option<u64>,
}

/// Why a question has no answer.
#[derive(Clone, Debug, thiserror::Error)]
pub enum QueryError {
    /// The resource has no such field to filter or sort by.
    #[error("{resource} cannot be asked for by `{field}`; known are {}", known.join(", "))]
    UnknownField {
        /// What was given.
        field: String,
        /// Of which resource.
        resource: &'static str,
        /// The fields that it has.
        known: Vec<&'static str>,
    },
    /// The value does not fit its field.
    #[error("`{value}` does not fit the field `{field}` of {resource}, which takes {wanted}")]
    BadValue {
        /// What was given.
        value: String,
        /// For which field.
        field: &'static str,
        /// Of which resource.
        resource: &'static str,
        /// What it takes.
        wanted: &'static str,
    },
    /// The comparison makes no sense for the field.
    #[error("the field `{field}` of {resource} cannot be compared in this way")]
    BadComparison {
        /// Which field.
        field: &'static str,
        /// Of which resource.
        resource: &'static str,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Default for Query {
    fn default() -> Self {
        Self { filters: Vec::new(), order: Vec::new(), limit: 1000, offset: 0 }
    }
}

impl Query {
    /// All rows by key, the first 1000.
    pub fn all() -> Self {
        Self::default()
    }

    /// With one more condition.
    #[must_use]
    pub fn filter(mut self, field: &str, op: FilterOp, value: &(impl ToString + ?Sized)) -> Self {
        self.filters.push(Filter { field: field.to_owned(), op, values: vec![value.to_string()] });
        self
    }

    /// With one more order, after those that it has.
    #[must_use]
    pub fn order_by(mut self, field: &str, direction: Direction) -> Self {
        self.order.push(OrderBy { field: field.to_owned(), direction });
        self
    }

    /// With another limit.
    #[must_use]
    pub const fn limit(mut self, limit: u32) -> Self {
        self.limit = limit;
        self
    }

    /// With another offset.
    #[must_use]
    pub const fn offset(mut self, offset: u32) -> Self {
        self.offset = offset;
        self
    }
}

/// A question as statements.
#[derive(Debug)]
pub(super) struct Compiled {
    /// `SELECT … LIMIT … OFFSET …`.
    pub(super) select: String,
    /// The count of all that fit, for small tables.
    pub(super) count: Option<String>,
    /// For both.
    pub(super) args: Vec<Arg>,
    /// The limit in force.
    pub(super) limit: u32,
}

/// Compiles a question about `R`.
pub(super) fn compile<R: ApiRow>(query: &Query, dialect: Dialect) -> Result<Compiled, QueryError> {
    let table = R::TABLE;
    let mut condition = Condition { dialect, sql: Vec::new(), args: Vec::new() };
    for filter in &query.filters {
        condition.add(&table, filter)?;
    }
    let Condition { sql, args, .. } = condition;
    let condition = if sql.is_empty() { String::new() } else { format!(" WHERE {}", sql.join(" AND ")) };
    let from = format!(" FROM {}{condition}", table.relation);
    let limit = query.limit.clamp(1, MOST_ROWS);
    Ok(Compiled {
        select: format!(
            "SELECT {}{from} ORDER BY {} LIMIT {limit} OFFSET {}",
            table.columns,
            order(&table, &query.order, dialect)?,
            query.offset
        ),
        count: table.is_small.then(|| format!("SELECT COUNT(*) AS total{from}")),
        args,
        limit,
    })
}

fn order(table: &Table, order: &[OrderBy], dialect: Dialect) -> Result<String, QueryError> {
    let mut terms = Vec::with_capacity(order.len() + 1);
    let mut last = "ASC";
    for by in order {
        let field = field_of(table, &by.field)?;
        if matches!(field.kind, FieldKind::Present | FieldKind::Texts) {
            return Err(QueryError::BadComparison { field: field.name, resource: table.resource });
        }
        last = match by.direction {
            Direction::Ascending => "ASC",
            Direction::Descending => "DESC",
        };
        let nulls = match (dialect, by.direction) {
            // What is absent is least in SQLite, greatest in PostgreSQL.
            _ if !matches!(field.kind, FieldKind::MaybeInteger | FieldKind::Instant) => "",
            (Dialect::Sqlite, _) => "",
            #[cfg(feature = "postgres")]
            (Dialect::Postgres, _) if matches!(field.column, "submitted_at" | "started_at") => "",
            #[cfg(feature = "postgres")]
            (Dialect::Postgres, Direction::Ascending) => " NULLS FIRST",
            #[cfg(feature = "postgres")]
            (Dialect::Postgres, Direction::Descending) => " NULLS LAST",
        };
        terms.push(format!("{} {last}{nulls}", field.column));
    }
    // The key in the direction of the last field, as the indices have it.
    terms.push(format!("id {last}"));
    Ok(terms.join(", "))
}

fn field_of(table: &Table, name: &str) -> Result<&'static Field, QueryError> {
    table.fields.iter().find(|field| field.name == name).ok_or_else(|| QueryError::UnknownField {
        field: name.to_owned(),
        resource: table.resource,
        known: table.fields.iter().map(|field| field.name).collect(),
    })
}

struct Condition {
    dialect: Dialect,
    /// All must hold.
    sql: Vec<String>,
    args: Vec<Arg>,
}

impl Condition {
    fn add(&mut self, table: &Table, filter: &Filter) -> Result<(), QueryError> {
        let field = field_of(table, &filter.field)?;
        let any = matches!(filter.op, FilterOp::Eq | FilterOp::Contains);
        let mut terms = Vec::with_capacity(filter.values.len());
        for value in &filter.values {
            terms.push(self.term(table, field, filter.op, value)?);
        }
        self.sql.push(match terms.as_slice() {
            // None of no values fits; all of no values do.
            [] => (if any { "1 = 0" } else { "1 = 1" }).to_owned(),
            [term] => term.clone(),
            terms => format!("({})", terms.join(if any { " OR " } else { " AND " })),
        });
        Ok(())
    }

    fn bind(&mut self, arg: Arg) -> usize {
        self.args.push(arg);
        self.args.len()
    }

    fn term(
        &mut self,
        table: &Table,
        field: &'static Field,
        op: FilterOp,
        value: &str,
    ) -> Result<String, QueryError> {
        let column = field.column;
        let bad = |wanted| QueryError::BadValue {
            value: value.to_owned(),
            field: field.name,
            resource: table.resource,
            wanted,
        };
        let senseless = QueryError::BadComparison { field: field.name, resource: table.resource };
        match field.kind {
            FieldKind::Integer | FieldKind::MaybeInteger => {
                let number: i64 = value.parse().map_err(|_| bad("a whole number"))?;
                let sign = sign(op).ok_or(senseless)?;
                let bound = self.bind(number.into());
                if op == FilterOp::Ne && field.kind == FieldKind::MaybeInteger {
                    return Ok(format!("({column} IS NULL OR {column} <> ${bound})"));
                }
                Ok(format!("{column} {sign} ${bound}"))
            }
            FieldKind::Text if op == FilterOp::Contains => {
                let bound = self.bind(value.into());
                Ok(self.dialect.text_holds(column, bound))
            }
            FieldKind::Text => {
                let sign = sign(op).ok_or(senseless)?;
                Ok(format!("{column} {sign} ${}", self.bind(value.into())))
            }
            FieldKind::Texts => match op {
                FilterOp::Contains | FilterOp::Eq => {
                    let bound = self.bind(value.into());
                    Ok(self.dialect.array_holds(column, bound))
                }
                _ => Err(senseless),
            },
            FieldKind::Flag | FieldKind::Present => {
                let wanted = flag(value).ok_or_else(|| bad("true or false"))?;
                let wanted = match op {
                    FilterOp::Eq => wanted,
                    FilterOp::Ne => !wanted,
                    _ => return Err(senseless),
                };
                Ok(match (field.kind, wanted) {
                    (FieldKind::Present, true) => format!("{column} IS NOT NULL"),
                    (FieldKind::Present, false) => format!("{column} IS NULL"),
                    (_, wanted) => format!("{column} = {}", u8::from(wanted)),
                })
            }
            FieldKind::Instant => {
                let seconds: i64 = value.parse().map_err(|_| bad("seconds since 1970"))?;
                let micros = |seconds: i64| seconds.checked_mul(1_000_000);
                let (Some(from), Some(to)) = (micros(seconds), seconds.checked_add(1).and_then(micros))
                else {
                    return Err(bad("seconds since 1970"));
                };
                // The API shows whole seconds, so a second is all the microseconds within.
                Ok(match op {
                    FilterOp::Lt => format!("{column} < ${}", self.bind(from.into())),
                    FilterOp::Ge => format!("{column} >= ${}", self.bind(from.into())),
                    FilterOp::Le => format!("{column} < ${}", self.bind(to.into())),
                    FilterOp::Gt => format!("{column} >= ${}", self.bind(to.into())),
                    FilterOp::Eq => {
                        let (from, to) = (self.bind(from.into()), self.bind(to.into()));
                        format!("({column} >= ${from} AND {column} < ${to})")
                    }
                    FilterOp::Ne => {
                        let (from, to) = (self.bind(from.into()), self.bind(to.into()));
                        format!("({column} IS NULL OR {column} < ${from} OR {column} >= ${to})")
                    }
                    FilterOp::Contains => return Err(senseless),
                })
            }
        }
    }
}

const fn sign(op: FilterOp) -> Option<&'static str> {
    Some(match op {
        FilterOp::Eq => "=",
        FilterOp::Ne => "<>",
        FilterOp::Lt => "<",
        FilterOp::Le => "<=",
        FilterOp::Gt => ">",
        FilterOp::Ge => ">=",
        FilterOp::Contains => return None,
    })
}

/// Source: Buildbot's REST API takes these words for truth values.
fn flag(value: &str) -> Option<bool> {
    match value.to_ascii_lowercase().as_str() {
        "1" | "true" | "on" | "yes" => Some(true),
        "0" | "false" | "off" | "no" => Some(false),
        _ => None,
    }
}
