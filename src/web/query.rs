//! The question part of a URL: `field`, filters, `order`, `limit`, `offset`.
//!
//! Source: Buildbot's REST API: `name=value`, `name__gt=3`, `order=-number`, `field=name`.

use serde_json::{Map, Value};

use crate::{
    store::{Direction, Filter, FilterOp, MOST_ROWS, OrderBy, Query},
    web::error::ApiError,
};

/// What a URL asks for.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    /// Which rows, in which order.
    pub query: Query,
    /// Which fields of each; all if empty.
    pub fields: Vec<String>,
}

impl Asked {
    /// Reads the pairs of a URL's question part. Filters of one field and operation are alternatives.
    pub fn parse(pairs: &[(String, String)]) -> Result<Self, ApiError> {
        let mut asked = Self { query: Query { limit: MOST_ROWS, ..Query::default() }, fields: Vec::new() };
        for (key, value) in pairs {
            match key.as_str() {
                "field" => asked.fields.push(value.clone()),
                "limit" => asked.query.limit = number(key, value)?.clamp(1, MOST_ROWS),
                "offset" => asked.query.offset = number(key, value)?,
                "order" => asked.query.order.push(match value.strip_prefix('-') {
                    Some(field) => OrderBy { field: field.to_owned(), direction: Direction::Descending },
                    None => OrderBy { field: value.clone(), direction: Direction::Ascending },
                }),
                _ => asked.filter(key, value)?,
            }
        }
        Ok(asked)
    }

    fn filter(&mut self, key: &str, value: &str) -> Result<(), ApiError> {
        let (field, op) = key.split_once("__").unwrap_or((key, "eq"));
        let op = match op {
            "eq" => FilterOp::Eq,
            "ne" => FilterOp::Ne,
            "lt" => FilterOp::Lt,
            "le" => FilterOp::Le,
            "gt" => FilterOp::Gt,
            "ge" => FilterOp::Ge,
            "contains" => FilterOp::Contains,
            other => return Err(ApiError::bad_request(format!("unknown filter `{field}__{other}`"))),
        };
        match self.query.filters.iter_mut().find(|filter| filter.field == field && filter.op == op) {
            Some(filter) => filter.values.push(value.to_owned()),
            None => self.query.filters.push(Filter {
                field: field.to_owned(),
                op,
                values: vec![value.to_owned()],
            }),
        }
        Ok(())
    }

    /// Demands a value of a field, besides what the URL asks.
    #[must_use]
    pub fn only(mut self, field: &str, value: &str) -> Self {
        let filter = Filter { field: field.to_owned(), op: FilterOp::Eq, values: vec![value.to_owned()] };
        self.query.filters.push(filter);
        self
    }

    /// Leaves of each row the fields that were asked for.
    pub fn project(&self, rows: Vec<Value>) -> Result<Vec<Value>, ApiError> {
        if self.fields.is_empty() {
            return Ok(rows);
        }
        rows.into_iter()
            .map(|row| {
                let Value::Object(mut all) = row else { return Ok(row) };
                let mut some = Map::new();
                for field in &self.fields {
                    let unknown = || ApiError::bad_request(format!("unknown field `{field}`"));
                    some.insert(field.clone(), all.remove(field).ok_or_else(unknown)?);
                }
                Ok(Value::Object(some))
            })
            .collect()
    }
}

fn number(key: &str, value: &str) -> Result<u32, ApiError> {
    value.parse().map_err(|_| ApiError::bad_request(format!("`{key}` takes a whole number, not {value:?}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(pairs: &[(&str, &str)]) -> Result<Asked, ApiError> {
        let pairs: Vec<_> = pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        Asked::parse(&pairs)
    }

    #[test]
    fn a_question_is_read_as_buildbot_writes_it() {
        let pairs = [
            ("number__gt", "3"),
            ("results", "0"),
            ("results", "1"),
            ("order", "-number"),
            ("limit", "5"),
            ("field", "number"),
        ];
        let asked = parse(&pairs).unwrap();
        assert_eq!(asked.query.limit, 5);
        assert_eq!(asked.query.order[0].field, "number");
        assert_eq!(asked.query.order[0].direction, Direction::Descending);
        assert_eq!(asked.query.filters.len(), 2);
        assert_eq!(asked.query.filters[1].values, ["0", "1"]);
        let rows = asked.project(vec![serde_json::json!({ "number": 4, "results": 0 })]).unwrap();
        assert_eq!(rows, [serde_json::json!({ "number": 4 })]);
    }

    #[test]
    fn nonsense_is_told_and_a_limit_is_bounded() {
        assert!(parse(&[("limit", "many")]).is_err());
        assert!(parse(&[("number__near", "3")]).is_err());
        assert_eq!(parse(&[("limit", "99999999")]).unwrap().query.limit, MOST_ROWS);
        let asked = parse(&[("field", "colour")]).unwrap();
        assert!(asked.project(vec![serde_json::json!({ "number": 4 })]).is_err());
    }
}
