//! Values that become whole at the moment of a build: `util.Interpolate`, `util.Property`, `util.Secret`,
//! `util.renderer`, `util.Transform`, `util.FlattenList`.
//!
//! # Laws
//! - What is nested is bounded where it is read, and what functions return is bounded here: rendering ends.
//! - Who renders decides what is known, and who may be asked: nothing here reads a file or calls Lua.
//!
//! # Not here
//! The formats of `util.Interpolate` ([`format`](mod@format)); who answers for [`Hooks`] and [`Secrets`].

use std::collections::BTreeMap;

use futures_util::future::BoxFuture;

use crate::{
    definition::{
        hook::{Hook, HookArgument, HookCall, HookError, Hooks, NoHooks},
        secret::{NoSecrets, SecretError, SecretName, Secrets},
    },
    model::{Properties, PropertyValue, SourceStamps, WorkerInfo},
};

pub mod format;
#[cfg(test)]
mod tests;

pub use format::{Filling, Form, FormatError, Piece};

/// What is known when a value is rendered, and who is asked for the rest.
#[derive(Clone, Copy, Debug)]
pub struct Known<'a> {
    /// The properties of the build.
    pub properties: &'a Properties,
    /// What the worker said of itself.
    pub worker: &'a WorkerInfo,
    /// What is built.
    pub sources: &'a SourceStamps,
    /// Who calls the functions of the configuration.
    pub hooks: &'a dyn Hooks,
    /// Who knows secrets.
    pub secrets: &'a dyn Secrets,
}

/// A value, or what becomes one at the moment of the build.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Worth {
    /// As it stands.
    Plain(PropertyValue),
    /// Rendered: a property keeps its type.
    Rendered(Renderable),
    /// A list in which something is rendered.
    List(Vec<Self>),
    /// A table in which something is rendered.
    Table(BTreeMap<String, Self>),
}

/// A text, or what becomes one at the moment of the build.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Text {
    /// As it stands.
    Plain(String),
    /// Rendered.
    Rendered(Renderable),
}

/// What a text has become in a build, where more than text is taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rendering {
    /// Nothing: a property that is not set.
    Nothing,
    /// A text.
    One(String),
    /// The texts of a list, those of lists within it too.
    Several(Vec<String>),
}

/// What is rendered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Renderable {
    /// `util.Property(name, default)`: one property.
    Property {
        /// Its name.
        name: String,
        /// What stands for it if it is not set.
        default: Option<Box<Worth>>,
        /// Whether the default also stands for one that is false, zero or empty; as in Buildbot, unless said otherwise.
        default_when_false: bool,
    },
    /// `util.Interpolate(format, keywords)`: text with holes.
    Interpolate(Vec<Piece>),
    /// `util.Secret(name)`.
    Secret(SecretName),
    /// `util.renderer(function)`, `util.Transform(function, …)`.
    Call(Box<Call>),
    /// `util.FlattenList(list)`: one list of all that is in lists within lists.
    Flatten(Box<Worth>),
}

/// A function that makes a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// Which.
    pub hook: Hook,
    /// Whether it is given the properties before all else, as a renderer is.
    pub takes_properties: bool,
    /// What it is given, rendered.
    pub arguments: Vec<Worth>,
    /// What it is given by name, rendered: a table, after all others, if there are any.
    pub keywords: BTreeMap<String, Worth>,
}

/// What counts as false, as in Python: nothing, false, zero, and what is empty.
pub fn is_false(value: &PropertyValue) -> bool {
    format::is_empty(value)
}

/// Why a value cannot be rendered.
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
    /// A secret cannot be had.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// A function of the configuration failed.
    #[error(transparent)]
    Hook(#[from] HookError),
    /// What functions return holds functions that return …
    #[error("what is rendered has to be rendered again, more than {MOST_ROUNDS} times")]
    Endless,
}

/// How often what a function returns may have to be rendered in its turn.
const MOST_ROUNDS: usize = 16;

impl<'a> Known<'a> {
    /// What a build knows where no function and no secret can be asked for.
    pub fn plain(properties: &'a Properties, worker: &'a WorkerInfo) -> Self {
        Self { properties, worker, sources: SourceStamps::none(), hooks: &NoHooks, secrets: &NoSecrets }
    }
}

