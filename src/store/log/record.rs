//! Pieces of output, cut anywhere, become records: one for each line of each stream.

use memchr::memchr_iter;

use super::LONGEST;
use crate::model::LogStream;

/// Keeps the beginnings of lines until their ends come.
#[derive(Debug, Default)]
pub(super) struct Cutter {
    /// For each stream, what came since its last record; at most [`LONGEST`] bytes.
    partial: [Vec<u8>; 3],
}

impl Cutter {
    /// With the beginnings that another kept.
    pub(super) const fn of(partial: [Vec<u8>; 3]) -> Self {
        Self { partial }
    }

    /// The beginnings of lines whose ends have not come.
    pub(super) const fn partial(&self) -> &[Vec<u8>; 3] {
        &self.partial
    }

    /// Appends the records that `bytes` complete; their number.
    ///
    /// What is said about a command comes after all that the command has said before, also after a line without end.
    pub(super) fn feed(&mut self, stream: LogStream, bytes: &[u8], out: &mut Vec<u8>) -> u64 {
        let mut records = 0;
        if stream == LogStream::Header {
            records += self.let_go(LogStream::Stdout, out) + self.let_go(LogStream::Stderr, out);
        }
        let letter = stream.letter();
        let partial = &mut self.partial[place(stream)];
        // A letter for each line of twenty: mostly enough, and never asked again for the same bytes.
        out.reserve(bytes.len() + bytes.len() / 20 + partial.len() + 2);
        let mut start = 0;
        for end in memchr_iter(b'\n', bytes) {
            let line = &bytes[start..end];
            start = end + 1;
            if partial.is_empty() && line.len() <= LONGEST {
                out.push(letter);
                out.extend_from_slice(line);
                out.push(b'\n');
            } else {
                records += keep(partial, line, letter, out);
                record(letter, partial, out);
                partial.clear();
            }
            records += 1;
        }
        records + keep(partial, &bytes[start..], letter, out)
    }

    /// Appends what has no line end, as lines that go on; their number.
    pub(super) fn finish(&mut self, out: &mut Vec<u8>) -> u64 {
        let all = [LogStream::Header, LogStream::Stdout, LogStream::Stderr];
        all.into_iter().map(|stream| self.let_go(stream, out)).sum()
    }

    /// Appends the beginning of a stream's line, as a line that goes on; the number of records.
    fn let_go(&mut self, stream: LogStream, out: &mut Vec<u8>) -> u64 {
        let partial = std::mem::take(&mut self.partial[place(stream)]);
        if partial.is_empty() {
            return 0;
        }
        record(goes_on(stream.letter()), &partial, out);
        1
    }
}

/// The letter of a record whose line goes on.
pub(super) const fn goes_on(letter: u8) -> u8 {
    letter.to_ascii_uppercase()
}

const fn place(stream: LogStream) -> usize {
    match stream {
        LogStream::Stdout => 0,
        LogStream::Stderr => 1,
        LogStream::Header => 2,
    }
}

/// Adds to the beginning of a line; what would be too long goes out as records that go on.
fn keep(partial: &mut Vec<u8>, mut more: &[u8], letter: u8, out: &mut Vec<u8>) -> u64 {
    let mut records = 0;
    while partial.len() + more.len() > LONGEST {
        let (now, rest) = more.split_at(LONGEST - partial.len());
        partial.extend_from_slice(now);
        record(goes_on(letter), partial, out);
        partial.clear();
        records += 1;
        more = rest;
    }
    partial.extend_from_slice(more);
    records
}

fn record(letter: u8, bytes: &[u8], out: &mut Vec<u8>) {
    out.push(letter);
    out.extend_from_slice(bytes);
    out.push(b'\n');
}

#[cfg(test)]
pub(in crate::store) fn stream_of(records: &[u8], stream: LogStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    for record in records.split_inclusive(|byte| *byte == b'\n') {
        assert_eq!(record.last(), Some(&b'\n'), "a log ends with a record's end");
        if record[0] == stream.letter() {
            bytes.extend_from_slice(&record[1..]);
        } else if record[0] == goes_on(stream.letter()) {
            bytes.extend_from_slice(&record[1..record.len() - 1]);
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn lines_of_two_streams_are_not_mixed() {
        let (mut cutter, mut out) = (Cutter::default(), Vec::new());
        let mut records = cutter.feed(LogStream::Stdout, b"one\ntw", &mut out);
        records += cutter.feed(LogStream::Stderr, b"oh", &mut out);
        records += cutter.feed(LogStream::Stdout, b"o\n", &mut out);
        records += cutter.feed(LogStream::Stderr, b" no\nand", &mut out);
        records += cutter.finish(&mut out);
        assert_eq!(out, b"oone\notwo\neoh no\nEand\n");
        assert_eq!(records, 4);
    }

    #[test]
    fn a_line_longer_than_a_record_goes_on_in_the_next() {
        let (mut cutter, mut out) = (Cutter::default(), Vec::new());
        let mut line = vec![b'x'; 300_000];
        line.push(b'\n');
        assert_eq!(cutter.feed(LogStream::Stdout, &line, &mut out), 5);
        assert!(out.split(|byte| *byte == b'\n').all(|record| record.len() <= LONGEST + 1));
        assert_eq!(stream_of(&out, LogStream::Stdout), line);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn all_bytes_come_back_whatever_they_were_and_however_they_were_cut(
            pieces in prop::collection::vec((0..3_usize, prop::collection::vec(prop_oneof![Just(b'\n'), any::<u8>()], 0..40), 1..4000_usize), 0..30),
        ) {
            let streams = [LogStream::Stdout, LogStream::Stderr, LogStream::Header];
            let (mut cutter, mut out) = (Cutter::default(), Vec::new());
            let mut sent = [Vec::new(), Vec::new(), Vec::new()];
            let mut records = 0;
            for (stream, bytes, times) in pieces {
                let bytes = bytes.repeat(times);
                sent[stream].extend_from_slice(&bytes);
                records += cutter.feed(streams[stream], &bytes, &mut out);
            }
            records += cutter.finish(&mut out);
            prop_assert_eq!(records, u64::try_from(memchr_iter(b'\n', &out).count()).unwrap());
            for (stream, sent) in streams.into_iter().zip(sent) {
                prop_assert_eq!(stream_of(&out, stream), sent);
            }
        }
    }
}
