//! Named values that steps are rendered with, each with the one who set it.

use std::collections::{BTreeMap, btree_map};

/// What a property may hold: what JSON can hold.
pub type PropertyValue = serde_json::Value;

/// A value and who set it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Property {
    /// The value.
    pub value: PropertyValue,
    /// Who set it: `Worker`, `Builder`, `Force Build Form`, a step's name.
    pub source: String,
}

/// The properties of a build or a request: later writers win, as in Buildbot.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct Properties(BTreeMap<String, Property>);

impl Properties {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets a value, over any earlier one.
    pub fn set(
        &mut self,
        name: impl Into<String>,
        value: impl Into<PropertyValue>,
        source: impl Into<String>,
    ) {
        self.0.insert(name.into(), Property { value: value.into(), source: source.into() });
    }

    /// Sets a value unless there is one, which is what Buildbot's `defaultProperties` do.
    pub fn set_default(&mut self, name: &str, value: impl Into<PropertyValue>, source: &str) {
        if !self.0.contains_key(name) {
            self.set(name, value, source);
        }
    }

    /// Takes over all of `other`, over any earlier values.
    pub fn update(&mut self, other: &Self) {
        self.0.extend(other.0.iter().map(|(name, property)| (name.clone(), property.clone())));
    }

    /// The value of a property.
    pub fn get(&self, name: &str) -> Option<&PropertyValue> {
        self.0.get(name).map(|property| &property.value)
    }

    /// All of them, by name.
    pub fn iter(&self) -> btree_map::Iter<'_, String, Property> {
        self.0.iter()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }
}

impl<'a> IntoIterator for &'a Properties {
    type Item = (&'a String, &'a Property);
    type IntoIter = btree_map::Iter<'a, String, Property>;
    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

impl FromIterator<(String, Property)> for Properties {
    fn from_iter<I: IntoIterator<Item = (String, Property)>>(properties: I) -> Self {
        Self(properties.into_iter().collect())
    }
}
