//! Which builds a reporter tells of, and which logs go with the mail.
//!
//! # Laws
//! - Builders are named, or tags, and not both.
//! - What is named has the order of its names: Lua's `pairs` gives another one at each load.
//!
//! # Not here
//! Whether a build that ended is one of these, which is sending.
//!
//! # Source
//! Buildbot 4.3.0, `reporters.BuildStatusGenerator`: modes, and that `"warnings"` alone means failures too. Ours differ: `"all"`
//! may stand in a list, and what could never tell anything is an error.

use std::{collections::BTreeSet, fmt, str::FromStr};

use super::message::{Message, TemplateType};
use crate::{
    definition::{
        options::MESSAGE_FORMATTER,
        problem::Problem,
        record::{Record, Value},
        render::Text,
        suggest,
    },
    model::{BuilderName, NameError, SchedulerName},
};

/// `reporters.BuildStatusGenerator`: a mail for each build that ended so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BuildGenerator {
    /// Which ends of builds are told; at least one.
    pub mode: BTreeSet<BuildMode>,
    /// Whose builds; those of all builders if absent.
    pub builders: Option<Vec<BuilderName>>,
    /// Those of builders that have one of these tags, if it is given.
    pub tags: Option<Vec<String>>,
    /// Those that one of these schedulers asked for, if it is given.
    pub schedulers: Option<Vec<SchedulerName>>,
    /// Those of one of these branches, if it is given.
    pub branches: Option<Vec<String>>,
    /// Which logs are attached.
    pub logs: AttachedLogs,
    /// The mail.
    pub message: Message,
}

/// An end of a build that is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum BuildMode {
    /// It failed.
    Failing,
    /// It succeeded.
    Passing,
    /// It had warnings.
    Warnings,
    /// It failed, and the build before it did not.
    Problem,
    /// It ended otherwise than the build before it.
    Change,
    /// It could not be carried out.
    Exception,
    /// Somebody stopped it.
    Cancelled,
}

/// A word that is no [`BuildMode`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no mode")]
pub struct UnknownMode(String);

/// Which logs of a build go with the mail about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AttachedLogs {
    /// None.
    None,
    /// All.
    All,
    /// Those of these names, `log` or `step.log`.
    Named(Vec<String>),
}

/// The word for each end but those that depend on the build before.
const ALL: &str = "all";

impl BuildMode {
    /// All of them, in the order of the documentation.
    pub const EACH: [Self; 7] = [
        Self::Failing,
        Self::Passing,
        Self::Warnings,
        Self::Problem,
        Self::Change,
        Self::Exception,
        Self::Cancelled,
    ];

    /// What stands for `mode`.
    const STANDARD: [Self; 3] = [Self::Failing, Self::Passing, Self::Warnings];

    /// What `"all"` means.
    const ENDS: [Self; 5] = [Self::Failing, Self::Passing, Self::Warnings, Self::Exception, Self::Cancelled];

    /// As the operator writes it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Failing => "failing",
            Self::Passing => "passing",
            Self::Warnings => "warnings",
            Self::Problem => "problem",
            Self::Change => "change",
            Self::Exception => "exception",
            Self::Cancelled => "cancelled",
        }
    }
}

impl FromStr for BuildMode {
    type Err = UnknownMode;

    fn from_str(word: &str) -> Result<Self, UnknownMode> {
        Self::EACH.into_iter().find(|mode| mode.word() == word).ok_or_else(|| UnknownMode(word.to_owned()))
    }
}

impl fmt::Display for BuildMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl BuildGenerator {
    /// The builds of all builders, in Buildbot's default mode.
    pub(super) fn of_all(message: Message) -> Self {
        Self {
            mode: BuildMode::STANDARD.into(),
            builders: None,
            tags: None,
            schedulers: None,
            branches: None,
            logs: AttachedLogs::None,
            message,
        }
    }

    /// `reporters.BuildStatusGenerator`.
    pub(super) fn from_record(record: &Record, problems: &mut Vec<Problem>) -> Self {
        let label = record.constructor.path();
        let message = Message::of(record, &label, "message_formatter", &MESSAGE_FORMATTER, problems)
            .unwrap_or_else(|| Message::standard(TemplateType::Plain));
        let mut reading = Reading { record, label: &label, problems };
        reading.builders_or_tags();
        Self {
            mode: reading.modes(),
            builders: reading.names("builders", "builder", BuilderName::new),
            tags: reading.texts("tags"),
            schedulers: reading.names("schedulers", "scheduler", SchedulerName::new),
            branches: reading.texts("branches"),
            logs: reading.logs(),
            message,
        }
    }

