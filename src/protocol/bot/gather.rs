//! Output on its way to the master: as text, in lines, gathered for a moment so that a chatty command is not a message a
//! line.
//!
//! # Laws
//! - Nothing is lost and nothing is told twice: the text that comes out is the text of the bytes that went in, in their
//!   order, each stream's and across streams as they came.
//! - What went in comes out within [`WAIT`], or what [`Bounds`] say, unless [`Unfinished::Kept`] waits for the end of its
//!   line.
//! - A line is told whole up to [`LONGEST_LINE`]; a longer one in pieces of that, each ended by a line end.
//! - The last line of each stream ends with a line end.
//!
//! # Source
//! Buildbot 4.3.0, `buildbot_worker/util/buffer_manager.py`, whose 5 s and lost characters of long lines are not followed.

use std::{
    mem,
    sync::Arc,
    time::{Duration, Instant},
};

use super::text::Text;
use crate::model::LogStream;

/// How long output may be gathered.
pub const WAIT: Duration = Duration::from_millis(50);
/// How much may be gathered, in bytes: then it is due at once.
pub const MOST_BYTES: usize = 64 * 1024;
/// The longest line that stays whole, in bytes; memory for each stream of each command.
pub const LONGEST_LINE: usize = 1024 * 1024;

/// How much output may be gathered, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// How long.
    pub wait: Duration,
    /// In bytes: then it is due at once.
    pub most_bytes: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { wait: WAIT, most_bytes: MOST_BYTES }
    }
}

/// Of what a text is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A stream of the command.
    Stream(LogStream),
    /// A watched file, by the name of its log.
    Log(Arc<str>),
}

/// What becomes of a line whose end has not come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unfinished {
    /// It waits for its end: the wire knows whole lines only.
    Kept,
    /// It is told like the rest: somebody may wait for a prompt.
    Told,
}

/// When something came.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    /// For waits.
    pub instant: Instant,
    /// For people: seconds since 1970.
    pub epoch: f64,
}

/// Text of one source.
#[derive(Clone, Debug, PartialEq)]
pub struct Gathered {
    /// Of what.
    pub source: Source,
    /// The text. It ends with a line end, unless unfinished lines are told.
    pub text: String,
    /// When the first character of each of its lines came, in seconds since 1970: as many as it has line ends, and one more
    /// for what follows the last.
    pub times: Vec<f64>,
}

/// The output of one command.
#[derive(Debug)]
pub struct Gather {
    unfinished: Unfinished,
    bounds: Bounds,
    streams: Vec<Stream>,
    ready: Vec<Gathered>,
    ready_bytes: usize,
    /// When the oldest of what is ready came.
    since: Option<Instant>,
}

/// One source, and its unfinished line.
#[derive(Debug)]
struct Stream {
    source: Source,
    text: Text,
    line: String,
    /// When the unfinished line began.
    begun: f64,
    /// Whether the last that was told of it was an unfinished line.
    is_open: bool,
}

impl Gather {
    /// Of a command that has said nothing.
    pub fn new(unfinished: Unfinished) -> Self {
        Self::within(Bounds::default(), unfinished)
    }

    /// The same with bounds of its own.
    pub const fn within(bounds: Bounds, unfinished: Unfinished) -> Self {
        Self { unfinished, bounds, streams: Vec::new(), ready: Vec::new(), ready_bytes: 0, since: None }
    }

    /// Takes output.
    pub fn output(&mut self, source: &Source, bytes: &[u8], now: Now) {
        let index = self.streams.iter().position(|stream| stream.source == *source).unwrap_or_else(|| {
            self.streams.push(Stream::new(source.clone()));
            self.streams.len() - 1
        });
        let text = self.streams[index].text.feed(bytes);
        self.add(index, &text, now);
    }

    /// Ends all streams: what waits for its line end gets one.
    pub fn finish(&mut self, now: Now) {
        for index in 0..self.streams.len() {
            let text = self.streams[index].text.finish();
            self.add(index, &text, now);
            let stream = &mut self.streams[index];
            if stream.is_open || !stream.line.is_empty() {
                self.add(index, "\n", now);
            }
        }
    }

