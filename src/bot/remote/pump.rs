//! What is done on one connection: messages go both ways between a socket and the bot's link, with a [`Conversation`]
//! between the two.
//!
//! # Laws
//! - A master that does not read holds back what is taken from the bot, and so its commands; a bot that does not take its
//!   orders holds back the master. Neither piles up here.
//! - The master's orders are heard while output waits for it, up to [`MOST_UNREAD_BYTES`] of answers.
//! - Output that the conversation gathers leaves when it is due.
//! - A master that does not let the worker in within [`LOGIN_WITHIN`], or that gives no sign of life from one question for
//!   it to the next, is given up.
//! - What was said before an end is sent before the connection is closed, if the master reads it within [`FAREWELL`].
//!
//! # Not here
//! Sockets (`pb`, `msgpack`), what is spoken on them (`protocol`), and what comes after an end (the loop above).

use std::{
    future::poll_fn,
    pin::{Pin, pin},
    task::{Context, Poll},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use tokio::{
    sync::watch,
    time::{Instant, Sleep, sleep_until, timeout},
};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::{
    failure::{LinkError, shown},
    spool::Spool,
    station::Station,
};
use crate::protocol::{
    FromWorker, ToWorker,
    bot::{BotEvent, Conversation, gather::Now},
};

/// How much may wait for the master to read it before it is no longer listened to: some thousand answers.
const MOST_UNREAD_BYTES: usize = 256 * 1024;

/// How long a master may take to let a worker in. One of Buildbot that hundreds want to get into at once takes minutes.
pub(super) const LOGIN_WITHIN: Duration = Duration::from_secs(180);

/// How long the last words may take.
const FAREWELL: Duration = Duration::from_secs(2);

/// A socket, and how it carries a conversation.
pub(super) trait Carrier {
    /// Reads, if that is wanted, and writes, if there is something; ready once either was done, with whether something
    /// was heard.
    fn poll_exchange(
        &mut self,
        cx: &mut Context<'_>,
        conversation: &mut impl Conversation,
        read: bool,
    ) -> Poll<Result<bool, LinkError>>;

    /// Takes what is to be sent next from a conversation, unless the socket has not taken the last of it.
    fn load(&mut self, conversation: &mut impl Conversation);

    /// How much was taken that the socket has not, in bytes; nothing if all of it is on its way.
    fn load_bytes(&self) -> Option<usize>;

    /// Asks the master for a sign of life, if the carrier itself has a way to.
    fn ask(&mut self);

    /// Says that no more comes, and lets the master hang up; what it says meanwhile is not heard.
    fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LinkError>>;
}

/// What the rest of the program wishes, and what it is told.
#[derive(Debug)]
pub(super) struct Outside {
    /// Stop now.
    pub(super) stop: CancellationToken,
    /// Stop once the master finds it convenient.
    pub(super) wants_shutdown: CancellationToken,
    /// Whether the worker is attached.
    pub(super) attached: watch::Sender<bool>,
}

/// Why no more is carried.
#[derive(Debug)]
pub(super) enum End {
    /// The master told the worker to stop, and its commands are killed.
    Shutdown,
    /// The worker is stopped from outside.
    Stopped,
    /// The worker outside to stop, and no master is there to ask.
    Wished,
    /// The connection is lost.
    Lost(LinkError),
}

/// One connection, from the first byte of a conversation on.
pub(super) struct Pump<'a, W, C> {
    carrier: W,
    conversation: C,
    outside: &'a Outside,
    life: Life,
    begun_at: Instant,
    attached_at: Option<Instant>,
    is_told_to_stop: bool,
    has_wished: bool,
}

impl<'a, W: Carrier, C: Conversation> Pump<'a, W, C> {
    /// For a connection on which nothing was said yet. The master is asked for a sign of life each `keepalive`.
    pub(super) fn new(
        carrier: W,
        conversation: C,
        keepalive: Option<Duration>,
        outside: &'a Outside,
    ) -> Self {
        Self {
            carrier,
            conversation,
            outside,
            life: Life { interval: keepalive, next_at: None, is_asked: false },
            begun_at: Instant::now(),
            attached_at: None,
            is_told_to_stop: false,
            has_wished: false,
        }
    }

