//! "Did you mean": the nearest of the names that would have been right.

/// A hint naming the candidate nearest to `given`, if one is near enough to be what was meant.
pub fn did_you_mean<'a>(given: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<String> {
    nearest(given, candidates).map(|name| format!("did you mean `{name}`?"))
}

/// The candidate nearest to `given`: the same but for case and underscores, or a typing slip or two away.
pub fn nearest<'a>(given: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let plain = |text: &str| text.replace(['_', '-'], "").to_lowercase();
    let wanted = plain(given);
    candidates
        .into_iter()
        .map(|name| {
            let name_plain = plain(name);
            let slips = strsim::damerau_levenshtein(&wanted, &name_plain);
            // A third of the letters may be wrong; a longer name that merely begins alike is far, but told.
            let limit = (wanted.chars().count().max(name_plain.chars().count()) / 3).max(1);
            (slips, limit, name)
        })
        .filter(|(slips, limit, _)| slips <= limit)
        .min_by_key(|(slips, _, _)| *slips)
        .map(|(_, _, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_finds_its_name_and_a_stranger_finds_none() {
        let options = ["max_builds", "missing_timeout", "keepalive_interval", "properties"];
        assert_eq!(nearest("max_build", options), Some("max_builds"));
        assert_eq!(nearest("maxBuilds", options), Some("max_builds"));
        assert_eq!(nearest("keepalive-interval", options), Some("keepalive_interval"));
        assert_eq!(nearest("colour", options), None);
        assert_eq!(did_you_mean("propertis", options).as_deref(), Some("did you mean `properties`?"));
    }
}
