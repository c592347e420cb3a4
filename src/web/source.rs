//! Where workers, builders and schedulers stand in the configuration, as a question: `source=lib/workers.lua`.
//!
//! The running configuration knows the places, the database the rows. So a question by `source` becomes one for the names
//! that stand there.

use std::borrow::Cow;

use crate::{
    model::Place,
    store::{Filter, FilterOp, MOST_ROWS},
    web::{error::ApiError, query::Asked},
};

/// The field of a question.
const FIELD: &str = "source";

/// The question with names in the place of `source=lib/workers.lua`, `source=master.cfg.lua:14` and
/// `source__contains=lib/`.
pub(super) fn by_name<'a, 'b>(
    asked: &'a Asked,
    places: impl Iterator<Item = (&'b str, &'b Place)>,
) -> Result<Cow<'a, Asked>, ApiError> {
    let (filters, others): (Vec<_>, Vec<_>) =
        asked.query.filters.iter().cloned().partition(|filter| filter.field == FIELD);
    if filters.is_empty() {
        return Ok(Cow::Borrowed(asked));
    }
    if filters.iter().any(|filter| !matches!(filter.op, FilterOp::Eq | FilterOp::Ne | FilterOp::Contains)) {
        return Err(ApiError::bad_request("`source` is asked for by `eq`, `ne` and `contains`"));
    }
    let mut names: Vec<String> = places
        .filter(|(_, place)| filters.iter().all(|filter| fits(place, filter)))
        .map(|(name, _)| name.to_owned())
        .collect();
    if names.len() > usize::try_from(MOST_ROWS).unwrap_or(usize::MAX) {
        return Err(ApiError::bad_request(format!("more than {MOST_ROWS} stand there; ask by a line")));
    }
    if names.is_empty() {
        // Nothing has no name.
        names.push(String::new());
    }
    let mut asked = asked.clone();
    asked.query.filters = others;
    asked.query.filters.push(Filter { field: "name".to_owned(), op: FilterOp::Eq, values: names });
    Ok(Cow::Owned(asked))
}

fn fits(place: &Place, filter: &Filter) -> bool {
    let shown = place.to_string();
    let line = format!("{}:{}", place.file, place.line);
    let is = |value: &String| *value == shown || *value == line || **value == *place.file;
    match filter.op {
        FilterOp::Ne => !filter.values.iter().any(is),
        FilterOp::Contains => filter.values.iter().any(|value| shown.contains(value)),
        _ => filter.values.iter().any(is),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(pairs: &[(&str, &str)]) -> Result<Vec<String>, ApiError> {
        let places = [
            ("a", Place::new("master.cfg.lua", 3)),
            ("b", Place::new("master.cfg.lua", 14).column(2)),
            ("c", Place::new("lib/workers.lua", 3)),
        ];
        let pairs: Vec<_> = pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let asked = Asked::parse(&pairs)?;
        let asked = by_name(&asked, places.iter().map(|(name, place)| (*name, place)))?;
        let by = asked.query.filters.iter().find(|filter| filter.field == "name");
        Ok(by.map(|filter| filter.values.clone()).unwrap_or_default())
    }

    #[test]
    fn a_question_by_source_is_one_for_the_names_that_stand_there() {
        assert_eq!(names(&[("source", "master.cfg.lua")]).unwrap(), ["a", "b"]);
        assert_eq!(names(&[("source", "master.cfg.lua:14")]).unwrap(), ["b"]);
        assert_eq!(names(&[("source", "master.cfg.lua:14:2")]).unwrap(), ["b"]);
        assert_eq!(
            names(&[("source", "master.cfg.lua:3"), ("source", "lib/workers.lua:3")]).unwrap(),
            ["a", "c"]
        );
        assert_eq!(names(&[("source__contains", "lib/")]).unwrap(), ["c"]);
        assert_eq!(names(&[("source__ne", "master.cfg.lua")]).unwrap(), ["c"]);
        assert_eq!(names(&[("source", "elsewhere.lua")]).unwrap(), [""]);
        assert!(names(&[("number", "3")]).unwrap().is_empty(), "no question by source");
        assert!(names(&[("source__gt", "a")]).is_err());
    }
}
