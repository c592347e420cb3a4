//! `steps.Trigger`: asks for other builds, and may wait for them.
//!
//! # Laws
//! - What became of the builds is read in the store. An event only says that it is time to look, so one that is lost costs a
//!   minute and no build its end.
//! - A step that waited does not end while one of its builds runs that could be stopped: a stop, a lost link and a failure call
//!   them off, and wait for their ends no longer than [`ENDED_WITHIN`].
//!
//! # Not here
//! Who makes requests of what is asked for (`scheduler::triggerable`); what the store does with those in the queue when the
//! parent has ended (`store::child`).
//!
//! # Source
//! Behaviour: Buildbot, `steps/trigger.py`: outcomes, lines, addresses.

mod brood;

use std::time::Duration;

use tokio::time::{self, Instant};
use tracing::warn;

use self::brood::{Asked, Brood};
use super::{StepContext, StepEnd, StepError, all_of, logs::Logs, one_line, seen::interrupted};
use crate::{
    definition::{TriggerOrder, step::Trigger},
    model::{EventKind, Outcome, Properties, PropertyValue},
    mq::{EventFilter, NextError, Subscription},
};

/// How long builds that are called off may take to end: longer than a command may take to die, shorter than a master that
/// stops waits for its builds.
const ENDED_WITHIN: Duration = Duration::from_secs(40);

/// How often the store is looked at without an event: only a master that is far behind loses one.
const LOOK_AGAIN: Duration = Duration::from_secs(60);

/// The same while builds are called off: one may have begun just now, and be known to nobody yet.
const LOOK_SOON: Duration = Duration::from_millis(250);

/// Who set what goes along.
const SOURCE: &str = "Trigger";

/// What a build says of what is built.
const FACTS: [&str; 5] = ["branch", "revision", "repository", "project", "codebase"];

/// Asks for builds; `has_words` if the line of the step is the operator's.
pub(super) async fn run(
    trigger: &Trigger,
    has_words: bool,
    context: &mut StepContext<'_>,
    logs: &mut Logs,
) -> Result<StepEnd, StepError> {
    let waits = trigger.waits.holds(context.known(), Vec::new).await?;
    let orders = orders(trigger, waits, context).await?;
    let unimportant = all_of(&trigger.unimportant, context.known()).await?;
    // As in Buildbot: if one cannot be triggered, none is.
    for order in &orders {
        context.family.triggers.knows(&order.scheduler)?;
    }
    // From before the first is asked for, so that nothing of it is missed.
    let wanted = [EventKind::BuildStarted, EventKind::BuildFinished, EventKind::BuildRequestComplete];
    let mut news = context.family.mq.subscribe(EventFilter::kinds(wanted));
    let mut brood = Brood::default();
    let mut asked = Ok(());
    for order in orders {
        let scheduler = order.scheduler.clone();
        match context.family.triggers.trigger(order).await {
            Ok(triggered) => {
                let counts = !unimportant.contains(&scheduler);
                logs.note(&brood::asked_line(&scheduler, &triggered)).await?;
                brood.asked.push(Asked { scheduler, triggered, counts });
            }
            Err(error) => {
                asked = Err(error);
                break;
            }
        }
    }
    logs.flush().await?;
    if !waits {
        asked?;
        brood.look(context.store).await?;
        show(&brood, has_words, context).await?;
        return Ok(StepEnd::new(Outcome::Success, brood.line()));
    }
    let _lent = context.family.lending.lend(context.request.id);
    let _awaits = context.locks.await_ends(context.request.id, brood.requests().collect());
    let end = match asked {
        Ok(()) => wait(&mut brood, &mut news, has_words, context, logs).await,
        Err(error) => Err(error.into()),
    };
    if !brood.is_complete() {
        call_off(&mut brood, &mut news, context).await;
        show(&brood, true, context).await?;
    }
    end
}

/// Waits until all builds have ended; returns before that if the step is to end.
async fn wait(
    brood: &mut Brood,
    news: &mut Subscription,
    has_words: bool,
    context: &mut StepContext<'_>,
    logs: &mut Logs,
) -> Result<StepEnd, StepError> {
    loop {
        brood.look(context.store).await?;
        let ended = brood.newly_ended();
        for line in &ended {
            logs.note(line).await?;
        }
        if !ended.is_empty() {
            logs.flush().await?;
        }
        show(brood, has_words, context).await?;
        if brood.is_complete() {
            return Ok(StepEnd::new(brood.outcome(), brood.line()));
        }
        // Each arm is cancel-safe: a stop, an end of the link and an event that were not taken are still there.
        tokio::select! {
            stopped = context.stop.stopped() => return Ok(interrupted("waiting for builds", &stopped)),
            () = context.line.lost() => return Ok(StepEnd::lost()),
            () = told(news, brood) => {}
            () = time::sleep(LOOK_AGAIN) => {}
        }
    }
}

