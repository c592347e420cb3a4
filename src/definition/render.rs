//! Texts that become whole with a build's properties: `util.Interpolate`, `util.Property`.

use std::collections::BTreeMap;

use crate::model::{Properties, PropertyValue, WorkerInfo};

/// What is known when a text is rendered.
#[derive(Clone, Copy, Debug)]
pub struct Known<'a> {
    /// The properties of the build.
    pub properties: &'a Properties,
    /// What the worker said of itself.
    pub worker: &'a WorkerInfo,
}

/// A value, or what becomes one at the moment of the build.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Worth {
    /// As it stands.
    Plain(PropertyValue),
    /// Rendered: a property keeps its type, all else becomes text.
    Rendered(Renderable),
}

/// A text, or what becomes one at the moment of the build.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Text {
    /// As it stands.
    Plain(String),
    /// Rendered against the properties of the build.
    Rendered(Renderable),
}

/// What is rendered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Renderable {
    /// `util.Property(name, default)`: one property.
    Property {
        /// Its name.
        name: String,
        /// What stands for it if it is not set.
        default: Option<PropertyValue>,
    },
    /// `util.Interpolate(format, keywords)`: text with holes.
    Interpolate(Vec<Piece>),
}

/// A piece of an interpolated text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// As it stands.
    Literal(String),
    /// `%(prop:name)s`, `%(kw:name)s` or `%(worker:name)s`.
    Hole {
        /// What fills it.
        filling: Filling,
        /// What is done with it.
        form: Form,
    },
}

/// What fills a hole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Filling {
    /// A property of the build.
    Property(String),
    /// What the worker said of itself.
    Worker(String),
    /// A keyword given beside the format.
    Keyword(Box<Text>),
}

/// What is done with the filling, as in Buildbot: after the name may stand `:-`, `:~` or `:+` and a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Form {
    /// The filling; empty if there is none.
    Plain,
    /// `:-text`: the text if there is no filling.
    IfAbsent(String),
    /// `:~text`: the text if the filling is absent, empty, false or zero.
    IfEmpty(String),
    /// `:+text`: the text if there is a filling, else nothing.
    IfPresent(String),
}

/// Why a format is no interpolation.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FormatError {
    /// A `%` that begins nothing known.
    #[error(
        "`{0}` begins no interpolation; write `%(prop:name)s`, `%(kw:name)s`, or `%%` for a percent sign"
    )]
    Stray(String),
    /// A hole that is not closed by `)s`.
    #[error("`%({0}` is not closed by `)s`")]
    Open(String),
    /// A selector that is not known.
    #[error("unknown selector `{0}`; `prop`, `worker` and `kw` can be used")]
    Selector(String),
    /// A keyword that was not given.
    #[error("no keyword `{0}` is given beside the format")]
    Keyword(String),
}

/// Why a text cannot be rendered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RenderError {
    /// A table or list where text is wanted.
    #[error("`{name}` holds a {kind}, where text is wanted")]
    NotText {
        /// The property, or the fact about the worker.
        name: String,
        /// What it holds.
        kind: &'static str,
    },
}

impl Text {
    /// The text with the holes filled.
    pub fn render(&self, known: Known<'_>) -> Result<String, RenderError> {
        match self {
            Self::Plain(text) => Ok(text.clone()),
            Self::Rendered(renderable) => renderable.render(known),
        }
    }

    /// For people: the text, or the form of the renderable.
    pub fn shown(&self) -> String {
        match self {
            Self::Plain(text) => text.clone(),
            Self::Rendered(Renderable::Property { name, .. }) => format!("%(prop:{name})s"),
            Self::Rendered(Renderable::Interpolate(pieces)) => pieces.iter().map(Piece::shown).collect(),
        }
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self::Plain(text.to_owned())
    }
}

impl Worth {
    /// The value.
    pub fn value(&self, known: Known<'_>) -> Result<PropertyValue, RenderError> {
        match self {
            Self::Plain(value) => Ok(value.clone()),
            Self::Rendered(Renderable::Property { name, default }) => {
                let value = known.properties.get(name).filter(|value| !value.is_null()).or(default.as_ref());
                Ok(value.cloned().unwrap_or_default())
            }
            Self::Rendered(renderable) => renderable.render(known).map(PropertyValue::String),
        }
    }
}