    /// Since when the worker is attached.
    pub(super) const fn attached_at(&self) -> Option<Instant> {
        self.attached_at
    }

    /// Carries messages between the socket and a bot until something ends it. The connection is still there, for [`Pump::close`].
    ///
    /// # Cancel safety
    /// Dropped before it returns, it may be called again; nothing is lost but what is being read back from a disk.
    pub(super) async fn run(&mut self, station: &mut Station, spool: &mut Spool) -> End {
        let mut error = match self.carry(station, spool).await {
            Ok(end) => return end,
            Err(error) => error,
        };
        // What came with the end, or before it, may say more.
        while let Some(event) = self.conversation.poll_event() {
            match event {
                BotEvent::Refused(reason) => error = LinkError::Refused { reason },
                BotEvent::Order(ToWorker::Shutdown) => self.is_told_to_stop = true,
                _ => {}
            }
        }
        if self.is_told_to_stop {
            // Who says so and hangs up means it.
            return End::Shutdown;
        }
        End::Lost(match error {
            LinkError::Closed if self.attached_at.is_none() => LinkError::ClosedEarly,
            error => error,
        })
    }

    async fn carry(&mut self, station: &mut Station, spool: &mut Spool) -> Result<End, LinkError> {
        let mut alarm = pin!(sleep_until(self.begun_at));
        loop {
            let now = Instant::now();
            self.hear(station, now)?;
            self.look_at_clock(now)?;
            self.move_kept(spool).await;
            self.carrier.load(&mut self.conversation);
            let load = self.carrier.load_bytes();
            let unsent = self.conversation.output_len() + load.unwrap_or(0);
            let has_output = load.is_some() || unsent > 0;
            // What is read makes answers: a master that does not take those is not heard either. But what waits for a word
            // of the master needs to hear it.
            let wants_input = station.pending.is_none() && (unsent < MOST_UNREAD_BYTES || load.is_none());
            let has_alarm = self.set(alarm.as_mut());
            let Self { carrier, conversation, outside, .. } = self;
            let Station { link, pending, .. } = station;
            tokio::select! {
                // Each arm is cancel-safe: readiness is asked again, a permit that is not returned is not taken, a message
                // is taken only when it is returned; a token, a closed queue and an alarm stay so.
                heard = poll_fn(|cx| carrier.poll_exchange(cx, conversation, wants_input)) => if heard? {
                    self.life.is_asked = false;
                },
                permit = link.to_worker.reserve(), if pending.is_some() => match permit {
                    Ok(permit) => if let Some(order) = pending.take() {
                        permit.send(order);
                    },
                    Err(_) => return self.bot_ended(),
                },
                // A master that does not read, or does not answer, gets no more to read.
                message = link.from_worker.recv(), if !has_output && !conversation.is_full() => match message {
                    Some(message) => conversation.say(message, at(now)),
                    None => return self.bot_ended(),
                },
                () = link.to_worker.closed() => return self.bot_ended(),
                () = alarm.as_mut(), if has_alarm => {}
                () = outside.stop.cancelled() => {
                    conversation.say(FromWorker::SessionOver, at(now));
                    return Ok(End::Stopped);
                }
                () = outside.wants_shutdown.cancelled(), if !self.has_wished => {
                    if self.attached_at.is_none() {
                        return Ok(End::Wished);
                    }
                    self.has_wished = true;
                    info!("asking the master to let this worker stop");
                    conversation.say(FromWorker::WantsShutdown, at(now));
                }
            }
        }
    }

    /// Moves what is kept for the master out of memory, or what it is to hear now back.
    async fn move_kept(&mut self, spool: &mut Spool) {
        if spool.takes_more()
            && let Some((id, bytes)) = self.conversation.overflow()
            && let Some(away) = spool.put(bytes).await
        {
            self.conversation.stowed(id, away);
        }
        if let Some((id, away)) = self.conversation.wanted() {
            let body = Spool::get(away).await;
            self.conversation.fetched(id, body);
        }
    }