/// Returns when an event concerns these builds, or may have.
async fn told(news: &mut Subscription, brood: &Brood) {
    loop {
        match news.next().await {
            Ok(event) => {
                let request = match event.kind {
                    EventKind::BuildRequestComplete => Some(event.key),
                    _ => event.body["buildrequestid"].as_i64(),
                };
                if request.is_some_and(|request| brood.has(request)) {
                    return;
                }
            }
            Err(NextError::Lagged { .. }) => return,
            // The master stops, which ends the builds by other ways.
            Err(NextError::Closed) => return std::future::pending().await,
        }
    }
}

/// Takes the builds from the queue and stops those that run, and waits for their ends. Another stop of the parent ends the
/// wait.
async fn call_off(brood: &mut Brood, news: &mut Subscription, context: &mut StepContext<'_>) {
    let until = Instant::now() + ENDED_WITHIN;
    loop {
        if let Err(failure) = brood.call_off(context.store, &context.family.running).await {
            let error = &failure as &dyn std::error::Error;
            warn!(build = %context.build, error, "cannot call off the builds that it waits for");
        }
        if brood.is_complete() {
            return;
        }
        tokio::select! {
            // Both are cancel-safe.
            () = told(news, brood) => {}
            () = time::sleep(LOOK_SOON) => {}
            _ = context.stop.stopped() => break,
            () = time::sleep_until(until) => break,
        }
    }
    warn!(build = %context.build, builds = brood.open(), "builds that were called off have not ended in time");
}

/// Shows people how the builds are; the store is told only what it does not know.
async fn show(brood: &Brood, has_words: bool, context: &StepContext<'_>) -> Result<(), StepError> {
    let mask = |text: String| context.secrets.mask(&text).into_owned();
    let state = (!has_words).then(|| one_line(&mask(brood.line())));
    let urls: Vec<_> =
        brood.urls(context.buildbot_url).into_iter().map(|(name, url)| (mask(name), url)).collect();
    context.store.show_step(context.step, state, &urls).await?;
    Ok(())
}

/// What is asked for, a buildset for each scheduler.
async fn orders(
    trigger: &Trigger,
    waits: bool,
    context: &StepContext<'_>,
) -> Result<Vec<TriggerOrder>, StepError> {
    let known = context.known();
    let source = source(trigger, context).await?;
    let properties = properties(trigger, context).await?;
    let relationship = context.secrets.mask(&trigger.relationship.render(known).await?).into_owned();
    let names = all_of(&trigger.scheduler_names, known).await?;
    let order = |scheduler| TriggerOrder {
        scheduler,
        source: source.clone(),
        properties: properties.clone(),
        parent: context.build,
        relationship: relationship.clone(),
        waits,
    };
    Ok(names.into_iter().map(order).collect())
}

/// What goes along of what is built.
async fn source(trigger: &Trigger, context: &StepContext<'_>) -> Result<Properties, StepError> {
    let mut source = Properties::new();
    if trigger.always_use_latest.holds(context.known(), Vec::new).await? {
        return Ok(source);
    }
    for name in FACTS {
        if let Some(fact) = text(context.properties, name).filter(|fact| !fact.is_empty()) {
            source.set(name, fact, SOURCE);
        }
    }
    if trigger.update_source_stamp.holds(context.known(), Vec::new).await? {
        let codebase = text(context.properties, "codebase").unwrap_or_default();
        // Of several codebases it is a table.
        let got = match context.properties.get("got_revision") {
            Some(PropertyValue::String(revision)) => Some(revision.as_str()).filter(|_| codebase.is_empty()),
            Some(PropertyValue::Object(revisions)) => revisions.get(codebase).and_then(PropertyValue::as_str),
            _ => None,
        };
        if let Some(revision) = got.filter(|revision| !revision.is_empty()) {
            source.set("revision", revision, SOURCE);
        }
    }
    Ok(source)
}

fn text<'a>(properties: &'a Properties, name: &str) -> Option<&'a str> {
    properties.get(name).and_then(PropertyValue::as_str)
}

/// What is set on the builds. As in Buildbot, what is copied wins over what is set. Properties are shown to everybody, so
/// secrets do not go along.
async fn properties(trigger: &Trigger, context: &StepContext<'_>) -> Result<Properties, StepError> {
    let mut properties = Properties::new();
    let table = match trigger.set_properties.value(context.known()).await? {
        PropertyValue::Object(table) => table,
        // Lua's empty table, or nothing at all.
        PropertyValue::Null => serde_json::Map::new(),
        PropertyValue::Array(list) if list.is_empty() => serde_json::Map::new(),
        _ => return Err(StepError::NoTable { option: "set_properties" }),
    };
    let secrets = context.secrets;
    for (name, value) in table {
        properties.set(&*secrets.mask(&name), secrets.mask_value(value), SOURCE);
    }
    for name in &trigger.copy_properties {
        if let Some(value) = context.properties.get(name) {
            properties.set(name.as_str(), value.clone(), SOURCE);
        }
    }
    Ok(properties)
}
