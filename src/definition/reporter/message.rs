//! What a reporter tells: its generators, and the texts of their mails.

use std::{collections::BTreeMap, fmt};

use super::build::BuildGenerator;
use crate::{
    definition::{
        options::{BUILD_STATUS_GENERATOR, Constructor, MESSAGE_FORMATTER_MISSING_WORKER},
        problem::Problem,
        record::{Record, Value},
        suggest,
    },
    model::{PropertyValue, WorkerName},
};

/// `reporters.WorkerMissingGenerator`: a mail for each worker that is missing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MissingGenerator {
    /// Which count.
    pub workers: WatchedWorkers,
    /// The mail.
    pub message: Message,
}

/// Whose absence is mailed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WatchedWorkers {
    /// That of all workers, those of later reloads too.
    All,
    /// That of these, in the order of their names.
    Named(Vec<WorkerName>),
}

/// `reporters.MessageFormatter` and `reporters.MessageFormatterMissingWorker`: the text of a mail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Its body, as a template; our own if absent.
    pub template: Option<String>,
    /// Its subject, as a template of one line; our own if absent.
    pub subject: Option<String>,
    /// What the body is.
    pub template_type: TemplateType,
    /// What the templates can use besides.
    pub context: BTreeMap<String, PropertyValue>,
}

/// What the body of a mail is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TemplateType {
    /// Text.
    Plain,
    /// A page.
    Html,
}

/// Faults of a record: the option, and what is wrong with it.
type Faults = Vec<(&'static str, String)>;

/// What older manuals give instead of `generators`.
const OLDER: [&str; 5] = ["mode", "tags", "builders", "watchedWorkers", "messageFormatterMissingWorker"];

/// What a reporter tells, by its `generators`, or by the options of older manuals.
pub(super) fn told(
    record: &Record,
    label: &str,
    faults: &mut Faults,
    problems: &mut Vec<Problem>,
) -> (Vec<BuildGenerator>, Vec<MissingGenerator>) {
    let Some(Value::Objects(generators)) = record.get("generators") else {
        let builds = BuildGenerator::of_notifier(record, label, problems);
        let formatter = "messageFormatterMissingWorker";
        let missing = MissingGenerator {
            workers: watched(record, "watchedWorkers", faults),
            message: Message::of(record, label, formatter, &MESSAGE_FORMATTER_MISSING_WORKER, problems)
                .unwrap_or_else(Message::own),
        };
        return (builds.into_iter().collect(), vec![missing]);
    };
    for option in OLDER.into_iter().filter(|option| record.get(option).is_some()) {
        faults.push((option, "says what `generators` says, which is given too; keep one of them".into()));
    }
    if generators.is_empty() {
        faults.push(("generators", "is empty, so it would never send anything".into()));
    }
    let (mut builds, mut missing) = (Vec::new(), Vec::new());
    for generator in generators.iter().filter(|generator| !generator.broken) {
        if generator.constructor.name == BUILD_STATUS_GENERATOR.name {
            builds.push(BuildGenerator::from_record(generator, problems));
        } else {
            missing.push(MissingGenerator::from_record(generator, problems));
        }
    }
    (builds, missing)
}

impl MissingGenerator {
    fn from_record(record: &Record, problems: &mut Vec<Problem>) -> Self {
        let label = record.constructor.path();
        let mut faults = Faults::new();
        let workers = watched(record, "workers", &mut faults);
        for (option, text) in faults {
            let text = format!("{label}: `{option}`: {text}");
            problems.push(Problem::error(record.place_of(option), text));
        }
        let formatter = &MESSAGE_FORMATTER_MISSING_WORKER;
        let message = Message::of(record, &label, "message_formatter", formatter, problems)
            .unwrap_or_else(|| Message::standard(TemplateType::Plain));
        Self { workers, message }
    }
}

impl Message {
    /// Our own text, as a page.
    pub fn own() -> Self {
        Self::standard(TemplateType::Html)
    }

    /// Our own text.
    pub(super) fn standard(template_type: TemplateType) -> Self {
        Self { template: None, subject: None, template_type, context: BTreeMap::new() }
    }

    /// The text that an option gives, which one of the other constructor cannot be: it speaks of other things.
    pub(super) fn of(
        record: &Record,
        label: &str,
        option: &str,
        wanted: &Constructor,
        problems: &mut Vec<Problem>,
    ) -> Option<Self> {
        let Value::Object(formatter) = record.get(option)? else { return None };
        if formatter.constructor.name != wanted.name {
            let (wanted, given) = (wanted.path(), formatter.constructor.path());
            let text = format!("{label}: `{option}` takes a `{wanted}`, not a `{given}`");
            problems.push(Problem::error(record.place_of(option), text));
            return None;
        }
        Self::from_record(&formatter, problems)
    }

    fn from_record(record: &Record, problems: &mut Vec<Problem>) -> Option<Self> {
        let mut complain = |option: &str, text: String, hint: Option<String>| {
            let text = format!("{}: `{option}`: {text}", record.constructor.path());
            problems.push(Problem::error(record.place_of(option), text).hint(hint));
        };
        let subject = record.text("subject");
        if subject.as_ref().is_some_and(|subject| subject.contains(char::is_control)) {
            complain("subject", "holds a control character; it is one line".into(), None);
        }
        let given = record.text("template_type")?;
        let template_type = match given.as_str() {
            "plain" => TemplateType::Plain,
            "html" => TemplateType::Html,
            other => {
                let hint = suggest::did_you_mean(other, ["plain", "html"])
                    .or_else(|| Some("`plain` and `html` are".to_owned()));
                complain("template_type", format!("{other:?} is no type of a mail"), hint);
                return None;
            }
        };
        let context = record.plain_properties("ctx");
        Some(Self { template: record.text("template"), subject, template_type, context })
    }
}

/// `"all"`, which is what stands for it too, or names.
fn watched(record: &Record, option: &'static str, faults: &mut Faults) -> WatchedWorkers {
    if record.get(option).is_none() {
        return WatchedWorkers::All;
    }
    let texts = record.texts(option);
    if matches!(&*texts, [all] if all == "all") {
        return WatchedWorkers::All;
    }
    if texts.is_empty() {
        faults.push((option, "is empty, so nothing would ever be told".into()));
    }
    let mut names = Vec::new();
    for text in texts {
        match WorkerName::new(&text) {
            Ok(name) => names.push(name),
            Err(error) => faults.push((option, format!("worker {text:?}: {error}"))),
        }
    }
    // Their order means nothing, and Lua's `pairs` gives another one at each load.
    names.sort();
    names.dedup();
    WatchedWorkers::Named(names)
}

impl fmt::Display for TemplateType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Plain => "plain",
            Self::Html => "html",
        })
    }
}

#[cfg(test)]
impl MissingGenerator {
    /// For all workers, in our own words, for tests.
    pub(super) fn all() -> Self {
        Self { workers: WatchedWorkers::All, message: Message::standard(TemplateType::Plain) }
    }
}
