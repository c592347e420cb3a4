//! The task that has it told how builds ended.
//!
//! # Laws
//! - Each build is looked at once, in the order in which they ended: how far that has come is written with the letters, so neither
//!   a restart nor a kill of the master tells of one twice, or of none.
//! - A master that tells of builds for the first time begins with those that end from then on.
//! - Nothing is read for a build of which nobody is told, but the build itself.
//!
//! # Not here
//! Of which builds it is told (`ended`), to whom (`people`), the words (`mail`), the sending (`outbox`).

use std::{sync::Arc, time::Duration};

use tokio::{sync::watch, time};
use tokio_util::sync::CancellationToken;
use tracing::error;

use crate::{
    definition::{AttachedLogs, BuildGenerator, MasterDefinition, ReporterDefinition},
    model::{EventKind, LetterKind, Timestamp},
    mq::{EventFilter, Mq, NextError, Subscription},
    reporter::{
        ended::is_wanted,
        mail::{
            letter::Attached,
            text::{
                Master,
                ended::{Ended, Step, ended},
            },
        },
        people, write,
    },
    store::{
        Direction, FilterOp, FinishedBuild, LogError, LogRow, NewLetter, Query, QueryError, Store, StoreError,
    },
};

/// Under which name it is noted how far builds are told.
const CURSOR: &str = "mails about builds";

/// Steps of a build that are read.
const MOST_STEPS: u32 = 1000;

/// Logs that go with a mail.
const MOST_LOGS: usize = 20;

/// The last lines of a log that go with a mail …
const LAST_LINES: u32 = 1000;

/// … and the last bytes of these.
const LAST_BYTES: usize = 64 * 1024;

/// How long it waits before it asks a store that failed again.
const AFTER_FAILURE: Duration = Duration::from_secs(5);

/// Has it told how builds ended: runs in its own task.
pub struct BuildNews {
    store: Store,
    definition: watch::Receiver<Arc<MasterDefinition>>,
    events: Subscription,
    cancelled: CancellationToken,
}

/// Why builds could not be told.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Query(#[from] QueryError),
    #[error(transparent)]
    Log(#[from] LogError),
}

/// The steps of a build, and their logs.
struct Work {
    steps: Vec<Step>,
    /// Each with the name of its step.
    logs: Vec<(String, LogRow)>,
}

impl BuildNews {
    /// A task that looks when it runs, and until `cancelled` is.
    pub fn new(
        store: Store,
        definition: watch::Receiver<Arc<MasterDefinition>>,
        mq: &Mq,
        cancelled: CancellationToken,
    ) -> Self {
        let events = mq.subscribe(EventFilter::kinds([EventKind::BuildFinished]));
        Self { store, definition, events, cancelled }
    }

    /// Looks until it is stopped.
    pub async fn run(mut self) {
        let cancelled = self.cancelled.clone();
        loop {
            self.events.skip_to_now();
            let has_failed = tokio::select! {
                // What was not written down is told by the next master.
                () = cancelled.cancelled() => return,
                told = self.tell() => told.is_err_and(|failure| {
                    error!(error = &failure as &dyn std::error::Error, "cannot tell of builds that have ended");
                    true
                }),
            };
            tokio::select! {
                // Each arm is cancel-safe: what it has not returned is still there at the next turn.
                () = cancelled.cancelled() => return,
                changed = self.definition.changed() => if changed.is_err() {
                    return;
                },
                event = self.events.next() => if let Err(NextError::Closed) = event {
                    return;
                },
                () = time::sleep(AFTER_FAILURE), if has_failed => {}
            }
        }
    }

    /// Tells of all builds that are not told yet.
    async fn tell(&mut self) -> Result<(), Failure> {
        let definition = Arc::clone(&self.definition.borrow_and_update());
        if definition.settings.is_none() {
            return Ok(());
        }
        loop {
            let builds = self.store.untold_builds(CURSOR).await?;
            let Some(last) = builds.last() else { return Ok(()) };
            let (up_to, now) = (last.event, Timestamp::now());
            let mut letters = Vec::new();
            for build in &builds {
                letters.extend(self.letters(&definition, build, now).await?);
            }
            self.store.report_builds(CURSOR.to_owned(), up_to, letters, now).await?;
        }
    }

