//! To whom it is told that workers are missing, and by which reporter: one mail to a person, however many workers there are.
//!
//! # Laws
//! - Of a loss each address in the worker's `notify_on_missing` hears once, however many reporters there are: through the
//!   first one, as they stand in the configuration, that has a generator for this worker.
//! - Those who are told of the same workers have one mail together.
//! - Without any reporter the worker is told of all the same, by a reporter of our own; with reporters of which none watches it, it
//!   is not.
//!
//! # Not here
//! What the mail says (`mail`), when it is written (`missing`).

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    definition::{
        Address, Mailbox, MasterDefinition, Message, ReporterDefinition, WatchedWorkers, WorkerDefinition,
    },
    model::WorkerName,
};

/// A mail about workers.
#[derive(Debug, PartialEq, Eq)]
pub struct Digest<'a> {
    /// By which reporter; our own if absent.
    pub reporter: Option<&'a ReporterDefinition>,
    /// What it says; our own text if absent.
    pub message: Option<&'a Message>,
    /// To whom, by address.
    pub to: Vec<&'a Mailbox>,
    /// About which of the workers that were given, in their order.
    pub workers: Vec<usize>,
}

/// The mails about these workers.
pub fn digests<'a>(definition: &'a MasterDefinition, workers: &[&'a WorkerDefinition]) -> Vec<Digest<'a>> {
    let mut reporters: Vec<&ReporterDefinition> = definition.reporters.values().map(|it| &**it).collect();
    reporters.sort_by(|a, b| {
        let key = |it: &ReporterDefinition| (it.place.file.to_string(), it.place.line, it.name.clone());
        key(a).cmp(&key(b))
    });
    // By what tells it, and by address.
    let mut told: BTreeMap<(usize, usize, &Address), (&Mailbox, BTreeSet<usize>)> = BTreeMap::new();
    for (index, worker) in workers.iter().enumerate() {
        let Some((reporter, generator)) = teller(&reporters, &worker.name) else { continue };
        for mailbox in &worker.notify_on_missing {
            let entry = told.entry((reporter, generator, &mailbox.address));
            entry.or_insert_with(|| (mailbox, BTreeSet::new())).1.insert(index);
        }
    }
    let mut mails: BTreeMap<(usize, usize, BTreeSet<usize>), Vec<&Mailbox>> = BTreeMap::new();
    for ((reporter, generator, _), (mailbox, of)) in told {
        mails.entry((reporter, generator, of)).or_default().push(mailbox);
    }
    mails
        .into_iter()
        .map(|((reporter, generator, of), to)| {
            let reporter = reporters.get(reporter).copied();
            let message = reporter.map(|reporter| &reporter.missing[generator].message);
            Digest { reporter, message, to, workers: of.into_iter().collect() }
        })
        .collect()
}

/// Which reporter tells of a worker, and by which of its generators.
fn teller(reporters: &[&ReporterDefinition], worker: &WorkerName) -> Option<(usize, usize)> {
    if reporters.is_empty() {
        return Some((0, 0));
    }
    reporters.iter().enumerate().find_map(|(number, reporter)| {
        let watches = |watched: &WatchedWorkers| match watched {
            WatchedWorkers::All => true,
            WatchedWorkers::Named(names) => names.binary_search(worker).is_ok(),
        };
        let generator = reporter.missing.iter().position(|generator| watches(&generator.workers))?;
        Some((number, generator))
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::model::Place;

    fn worker(name: &str, notified: &[&str]) -> WorkerDefinition {
        let notify_on_missing = notified.iter().map(|text| Mailbox::parse(text).unwrap()).collect();
        WorkerDefinition { notify_on_missing, ..WorkerDefinition::bare(name) }
    }

    fn watching(name: &str, line: u32, workers: &[&str]) -> ReporterDefinition {
        let mut reporter = ReporterDefinition {
            place: Place::new("master.cfg.lua", line),
            ..ReporterDefinition::bare(name)
        };
        if !workers.is_empty() {
            let names = workers.iter().map(|name| WorkerName::new(name).unwrap()).collect();
            reporter.missing[0].workers = WatchedWorkers::Named(names);
        }
        reporter
    }

    /// By which reporter, to whom, of which workers.
    fn told(
        reporters: Vec<ReporterDefinition>,
        workers: &[WorkerDefinition],
    ) -> Vec<(String, String, String)> {
        let mut definition = MasterDefinition::nothing();
        for reporter in reporters {
            definition.reporters.insert(reporter.name.clone(), Arc::new(reporter));
        }
        let workers: Vec<&WorkerDefinition> = workers.iter().collect();
        let joined = |texts: Vec<String>| texts.join(" ");
        let mails = digests(&definition, &workers).into_iter().map(|mail| {
            let to = mail.to.iter().map(|mailbox| mailbox.address.as_str().to_owned()).collect();
            let of = mail.workers.iter().map(|index| workers[*index].name.to_string()).collect();
            let reporter = mail.reporter.map_or_else(String::new, |reporter| reporter.name.to_string());
            (reporter, joined(to), joined(of))
        });
        mails.collect()
    }

    fn mail(reporter: &str, to: &str, of: &str) -> (String, String, String) {
        (reporter.to_owned(), to.to_owned(), of.to_owned())
    }

    #[test]
    fn three_reporters_make_one_mail_of_one_loss_by_the_first_in_the_file() {
        let reporters = vec![watching("z", 3, &[]), watching("a", 9, &[]), watching("m", 12, &[])];
        assert_eq!(
            told(reporters, &[worker("w", &["bob@example.com"])]),
            [mail("z", "bob@example.com", "w")]
        );
    }

    #[test]
    fn a_person_hears_of_all_workers_in_one_mail_and_those_who_hear_the_same_share_it() {
        let all = [
            worker("a", &["bob@example.com", "Alice <alice@example.com>"]),
            worker("b", &["alice@example.com", "bob@example.com", "bob@example.com"]),
            worker("c", &["carl@example.com"]),
            worker("d", &[]),
        ];
        assert_eq!(
            told(vec![watching("m", 1, &[])], &all),
            [mail("m", "alice@example.com bob@example.com", "a b"), mail("m", "carl@example.com", "c")]
        );
    }

    #[test]
    fn a_reporter_that_watches_some_workers_leaves_the_others_to_the_next_or_to_nobody() {
        let all = [
            worker("a", &["bob@example.com"]),
            worker("b", &["bob@example.com"]),
            worker("c", &["bob@example.com"]),
        ];
        let reporters = vec![watching("one", 1, &["a"]), watching("two", 2, &["a", "b"])];
        assert_eq!(
            told(reporters, &all),
            [mail("one", "bob@example.com", "a"), mail("two", "bob@example.com", "b")]
        );
    }

    #[test]
    fn without_any_reporter_ours_tells_of_it() {
        assert_eq!(told(vec![], &[worker("w", &["bob@example.com"])]), [mail("", "bob@example.com", "w")]);
    }
}