    fn bot_ended(&self) -> Result<End, LinkError> {
        if self.is_told_to_stop { Ok(End::Shutdown) } else { Err(LinkError::Bot) }
    }

    /// Does what was heard, as long as the bot has room for orders.
    fn hear(&mut self, station: &mut Station, now: Instant) -> Result<(), LinkError> {
        while station.pending.is_none()
            && let Some(event) = self.conversation.poll_event()
        {
            match event {
                BotEvent::Attached => {
                    self.attached_at = Some(now);
                    self.life.begin(now);
                    self.outside.attached.send_replace(true);
                    info!("attached: the master has let this worker in");
                }
                BotEvent::Refused(reason) => return Err(LinkError::Refused { reason }),
                BotEvent::Order(order) => {
                    if order == ToWorker::Shutdown {
                        info!("the master tells this worker to stop");
                        self.is_told_to_stop = true;
                    }
                    station.order(order)?;
                }
                BotEvent::Printed(line) => info!("message from master: {}", shown(&line)),
                BotEvent::KeptAlive => debug!("the master is alive"),
                BotEvent::Failed(what) => warn!("trouble with the master: {}", shown(&what)),
            }
        }
        Ok(())
    }

    /// Does what is due.
    fn look_at_clock(&mut self, now: Instant) -> Result<(), LinkError> {
        if self.conversation.due().is_some_and(|due| due <= now.into_std()) {
            self.conversation.tick(at(now));
        }
        if self.attached_at.is_none() && now >= self.begun_at + LOGIN_WITHIN {
            return Err(LinkError::Silent);
        }
        if self.life.is_due(now)? {
            self.conversation.keep_alive();
            self.carrier.ask();
        }
        Ok(())
    }

    /// Sets the alarm to the next instant at which there is something to do; false if there is none.
    fn set(&self, mut alarm: Pin<&mut Sleep>) -> bool {
        let login_ends = self.attached_at.is_none().then(|| self.begun_at + LOGIN_WITHIN);
        let due = self.conversation.due().map(Instant::from_std);
        let Some(next) = [login_ends, due, self.life.next_at].into_iter().flatten().min() else {
            return false;
        };
        if alarm.deadline() != next || alarm.is_elapsed() {
            alarm.as_mut().reset(next);
        }
        true
    }

    /// Sends what was said, closes the connection, and lets the master hang up, all within [`FAREWELL`]; what was spoken on
    /// it.
    pub(super) async fn close(mut self) -> C {
        let Self { carrier, conversation, .. } = &mut self;
        let last_words = async {
            loop {
                carrier.load(conversation);
                if carrier.load_bytes().is_none() {
                    break;
                }
                poll_fn(|cx| carrier.poll_exchange(cx, conversation, false)).await?;
            }
            poll_fn(|cx| carrier.poll_close(cx)).await
        };
        match timeout(FAREWELL, last_words).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => debug!(error = &error as &dyn std::error::Error, "the connection was gone"),
            Err(_) => debug!("the master did not wait for the end"),
        }
        self.conversation
    }
}

/// The same instant for waits and for people.
pub(super) fn at(now: Instant) -> Now {
    let epoch = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64());
    Now { instant: now.into_std(), epoch }
}

/// Whether the master is alive.
#[derive(Clone, Copy, Debug)]
struct Life {
    interval: Option<Duration>,
    /// When the next question is due; nothing before the worker is attached.
    next_at: Option<Instant>,
    /// It was asked, and nothing was heard since.
    is_asked: bool,
}

impl Life {
    fn begin(&mut self, now: Instant) {
        self.next_at = self.interval.and_then(|interval| now.checked_add(interval));
    }

    /// Whether the next question is due, which then counts as asked.
    fn is_due(&mut self, now: Instant) -> Result<bool, LinkError> {
        let (Some(interval), Some(next_at)) = (self.interval, self.next_at) else { return Ok(false) };
        if now < next_at {
            return Ok(false);
        }
        if self.is_asked {
            return Err(LinkError::Dead { within: interval });
        }
        self.begin(now);
        self.is_asked = true;
        Ok(true)
    }
}

#[cfg(test)]
mod tests;