    /// What the options of older manuals say: nothing of builds, if `builders` is empty.
    pub(super) fn of_notifier(record: &Record, label: &str, problems: &mut Vec<Problem>) -> Option<Self> {
        let mut reading = Reading { record, label, problems };
        reading.builders_or_tags();
        let mode = reading.modes();
        if record.get("builders").is_some() && record.texts("builders").is_empty() {
            return None;
        }
        Some(Self {
            mode,
            builders: reading.names("builders", "builder", BuilderName::new),
            tags: reading.texts("tags"),
            ..Self::of_all(Message::own())
        })
    }
}

/// The reading of one record, and where its faults go.
struct Reading<'a> {
    record: &'a Record,
    label: &'a str,
    problems: &'a mut Vec<Problem>,
}

impl Reading<'_> {
    fn wrong(&mut self, option: &str, text: impl fmt::Display, hint: Option<String>) {
        let text = format!("{}: `{option}`: {text}", self.label);
        self.problems.push(Problem::error(self.record.place_of(option), text).hint(hint));
    }

    fn builders_or_tags(&mut self) {
        if self.record.get("builders").is_some() && self.record.get("tags").is_some() {
            self.wrong("tags", "says whose builds are told, as `builders` does; keep one of them", None);
        }
    }

    fn modes(&mut self) -> BTreeSet<BuildMode> {
        let words = match self.record.get("mode") {
            None => return BuildMode::STANDARD.into(),
            Some(Value::Text(Text::Plain(word))) if word == BuildMode::Warnings.word() => {
                return [BuildMode::Failing, BuildMode::Warnings].into();
            }
            Some(Value::Text(Text::Plain(word))) => vec![word],
            Some(_) => self.listed("mode").unwrap_or_default(),
        };
        let mut modes = BTreeSet::new();
        for word in words {
            match word.parse::<BuildMode>() {
                Ok(mode) => modes.extend([mode]),
                Err(_) if word == ALL => modes.extend(BuildMode::ENDS),
                Err(error) => {
                    let known = || BuildMode::EACH.map(BuildMode::word).into_iter().chain([ALL]);
                    let hint = suggest::did_you_mean(&word, known()).unwrap_or_else(|| {
                        let known: Vec<_> = known().map(|word| format!("`{word}`")).collect();
                        format!("there are {}", known.join(", "))
                    });
                    self.wrong("mode", error, Some(hint));
                }
            }
        }
        modes
    }

    /// A list of texts that is not empty; absent if it was not given.
    fn listed(&mut self, option: &'static str) -> Option<Vec<String>> {
        self.record.get(option)?;
        let texts = self.record.texts(option);
        if texts.is_empty() {
            self.wrong(option, "is empty, so nothing would ever be told", None);
        }
        Some(texts)
    }

    fn texts(&mut self, option: &'static str) -> Option<Vec<String>> {
        self.listed(option).map(sorted)
    }

    fn names<N: Ord>(
        &mut self,
        option: &'static str,
        noun: &str,
        read: impl Fn(&str) -> Result<N, NameError>,
    ) -> Option<Vec<N>> {
        let mut names = Vec::new();
        for text in self.listed(option)? {
            match read(&text) {
                Ok(name) => names.push(name),
                Err(error) => self.wrong(option, format!("{noun} {text:?}: {error}"), None),
            }
        }
        Some(sorted(names))
    }

    fn logs(&mut self) -> AttachedLogs {
        match self.record.get("add_logs") {
            None | Some(Value::Bool(false)) => AttachedLogs::None,
            Some(Value::Bool(true)) => AttachedLogs::All,
            Some(_) => match sorted(self.record.texts("add_logs")) {
                names if names.is_empty() => AttachedLogs::None,
                names => AttachedLogs::Named(names),
            },
        }
    }
}

fn sorted<T: Ord>(mut list: Vec<T>) -> Vec<T> {
    list.sort();
    list.dedup();
    list
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_mode_is_read_from_its_word_and_all_is_none_of_them() {
        for mode in BuildMode::EACH {
            assert_eq!(mode.word().parse(), Ok(mode));
        }
        assert_eq!("all".parse::<BuildMode>(), Err(UnknownMode("all".into())));
        assert_eq!("Failing".parse::<BuildMode>().unwrap_err().to_string(), "\"Failing\" is no mode");
    }
}
