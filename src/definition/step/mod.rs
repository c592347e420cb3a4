//! A step, as the operator defined it: what all have here, what a kind has in its file.

mod condition;
mod shell;
mod transfer;
mod trigger;

pub use condition::Condition;
pub use shell::{Command, EnvironmentValue, SIGNALS, ShellCommand, WatchedFile};
pub use transfer::{
    Compression, Content, Download, Limits, UploadDirectory, UploadFile, UploadMany, UploadTarget,
};
pub use trigger::Trigger;

use std::time::Duration;

use crate::{
    definition::{
        hook::Hook,
        lock::LockAccess,
        problem::Problem,
        record::Record,
        render::{Text, Worth},
    },
    model::{Outcome, Place},
};

/// A step and what its outcome means for the build.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepDefinition {
    /// Its name, unique in its factory.
    pub name: String,
    /// What it does.
    pub kind: StepKind,
    /// What people read of it, where its own words are not wanted.
    pub description: Description,
    /// What a failure of the step is for the build: `flunkOnFailure`, `warnOnFailure`.
    pub failure_counts_as: Outcome,
    /// What warnings of the step are for the build: `flunkOnWarnings`, `warnOnWarnings`.
    pub warnings_count_as: Outcome,
    /// After a failure, skip the steps that follow (but those that always run).
    pub halt_on_failure: bool,
    /// Runs even after a halt.
    pub always_run: bool,
    /// Whether it is done; else it is skipped.
    pub do_step_if: Condition,
    /// Whether it is left out where steps are shown.
    pub hide_step_if: Condition,
    /// What it holds of locks while it runs.
    pub locks: Vec<LockAccess>,
    /// Where it was written.
    pub place: Place,
}

/// Lines for people, each in words that are joined by spaces; none if empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Description {
    /// While it runs.
    pub running: Vec<Text>,
    /// Once it has ended.
    pub done: Vec<Text>,
    /// Added to both.
    pub suffix: Vec<Text>,
}

/// What a step does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StepKind {
    /// `steps.ShellCommand`.
    Shell(ShellCommand),
    /// `steps.SetPropertyFromCommand`.
    SetPropertyFromCommand(SetPropertyFromCommand),
    /// `steps.SetProperty`.
    SetProperty {
        /// Which.
        property: Text,
        /// To what.
        value: Worth,
    },
    /// `steps.FileUpload`.
    UploadFile(UploadFile),
    /// `steps.DirectoryUpload`.
    UploadDirectory(UploadDirectory),
    /// `steps.MultipleFileUpload`.
    UploadMany(UploadMany),
    /// `steps.FileDownload`, `steps.StringDownload`, `steps.JSONStringDownload`.
    Download(Download),
    /// `steps.MakeDirectory`.
    MakeDirectory {
        /// Which, below the builder's folder.
        dir: Text,
    },
    /// `steps.RemoveDirectory`.
    RemoveDirectory {
        /// Which, below the builder's folder.
        dirs: Vec<Text>,
    },
    /// `steps.CopyDirectory`.
    CopyDirectory(CopyDirectory),
    /// `steps.Trigger`.
    Trigger(Trigger),
}

/// `steps.SetPropertyFromCommand`: the output of a command becomes a property of the build.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetPropertyFromCommand {
    /// What becomes of the output.
    pub extraction: Extraction,
    /// Whether its standard output counts; else that is empty.
    pub include_stdout: bool,
    /// What is run.
    pub command: ShellCommand,
}

/// How properties come out of the output of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Extraction {
    /// Its standard output is the value of one.
    Property {
        /// Which.
        name: Text,
        /// Whether white space around the value is removed.
        strip: bool,
    },
    /// A function makes a table of them: of exit code, standard output, standard error.
    Function(Hook),
}

/// `steps.CopyDirectory`: a copy on the worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CopyDirectory {
    /// What is copied, below the builder's folder.
    pub from: Text,
    /// Where to, below the builder's folder.
    pub to: Text,
    /// How long it may be silent.
    pub timeout: Option<Duration>,
    /// How long it may run in all.
    pub max_time: Option<Duration>,
}

/// Whether people can read a name in one line.
fn is_name(name: &str) -> bool {
    !name.is_empty() && name.chars().count() <= 50 && !name.chars().any(char::is_control)
}

