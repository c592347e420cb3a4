//! What the commands of a fleet do: nothing before they are let, then their output, and their end; counted together.
//!
//! # Laws
//! - No command ends before [`Work::open`]; so whoever measures begins with a fleet that stands still.
//! - Of so many builds as were asked for, each worker carries out its share as it comes; later commands never end, so the
//!   master stands still again.

use std::{
    sync::{
        Mutex, OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::{sync::watch, time};

/// The work of a fleet.
pub(crate) struct Work {
    output: Output,
    builds: usize,
    taken: AtomicUsize,
    ended: AtomicUsize,
    opened: OnceLock<Instant>,
    open: watch::Sender<bool>,
    /// How long workers waited from the end of a build for their next command.
    waits: Mutex<Vec<Duration>>,
}

impl Work {
    /// What each command says, and after how many the rest stay without an end.
    pub(crate) fn new(output: Output, builds: usize) -> Self {
        Self {
            output,
            builds,
            taken: AtomicUsize::new(0),
            ended: AtomicUsize::new(0),
            opened: OnceLock::new(),
            open: watch::Sender::new(false),
            waits: Mutex::default(),
        }
    }

    /// Lets the commands begin.
    pub(crate) fn open(&self) {
        self.opened.get_or_init(Instant::now);
        self.open.send_replace(true);
    }

    /// Waits until they may begin.
    pub(crate) async fn opened(&self) {
        let mut open = self.open.subscribe();
        open.wait_for(|open| *open).await.expect("the sender is in `self`");
    }

    /// Whether one more command is to be carried out.
    pub(crate) fn take(&self) -> bool {
        self.taken.fetch_add(1, Ordering::Relaxed) < self.builds
    }

    /// What a command says.
    pub(crate) fn output(&self) -> Output {
        self.output
    }

    /// A worker that had ended a build heard of its next command.
    pub(crate) fn waited(&self, since: Instant) {
        self.waits.lock().expect("nobody panics with it").push(since.elapsed());
    }

    /// A command was carried out; the last one tells of all.
    pub(crate) fn ended(&self) {
        if self.ended.fetch_add(1, Ordering::Relaxed) + 1 != self.builds {
            return;
        }
        let since = self.opened.get().expect("no command ends before it");
        let seconds = since.elapsed().as_secs_f64();
        let mut waits = std::mem::take(&mut *self.waits.lock().expect("nobody panics with it"));
        waits.sort_unstable();
        let part = |part: usize| waits.get(waits.len() * part / 100).map_or(0.0, Duration::as_secs_f64);
        let (builds, median, late) = (self.builds, part(50), part(99));
        println!(
            r#"{{"event": "builds", "builds": {builds}, "seconds": {seconds}, "wait": {median}, "late_wait": {late}}}"#
        );
    }
}

/// The output of each command.
#[derive(Clone, Copy)]
pub(crate) struct Output {
    /// All of it.
    pub(crate) bytes: usize,
    /// Told at once.
    pub(crate) at_once: usize,
    /// Bytes a second, at most; 0 for as many as the master takes.
    pub(crate) pace: usize,
}

impl Output {
    /// The pieces of it, whole lines each.
    pub(crate) fn pieces(self) -> impl Iterator<Item = String> {
        const LINE: usize = 81;
        let line = format!("{}\n", "x".repeat(LINE - 1));
        let piece = line.repeat((self.at_once / LINE).max(1));
        let count = self.bytes.div_ceil(piece.len());
        std::iter::repeat_n(piece, count)
    }

    /// Waits if so many bytes are too early.
    pub(crate) async fn keep_pace(self, bytes: usize, since: Instant) {
        if let Some(micros) = bytes.saturating_mul(1_000_000).checked_div(self.pace) {
            let due = since + Duration::from_micros(u64::try_from(micros).unwrap_or(u64::MAX));
            time::sleep_until(due.into()).await;
        }
    }

    /// Tells that it was sent.
    pub(crate) fn told(bytes: usize, since: Instant) {
        if bytes > 0 {
            let seconds = since.elapsed().as_secs_f64();
            println!(r#"{{"event": "log", "bytes": {bytes}, "seconds": {seconds}}}"#);
        }
    }
}

/// What a `buildbot-worker` says before the output of a command, and after it.
pub(crate) fn header(worker: &str) -> String {
    format!(
        "true\n in dir /srv/workers/{worker}/all/build (timeout 1200 secs)\n watching logfiles {{}}\n argv: [b'true']\n \
         using PTY: False\n"
    )
}

/// The line about its time.
pub(crate) const ELAPSED: &str = "elapsedTime=0.001000\n";