    /// When [`Gather::take`] is due; nothing if nothing waits.
    pub fn due(&self) -> Option<Instant> {
        let since = self.since?;
        Some(if self.ready_bytes >= self.bounds.most_bytes { since } else { since + self.bounds.wait })
    }

    /// What was gathered, in order; neighbours of one source are one.
    pub fn take(&mut self) -> Vec<Gathered> {
        (self.since, self.ready_bytes) = (None, 0);
        mem::take(&mut self.ready)
    }

    fn add(&mut self, index: usize, text: &str, now: Now) {
        let stream = &mut self.streams[index];
        let mut told = (String::new(), Vec::new());
        for piece in text.split_inclusive('\n') {
            let mut piece = piece;
            // A line that does not end is cut, but nothing of it lost.
            while stream.line.len() + piece.len() > LONGEST_LINE + 1 {
                let cut = piece.floor_char_boundary(LONGEST_LINE - stream.line.len().min(LONGEST_LINE));
                let (head, tail) = piece.split_at(cut);
                stream.push(head, now);
                stream.line.push('\n');
                stream.tell(&mut told);
                piece = tail;
            }
            stream.push(piece, now);
            if stream.line.ends_with('\n') {
                stream.tell(&mut told);
            }
        }
        if self.unfinished == Unfinished::Told && !stream.line.is_empty() {
            stream.tell(&mut told);
        }
        let (text, times) = told;
        if text.is_empty() {
            return;
        }
        self.since.get_or_insert(now.instant);
        self.ready_bytes += text.len();
        match self.ready.last_mut().filter(|last| last.source == stream.source) {
            Some(last) => {
                // An unfinished line goes on with its own time.
                let skip = usize::from(!last.text.ends_with('\n'));
                last.times.extend_from_slice(&times[skip.min(times.len())..]);
                last.text.push_str(&text);
            }
            None => self.ready.push(Gathered { source: stream.source.clone(), text, times }),
        }
    }
}

impl Stream {
    fn new(source: Source) -> Self {
        Self { source, text: Text::default(), line: String::new(), begun: 0.0, is_open: false }
    }

    fn push(&mut self, text: &str, now: Now) {
        if self.line.is_empty() && !self.is_open {
            self.begun = now.epoch;
        }
        self.line.push_str(text);
    }