impl StepDefinition {
    /// A step from its record; what is wrong goes to `problems`.
    pub fn from_record(record: &Record, problems: &mut Vec<Problem>) -> Option<Self> {
        let name = record.text("name")?;
        if !is_name(&name) {
            let text = format!(
                "step {name:?}: a step's name has 1 to 50 characters, none of them a control character"
            );
            problems.push(Problem::error(record.place.clone(), text));
            return None;
        }
        Some(Self {
            kind: StepKind::from_record(&name, record, problems)?,
            description: Description {
                running: record.renderables("description"),
                done: record.renderables("descriptionDone"),
                suffix: record.renderables("descriptionSuffix"),
            },
            name,
            failure_counts_as: counts_as(record.flag("flunkOnFailure"), record.flag("warnOnFailure")),
            warnings_count_as: counts_as(record.flag("flunkOnWarnings"), record.flag("warnOnWarnings")),
            halt_on_failure: record.flag("haltOnFailure"),
            always_run: record.flag("alwaysRun"),
            do_step_if: record.condition("doStepIf"),
            hide_step_if: record.condition("hideStepIf"),
            locks: LockAccess::all_from_record(record, problems),
            place: record.place.clone(),
        })
    }
}

impl Extraction {
    fn from_record(step: &str, record: &Record, problems: &mut Vec<Problem>) -> Option<Self> {
        match (record.renderable("property"), record.hook("extract_fn")) {
            (Some(name), None) => Some(Self::Property { name, strip: record.flag("strip") }),
            (None, Some(hook)) => Some(Self::Function(hook)),
            // One of them could not be read, which was told.
            (None, None) if record.broken => None,
            (property, _) => {
                let what = match property {
                    Some(_) => "`property` and `extract_fn` are both given; keep one of them",
                    None => "`property` is missing (or `extract_fn`, which sets several)",
                };
                let text = format!("step {step:?}: {what}");
                problems.push(Problem::error(record.place.clone(), text));
                None
            }
        }
    }
}

/// The graver flag wins.
const fn counts_as(flunks: bool, warns: bool) -> Outcome {
    match (flunks, warns) {
        (true, _) => Outcome::Failure,
        (false, true) => Outcome::Warnings,
        (false, false) => Outcome::Success,
    }
}

impl StepKind {
    fn from_record(step: &str, record: &Record, problems: &mut Vec<Problem>) -> Option<Self> {
        // A definition has no better way to know which constructor made its record than by its name, which is unique.
        Some(match record.constructor.name {
            "SetPropertyFromCommand" => Self::SetPropertyFromCommand(SetPropertyFromCommand {
                extraction: Extraction::from_record(step, record, problems)?,
                include_stdout: record.flag("includeStdout"),
                command: ShellCommand::from_record(step, record, problems)?,
            }),
            "SetProperty" => {
                Self::SetProperty { property: record.renderable("property")?, value: record.worth("value")? }
            }
            "FileUpload" => Self::UploadFile(UploadFile::from_record(record)?),
            "DirectoryUpload" => Self::UploadDirectory(UploadDirectory::from_record(step, record, problems)?),
            "MultipleFileUpload" => Self::UploadMany(UploadMany::from_record(step, record, problems)?),
            "FileDownload" => {
                Self::Download(Download::from_record(record, Content::File(record.renderable("mastersrc")?))?)
            }
            "StringDownload" => {
                Self::Download(Download::from_record(record, Content::Text(record.renderable("s")?))?)
            }
            "JSONStringDownload" => {
                Self::Download(Download::from_record(record, Content::Json(record.worth("o")?))?)
            }
            "MakeDirectory" => Self::MakeDirectory { dir: record.renderable("dir")? },
            "RemoveDirectory" => {
                let dirs = record.renderables("dir");
                if dirs.is_empty() {
                    let text = format!("step {step:?}: `dir` is an empty list");
                    problems.push(Problem::error(record.place.clone(), text));
                    return None;
                }
                Self::RemoveDirectory { dirs }
            }
            "CopyDirectory" => Self::CopyDirectory(CopyDirectory {
                from: record.renderable("src")?,
                to: record.renderable("dest")?,
                timeout: record.duration("timeout"),
                max_time: record.duration("maxTime"),
            }),
            "Trigger" => Self::Trigger(Trigger::from_record(step, record, problems)?),
            _ => Self::Shell(ShellCommand::from_record(step, record, problems)?),
        })
    }
}

#[cfg(test)]
impl StepDefinition {
    /// A step as `steps.ShellCommand { name = name, command = "true" }` makes it.
    pub(crate) fn sample(name: &str) -> Self {
        Self {
            name: name.into(),
            kind: StepKind::Shell(ShellCommand::sample("true")),
            description: Description::default(),
            failure_counts_as: Outcome::Failure,
            warnings_count_as: Outcome::Warnings,
            halt_on_failure: false,
            always_run: false,
            do_step_if: Condition::Fixed(true),
            hide_step_if: Condition::Fixed(false),
            locks: Vec::new(),
            place: Place::new("master.cfg.lua", 1),
        }
    }
}