impl Renderable {
    /// Reads a format of `util.Interpolate`.
    pub fn interpolate(format: &str, keywords: &BTreeMap<String, Text>) -> Result<Self, FormatError> {
        let mut pieces = Vec::new();
        let mut literal = String::new();
        let mut rest = format;
        while let Some(at) = rest.find('%') {
            literal.push_str(&rest[..at]);
            rest = &rest[at + 1..];
            if let Some(after) = rest.strip_prefix('%') {
                literal.push('%');
                rest = after;
                continue;
            }
            let Some(inner) = rest.strip_prefix('(') else {
                return Err(FormatError::Stray(
                    rest.chars().next().map_or_else(|| "%".into(), |c| format!("%{c}")),
                ));
            };
            let (hole, after) = inner.split_once(")s").ok_or_else(|| FormatError::Open(inner.to_owned()))?;
            if !literal.is_empty() {
                pieces.push(Piece::Literal(std::mem::take(&mut literal)));
            }
            pieces.push(Piece::parse(hole, keywords)?);
            rest = after;
        }
        literal.push_str(rest);
        if !literal.is_empty() {
            pieces.push(Piece::Literal(literal));
        }
        Ok(Self::Interpolate(pieces))
    }

    fn render(&self, known: Known<'_>) -> Result<String, RenderError> {
        match self {
            Self::Property { name, default } => {
                let value = known.properties.get(name).filter(|value| !value.is_null()).or(default.as_ref());
                value.map_or_else(|| Ok(String::new()), |value| text_of(name, value))
            }
            Self::Interpolate(pieces) => pieces.iter().map(|piece| piece.render(known)).collect(),
        }
    }
}

impl Piece {
    fn parse(hole: &str, keywords: &BTreeMap<String, Text>) -> Result<Self, FormatError> {
        let (selector, rest) = hole.split_once(':').ok_or_else(|| FormatError::Selector(hole.to_owned()))?;
        let (name, form) = rest.split_once(':').map_or((rest, None), |(name, form)| (name, Some(form)));
        let filling = match selector {
            "prop" => Filling::Property(name.to_owned()),
            "worker" => Filling::Worker(name.to_owned()),
            "kw" => {
                let text = keywords.get(name).ok_or_else(|| FormatError::Keyword(name.to_owned()))?;
                Filling::Keyword(Box::new(text.clone()))
            }
            other => return Err(FormatError::Selector(other.to_owned())),
        };
        let form = match form.map(|form| (form.get(..1), form.get(1..).unwrap_or_default().to_owned())) {
            None => Form::Plain,
            Some((Some("-"), text)) => Form::IfAbsent(text),
            Some((Some("~"), text)) => Form::IfEmpty(text),
            Some((Some("+"), text)) => Form::IfPresent(text),
            Some(_) => return Err(FormatError::Selector(hole.to_owned())),
        };
        Ok(Self::Hole { filling, form })
    }

    fn render(&self, known: Known<'_>) -> Result<String, RenderError> {
        let (filling, form) = match self {
            Self::Literal(text) => return Ok(text.clone()),
            Self::Hole { filling, form } => (filling, form),
        };
        let filled = match filling {
            Filling::Keyword(text) => Some(PropertyValue::String(text.render(known)?)),
            Filling::Property(name) => known.properties.get(name).filter(|value| !value.is_null()).cloned(),
            Filling::Worker(name) => known.worker.0.get(name).filter(|value| !value.is_null()).cloned(),
        };
        let name = match filling {
            Filling::Property(name) | Filling::Worker(name) => name,
            Filling::Keyword(_) => "",
        };
        match (form, filled) {
            (Form::IfEmpty(text), Some(value)) if is_empty(&value) => Ok(text.clone()),
            (Form::IfAbsent(text) | Form::IfEmpty(text), None) | (Form::IfPresent(text), Some(_)) => {
                Ok(text.clone())
            }
            (Form::Plain | Form::IfPresent(_), None) => Ok(String::new()),
            (Form::Plain | Form::IfAbsent(_) | Form::IfEmpty(_), Some(value)) => text_of(name, &value),
        }
    }

