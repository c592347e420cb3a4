//! The task that sends what is in the outbox.
//!
//! # Laws
//! - A letter that the relay took leaves the outbox before the next look, so it is sent once; twice only if the master is killed
//!   in between, and then with the same `Message-ID`.
//! - What a relay does not take now is tried again: after a minute, then twice as long each time, up to an hour; and given up
//!   after two days. What it never takes is given up at once. Both are told to the operator.
//! - At most [`AT_ONCE`] letters are on their way.
//!
//! # Not here
//! What a letter says (`mail`), the rows (`store::outbox`).

use std::{sync::Arc, time::Duration};

use futures_util::{StreamExt as _, stream};
use tokio::{sync::watch, time};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

use crate::{
    definition::{Address, MasterDefinition, Secrets},
    model::{EventKind, LetterId, Timestamp},
    mq::{EventFilter, Mq, NextError, Subscription},
    reporter::{
        mail::{
            self,
            relay::{Accepted, Refusal, Relay},
        },
        write::OWN_REPORTER,
    },
    store::{QueuedLetter, Store, StoreError},
};

/// Letters that are on their way at a time.
pub const AT_ONCE: usize = 8;

/// Letters that are read at once.
const PAGE: u32 = 64;

/// After the first attempt.
const FIRST_DELAY: Duration = Duration::from_secs(60);

/// After later ones, at most.
const LONGEST_DELAY: Duration = Duration::from_secs(3600);

/// How old a letter may be that is tried again.
pub const GIVE_UP_AFTER: Duration = Duration::from_secs(2 * 24 * 3600);

/// The longest time without a look: the clock of the machine may be set.
const LONGEST: Duration = Duration::from_secs(3600);

/// How long it waits before it asks a store that failed again.
const AFTER_FAILURE: Duration = Duration::from_secs(5);

/// Sends letters: runs in its own task.
pub struct Outbox {
    store: Store,
    definition: watch::Receiver<Arc<MasterDefinition>>,
    secrets: Arc<dyn Secrets>,
    events: Subscription,
    cancelled: CancellationToken,
}

/// What became of an attempt.
#[derive(Debug)]
enum Attempt {
    Sent,
    /// Perhaps later; others than these have it now.
    Failed {
        why: String,
        left: Vec<String>,
    },
    /// Never.
    Refused {
        why: String,
        left: Vec<String>,
    },
}

impl Attempt {
    const fn failed(why: String) -> Self {
        Self::Failed { why, left: Vec::new() }
    }

    const fn refused(why: String) -> Self {
        Self::Refused { why, left: Vec::new() }
    }

    /// What became of a letter that a relay took for all, or for some of those to whom it goes.
    fn of(accepted: &Accepted) -> Self {
        let told = |refusals: &[&Refusal]| {
            let words =
                refusals.iter().map(|refusal| format!("{}: {}", refusal.address.as_str(), refusal.reply));
            let left = refusals.iter().map(|refusal| refusal.address.as_str().to_owned()).collect();
            (words.collect::<Vec<_>>().join("; "), left)
        };
        let (for_now, for_good): (Vec<&Refusal>, Vec<&Refusal>) =
            accepted.refused.iter().partition(|refusal| refusal.reply.is_for_now());
        match (for_now.is_empty(), for_good.is_empty()) {
            (true, true) => Self::Sent,
            (true, false) => {
                let (why, left) = told(&for_good);
                Self::Refused { why, left }
            }
            // Who never takes it is told of in the log alone.
            (false, _) => {
                let (why, left) = told(&for_now);
                Self::Failed { why, left }
            }
        }
    }
}

impl Outbox {
    /// A task that sends when it runs, and until `cancelled` is.
    pub fn new(
        store: Store,
        definition: watch::Receiver<Arc<MasterDefinition>>,
        secrets: Arc<dyn Secrets>,
        mq: &Mq,
        cancelled: CancellationToken,
    ) -> Self {
        let events = mq.subscribe(EventFilter::kinds([EventKind::LetterAdded, EventKind::LetterRetried]));
        Self { store, definition, secrets, events, cancelled }
    }

    /// Sends until it is stopped. A letter that is on its way then is tried again by the next master.
    pub async fn run(mut self) {
        let cancelled = self.cancelled.clone();
        loop {
            self.events.skip_to_now();
            let wait = tokio::select! {
                // A letter that the relay takes just now may be sent again: with the same `Message-ID`.
                () = cancelled.cancelled() => return,
                sent = self.send_due() => match sent {
                    Ok(None) => LONGEST,
                    Ok(Some(at)) => Duration::try_from(at - Timestamp::now()).unwrap_or_default().min(LONGEST),
                    Err(failure) => {
                        error!(error = &failure as &dyn std::error::Error, "cannot read the outbox");
                        AFTER_FAILURE
                    }
                },
            };
            tokio::select! {
                // Each arm is cancel-safe: what it has not returned is still there at the next turn.
                () = cancelled.cancelled() => return,
                () = time::sleep(wait) => {}
                event = self.events.next() => if let Err(NextError::Closed) = event {
                    return;
                },
            }
        }
    }