    /// The mails about a build: one by each reporter that tells of it.
    async fn letters(
        &self,
        definition: &MasterDefinition,
        build: &FinishedBuild,
        now: Timestamp,
    ) -> Result<Vec<NewLetter>, Failure> {
        let tags = definition.builders.get(&build.builder).map_or(&[][..], |builder| &builder.tags);
        let wanted = |generator: &&BuildGenerator| is_wanted(generator, build, tags);
        let telling: Vec<(&ReporterDefinition, &BuildGenerator)> = definition
            .reporters
            .values()
            .filter_map(|reporter| Some((&**reporter, reporter.builds.iter().find(wanted)?)))
            .collect();
        let Some(settings) = definition.settings.as_ref().filter(|_| !telling.is_empty()) else {
            return Ok(Vec::new());
        };
        let master = Master::of(settings);
        let url = master.url.as_ref().map(|url| format!("{url}#/buildrequests/{}", build.request));
        let mut work = None;
        let mut letters = Vec::new();
        for (reporter, generator) in telling {
            let to = people::recipients(reporter, build, definition.interpreter.hooks()).await;
            if to.is_empty() {
                continue;
            }
            let work = match &mut work {
                Some(work) => work,
                none => none.insert(self.work(build).await?),
            };
            let attached = self.attached(&generator.logs, work).await?;
            let words =
                ended(&generator.message, &Ended { build, steps: &work.steps, url: url.clone() }, &master);
            letters.extend(write::composed(Some(reporter), to, words, attached, LetterKind::Build, now));
        }
        Ok(letters)
    }

    async fn work(&self, build: &FinishedBuild) -> Result<Work, Failure> {
        let of_build = Query::all().filter("buildid", FilterOp::Eq, &build.id);
        let in_order = of_build.order_by("number", Direction::Ascending).limit(MOST_STEPS);
        let mut work = Work { steps: Vec::new(), logs: Vec::new() };
        for row in self.store.steps(&in_order).await?.rows {
            let of_step = Query::all().filter("stepid", FilterOp::Eq, &row.stepid);
            let logs = self.store.logs(&of_step).await?.rows;
            work.steps.push(Step {
                name: row.name.clone(),
                outcome: row.results,
                state: row.state_string,
                logs: logs.iter().map(|log| log.name.clone()).collect(),
            });
            work.logs.extend(logs.into_iter().map(|log| (row.name.clone(), log)));
        }
        Ok(work)
    }

    /// The ends of the logs that a generator wants.
    async fn attached(&self, wanted: &AttachedLogs, work: &Work) -> Result<Vec<Attached>, Failure> {
        let is_wanted = |step: &str, log: &str| match wanted {
            AttachedLogs::None => false,
            AttachedLogs::All => true,
            AttachedLogs::Named(names) => {
                names.iter().any(|name| name == log || *name == format!("{step}.{log}"))
            }
        };
        let mut attached = Vec::new();
        for (step, log) in work.logs.iter().filter(|(step, log)| is_wanted(step, &log.name)).take(MOST_LOGS) {
            let lines = u64::try_from(log.num_lines).unwrap_or(0);
            let first = lines.saturating_sub(LAST_LINES.into());
            let text = self.store.log_lines(log.logid, first, LAST_LINES).await?.text;
            attached.push(Attached {
                name: format!("{step}.{}.txt", log.name),
                bytes: last_of(&text).into_bytes(),
            });
        }
        Ok(attached)
    }
}

/// The last lines of a log, without the letters of their streams.
fn last_of(text: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    let mut bytes = 0;
    for line in text.lines().rev().map(|line| line.get(1..).unwrap_or_default()) {
        bytes += line.len() + 1;
        if bytes > LAST_BYTES {
            break;
        }
        kept.push(line);
    }
    kept.iter().rev().flat_map(|line| [*line, "\n"]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_long_log_the_last_lines_are_kept_whole() {
        assert_eq!(last_of("hecho\noone\netwo\n"), "echo\none\ntwo\n");
        let lines: Vec<String> = (0..40_000).map(|number| format!("o{number}")).collect();
        let long = lines.join("\n");
        let kept = last_of(&long);
        assert!(kept.len() <= LAST_BYTES && kept.ends_with("39998\n39999\n"));
        assert!(kept.lines().next().is_some_and(|line| line.len() == 5));
    }
}
