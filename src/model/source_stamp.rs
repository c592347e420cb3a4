//! What is built: for each codebase a branch and a revision of a repository.

use std::collections::BTreeMap;

use crate::model::Properties;

/// The facts about what is built in one codebase; absent where nobody has said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SourceStamp {
    /// `branch`, `revision`, `repository`, `project`, `codebase`.
    facts: BTreeMap<String, String>,
}

/// The source stamps of a build, by codebase.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SourceStamps(BTreeMap<String, SourceStamp>);

static NONE: SourceStamps = SourceStamps(BTreeMap::new());

impl SourceStamps {
    /// None.
    pub fn none() -> &'static Self {
        &NONE
    }

    /// The one source stamp of a build that no change has asked for: what its properties say of it.
    pub fn of_properties(properties: &Properties) -> Self {
        // Each build has these properties; where nobody has said, they are empty.
        let given = |name: &str| properties.get(name)?.as_str().filter(|text| !text.is_empty());
        let fact = |name: &str| Some((name.to_owned(), given(name)?.to_owned()));
        let names = ["branch", "revision", "repository", "project", "codebase"];
        let facts: BTreeMap<_, _> = names.into_iter().filter_map(fact).collect();
        let codebase = facts.get("codebase").cloned().unwrap_or_default();
        Self(BTreeMap::from([(codebase, SourceStamp { facts })]))
    }

    /// A fact about a codebase.
    pub fn get(&self, codebase: &str, attribute: &str) -> Option<&str> {
        self.0.get(codebase)?.facts.get(attribute).map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_one_source_stamp_is_what_the_properties_say() {
        let mut properties = Properties::new();
        properties.set("branch", "main", "Force Build Form");
        properties.set("revision", "", "Build");
        let sources = SourceStamps::of_properties(&properties);
        assert_eq!(sources.get("", "branch"), Some("main"));
        assert_eq!(sources.get("", "revision"), None);
        assert_eq!(sources.get("lib", "branch"), None);
    }
}