impl Text {
    /// The text, rendered. Of a list or table there is none.
    pub async fn render(&self, known: Known<'_>) -> Result<String, RenderError> {
        match self {
            Self::Plain(text) => Ok(text.clone()),
            Self::Rendered(renderable) => {
                let value = renderable.value(known, MOST_ROUNDS).await?;
                text_of(&renderable.shown(), &value)
            }
        }
    }

    /// The texts that it becomes: those of a list, one by one, else itself.
    pub async fn flat(&self, known: Known<'_>) -> Result<Vec<String>, RenderError> {
        match self {
            Self::Plain(text) => Ok(vec![text.clone()]),
            Self::Rendered(renderable) => {
                let mut texts = Vec::new();
                let value = renderable.value(known, MOST_ROUNDS).await?;
                flatten(&renderable.shown(), value, &mut texts)?;
                Ok(texts)
            }
        }
    }

    /// What it becomes, where a list means something else than a text.
    pub async fn rendering(&self, known: Known<'_>) -> Result<Rendering, RenderError> {
        let renderable = match self {
            Self::Plain(text) => return Ok(Rendering::One(text.clone())),
            Self::Rendered(renderable) => renderable,
        };
        let name = renderable.shown();
        Ok(match renderable.value(known, MOST_ROUNDS).await? {
            PropertyValue::Null => Rendering::Nothing,
            list @ PropertyValue::Array(_) => {
                let mut texts = Vec::new();
                flatten(&name, list, &mut texts)?;
                Rendering::Several(texts)
            }
            value => Rendering::One(text_of(&name, &value)?),
        })
    }

    /// For people: the text, or the form of the renderable.
    pub fn shown(&self) -> String {
        match self {
            Self::Plain(text) => text.clone(),
            Self::Rendered(renderable) => renderable.shown(),
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
    pub async fn value(&self, known: Known<'_>) -> Result<PropertyValue, RenderError> {
        self.within(known, MOST_ROUNDS).await
    }

    fn within<'a>(
        &'a self,
        known: Known<'a>,
        rounds: usize,
    ) -> BoxFuture<'a, Result<PropertyValue, RenderError>> {
        Box::pin(async move {
            Ok(match self {
                Self::Plain(value) => value.clone(),
                Self::Rendered(renderable) => renderable.value(known, rounds).await?,
                Self::List(list) => {
                    let mut out = Vec::with_capacity(list.len());
                    for worth in list {
                        out.push(worth.within(known, rounds).await?);
                    }
                    PropertyValue::Array(out)
                }
                Self::Table(table) => {
                    let mut out = serde_json::Map::new();
                    for (name, worth) in table {
                        out.insert(name.clone(), worth.within(known, rounds).await?);
                    }
                    PropertyValue::Object(out)
                }
            })
        })
    }

    /// For people.
    pub fn shown(&self) -> String {
        match self {
            Self::Plain(value) => value.to_string(),
            Self::Rendered(renderable) => format!("{:?}", renderable.shown()),
            Self::List(list) => {
                format!("[{}]", list.iter().map(Self::shown).collect::<Vec<_>>().join(","))
            }
            Self::Table(table) => {
                let members = table.iter().map(|(name, worth)| format!("{name:?}:{}", worth.shown()));
                format!("{{{}}}", members.collect::<Vec<_>>().join(","))
            }
        }
    }

    /// The value, if nothing in it has to be rendered.
    pub fn plain(&self) -> Option<PropertyValue> {
        match self {
            Self::Plain(value) => Some(value.clone()),
            Self::Rendered(_) => None,
            Self::List(list) => list.iter().map(Self::plain).collect::<Option<_>>().map(PropertyValue::Array),
            Self::Table(table) => {
                let members = table.iter().map(|(name, worth)| Some((name.clone(), worth.plain()?)));
                members.collect::<Option<_>>().map(PropertyValue::Object)
            }
        }
    }

    /// All secrets that are named in it.
    pub fn secrets(&self, found: &mut Vec<SecretName>) {
        match self {
            Self::Plain(_) => {}
            Self::Rendered(renderable) => renderable.secrets(found),
            Self::List(list) => list.iter().for_each(|worth| worth.secrets(found)),
            Self::Table(table) => table.values().for_each(|worth| worth.secrets(found)),
        }
    }
}