    fn shown(&self) -> String {
        match self {
            Self::Literal(text) => text.clone(),
            Self::Hole { filling: Filling::Property(name), .. } => format!("%(prop:{name})s"),
            Self::Hole { filling: Filling::Worker(name), .. } => format!("%(worker:{name})s"),
            Self::Hole { filling: Filling::Keyword(text), .. } => text.shown(),
        }
    }
}

fn is_empty(value: &PropertyValue) -> bool {
    match value {
        PropertyValue::Null => true,
        PropertyValue::Bool(flag) => !flag,
        PropertyValue::Number(number) => number.as_f64() == Some(0.0),
        PropertyValue::String(text) => text.is_empty(),
        PropertyValue::Array(list) => list.is_empty(),
        PropertyValue::Object(table) => table.is_empty(),
    }
}

fn text_of(name: &str, value: &PropertyValue) -> Result<String, RenderError> {
    let not_text = |kind| Err(RenderError::NotText { name: name.to_owned(), kind });
    match value {
        PropertyValue::Null => Ok(String::new()),
        PropertyValue::Bool(flag) => Ok(flag.to_string()),
        PropertyValue::Number(number) => Ok(number.to_string()),
        PropertyValue::String(text) => Ok(text.clone()),
        PropertyValue::Array(_) => not_text("list"),
        PropertyValue::Object(_) => not_text("table"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn render(format: &str) -> String {
        let mut properties = Properties::new();
        properties.set("os", "solaris", "Worker");
        properties.set("n", 3, "Worker");
        properties.set("empty", "", "Worker");
        let keywords = BTreeMap::from([("flag".to_owned(), Text::Plain("-O2".into()))]);
        let renderable = Renderable::interpolate(format, &keywords).expect("the format is good");
        let facts = [("os_id", "debian".into()), ("numcpus", 4.into())];
        let worker =
            WorkerInfo(facts.map(|(name, value): (&str, PropertyValue)| (name.to_owned(), value)).into());
        let known = Known { properties: &properties, worker: &worker };
        Text::Rendered(renderable).render(known).expect("all properties are texts")
    }

    #[test]
    fn what_the_worker_said_of_itself_fills_holes_and_what_it_did_not_say_is_empty() {
        assert_eq!(render("%(worker:os_id)s-%(worker:numcpus)s [%(worker:admin)s]"), "debian-4 []");
        assert_eq!(render("%(worker:admin:-nobody)s %(worker:os_id:+known)s"), "nobody known");
    }

    #[test]
    fn a_property_that_stands_for_a_value_keeps_its_type() {
        let mut properties = Properties::new();
        properties.set("n", 3, "Worker");
        let worker = WorkerInfo::default();
        let known = Known { properties: &properties, worker: &worker };
        let of = |name: &str| {
            let renderable = Renderable::Property { name: name.into(), default: None };
            Worth::Rendered(renderable).value(known).expect("any value will do")
        };
        assert_eq!(of("n"), PropertyValue::from(3));
        assert_eq!(of("none"), PropertyValue::Null);
        let text = Renderable::interpolate("%(prop:n)s", &BTreeMap::new()).expect("the format is good");
        assert_eq!(Worth::Rendered(text).value(known), Ok(PropertyValue::from("3")));
    }

    #[test]
    fn holes_are_filled_as_in_buildbot() {
        assert_eq!(render("build-%(prop:os)s-%(prop:n)s %(kw:flag)s 100%%"), "build-solaris-3 -O2 100%");
        assert_eq!(render("[%(prop:none)s]"), "[]");
        assert_eq!(render("%(prop:none:-x)s %(prop:empty:-x)s|%(prop:empty:~y)s"), "x |y");
        assert_eq!(render("%(prop:os:+set)s%(prop:none:+set)s"), "set");
    }

    #[test]
    fn a_bad_format_says_what_is_wrong_with_it() {
        let error =
            |format| Renderable::interpolate(format, &BTreeMap::new()).expect_err("the format is bad");
        assert_eq!(error("5%d"), FormatError::Stray("%d".into()));
        assert_eq!(error("%"), FormatError::Stray("%".into()));
        assert_eq!(error("%(prop:os"), FormatError::Open("prop:os".into()));
        assert_eq!(error("%(src::branch)s"), FormatError::Selector("src".into()));
        assert_eq!(error("%(kw:x)s"), FormatError::Keyword("x".into()));
    }
}
