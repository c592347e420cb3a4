//! Letters as they go into the outbox.
//!
//! # Not here
//! To whom they go (`digest`), their words and their form (`mail`).

use tracing::{error, info, warn};

use crate::{
    definition::{Address, MasterDefinition, Message, ReporterDefinition, WorkerDefinition},
    model::{LetterChannel, LetterKind, ReporterName, Timestamp, WorkerInfo},
    reporter::{
        digest::Digest,
        mail::{
            self,
            letter::{Attached, Letter, compose},
            text::{self, Master, Missing, Words},
        },
    },
    store::NewLetter,
};

/// What our own reporter is called, where the configuration has none.
pub const OWN_REPORTER: &str = "the default MailNotifier";

/// What is told of a worker.
#[derive(Debug)]
pub struct News<'a> {
    /// Which.
    pub worker: &'a WorkerDefinition,
    /// Since when it is away; of one that is back, when it was told to be missing.
    pub absent_since: Timestamp,
    /// When it attached last.
    pub last_connection: Option<Timestamp>,
    /// What it last said of itself.
    pub info: &'a WorkerInfo,
    /// The builds that it lost: `linux/12`.
    pub lost_builds: Vec<String>,
}

/// Writes a mail about workers for the outbox.
pub fn letter(
    definition: &MasterDefinition,
    digest: &Digest<'_>,
    news: &[News<'_>],
    kind: LetterKind,
    now: Timestamp,
) -> Option<NewLetter> {
    let settings = definition.settings.as_ref()?;
    let about: Vec<Missing> = digest.workers.iter().map(|index| shown(&news[*index])).collect();
    let own = Message::own();
    let master = Master::of(settings);
    let words = match kind {
        LetterKind::WorkerReturned => text::returned(&about, now, &master),
        _ => text::missing(digest.message.unwrap_or(&own), &about, &master),
    };
    let to = digest.to.iter().map(|mailbox| mailbox.address.clone()).collect();
    composed(digest.reporter, to, words, Vec::new(), kind, now)
}

/// Writes a mail for the outbox, by this reporter or by our own. It fails for no content: what cannot be composed would be a
/// fault of ours, and is logged.
pub fn composed(
    reporter: Option<&ReporterDefinition>,
    to: Vec<Address>,
    words: Words,
    attachments: Vec<Attached>,
    kind: LetterKind,
    now: Timestamp,
) -> Option<NewLetter> {
    let (from, name) = match reporter {
        Some(reporter) => (reporter.from.clone(), reporter.name.clone()),
        None => (mail::default_sender(), ReporterName::new(OWN_REPORTER).expect("a good name")),
    };
    for fault in &words.faults {
        let source = reporter.map(|reporter| tracing::field::display(&reporter.place));
        warn!(reporter = %name, source, "a template cannot be used: {fault}");
    }
    let letter = Letter {
        message_id: mail::new_message_id(),
        date: now,
        from,
        to,
        subject: words.subject,
        body: words.body,
        in_reply_to: None,
        headers: reporter.map(mail::plain_headers).unwrap_or_default(),
        attachments,
    };
    let message = match compose(&letter) {
        Ok(message) => message,
        Err(failure) => {
            error!(reporter = %name, error = &failure as &dyn std::error::Error, "cannot write a mail");
            return None;
        }
    };
    if reporter.is_some_and(|reporter| reporter.logs_mails) {
        info!(reporter = %name, mail = %String::from_utf8_lossy(&message), "a mail is written");
    }
    Some(NewLetter {
        channel: LetterChannel::Mail,
        kind,
        reporter: name,
        message_id: letter.message_id,
        sender: letter.from.address.as_str().to_owned(),
        recipients: letter.to.iter().map(|address| address.as_str().to_owned()).collect(),
        subject: letter.subject,
        message,
    })
}

fn shown(news: &News<'_>) -> Missing {
    Missing {
        worker: news.worker.name.clone(),
        source: news.worker.place.clone(),
        absent_since: news.absent_since,
        last_connection: news.last_connection,
        peer: None,
        info: news.info.clone(),
        lost_builds: news.lost_builds.clone(),
        notify: news.worker.notify_on_missing.iter().map(|mailbox| mailbox.address.clone()).collect(),
    }
}
