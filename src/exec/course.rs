//! The course of a child from its start to its end, decided without a process or a clock: time comes in.
//!
//! ```text
//! Running -> Stopping(TERM) -> Stopping(asked) -> Stopping(KILL) -> over: it would not die
//!    |             |                |                  |
//!    +-------------+----------------+------------------+-- its main process ends --> Draining -> over
//! ```
//!
//! Draining is for output that outlives the main process: a program left in the background holds its pipes open, and
//! perhaps for ever. What is in the pipes is read; after [`PATIENCE`] the rest of the group is killed.
//!
//! # Laws
//! - Each phase ends by itself: at its deadline, or because the reader takes what is there.
//! - Silence does not count while the reader holds the child back: then it may want to write and cannot.
//! - One reason is told at most, before the first signal.

use std::time::Duration;

use tokio::time::Instant;

use super::spec::{EndSignal, Spec};

/// How long a signal may take to show its effect, and pipes to be closed after the main process has ended.
///
/// Source of the figure: Buildbot's worker waits 5 s for a killed process, too.
pub const PATIENCE: Duration = Duration::from_secs(5);

/// Bytes read after the main process has ended, from which on a slow reader prolongs nothing. More than any pipe
/// holds: what it wrote itself has been read, the rest is from those that it left behind.
const REMAINS_BYTES: usize = 2 * 1024 * 1024;

/// Why a child was killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KillReason {
    /// It ran longer than `max_time`.
    Timeout,
    /// It was silent longer than `timeout`.
    TimeoutWithoutOutput,
    /// It wrote more lines than `max_lines`.
    TooManyLines {
        /// How many were read when that was seen.
        written: u64,
    },
    /// Somebody wished it.
    Interrupted,
}

/// What is to be done now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Demand {
    /// Tell the reason, then send the signal to the group.
    Begin(KillReason, EndSignal),
    /// Send the signal to the group.
    Signal(EndSignal),
    /// Nothing is waited for any more: kill what is left of the group.
    GiveUp,
}

