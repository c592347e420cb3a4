//! The words of mails about workers that are missing, and of those that are back: our own, or the operator's templates.
//!
//! # Laws
//! - A template ends: what it does and how much it writes is bounded.
//! - One that does not parse, or fails, does not swallow the news: our own words are told, with what is wrong.
//! - What a worker says of itself is a text like any other: a page shows it, and never obeys it.
//! - Instants are in UTC, in ISO form.
//!
//! # Not here
//! Who is missing and who is told (`reporter`), and the form of a mail (`letter`).
//!
//! # Source
//! The subject for one worker, and what a template can use, are Buildbot's.

pub mod ended;
mod page;
mod template;

use crate::{
    definition::{
        address::Address,
        master::Settings,
        reporter::{Message, TemplateType},
    },
    model::{Place, Timestamp, WorkerInfo, WorkerName},
    reporter::mail::letter::Body,
};
use page::{Page, Section, clipped, iso, listed};

/// A worker that is missing, or was.
#[derive(Clone, Debug)]
pub struct Missing {
    /// Its name.
    pub worker: WorkerName,
    /// Where it is written.
    pub source: Place,
    /// Since when it is not there.
    pub absent_since: Timestamp,
    /// When it connected last.
    pub last_connection: Option<Timestamp>,
    /// From where.
    pub peer: Option<String>,
    /// What it said of itself.
    pub info: WorkerInfo,
    /// Builds that ended with its link: `linux/12`.
    pub lost_builds: Vec<String>,
    /// Who is told.
    pub notify: Vec<Address>,
}

/// The installation that tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Master {
    /// What it is called.
    pub title: String,
    /// Where it is reached.
    pub url: Option<String>,
}

/// The words of a mail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Words {
    /// Its subject, one line.
    pub subject: String,
    /// Its body.
    pub body: Body,
    /// What is wrong with the operator's templates; the mail tells it as well.
    pub faults: Vec<TextError>,
}

/// What is wrong with a template.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{option}`{}: {why}", line.map(|line| format!(", line {line}")).unwrap_or_default())]
pub struct TextError {
    /// The option of `MessageFormatterMissingWorker` that holds it.
    pub option: &'static str,
    /// Its line, from 1.
    pub line: Option<usize>,
    /// What is wrong.
    pub why: String,
}

/// The most bytes of what a template writes.
pub const MOST_BYTES: usize = 256 * 1024;

/// Workers that are told in full; of more, the names are.
const TOLD: usize = 50;

impl Master {
    /// The installation of a configuration.
    pub fn of(settings: &Settings) -> Self {
        let url = settings.buildbot_url.trim();
        Self { title: settings.title.clone(), url: (!url.is_empty()).then(|| url.to_owned()) }
    }
}

/// Whether the templates can be used: they parse, and name only what there is.
///
/// # Errors
/// The first fault.
pub fn check(message: &Message) -> Result<(), TextError> {
    template::check(message)
}

/// The words about workers that are missing, in one mail. It is work for the processor, some milliseconds for many workers
/// with a template.
pub fn missing(message: &Message, about: &[Missing], of: &Master) -> Words {
    let mut faults = Vec::new();
    let subject = match &message.subject {
        None => None,
        Some(source) => {
            template::subject(source, message, about, of).map_err(|fault| faults.push(fault)).ok()
        }
    };
    let subject = subject.filter(|subject| !subject.is_empty());
    let subject = subject.unwrap_or_else(|| subject_of(about, of, "missing", "missing"));
    let own = match &message.template {
        None => None,
        Some(source) => template::body(source, message, about, of).map_err(|fault| faults.push(fault)).ok(),
    };
    let page = page_of_missing(about, of, &faults);
    Words { subject, body: body_of(message.template_type, own, &page, &faults), faults }
}

/// The operator's own body, or ours.
fn body_of(kind: TemplateType, own: Option<String>, page: &Page, faults: &[TextError]) -> Body {
    match (kind, own) {
        (TemplateType::Plain, Some(text)) => Body::Plain(with_faults(text, faults)),
        (TemplateType::Plain, None) => Body::Plain(page.plain()),
        // Its subject is broken, or nothing is: the page of the operator is left as it is, the text beside it tells all.
        (TemplateType::Html, Some(html)) => Body::Html { html, plain: page.plain() },
        (TemplateType::Html, None) => Body::Html { html: page.html(), plain: page.plain() },
    }
}

