//! The operator's templates: the language of Jinja, with Buildbot's names in it.
//!
//! # Laws
//! - A template takes no more steps and writes no more bytes than it may; nothing outside it can be read.
//! - In a page, what is put into it is escaped.

use std::{
    collections::BTreeMap,
    io::{self, Write},
};

use minijinja::{AutoEscape, Environment, ErrorKind, Value, context, value::Serde};

use super::{MOST_BYTES, Master, Missing, TOLD, TextError, more, page};
use crate::{
    definition::reporter::{Message, TemplateType},
    model::{Place, PropertyValue, Timestamp, WorkerInfo, WorkerName},
};

/// Steps of one template: a text of some pages takes a thousand.
const FUEL: u64 = 50_000;

/// Bytes of a template.
const LONGEST: usize = 64 * 1024;

/// Macros within macros.
const DEEPEST: usize = 50;

/// Characters of what is wrong.
const SHOWN: usize = 300;

pub(super) fn check(message: &Message) -> Result<(), TextError> {
    let master = Master { title: "Lunabot".into(), url: Some("http://localhost/".into()) };
    let sample = sample();
    check_with(message, &values(message, Some(&sample), &workers(std::slice::from_ref(&sample)), &master))
}

/// Tries the templates of a message with what is usual.
pub(super) fn check_with(message: &Message, values: &Value) -> Result<(), TextError> {
    let parts =
        [("subject", &message.subject, AutoEscape::None), ("template", &message.template, escape(message))];
    for (option, source, escape) in parts {
        let Some(source) = source else { continue };
        let environment = environment(escape);
        let template = parsed(option, source, &environment)?;
        // Names of filters are looked up only when it runs. What else goes wrong may be due to the sample.
        let unknown = [ErrorKind::UnknownFilter, ErrorKind::UnknownTest, ErrorKind::UnknownFunction];
        match template.render_captured_to(values.clone(), Bounded::default()) {
            Err(error) if unknown.contains(&error.kind()) => return Err(fault(option, &error)),
            _ => {}
        }
    }
    Ok(())
}

/// What becomes of a template with these values.
pub(super) fn made(
    option: &'static str,
    source: &str,
    escape: AutoEscape,
    values: Value,
) -> Result<String, TextError> {
    let environment = environment(escape);
    rendered(option, &parsed(option, source, &environment)?, values)
}

/// A worker of which all is known.
fn sample() -> Missing {
    let info = ["admin", "host", "version", "system"].map(|key| (key.to_owned(), "sample".into()));
    Missing {
        worker: WorkerName::new("sample").expect("it is a name"),
        source: Place::new("master.cfg.lua", 1),
        absent_since: Timestamp::UNIX_EPOCH,
        last_connection: Some(Timestamp::UNIX_EPOCH),
        peer: Some("192.0.2.1".into()),
        info: WorkerInfo(info.into()),
        lost_builds: vec!["sample/1".into()],
        notify: Vec::new(),
    }
}

/// The subject: one that does not speak of `workers` is that of the first, and tells how many there are besides.
pub(super) fn subject(
    source: &str,
    message: &Message,
    about: &[Missing],
    of: &Master,
) -> Result<String, TextError> {
    let environment = environment(AutoEscape::None);
    let template = parsed("subject", source, &environment)?;
    let knows_all = template.undeclared_variables(false).contains("workers");
    let subject = rendered("subject", &template, values(message, about.first(), &workers(about), of))?;
    let subject = page::clipped(&subject);
    Ok(match about.len().saturating_sub(1) {
        0 => subject,
        _ if knows_all => subject,
        more => format!("{subject} (and {more} more)"),
    })
}