#[derive(Debug)]
enum Phase {
    Running { silence: Option<Countdown> },
    Stopping { sent: Sent, until: Option<Instant> },
    Draining { left: Countdown, bytes: usize },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sent {
    Term,
    Asked,
    Kill,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Course {
    timeout: Option<Duration>,
    sigterm_time: Option<Duration>,
    interrupt_signal: EndSignal,
    max_at: Option<Instant>,
    max_lines: Option<u64>,
    lines: u64,
    phase: Phase,
    reason: Option<KillReason>,
    exited: bool,
}

impl Course {
    /// The course of a child that starts now.
    pub(super) fn new(spec: &Spec, now: Instant) -> Self {
        Self {
            timeout: spec.timeout,
            sigterm_time: spec.sigterm_time,
            interrupt_signal: spec.interrupt_signal,
            // A limit beyond the end of time is none.
            max_at: spec.max_time.and_then(|limit| now.checked_add(limit)),
            max_lines: spec.max_lines,
            lines: 0,
            phase: Phase::Running { silence: spec.timeout.map(|limit| Countdown::new(limit, now)) },
            reason: None,
            exited: false,
        }
    }

    /// Why it was killed, if it was.
    pub(super) fn reason(&self) -> Option<KillReason> {
        self.reason
    }

    /// Whether its main process has ended.
    pub(super) fn has_exited(&self) -> bool {
        self.exited
    }

    /// It has written something, on whatever stream.
    pub(super) fn heard(&mut self, bytes_read: usize, now: Instant) {
        match &mut self.phase {
            Phase::Running { silence } => *silence = self.timeout.map(|limit| Countdown::new(limit, now)),
            Phase::Draining { bytes, .. } => *bytes += bytes_read,
            Phase::Stopping { .. } => {}
        }
    }

    /// Lines of it are to be told: how many of them may be, all if that is not said, and what they demand.
    pub(super) fn lines(&mut self, count: u64, now: Instant) -> (Option<u64>, Option<Demand>) {
        let Some(most) = self.max_lines else { return (None, None) };
        if matches!(self.reason, Some(KillReason::TooManyLines { .. })) {
            return (Some(0), None);
        }
        let left = most.saturating_sub(self.lines);
        self.lines = self.lines.saturating_add(count);
        // What writes on after another signal is told.
        if count <= left || !matches!(self.phase, Phase::Running { .. }) {
            return (None, None);
        }
        (Some(left), Some(self.begin(KillReason::TooManyLines { written: self.lines }, now)))
    }

    /// Whether the reader holds it back at present.
    pub(super) fn set_held(&mut self, held: bool, now: Instant) {
        match &mut self.phase {
            Phase::Running { silence: Some(silence) } if held => silence.pause(now),
            // Not what was left of the limit: it may have been blocked, and needs time to write again.
            Phase::Running { silence } if silence.is_some_and(|silence| silence.is_paused()) => {
                *silence = self.timeout.map(|limit| Countdown::new(limit, now));
            }
            Phase::Draining { left, bytes } if held && *bytes < REMAINS_BYTES => left.pause(now),
            Phase::Draining { left, .. } => left.resume(now),
            Phase::Running { .. } | Phase::Stopping { .. } => {}
        }
    }

    /// Somebody wishes it to end.
    pub(super) fn interrupt(&mut self, now: Instant) -> Option<Demand> {
        match self.phase {
            Phase::Running { .. } => Some(self.begin(KillReason::Interrupted, now)),
            Phase::Stopping { .. } => None,
            Phase::Draining { .. } => Some(Demand::GiveUp),
        }
    }

    /// Nobody waits for it any more: no grace.
    pub(super) fn kill(&mut self, now: Instant) -> Demand {
        if matches!(self.phase, Phase::Draining { .. }) {
            return Demand::GiveUp;
        }
        self.reason.get_or_insert(KillReason::Interrupted);
        self.send(Sent::Kill, now)
    }

    /// Its main process has ended.
    pub(super) fn exited(&mut self, now: Instant) {
        self.exited = true;
        // While it is being stopped, others in its group still have the time that they were given.
        if !matches!(self.phase, Phase::Stopping { sent: Sent::Term | Sent::Asked, .. }) {
            self.drain(now);
        }
    }

    /// When [`Course::due`] will have something to say.
    pub(super) fn deadline(&self) -> Option<Instant> {
        match &self.phase {
            Phase::Running { silence } => {
                let silent_at = silence.and_then(|silence| silence.ends_at());
                [silent_at, self.max_at].into_iter().flatten().min()
            }
            Phase::Stopping { until, .. } => *until,
            Phase::Draining { left, .. } => left.ends_at(),
        }
    }

    /// What the time demands, if it does.
    pub(super) fn due(&mut self, now: Instant) -> Option<Demand> {
        if self.deadline().is_none_or(|deadline| now < deadline) {
            return None;
        }
        Some(match self.phase {
            Phase::Running { .. } if self.max_at.is_some_and(|at| at <= now) => {
                self.begin(KillReason::Timeout, now)
            }
            Phase::Running { .. } => self.begin(KillReason::TimeoutWithoutOutput, now),
            Phase::Stopping { sent: Sent::Term, .. } => self.send(Sent::Asked, now),
            Phase::Stopping { sent: Sent::Asked, .. } => self.send(Sent::Kill, now),
            Phase::Stopping { sent: Sent::Kill, .. } | Phase::Draining { .. } => Demand::GiveUp,
        })
    }

    fn begin(&mut self, reason: KillReason, now: Instant) -> Demand {
        self.reason = Some(reason);
        let sent = if self.sigterm_time.is_some() { Sent::Term } else { Sent::Asked };
        match self.send(sent, now) {
            Demand::Signal(signal) => Demand::Begin(reason, signal),
            other => other,
        }
    }

    fn send(&mut self, sent: Sent, now: Instant) -> Demand {
        let (sent, signal, patience) = match sent {
            Sent::Term => (sent, EndSignal::Term, self.sigterm_time.unwrap_or(PATIENCE)),
            Sent::Asked if self.interrupt_signal != EndSignal::Kill => {
                (sent, self.interrupt_signal, PATIENCE)
            }
            Sent::Asked | Sent::Kill => (Sent::Kill, EndSignal::Kill, PATIENCE),
        };
        self.phase = Phase::Stopping { sent, until: now.checked_add(patience) };
        if sent == Sent::Kill && self.exited {
            self.drain(now);
        }
        Demand::Signal(signal)
    }

    fn drain(&mut self, now: Instant) {
        self.phase = Phase::Draining { left: Countdown::new(PATIENCE, now), bytes: 0 };
    }
}

/// Time that runs, and may be stopped.
#[derive(Clone, Copy, Debug)]
struct Countdown {
    left: Duration,
    running_since: Option<Instant>,
}

impl Countdown {
    fn new(left: Duration, now: Instant) -> Self {
        Self { left, running_since: Some(now) }
    }

    fn is_paused(&self) -> bool {
        self.running_since.is_none()
    }

    fn pause(&mut self, now: Instant) {
        if let Some(since) = self.running_since.take() {
            self.left = self.left.saturating_sub(now - since);
        }
    }

    fn resume(&mut self, now: Instant) {
        self.running_since.get_or_insert(now);
    }

    fn ends_at(&self) -> Option<Instant> {
        self.running_since.and_then(|since| since.checked_add(self.left))
    }
}

#[cfg(test)]
mod tests {
    use super::{super::Program, *};

    const SECOND: Duration = Duration::from_secs(1);

    fn spec() -> Spec {
        Spec::new(Program::Shell(String::new()), "/")
    }

    #[tokio::test(start_paused = true)]
    async fn output_resets_silence_and_the_whole_time_runs_on() {
        let start = Instant::now();
        let mut course =
            Course::new(&Spec { timeout: Some(3 * SECOND), max_time: Some(10 * SECOND), ..spec() }, start);
        for second in 1..=3 {
            let now = start + 2 * second * SECOND;
            assert_eq!(course.due(now), None);
            course.heard(1, now);
        }
        assert_eq!(course.deadline(), Some(start + 9 * SECOND));
        course.heard(1, start + 8 * SECOND);
        assert_eq!(course.deadline(), Some(start + 10 * SECOND));
        let demand = course.due(start + 10 * SECOND);
        assert_eq!(demand, Some(Demand::Begin(KillReason::Timeout, EndSignal::Kill)));
        assert_eq!(course.reason(), Some(KillReason::Timeout));
    }

    #[tokio::test(start_paused = true)]
    async fn one_line_too_many_kills_and_nothing_beyond_the_limit_is_told() {
        let start = Instant::now();
        let mut course = Course::new(&Spec { max_lines: Some(10), ..spec() }, start);
        assert_eq!(course.lines(4, start), (None, None));
        assert_eq!(course.lines(4, start), (None, None));
        let demand = Demand::Begin(KillReason::TooManyLines { written: 13 }, EndSignal::Kill);
        assert_eq!(course.lines(5, start), (Some(2), Some(demand)));
        assert_eq!(course.lines(1, start), (Some(0), None));
        let mut course = Course::new(&Spec { max_lines: Some(1), ..spec() }, start);
        course.interrupt(start);
        assert_eq!(course.lines(5, start), (None, None));
        assert_eq!(course.reason(), Some(KillReason::Interrupted));
    }

    #[tokio::test(start_paused = true)]
    async fn silence_does_not_count_while_the_reader_holds_the_child_back() {
        let start = Instant::now();
        let mut course = Course::new(&Spec { timeout: Some(3 * SECOND), ..spec() }, start);
        course.set_held(true, start + 2 * SECOND);
        course.set_held(true, start + 50 * SECOND);
        assert_eq!(course.due(start + 100 * SECOND), None);
        course.set_held(false, start + 100 * SECOND);
        course.set_held(false, start + 101 * SECOND);
        assert_eq!(course.deadline(), Some(start + 103 * SECOND));
        let demand = course.due(start + 103 * SECOND);
        assert_eq!(demand, Some(Demand::Begin(KillReason::TimeoutWithoutOutput, EndSignal::Kill)));
    }

    #[tokio::test(start_paused = true)]
    async fn signals_grow_harsher_until_nothing_more_can_be_done() {
        let start = Instant::now();
        let spec = Spec { sigterm_time: Some(60 * SECOND), interrupt_signal: EndSignal::Int, ..spec() };
        let mut course = Course::new(&spec, start);
        assert_eq!(course.interrupt(start), Some(Demand::Begin(KillReason::Interrupted, EndSignal::Term)));
        assert_eq!(course.interrupt(start), None, "one interrupt does not cut the grace of the other");
        assert_eq!(course.due(start + 59 * SECOND), None);
        assert_eq!(course.due(start + 60 * SECOND), Some(Demand::Signal(EndSignal::Int)));
        assert_eq!(course.due(start + 65 * SECOND), Some(Demand::Signal(EndSignal::Kill)));
        assert_eq!(course.due(start + 69 * SECOND), None);
        assert_eq!(course.due(start + 70 * SECOND), Some(Demand::GiveUp));
        assert!(!course.has_exited());
    }

    #[tokio::test(start_paused = true)]
    async fn a_kill_has_no_grace() {
        let start = Instant::now();
        let mut course = Course::new(&Spec { sigterm_time: Some(60 * SECOND), ..spec() }, start);
        course.interrupt(start);
        assert_eq!(course.kill(start), Demand::Signal(EndSignal::Kill));
        assert_eq!(course.due(start + PATIENCE), Some(Demand::GiveUp));
    }

    #[tokio::test(start_paused = true)]
    async fn pipes_held_open_after_the_end_are_waited_for_a_short_time() {
        let start = Instant::now();
        let mut course = Course::new(&Spec { timeout: Some(SECOND), ..spec() }, start);
        course.exited(start);
        assert_eq!(course.due(start + SECOND), None, "it is not silent, it has ended");
        course.heard(1, start + 4 * SECOND);
        assert_eq!(course.due(start + PATIENCE), Some(Demand::GiveUp));
        assert_eq!(course.reason(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_reader_gets_what_the_child_wrote_but_not_all_that_is_left_behind_writes() {
        let start = Instant::now();
        let mut course = Course::new(&spec(), start);
        course.exited(start);
        course.set_held(true, start + SECOND);
        assert_eq!(course.deadline(), None);
        course.set_held(false, start + 100 * SECOND);
        assert_eq!(course.deadline(), Some(start + 104 * SECOND));
        course.heard(REMAINS_BYTES, start + 101 * SECOND);
        course.set_held(true, start + 101 * SECOND);
        assert_eq!(course.deadline(), Some(start + 104 * SECOND));
    }

    #[tokio::test(start_paused = true)]
    async fn the_rest_of_the_group_keeps_the_grace_when_its_main_process_dies_early() {
        let start = Instant::now();
        let mut course = Course::new(&Spec { sigterm_time: Some(10 * SECOND), ..spec() }, start);
        course.interrupt(start);
        course.exited(start + SECOND);
        assert_eq!(course.due(start + 9 * SECOND), None);
        assert_eq!(course.due(start + 10 * SECOND), Some(Demand::Signal(EndSignal::Kill)));
        assert_eq!(course.due(start + 15 * SECOND), Some(Demand::GiveUp));
    }

    #[tokio::test(start_paused = true)]
    async fn an_endless_limit_is_no_limit() {
        let start = Instant::now();
        let spec = Spec { timeout: Some(Duration::MAX), max_time: Some(Duration::MAX), ..spec() };
        assert_eq!(Course::new(&spec, start).deadline(), None);
    }
}
