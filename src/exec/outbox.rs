//! What was read and waits for its reader: small pieces gathered, bytes and order kept.
//!
//! A program that writes each line by itself would cost a message a line. So the first piece goes at once, and what
//! follows within [`GATHER`] goes together; as long as the reader is slower than that, pieces grow instead of their
//! number.
//!
//! # Laws
//! - Bytes come out as they went in; pieces of two streams keep their order.
//! - Nothing waits longer than [`GATHER`] for anything but the reader.
//! - Once it is full, nothing more may be read: that is what holds the child back.

use std::{collections::VecDeque, time::Duration};

use bytes::BytesMut;
use tokio::time::Instant;

use super::{course::KillReason, process::News};
use crate::model::LogStream;

/// How long output waits for more: short for a person who watches, long for a program that writes lines.
const GATHER: Duration = Duration::from_millis(20);
/// Bytes from which on nothing more is read. As much as a pipe holds, so that one read empties a full pipe.
pub(super) const FULL_BYTES: usize = 64 * 1024;
/// Bytes from which on nothing more is waited for.
const WORTH_BYTES: usize = FULL_BYTES / 2;
/// Pieces from which on nothing more is read: two streams that alternate byte by byte gather nothing.
const FULL_PIECES: usize = 64;

#[derive(Debug)]
enum Piece {
    Output(LogStream, BytesMut),
    Killing(KillReason),
}

/// The queue before the channel.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    pieces: VecDeque<Piece>,
    bytes: usize,
    emptied_at: Option<Instant>,
}

impl Outbox {
    /// Adds output.
    pub(super) fn push(&mut self, stream: LogStream, bytes: BytesMut) {
        self.bytes += bytes.len();
        match self.pieces.back_mut() {
            // Free of a copy if the one follows the other in memory, as two reads of one stream mostly do.
            Some(Piece::Output(last, gathered)) if *last == stream => gathered.unsplit(bytes),
            _ => self.pieces.push_back(Piece::Output(stream, bytes)),
        }
    }

    /// Adds the reason of a kill, behind the output before it.
    pub(super) fn push_reason(&mut self, reason: KillReason) {
        self.pieces.push_back(Piece::Killing(reason));
    }

    /// Whether more may be read.
    pub(super) fn has_room(&self) -> bool {
        self.bytes < FULL_BYTES && self.pieces.len() < FULL_PIECES
    }

    /// From when on the first piece may go; nothing if there is none.
    pub(super) fn due_at(&self, now: Instant) -> Option<Instant> {
        if self.pieces.is_empty() {
            return None;
        }
        let urgent = self.bytes >= WORTH_BYTES || self.pieces.len() > 1;
        Some(self.emptied_at.filter(|_| !urgent).map_or(now, |at| at + GATHER))
    }

    /// The first piece.
    pub(super) fn pop(&mut self, now: Instant) -> Option<News> {
        let piece = self.pieces.pop_front()?;
        if self.pieces.is_empty() {
            self.emptied_at = Some(now);
        }
        Some(match piece {
            Piece::Output(stream, bytes) => {
                self.bytes -= bytes.len();
                News::Output { stream, bytes: bytes.freeze() }
            }
            Piece::Killing(reason) => News::Killing(reason),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(text: &[u8]) -> BytesMut {
        BytesMut::from(text)
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_output_goes_at_once_and_a_burst_goes_together() {
        let mut outbox = Outbox::default();
        let start = Instant::now();
        assert_eq!(outbox.due_at(start), None);
        outbox.push(LogStream::Stdout, bytes(b"a"));
        assert_eq!(outbox.due_at(start), Some(start));
        assert!(outbox.pop(start).is_some());
        outbox.push(LogStream::Stdout, bytes(b"b"));
        outbox.push(LogStream::Stdout, bytes(b"c\xff"));
        assert_eq!(outbox.due_at(start), Some(start + GATHER));
        let Some(News::Output { bytes, .. }) = outbox.pop(start) else { panic!("no output") };
        assert_eq!(bytes, b"bc\xff".as_slice());
    }

    #[tokio::test(start_paused = true)]
    async fn much_output_and_a_change_of_the_stream_wait_for_nothing() {
        let mut outbox = Outbox::default();
        let start = Instant::now();
        outbox.push(LogStream::Stdout, bytes(b"a"));
        outbox.pop(start).unwrap();
        outbox.push(LogStream::Stdout, bytes(&vec![b'x'; WORTH_BYTES]));
        assert_eq!(outbox.due_at(start), Some(start));
        outbox.pop(start).unwrap();
        outbox.push(LogStream::Stdout, bytes(b"1"));
        outbox.push(LogStream::Stderr, bytes(b"2"));
        outbox.push_reason(KillReason::Timeout);
        outbox.push(LogStream::Stderr, bytes(b"3"));
        assert_eq!(outbox.due_at(start), Some(start));
        let told: Vec<_> = std::iter::from_fn(|| outbox.pop(start)).collect();
        let expected = [
            News::Output { stream: LogStream::Stdout, bytes: "1".into() },
            News::Output { stream: LogStream::Stderr, bytes: "2".into() },
            News::Killing(KillReason::Timeout),
            News::Output { stream: LogStream::Stderr, bytes: "3".into() },
        ];
        assert_eq!(told, expected);
    }

    #[tokio::test(start_paused = true)]
    async fn what_waits_is_bounded_in_bytes_and_in_pieces() {
        let mut outbox = Outbox::default();
        outbox.push(LogStream::Stdout, bytes(&vec![b'x'; FULL_BYTES - 1]));
        assert!(outbox.has_room());
        outbox.push(LogStream::Stdout, bytes(b"x"));
        assert!(!outbox.has_room());
        outbox.pop(Instant::now()).unwrap();
        for _ in 0..FULL_PIECES / 2 {
            assert!(outbox.has_room());
            outbox.push(LogStream::Stdout, bytes(b"o"));
            outbox.push(LogStream::Stderr, bytes(b"e"));
        }
        assert!(!outbox.has_room());
    }
}
