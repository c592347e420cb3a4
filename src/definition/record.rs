//! The options of one constructor call, read and checked for type: what stands between the Lua table and a definition.
//!
//! `config` fills a [`Record`] by the [table of options](super::options); the definitions take their fields from it.
//! So no definition has heard of Lua, and no reader knows what a worker is.

use std::{collections::BTreeMap, time::Duration};

use crate::{
    definition::{
        hook::Hook,
        latent::{IdlePolicy, Late},
        options::{Constructor, Default, OptionSpec},
        render::{Text, Worth},
        secret::SecretText,
        step::{Condition, EnvironmentValue, WatchedFile},
    },
    model::{Place, PropertyValue, Secret},
};

/// The value of one option, of the type that the table of options demands.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// `None`, or `false` where a number or text was possible.
    None,
    /// A truth value.
    Bool(bool),
    /// A whole number within the bounds of its option.
    Integer(i64),
    /// A number of seconds.
    Seconds(Duration),
    /// A text, or what becomes one with a build's properties.
    Text(Text),
    /// A text that is not shown.
    Hidden(Secret),
    /// A text that is not shown, or the name of one.
    Secret(SecretText),
    /// Several of them.
    Secrets(Vec<SecretText>),
    /// Several of them, by name.
    SecretTable(BTreeMap<String, SecretText>),
    /// A number.
    Number(serde_json::Number),
    /// How long an idle instance is kept.
    Idle(IdlePolicy),
    /// A function.
    Hook(Hook),
    /// A truth value, or what becomes one in a build.
    Condition(Condition),
    /// A list of texts.
    Texts(Vec<Text>),
    /// Names and values, as JSON can hold them, or what becomes such.
    Properties(BTreeMap<String, Worth>),
    /// Names and texts.
    TextTable(BTreeMap<String, Text>),
    /// Pairs of texts.
    Pairs(Vec<(String, String)>),
    /// Environment variables.
    Environment(BTreeMap<String, EnvironmentValue>),
    /// Names and whole numbers within the bounds of their option.
    Counts(BTreeMap<String, i64>),
    /// Exit codes and the words for their outcomes.
    Outcomes(BTreeMap<i32, String>),
    /// Names of logs, and the files that they watch.
    LogFiles(BTreeMap<String, WatchedFile>),
    /// What JSON can hold, or what becomes such.
    Worth(Worth),
    /// A table with options of its own.
    Record(Box<Record>),
    /// What a constructor made: its record.
    Object(Box<Record>),
    /// A list of what constructors made.
    Objects(Vec<Record>),
}

/// One constructor call: which, where, and its options.
#[derive(Clone, Debug)]
pub struct Record {
    /// Which constructor.
    pub constructor: &'static Constructor,
    /// Where it was called.
    pub place: Place,
    /// The options that were given, by name.
    pub values: BTreeMap<&'static str, Value>,
    /// Where single options were given, if that is known: of `c`, which is filled line by line.
    pub places: BTreeMap<&'static str, Place>,
    /// An option that it cannot do without could not be read. That was told, so nothing follows from this record.
    pub broken: bool,
}

impl PartialEq for Record {
    fn eq(&self, other: &Self) -> bool {
        self.constructor.name == other.constructor.name && self.values == other.values
    }
}

/// A getter met an option that the table does not have, or of another kind: the reader and the definition disagree,
/// which no configuration can cause.
const LAW: &str = "the reader gives each option of the table the type that the table says";

impl Record {
    /// An empty call, to be filled.
    pub const fn new(constructor: &'static Constructor, place: Place) -> Self {
        Self { constructor, place, values: BTreeMap::new(), places: BTreeMap::new(), broken: false }
    }

    /// Whether the operator wrote this option (be it `None`).
    pub fn is_given(&self, name: &str) -> bool {
        self.values.contains_key(name)
    }

    /// Where an option was given; where the whole was, if that is not known.
    pub fn place_of(&self, name: &str) -> Place {
        self.places.get(name).unwrap_or(&self.place).clone()
    }

    /// A text, unrendered; its default if it was not given.
    pub fn text(&self, name: &str) -> Option<String> {
        match self.get(name)? {
            Value::Text(Text::Plain(text)) => Some(text),
            other => unreachable!("{LAW}: {name} is {other:?}"),
        }
    }

    /// A text that may be rendered.
    pub fn renderable(&self, name: &str) -> Option<Text> {
        match self.get(name)? {
            Value::Text(text) => Some(text),
            other => unreachable!("{LAW}: {name} is {other:?}"),
        }
    }