/// The bodies of all, one below the other.
pub(super) fn body(
    source: &str,
    message: &Message,
    about: &[Missing],
    of: &Master,
) -> Result<String, TextError> {
    let environment = environment(escape(message));
    let template = parsed("template", source, &environment)?;
    let between = match message.template_type {
        TemplateType::Plain => "\n\n",
        TemplateType::Html => "\n<hr>\n",
    };
    let all = workers(about);
    let mut bodies: Vec<String> = Vec::new();
    let mut bytes = 0;
    for worker in about.iter().take(TOLD) {
        let one = rendered("template", &template, values(message, Some(worker), &all, of))?;
        bytes += one.len() + between.len();
        if bytes > MOST_BYTES && !bodies.is_empty() {
            bodies.push(format!("{} more\n", about.len() - bodies.len()));
            return Ok(bodies.join(between));
        }
        bodies.push(one);
    }
    bodies.extend(more(about).map(|more| match message.template_type {
        TemplateType::Plain => format!("{more}\n"),
        TemplateType::Html => format!("<p>{}</p>\n", page::escaped(&more)),
    }));
    Ok(bodies.join(between))
}

pub(super) fn escape(message: &Message) -> AutoEscape {
    match message.template_type {
        TemplateType::Plain => AutoEscape::None,
        TemplateType::Html => AutoEscape::Html,
    }
}

fn environment(escape: AutoEscape) -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_fuel(Some(FUEL));
    environment.set_recursion_limit(DEEPEST);
    environment.set_auto_escape_callback(move |_| escape.clone());
    environment
}

fn parsed<'env, 'source>(
    option: &'static str,
    source: &'source str,
    environment: &'env Environment<'source>,
) -> Result<minijinja::Template<'env, 'source>, TextError> {
    if source.len() > LONGEST {
        let why = format!("it is longer than {} KiB", LONGEST / 1024);
        return Err(TextError { option, line: None, why });
    }
    environment.template_from_named_str(option, source).map_err(|error| fault(option, &error))
}

fn rendered(
    option: &'static str,
    template: &minijinja::Template<'_, '_>,
    values: Value,
) -> Result<String, TextError> {
    let mut out = Bounded::default();
    let outcome = template.render_captured_to(values, &mut out).map(drop);
    if out.is_over {
        let why = format!("it writes more than {} KiB", MOST_BYTES / 1024);
        return Err(TextError { option, line: None, why });
    }
    outcome.map_err(|error| fault(option, &error))?;
    Ok(String::from_utf8_lossy(&out.bytes).into_owned())
}

fn fault(option: &'static str, error: &minijinja::Error) -> TextError {
    let why = match error.kind() {
        ErrorKind::OutOfFuel => "it takes too many steps".to_owned(),
        kind => error.detail().map_or_else(|| kind.to_string(), |detail| format!("{kind}: {detail}")),
    };
    let why = why.chars().map(|c| if c.is_control() { ' ' } else { c }).take(SHOWN).collect();
    TextError { option, line: error.line(), why }
}

/// What a template can use. The operator's own names come over ours, as in Buildbot.
fn values(message: &Message, one: Option<&Missing>, all: &Value, of: &Master) -> Value {
    let mut values: BTreeMap<&str, Value> = BTreeMap::new();
    values.insert("buildbot_title", Value::from(of.title.as_str()));
    values.insert("buildbot_url", Value::from(of.url.as_deref().unwrap_or_default()));
    values.insert("worker", one.map_or(Value::UNDEFINED, worker));
    values.insert("workers", all.clone());
    let own: &BTreeMap<String, PropertyValue> = &message.context;
    values.insert("ctx", Value::from(Serde(own)));
    values.extend(own.iter().map(|(name, value)| (name.as_str(), Value::from(Serde(value)))));
    Value::from_pairs(values)
}

fn workers(all: &[Missing]) -> Value {
    all.iter().map(worker).collect()
}

fn worker(missing: &Missing) -> Value {
    let notify: Vec<String> = missing.notify.iter().map(ToString::to_string).collect();
    context! {
        name => missing.worker.as_str(),
        last_connection => missing.last_connection.map(page::iso),
        missing_since => page::iso(missing.absent_since),
        peer => missing.peer.clone(),
        workerinfo => Value::from(Serde(&missing.info)),
        notify => notify,
        lost_builds => missing.lost_builds.clone(),
        source => missing.source.to_string(),
    }
}

/// Takes no more than [`MOST_BYTES`].
#[derive(Default)]
struct Bounded {
    bytes: Vec<u8>,
    is_over: bool,
}

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.bytes.len() + bytes.len() > MOST_BYTES {
            self.is_over = true;
            return Err(io::Error::other("it is full"));
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
