//! One load, judged and told.
//!
//! # Laws
//! - What may not come into force tells why, and that all is kept as it was.
//!
//! # Not here
//! When it is judged, and what follows (`reload`); how it is remembered (`generations`).

use std::collections::BTreeSet;

use tracing::{error, info, warn};

use crate::{
    definition::{Problem, problem},
    master::{
        generations::{Attempt, Cause, Generation, Verdict, counted, named},
        look::{Good, Look, Tense},
    },
    model::Timestamp,
};

/// Items and problems logged one by one; the rest is counted.
const MOST_LOGGED: usize = 200;

impl Attempt {
    /// A load that begins now.
    pub(super) fn new(causes: BTreeSet<Cause>, max_disconnects: Option<u32>) -> Self {
        Self {
            at: Timestamp::now(),
            causes,
            verdict: Verdict::Unchanged,
            generation: None,
            items: Vec::new(),
            impact: None,
            max_disconnects,
            problems: Vec::new(),
            summary: String::new(),
        }
    }

    /// What may come into force; if it may not, this tells why.
    pub(super) fn admit(
        &mut self,
        examined: Result<Good, Vec<Problem>>,
        look: &Look,
        running: Generation,
    ) -> Option<Good> {
        let mut good = match examined {
            Ok(good) => good,
            Err(problems) => {
                self.refuse(problems, &running.to_string());
                return None;
            }
        };
        self.problems.append(&mut good.warnings);
        if good.plan.is_empty() {
            return Some(good);
        }
        self.impact = Some(look.impact(&good.plan));
        if !good.refusals.is_empty() {
            self.items = look.items(&good.plan, Tense::Not);
            good.refusals.append(&mut self.problems);
            self.refuse(problem::arrange(good.refusals), &running.to_string());
            return None;
        }
        let (Some(count), Some(limit)) = (self.too_many_cuts(), self.max_disconnects) else {
            return Some(good);
        };
        self.items = look.items(&good.plan, Tense::Not);
        self.verdict = Verdict::Refused;
        self.summary = format!(
            "it would cut {}, and at most {limit} may be cut; the running configuration, {running}, is kept",
            counted(count, "link")
        );
        None
    }

    fn refuse(&mut self, problems: Vec<Problem>, running: &str) {
        self.verdict = Verdict::Refused;
        self.problems = problems;
        let count = counted(self.errors(), "problem");
        self.summary = format!("{count}; the running configuration, {running}, is kept");
    }

    /// Tells what became of it.
    pub(super) fn log(&self) {
        for problem in self.problems.iter().take(MOST_LOGGED) {
            if problem.is_error() {
                error!("{problem}");
            } else {
                warn!("{problem}");
            }
        }
        for item in self.items.iter().take(MOST_LOGGED) {
            info!("{item}");
        }
        let cuts = self.too_many_cuts().and(self.impact.as_ref());
        let cuts = cuts.map_or(&[][..], |impact| &impact.disconnects);
        for cut in cuts.iter().take(MOST_LOGGED) {
            error!("{cut}");
        }
        let counts = [(self.problems.len(), "problem"), (self.items.len(), "change"), (cuts.len(), "link")];
        for (count, noun) in counts {
            if let Some(more) = count.checked_sub(MOST_LOGGED).filter(|more| *more > 0) {
                info!("and {} more", counted(more, noun));
            }
        }
        if let Some(tally) = self.tally() {
            info!("{tally}");
        }
        let (cause, outcome) = (named(&self.causes), self.verdict.name());
        match self.verdict {
            Verdict::Committed | Verdict::Unchanged | Verdict::Planned => {
                info!(cause, outcome, "{}", self.summary);
            }
            Verdict::Held => warn!(cause, outcome, "{}", self.summary),
            Verdict::Refused | Verdict::Failed => error!(cause, outcome, "{}", self.summary),
        }
    }
}
