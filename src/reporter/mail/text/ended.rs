//! The words of a mail about a build that has ended.
//!
//! # Not here
//! Which builds are told (`reporter::ended`), the logs that go with the mail.
//!
//! # Source
//! What a template can use: Buildbot 4.3.0, `reporters.MessageFormatter`, as far as this version knows it.

use std::collections::BTreeMap;

use minijinja::{AutoEscape, Value, context, value::Serde};

use super::{
    Master, TextError, Words, body_of, fault_text,
    page::{Page, Section, clipped, iso},
    template,
};
use crate::{
    definition::reporter::Message,
    model::{Outcome, Properties, PropertyValue},
    store::FinishedBuild,
};

/// Steps that a mail tells.
const TOLD: usize = 50;

/// A build that has ended, with its steps.
#[derive(Clone, Debug)]
pub struct Ended<'a> {
    /// The build.
    pub build: &'a FinishedBuild,
    /// Its steps, in their order.
    pub steps: &'a [Step],
    /// Where it can be looked at.
    pub url: Option<String>,
}

/// A step of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Its name.
    pub name: String,
    /// How it ended; nothing if it did not.
    pub outcome: Option<Outcome>,
    /// What it says of that.
    pub state: String,
    /// The names of its logs.
    pub logs: Vec<String>,
}

/// The words about a build. It is work for the processor, some milliseconds with a template.
pub fn ended(message: &Message, about: &Ended<'_>, of: &Master) -> Words {
    let mut faults = Vec::new();
    let mut made = |option: &'static str, source: &Option<String>, escape: AutoEscape| {
        let source = source.as_ref()?;
        let made = template::made(option, source, escape, values(message, about, of));
        made.map_err(|fault: TextError| faults.push(fault)).ok()
    };
    let subject = made("subject", &message.subject, AutoEscape::None).map(|subject| clipped(&subject));
    let own = made("template", &message.template, template::escape(message));
    let subject = subject.filter(|subject| !subject.is_empty()).unwrap_or_else(|| subject_of(about, of));
    let page = page_of(about, of, &faults);
    Words { subject, body: body_of(message.template_type, own, &page, &faults), faults }
}

/// `linux/12`.
fn name(build: &FinishedBuild) -> String {
    format!("{}/{}", build.builder, build.number)
}

/// How it ended, and how the one before if that was otherwise.
fn verdict(build: &FinishedBuild) -> String {
    let word = build.outcome.word();
    match build.previous.filter(|previous| *previous != build.outcome) {
        Some(previous) => format!("{word} (before: {})", previous.word()),
        None => word.to_owned(),
    }
}

fn subject_of(about: &Ended<'_>, of: &Master) -> String {
    format!("Buildbot {}: {} {}", clipped(&of.title), name(about.build), verdict(about.build))
}

fn page_of(about: &Ended<'_>, of: &Master, faults: &[TextError]) -> Page {
    let build = about.build;
    let lead = format!("Build {} of {} has ended: {}.", name(build), of.title, verdict(build));
    let mut page = Page::new(&lead, of);
    page.notes.extend(faults.iter().map(fault_text));
    let mut rows = vec![
        ("state", clipped(&build.state)),
        ("reason", clipped(&build.reason)),
        ("worker", build.worker.to_string()),
        ("began", iso(build.started_at)),
        ("ended", iso(build.complete_at)),
    ];
    rows.extend(about.url.as_ref().map(|url| ("at", clipped(url))));
    page.sections.push(Section { heading: name(build), rows });
    let bad = about.steps.iter().filter(|step| {
        step.outcome.is_some_and(|outcome| !matches!(outcome, Outcome::Success | Outcome::Skipped))
    });
    for step in bad.take(TOLD) {
        let word = step.outcome.map_or("", Outcome::word);
        let mut rows = vec![("state", clipped(&step.state))];
        if !step.logs.is_empty() {
            rows.push(("logs", clipped(&step.logs.join(", "))));
        }
        page.sections.push(Section { heading: format!("step {}: {word}", clipped(&step.name)), rows });
    }
    page
}

