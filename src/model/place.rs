//! Where in the operator's files something was written.

use std::{collections::BTreeMap, fmt, sync::Arc};

use serde::{Serialize, Serializer, ser::SerializeStruct as _};

/// A line of a file of the configuration.
///
/// Stands outside equality: a definition that moved down a line is the same definition, and a reload must not
/// see a change in it.
#[derive(Clone, Debug)]
pub struct Place {
    /// The file, as the operator named it.
    pub file: Arc<str>,
    /// The line, from 1; 0 if only the file is known.
    pub line: u32,
    /// The column in characters, from 1; 0 if only the line is known.
    pub column: u32,
}

/// Where a part and its options were written. Stands outside equality, as [`Place`] does.
#[derive(Clone, Debug)]
pub struct Places {
    /// Where the part was written.
    pub whole: Place,
    /// Where its options were, as far as that is known.
    pub options: BTreeMap<&'static str, Place>,
}

impl PartialEq for Places {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Places {}

impl Place {
    /// A line of a file.
    pub fn new(file: impl Into<Arc<str>>, line: u32) -> Self {
        Self { file: file.into(), line, column: 0 }
    }

    /// The same with a column, from 1.
    #[must_use]
    pub fn column(mut self, column: u32) -> Self {
        self.column = column;
        self
    }
}

impl PartialEq for Place {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Place {}

/// For programs: the parts, null where they are not known, and `shown`, the whole as people read it.
impl Serialize for Place {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let known = |number: u32| (number > 0).then_some(number);
        let mut place = serializer.serialize_struct("Place", 4)?;
        place.serialize_field("file", self.file.as_ref())?;
        place.serialize_field("line", &known(self.line))?;
        place.serialize_field("column", &known(self.column))?;
        place.serialize_field("shown", &self.to_string())?;
        place.end()
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.line, self.column) {
            (0, _) => f.write_str(&self.file),
            (line, 0) => write!(f, "{}:{line}", self.file),
            (line, column) => write!(f, "{}:{line}:{column}", self.file),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_told_what_is_known_of_a_place() {
        let shape = |place: Place| serde_json::to_value(place).unwrap().to_string();
        assert_eq!(
            shape(Place::new("m.lua", 14).column(3)),
            r#"{"column":3,"file":"m.lua","line":14,"shown":"m.lua:14:3"}"#
        );
        assert_eq!(
            shape(Place::new("m.lua", 0)),
            r#"{"column":null,"file":"m.lua","line":null,"shown":"m.lua"}"#
        );
    }
}