    /// A text that is not shown.
    pub fn hidden(&self, name: &str) -> Option<Secret> {
        match self.get(name)? {
            Value::Hidden(secret) => Some(secret),
            other => unreachable!("{LAW}: {name} is {other:?}"),
        }
    }

    /// A text that is not shown, or the name of one.
    pub fn secret(&self, name: &str) -> Option<SecretText> {
        match self.get(name)? {
            Value::Secret(secret) => Some(secret),
            other => unreachable!("{LAW}: {name} is {other:?}"),
        }
    }

    /// Texts that are not shown, by name.
    pub fn secret_table(&self, name: &str) -> BTreeMap<String, SecretText> {
        match self.get(name) {
            None => BTreeMap::new(),
            Some(Value::SecretTable(secrets)) => secrets,
            Some(other) => unreachable!("{LAW}: {name} is {other:?}"),
        }
    }

    /// A number.
    pub fn number(&self, name: &str) -> Option<serde_json::Number> {
        match self.get(name)? {
            Value::Number(number) => Some(number),
            other => unreachable!("{LAW}: {name} is {other:?}"),
        }
    }

    /// How long an idle instance is kept.
    pub fn idle(&self, name: &str) -> Option<IdlePolicy> {
        match self.get(name)? {
            Value::Idle(policy) => Some(policy),
            Value::Seconds(duration) => Some(IdlePolicy::after(duration)),
            other => unreachable!("{LAW}: {name} is {other:?}"),
        }
    }

    /// A function.
    pub fn hook(&self, name: &str) -> Option<Hook> {
        match self.get(name)? {
            Value::Hook(hook) => Some(hook),
            other => unreachable!("{LAW}: {name} is {other:?}"),
        }
    }

    /// What decides in a build. Every such option has a default.
    pub fn condition(&self, name: &str) -> Condition {
        self.condition_if_given(name).unwrap_or_else(|| unreachable!("{LAW}: {name} is absent"))
    }

    /// What decides, where there need not be anything.
    pub fn condition_if_given(&self, name: &str) -> Option<Condition> {
        match self.get(name)? {
            Value::Condition(condition) => Some(condition),
            Value::Bool(flag) => Some(Condition::Fixed(flag)),
            other => unreachable!("{LAW}: {name} is {other:?}"),
        }
    }

    /// What JSON can hold, or what becomes such.
    pub fn worth(&self, name: &str) -> Option<Worth> {
        match self.get(name)? {
            Value::Worth(worth) => Some(worth),
            other => unreachable!("{LAW}: {name} is {other:?}"),
        }
    }

    /// A truth value that may be rendered. Every such option has a default.
    pub fn late_flag(&self, name: &str) -> Late<bool> {
        match self.get(name) {
            Some(Value::Bool(flag)) => Late::Fixed(flag),
            Some(Value::Worth(Worth::Rendered(renderable))) => Late::Rendered(renderable),
            other => unreachable!("{LAW}: {name} is {other:?}"),
        }
    }

    /// A whole number that may be rendered.
    pub fn late_integer(&self, name: &str) -> Option<Late<i64>> {
        match self.get(name)? {
            Value::Integer(number) => Some(Late::Fixed(number)),
            Value::Worth(Worth::Rendered(renderable)) => Some(Late::Rendered(renderable)),
            other => unreachable!("{LAW}: {name} is {other:?}"),
        }
    }

    /// Pairs of texts.
    pub fn pairs(&self, name: &str) -> Vec<(String, String)> {
        match self.get(name) {
            None => Vec::new(),
            Some(Value::Pairs(pairs)) => pairs,
            Some(other) => unreachable!("{LAW}: {name} is {other:?}"),
        }
    }

    /// A table with options of its own.
    pub fn record(&self, name: &str) -> Option<Self> {
        match self.get(name)? {
            Value::Record(record) => Some(*record),
            other => unreachable!("{LAW}: {name} is {other:?}"),
        }
    }

    /// A list of tables with options of their own.
    pub fn records(&self, name: &str) -> Vec<Self> {
        match self.get(name) {
            None => Vec::new(),
            Some(Value::Objects(records)) => records,
            Some(other) => unreachable!("{LAW}: {name} is {other:?}"),
        }
    }

    /// Names and texts that may be rendered.
    pub fn text_table(&self, name: &str) -> BTreeMap<String, Text> {
        match self.get(name) {
            None => BTreeMap::new(),
            Some(Value::TextTable(texts)) => texts,
            Some(other) => unreachable!("{LAW}: {name} is {other:?}"),
        }
    }