    /// Adds the line, whole or not, to what is told.
    fn tell(&mut self, (text, times): &mut (String, Vec<f64>)) {
        times.push(self.begun);
        self.is_open = !self.line.ends_with('\n');
        text.push_str(&self.line);
        self.line.clear();
        if self.line.capacity() > MOST_BYTES {
            self.line = String::new();
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const OUT: Source = Source::Stream(LogStream::Stdout);
    const ERR: Source = Source::Stream(LogStream::Stderr);

    fn at(epoch: u32, begin: Instant) -> Now {
        Now { instant: begin + Duration::from_secs(epoch.into()), epoch: epoch.into() }
    }

    fn said(gather: &mut Gather) -> Vec<(Source, String, Vec<f64>)> {
        gather.take().into_iter().map(|Gathered { source, text, times }| (source, text, times)).collect()
    }

    #[test]
    fn lines_come_in_order_and_neighbours_of_one_stream_are_one() {
        let (mut gather, begin) = (Gather::new(Unfinished::Kept), Instant::now());
        assert_eq!(gather.due(), None);
        for (source, bytes, when) in
            [(&OUT, "a\nb", 1), (&OUT, "c\n", 2), (&ERR, "e\n", 3), (&OUT, "d\nx", 4), (&ERR, "y", 5)]
        {
            gather.output(source, bytes.as_bytes(), at(when, begin));
        }
        assert_eq!(gather.due(), Some(at(1, begin).instant + WAIT));
        let told = [
            (OUT, "a\nbc\n".to_owned(), vec![1.0, 1.0]),
            (ERR, "e\n".to_owned(), vec![3.0]),
            (OUT, "d\n".to_owned(), vec![4.0]),
        ];
        assert_eq!(said(&mut gather), told);
        assert_eq!((gather.due(), gather.take()), (None, vec![]));
        gather.finish(at(9, begin));
        assert_eq!(
            said(&mut gather),
            [(OUT, "x\n".to_owned(), vec![4.0]), (ERR, "y\n".to_owned(), vec![5.0])]
        );
    }

    #[test]
    fn a_prompt_is_told_at_once_where_the_wire_can_and_its_line_ends_once() {
        let (mut gather, begin) = (Gather::new(Unfinished::Told), Instant::now());
        gather.output(&OUT, b"name? ", at(1, begin));
        assert_eq!(said(&mut gather), [(OUT, "name? ".to_owned(), vec![1.0])]);
        gather.output(&OUT, b"me\nsure? ", at(2, begin));
        gather.output(&OUT, b"y", at(3, begin));
        assert_eq!(said(&mut gather), [(OUT, "me\nsure? y".to_owned(), vec![1.0, 2.0])]);
        gather.finish(at(4, begin));
        assert_eq!(said(&mut gather), [(OUT, "\n".to_owned(), vec![2.0])]);
        gather.finish(at(5, begin));
        assert_eq!(gather.due(), None);
    }

    #[test]
    fn much_output_is_due_at_once() {
        let (mut gather, begin) = (Gather::new(Unfinished::Kept), Instant::now());
        gather.output(&OUT, b"a\n", at(1, begin));
        gather.output(&OUT, &b"0123456789abcde\n".repeat(MOST_BYTES / 16), at(2, begin));
        assert_eq!(gather.due(), Some(at(1, begin).instant));
    }

    #[test]
    fn bounds_of_its_own_make_output_due_sooner() {
        let begin = Instant::now();
        let bounds = Bounds { wait: Duration::from_millis(7), most_bytes: 4 };
        let mut gather = Gather::within(bounds, Unfinished::Kept);
        gather.output(&OUT, b"a\n", at(1, begin));
        assert_eq!(gather.due(), Some(at(1, begin).instant + bounds.wait));
        gather.output(&OUT, b"b\n", at(1, begin));
        assert_eq!(gather.due(), Some(at(1, begin).instant));
    }

    #[test]
    fn a_long_line_is_told_in_pieces_and_loses_nothing() {
        let (mut gather, begin) = (Gather::new(Unfinished::Kept), Instant::now());
        let line = "\u{e4}".repeat(LONGEST_LINE);
        for chunk in line.as_bytes().chunks(65_537) {
            gather.output(&OUT, chunk, at(1, begin));
        }
        gather.finish(at(2, begin));
        let text: String = gather.take().into_iter().map(|gathered| gathered.text).collect();
        assert!(text.split('\n').all(|line| line.len() <= LONGEST_LINE));
        assert_eq!(text.matches('\n').count(), 2);
        assert!(text.replace('\n', "") == line);
    }

    proptest! {
        #[test]
        fn what_comes_out_is_what_went_in(
            pieces in prop::collection::vec(("[a\n]{0,6}", any::<bool>(), any::<bool>()), 0..12),
            told in any::<bool>(),
        ) {
            let begin = Instant::now();
            let mut gather = Gather::new(if told { Unfinished::Told } else { Unfinished::Kept });
            let (mut all, mut wanted) = (Vec::new(), [String::new(), String::new()]);
            for (index, (text, is_error, take)) in pieces.iter().enumerate() {
                let source = if *is_error { &ERR } else { &OUT };
                gather.output(source, text.as_bytes(), at(u32::try_from(index).unwrap(), begin));
                wanted[usize::from(*is_error)] += text;
                if *take {
                    all.extend(gather.take());
                }
            }
            gather.finish(at(99, begin));
            all.extend(gather.take());
            for (source, mut wanted) in [OUT, ERR].into_iter().zip(wanted) {
                if !wanted.is_empty() && !wanted.ends_with('\n') {
                    wanted.push('\n');
                }
                let of_it = || all.iter().filter(|gathered| gathered.source == source);
                prop_assert_eq!(of_it().map(|gathered| gathered.text.as_str()).collect::<String>(), wanted);
                for gathered in of_it() {
                    let rest = usize::from(!gathered.text.ends_with('\n'));
                    prop_assert_eq!(gathered.times.len(), gathered.text.matches('\n').count() + rest);
                    prop_assert!(told || rest == 0);
                }
            }
        }
    }
}