    /// Sends what is due; when the next one is.
    async fn send_due(&mut self) -> Result<Option<Timestamp>, StoreError> {
        let definition = Arc::clone(&self.definition.borrow_and_update());
        // No reporter is known before the first configuration.
        if definition.settings.is_none() {
            return Ok(Some(Timestamp::now() + AFTER_FAILURE));
        }
        loop {
            let due = self.store.due_letters(Timestamp::now(), PAGE).await?;
            if due.is_empty() {
                return self.store.next_letter_at().await;
            }
            let this = &*self;
            let sent =
                stream::iter(due).map(|letter| this.handle(letter, &definition)).buffer_unordered(AT_ONCE);
            let failures: Vec<StoreError> = sent.filter_map(async |done| done.err()).collect().await;
            if let Some(failure) = failures.into_iter().next() {
                return Err(failure);
            }
        }
    }

    async fn handle(&self, letter: QueuedLetter, definition: &MasterDefinition) -> Result<(), StoreError> {
        let (id, kind) = (letter.id, letter.letter.kind);
        let reporter = &letter.letter.reporter;
        let attempt = self.send(&letter, definition).await;
        let now = Timestamp::now();
        match attempt {
            Attempt::Sent => {
                info!(letter = %id, kind = kind.word(), %reporter, to = letter.letter.recipients.len(), "sent");
                if !self.store.letter_sent(id, now).await? {
                    debug!(letter = %id, "was dropped while it was sent");
                }
            }
            Attempt::Failed { why, left } if letter.created_at + GIVE_UP_AFTER > now => {
                self.narrow(id, &left).await?;
                let next_try_at = now + delay(letter.attempts);
                warn!(letter = %id, kind = kind.word(), %reporter, next_try_at = %next_try_at, "cannot be sent now: {why}");
                self.store.letter_failed(id, &why, next_try_at, now).await?;
            }
            Attempt::Failed { why, left } | Attempt::Refused { why, left } => {
                self.narrow(id, &left).await?;
                error!(letter = %id, kind = kind.word(), %reporter, "is given up, see `lunabot outbox`: {why}");
                self.store.letter_given_up(id, &why, now).await?;
            }
        }
        Ok(())
    }

    async fn narrow(&self, letter: LetterId, left: &[String]) -> Result<(), StoreError> {
        if !left.is_empty() {
            self.store.letter_reached_others(letter, left).await?;
        }
        Ok(())
    }

    async fn send(
        &self,
        QueuedLetter { letter, .. }: &QueuedLetter,
        definition: &MasterDefinition,
    ) -> Attempt {
        let relay = match definition.reporters.get(&letter.reporter) {
            Some(reporter) => match Relay::of(reporter, &*self.secrets).await {
                Ok(relay) => relay,
                // The operator mends that.
                Err(error) => return Attempt::failed(error.to_string()),
            },
            None if letter.reporter.as_str() == OWN_REPORTER => mail::default_relay(),
            None => {
                return Attempt::failed(format!(
                    "no reporter is named {:?} any more",
                    letter.reporter.as_str()
                ));
            }
        };
        let mut recipients = Vec::with_capacity(letter.recipients.len());
        for text in &letter.recipients {
            match Address::new(text) {
                Ok(address) => recipients.push(address),
                Err(error) => return Attempt::refused(error.to_string()),
            }
        }
        let sender = match Address::new(&letter.sender) {
            Ok(sender) => sender,
            Err(error) => return Attempt::refused(error.to_string()),
        };
        match relay.send(&sender, &recipients, &letter.message).await {
            Ok(accepted) => {
                for refusal in &accepted.refused {
                    warn!(
                        message_id = letter.message_id,
                        to = refusal.address.as_str(),
                        "is refused: {}",
                        refusal.reply
                    );
                }
                Attempt::of(&accepted)
            }
            Err(error) if error.is_worth_retry() => Attempt::failed(error.to_string()),
            Err(error) => Attempt::refused(error.to_string()),
        }
    }
}

/// The pause after so many attempts before.
fn delay(attempts: u32) -> Duration {
    FIRST_DELAY.saturating_mul(2_u32.saturating_pow(attempts)).min(LONGEST_DELAY)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attempts_are_a_minute_apart_then_twice_as_long_and_at_last_an_hour() {
        let minutes: Vec<u64> = (0..9).map(|attempts| delay(attempts).as_secs() / 60).collect();
        assert_eq!(minutes, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
        assert_eq!(delay(u32::MAX), LONGEST_DELAY);
    }
}
