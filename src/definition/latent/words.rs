//! Texts and tables of which a part may be rendered: what can be said of them before a build.

use super::Late;
use crate::{
    definition::{
        render::{Text, Worth},
        suggest,
    },
    model::PropertyValue,
};

/// One of several words.
pub(super) fn word<T: Copy>(text: &str, words: &[(&'static str, T)]) -> Result<T, String> {
    words.iter().find(|(word, _)| *word == text).map(|(_, value)| *value).ok_or_else(|| {
        let names: Vec<String> = words.iter().map(|(word, _)| format!("{word:?}")).collect();
        let hint = suggest::did_you_mean(text, words.iter().map(|(word, _)| *word));
        let hint = hint.map(|hint| format!(", {hint}")).unwrap_or_default();
        format!("takes {}, not {text:?}{hint}", names.join(" or "))
    })
}

/// A word that may be rendered.
pub(super) fn late_word<T: Copy>(
    text: Option<Text>,
    words: &[(&'static str, T)],
) -> Option<Result<Late<T>, String>> {
    Some(match text? {
        Text::Plain(text) => word(&text, words).map(Late::Fixed),
        Text::Rendered(renderable) => Ok(Late::Rendered(renderable)),
    })
}

/// A text that stands already, and says something.
pub(super) fn literal(text: Option<&Text>) -> Option<&str> {
    match text {
        Some(Text::Plain(text)) if !text.is_empty() => Some(text),
        _ => None,
    }
}

/// The names in a table that stands already.
pub(super) fn names(table: &Worth) -> Vec<&str> {
    match table {
        Worth::Plain(PropertyValue::Object(map)) => map.keys().map(String::as_str).collect(),
        Worth::Table(map) => map.keys().map(String::as_str).collect(),
        _ => Vec::new(),
    }
}

/// The first name in a table that has neither text nor what is as good as text.
pub(super) fn not_text(table: &Worth) -> Option<String> {
    let is_text = |value: &PropertyValue| value.is_string() || value.is_number() || value.is_boolean();
    match table {
        Worth::Plain(PropertyValue::Object(map)) => {
            map.iter().find(|(_, value)| !is_text(value)).map(|(name, _)| name.clone())
        }
        Worth::Table(map) => map
            .iter()
            .find(|(_, worth)| match worth {
                Worth::Plain(value) => !is_text(value),
                Worth::Rendered(_) => false,
                Worth::List(_) | Worth::Table(_) => true,
            })
            .map(|(name, _)| name.clone()),
        _ => None,
    }
}

/// Whether a text can be the name of a machine, or an IPv4 address.
pub(super) fn is_host(text: &str) -> bool {
    const MOST: usize = 253;
    text.len() <= MOST
        && text.split('.').all(|label| {
            (1..=63).contains(&label.len())
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
        })
}

/// A long text in a plan: its beginning, and how much there is of it.
pub(super) fn beginning(text: &str) -> String {
    const SHOWN: usize = 40;
    let count = text.chars().count();
    if count <= SHOWN {
        return format!("{text:?}");
    }
    let shown: String = text.chars().take(SHOWN).collect();
    format!("{shown:?}… ({count} characters)")
}