impl From<PropertyValue> for Worth {
    fn from(value: PropertyValue) -> Self {
        Self::Plain(value)
    }
}

impl From<&str> for Worth {
    fn from(text: &str) -> Self {
        Self::Plain(text.into())
    }
}

impl Renderable {
    /// The value that it becomes, after at most so many rounds.
    fn value<'a>(
        &'a self,
        known: Known<'a>,
        rounds: usize,
    ) -> BoxFuture<'a, Result<PropertyValue, RenderError>> {
        Box::pin(async move {
            match self {
                Self::Property { name, default, default_when_false } => {
                    let value = known.properties.get(name).filter(|value| !value.is_null());
                    let value = value.filter(|value| {
                        default.is_none() || !*default_when_false || !format::is_empty(value)
                    });
                    match (value, default) {
                        (Some(value), _) => Ok(value.clone()),
                        (None, Some(default)) => default.within(known, rounds).await,
                        (None, None) => Ok(PropertyValue::Null),
                    }
                }
                Self::Interpolate(pieces) => {
                    format::text(pieces, known, rounds).await.map(PropertyValue::String)
                }
                Self::Secret(name) => {
                    let secret = known.secrets.secret(name).await?;
                    Ok(PropertyValue::String(secret.expose().to_owned()))
                }
                Self::Call(call) => call.value(known, rounds).await,
                Self::Flatten(list) => {
                    let mut out = Vec::new();
                    flatten_values(list.within(known, rounds).await?, &mut out);
                    Ok(PropertyValue::Array(out))
                }
            }
        })
    }

    /// For people: as `util.Interpolate` would write it where it can.
    pub fn shown(&self) -> String {
        match self {
            Self::Property { name, .. } => format!("%(prop:{name})s"),
            Self::Interpolate(pieces) => format::shown(pieces),
            Self::Secret(name) => format!("%(secret:{name})s"),
            Self::Call(call) => format!("the function at {}", call.hook.place),
            Self::Flatten(list) => list.shown(),
        }
    }

    /// All secrets that are named in it.
    pub fn secrets(&self, found: &mut Vec<SecretName>) {
        match self {
            Self::Property { default, .. } => {
                if let Some(default) = default {
                    default.secrets(found);
                }
            }
            Self::Interpolate(pieces) => format::secrets(pieces, found),
            Self::Secret(name) => found.push(name.clone()),
            Self::Call(call) => {
                call.arguments.iter().chain(call.keywords.values()).for_each(|worth| worth.secrets(found));
            }
            Self::Flatten(list) => list.secrets(found),
        }
    }
}

impl Call {
    async fn value(&self, known: Known<'_>, rounds: usize) -> Result<PropertyValue, RenderError> {
        let rounds = rounds.checked_sub(1).ok_or(RenderError::Endless)?;
        let mut arguments = Vec::with_capacity(self.arguments.len() + 2);
        if self.takes_properties {
            arguments.push(HookArgument::Properties(known.properties.clone()));
        }
        for argument in &self.arguments {
            arguments.push(HookArgument::Value(argument.within(known, rounds).await?));
        }
        if !self.keywords.is_empty() {
            let mut keywords = serde_json::Map::new();
            for (name, worth) in &self.keywords {
                keywords.insert(name.clone(), worth.within(known, rounds).await?);
            }
            arguments.push(HookArgument::Value(PropertyValue::Object(keywords)));
        }
        let answer = known.hooks.call(HookCall { hook: self.hook.id, arguments }).await?;
        answer.within(known, rounds).await
    }
}

/// The text of a value that `name` has.
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

fn flatten(name: &str, value: PropertyValue, texts: &mut Vec<String>) -> Result<(), RenderError> {
    let mut values = Vec::new();
    flatten_values(value, &mut values);
    for value in values {
        texts.push(text_of(name, &value)?);
    }
    Ok(())
}

fn flatten_values(value: PropertyValue, values: &mut Vec<PropertyValue>) {
    match value {
        PropertyValue::Array(list) => list.into_iter().for_each(|value| flatten_values(value, values)),
        value => values.push(value),
    }
}