/// The words about workers that have been back since `at`, in one mail, with a page beside the text.
pub fn returned(about: &[Missing], at: Timestamp, of: &Master) -> Words {
    let subject = subject_of(about, of, "is back", "are back");
    let lead = match about {
        [one] => {
            format!("The worker {} of {} has been back since {}.", one.worker.as_str(), of.title, iso(at))
        }
        many => format!("{} workers of {} have been back since {}.", many.len(), of.title, iso(at)),
    };
    let mut page = Page::new(&lead, of);
    for worker in about.iter().take(TOLD) {
        let rows = vec![("was missing since", iso(worker.absent_since))];
        page.sections.push(Section { heading: heading(worker), rows });
    }
    page.more = more(about);
    let body = Body::Html { html: page.html(), plain: page.plain() };
    Words { subject, body, faults: Vec::new() }
}

fn subject_of(about: &[Missing], of: &Master, one: &str, many: &str) -> String {
    let title = clipped(&of.title);
    match about {
        [worker] => format!("Buildbot {title} worker {} {one}", worker.worker.as_str()),
        workers => format!("Buildbot {title}: {} workers {many}: {}", workers.len(), names(workers, 3)),
    }
}

fn names(workers: &[Missing], most: usize) -> String {
    listed(workers.iter().map(|worker| worker.worker.as_str()), most)
}

fn page_of_missing(about: &[Missing], of: &Master, faults: &[TextError]) -> Page {
    let lead = match about {
        [one] => {
            let since = iso(one.absent_since);
            format!("The worker {} of {} has been missing since {since}.", one.worker.as_str(), of.title)
        }
        many => format!("{} workers of {} are missing.", many.len(), of.title),
    };
    let mut page = Page::new(&lead, of);
    page.notes.extend(faults.iter().map(fault_text));
    page.sections.extend(about.iter().take(TOLD).map(section));
    page.more = more(about);
    let name = match about {
        [one] => one.worker.as_str(),
        _ => "NAME",
    };
    page.closing = vec![
        format!("`lunabot worker DIR show {name}` tells more, where DIR is the folder of the master."),
        "To be told later or no more, change `missing_timeout` or `notify_on_missing` of the worker. A pause does not \
         silence these mails."
            .to_owned(),
    ];
    page
}

fn heading(worker: &Missing) -> String {
    let name = worker.worker.as_str();
    if worker.source.file.is_empty() { name.to_owned() } else { format!("{name} ({})", worker.source) }
}

fn section(worker: &Missing) -> Section {
    let mut rows = vec![("missing since", iso(worker.absent_since))];
    rows.push((
        "connected last",
        worker.last_connection.map_or_else(|| "never, as far as is known".into(), iso),
    ));
    rows.extend(worker.peer.as_ref().map(|peer| ("last address", clipped(peer))));
    let admin = worker.info.text("admin").map(clipped).filter(|admin| !admin.is_empty());
    rows.extend(admin.map(|admin| ("admin on record", admin)));
    if !worker.lost_builds.is_empty() {
        rows.push(("builds lost", listed(worker.lost_builds.iter().map(String::as_str), 20)));
    }
    Section { heading: heading(worker), rows }
}

/// The workers that are not told in full.
fn more(about: &[Missing]) -> Option<String> {
    let rest = about.get(TOLD..).filter(|rest| !rest.is_empty())?;
    Some(format!("{} more: {}", rest.len(), names(rest, 500)))
}

fn fault_text(fault: &TextError) -> String {
    format!("The template of this mail is broken, and these words stand for it: {fault}.")
}

/// The operator's body, under what is wrong with the subject.
fn with_faults(text: String, faults: &[TextError]) -> String {
    if faults.is_empty() {
        return text;
    }
    let notes: Vec<String> = faults.iter().map(fault_text).collect();
    format!("{}\n\n{text}", notes.join("\n"))
}

#[cfg(test)]
mod tests;