    /// Names and texts, unrendered.
    pub fn plain_text_table(&self, name: &str) -> BTreeMap<String, String> {
        let plain = |(key, text)| match text {
            Text::Plain(text) => (key, text),
            Text::Rendered(other) => unreachable!("{LAW}: {name} holds {other:?}"),
        };
        self.text_table(name).into_iter().map(plain).collect()
    }

    /// Names and whole numbers.
    pub fn counts(&self, name: &str) -> BTreeMap<String, i64> {
        match self.get(name) {
            None => BTreeMap::new(),
            Some(Value::Counts(counts)) => counts,
            Some(other) => unreachable!("{LAW}: {name} is {other:?}"),
        }
    }

    /// Texts that are not shown.
    pub fn secrets(&self, name: &str) -> Option<Vec<SecretText>> {
        match self.get(name)? {
            Value::Secrets(secrets) => Some(secrets),
            other => unreachable!("{LAW}: {name} is {other:?}"),
        }
    }

    /// A truth value. Every such option has a default.
    pub fn flag(&self, name: &str) -> bool {
        match self.get(name) {
            Some(Value::Bool(flag)) => flag,
            other => unreachable!("{LAW}: {name} is {other:?}"),
        }
    }

    /// A whole number.
    pub fn integer(&self, name: &str) -> Option<i64> {
        match self.get(name)? {
            Value::Integer(number) => Some(number),
            other => unreachable!("{LAW}: {name} is {other:?}"),
        }
    }

    /// A span of time.
    pub fn duration(&self, name: &str) -> Option<Duration> {
        match self.get(name)? {
            Value::Seconds(duration) => Some(duration),
            other => unreachable!("{LAW}: {name} is {other:?}"),
        }
    }

    /// A list of texts, unrendered.
    pub fn texts(&self, name: &str) -> Vec<String> {
        self.renderables(name)
            .into_iter()
            .map(|text| match text {
                Text::Plain(text) => text,
                Text::Rendered(other) => unreachable!("{LAW}: {name} holds {other:?}"),
            })
            .collect()
    }

    /// A list of texts that may be rendered.
    pub fn renderables(&self, name: &str) -> Vec<Text> {
        match self.get(name) {
            None => Vec::new(),
            Some(Value::Texts(texts)) => texts,
            Some(other) => unreachable!("{LAW}: {name} is {other:?}"),
        }
    }

    /// Names and values, none of them rendered.
    pub fn plain_properties(&self, name: &str) -> BTreeMap<String, PropertyValue> {
        let plain = |(key, worth): (String, Worth)| {
            let value = worth.plain().unwrap_or_else(|| unreachable!("{LAW}: {name} holds {worth:?}"));
            (key, value)
        };
        self.properties(name).into_iter().map(plain).collect()
    }

    /// Names and values that may be rendered.
    pub fn properties(&self, name: &str) -> BTreeMap<String, Worth> {
        match self.get(name) {
            None => BTreeMap::new(),
            Some(Value::Properties(properties)) => properties,
            Some(other) => unreachable!("{LAW}: {name} is {other:?}"),
        }
    }

    /// Environment variables.
    pub fn environment(&self, name: &str) -> BTreeMap<String, EnvironmentValue> {
        match self.get(name) {
            None => BTreeMap::new(),
            Some(Value::Environment(variables)) => variables,
            Some(other) => unreachable!("{LAW}: {name} is {other:?}"),
        }
    }

    /// Names of logs, and the files that they watch.
    pub fn log_files(&self, name: &str) -> BTreeMap<String, WatchedFile> {
        match self.get(name) {
            None => BTreeMap::new(),
            Some(Value::LogFiles(files)) => files,
            Some(other) => unreachable!("{LAW}: {name} is {other:?}"),
        }
    }

    /// The raw value: what was given, else the default of the table, else nothing.
    pub fn get(&self, name: &str) -> Option<Value> {
        let spec = self.constructor.option(name).unwrap_or_else(|| unreachable!("{LAW}: no option {name}"));
        match self.values.get(spec.name) {
            Some(Value::None) => None,
            Some(value) => Some(value.clone()),
            None => default(spec),
        }
    }
}

fn default(spec: &OptionSpec) -> Option<Value> {
    match spec.default {
        Default::Required | Default::None | Default::Empty | Default::Derived(_) => None,
        Default::Bool(flag) => Some(Value::Bool(flag)),
        Default::Integer(number) => Some(Value::Integer(number)),
        Default::Seconds(seconds) => Some(Value::Seconds(Duration::from_secs(seconds))),
        Default::Number(number) => serde_json::Number::from_f64(number).map(Value::Number),
        Default::Text(text) => Some(Value::Text(Text::Plain(text.to_owned()))),
    }
}