/// What a template can use. The operator's own names come over ours, as in Buildbot.
fn values(message: &Message, about: &Ended<'_>, of: &Master) -> Value {
    let build = about.build;
    let mut values: BTreeMap<&str, Value> = BTreeMap::new();
    values.insert("buildbot_title", Value::from(of.title.as_str()));
    values.insert("buildbot_url", Value::from(of.url.as_deref().unwrap_or_default()));
    values.insert("buildername", Value::from(build.builder.as_str()));
    values.insert("workername", Value::from(build.worker.as_str()));
    values.insert("build_url", Value::from(about.url.as_deref().unwrap_or_default()));
    values.insert("results", Value::from(i32::from(build.outcome)));
    values.insert("result_names", Outcome::ALL.iter().map(|outcome| outcome.word()).collect());
    values.insert("status_detected", Value::from(verdict(build)));
    let previous = build.previous.map_or(Value::from(()), |outcome| Value::from(i32::from(outcome)));
    values.insert("previous_results", previous);
    let steps: Value = about.steps.iter().map(step).collect();
    values.insert(
        "build",
        context! {
            buildid => build.id.0,
            number => build.number,
            state_string => build.state.as_str(),
            results => i32::from(build.outcome),
            reason => build.reason.as_str(),
            started_at => iso(build.started_at),
            complete_at => iso(build.complete_at),
            properties => properties(&build.properties),
            steps => steps,
        },
    );
    let own: &BTreeMap<String, PropertyValue> = &message.context;
    values.insert("ctx", Value::from(Serde(own)));
    values.extend(own.iter().map(|(name, value)| (name.as_str(), Value::from(Serde(value)))));
    Value::from_pairs(values)
}

fn step(step: &Step) -> Value {
    context! {
        name => step.name.as_str(),
        results => step.outcome.map(i32::from),
        state_string => step.state.as_str(),
        logs => step.logs.clone(),
    }
}

/// As Buildbot shows them: each with its value and its source.
fn properties(properties: &Properties) -> Value {
    let pairs = properties.into_iter().map(|(name, property)| {
        let value: Value = Value::from(Serde(&property.value));
        (name.clone(), Value::from(vec![value, Value::from(property.source.as_str())]))
    });
    pairs.collect::<BTreeMap<_, _>>().into()
}

/// A build of which all is known, to try templates with.
pub fn check(message: &Message) -> Result<(), TextError> {
    let build = FinishedBuild::sample();
    let steps = [Step {
        name: "sample".into(),
        outcome: Some(Outcome::Failure),
        state: "sample".into(),
        logs: vec!["stdio".into()],
    }];
    let about = Ended { build: &build, steps: &steps, url: Some("http://localhost/".into()) };
    let of = Master { title: "Lunabot".into(), url: Some("http://localhost/".into()) };
    template::check_with(message, &values(message, &about, &of))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{definition::reporter::TemplateType, model::Timestamp, reporter::mail::letter::Body};

    fn message(subject: Option<&str>, template: Option<&str>) -> Message {
        let text = |text: Option<&str>| text.map(str::to_owned);
        Message {
            template: text(template),
            subject: text(subject),
            template_type: TemplateType::Plain,
            context: BTreeMap::from([("rack".to_owned(), "B7".into())]),
        }
    }

    fn words(message: &Message, build: &FinishedBuild) -> (String, String) {
        let steps = [
            Step {
                name: "compile".into(),
                outcome: Some(Outcome::Success),
                state: "well".into(),
                logs: vec![],
            },
            Step {
                name: "test".into(),
                outcome: Some(Outcome::Failure),
                state: "2 of 9 failed".into(),
                logs: vec!["stdio".into()],
            },
        ];
        let about = Ended { build, steps: &steps, url: None };
        let words = ended(message, &about, &Master { title: "Farm".into(), url: None });
        match words.body {
            Body::Plain(text) => (words.subject, text),
            Body::Html { html, .. } => (words.subject, html),
        }
    }

    fn build(previous: Option<Outcome>) -> FinishedBuild {
        FinishedBuild {
            outcome: Outcome::Failure,
            previous,
            complete_at: Timestamp::UNIX_EPOCH,
            ..FinishedBuild::sample()
        }
    }

    #[test]
    fn our_own_words_tell_how_it_ended_and_which_steps_are_to_blame() {
        let (subject, text) = words(&message(None, None), &build(Some(Outcome::Success)));
        assert_eq!(subject, "Buildbot Farm: sample/1 failure (before: success)");
        assert!(text.contains("step test: failure") && text.contains("2 of 9 failed"), "{text}");
        assert!(!text.contains("step compile"), "{text}");
        assert_eq!(
            words(&message(None, None), &build(Some(Outcome::Failure))).0,
            "Buildbot Farm: sample/1 failure"
        );
    }

    #[test]
    fn a_template_knows_the_build_its_steps_its_properties_and_what_the_operator_adds() {
        let text = "{{ buildername }} {{ build.number }} {{ results }} {{ build.steps[1].name }} {{ build.properties.branch[0] }} {{ rack }}";
        let (subject, text) = words(&message(Some("{{ status_detected }}"), Some(text)), &build(None));
        assert_eq!((subject.as_str(), text.as_str()), ("failure", "sample 1 2 test main B7"));
        assert!(check(&message(Some("{{ a|nofilter }}"), None)).is_err());
        assert!(check(&message(None, Some("{% if %}"))).is_err());
        assert_eq!(check(&message(Some("{{ buildername }}"), None)), Ok(()));
    }
}
