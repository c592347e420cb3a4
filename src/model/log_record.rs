//! The form in which a log is kept and sent: one record a line.
//!
//! A record is the letter of its stream, bytes, and a line end. A letter in capitals says that the line goes on in the
//! next record of its stream: the line end is then not one of the command's.

use memchr::memchr_iter;

use crate::model::LogStream;

/// Turns records, cut anywhere, back into the bytes that were written.
///
/// Where another stream speaks in the middle of a line, a line end stands between the two, so that people can read it.
#[derive(Debug, Default)]
pub struct RecordReader {
    /// A record that was cut by the end of a piece.
    rest: Vec<u8>,
    /// The stream whose line goes on.
    open: Option<LogStream>,
}

impl RecordReader {
    /// At the beginning of a log.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes a piece, and gives each record that is whole to `each`, as stream and bytes.
    ///
    /// # Errors
    /// The first error of `each`, which gets no more then.
    pub fn feed<E>(
        &mut self,
        piece: &[u8],
        mut each: impl FnMut(LogStream, &[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut start = 0;
        for end in memchr_iter(b'\n', piece) {
            let head = std::mem::take(&mut self.rest);
            if head.is_empty() {
                self.record(&piece[start..=end], &mut each)?;
            } else {
                self.record(&[&head, &piece[start..=end]].concat(), &mut each)?;
            }
            start = end + 1;
        }
        self.rest.extend_from_slice(&piece[start..]);
        Ok(())
    }

    fn record<E>(
        &mut self,
        record: &[u8],
        each: &mut impl FnMut(LogStream, &[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let Some((letter, line)) = record.split_first() else { return Ok(()) };
        // A letter of a later version: its bytes are shown, as output.
        let stream = LogStream::from_letter(letter.to_ascii_lowercase()).unwrap_or(LogStream::Stdout);
        if let Some(open) = self.open.take().filter(|open| *open != stream) {
            each(open, b"\n")?;
        }
        if letter.is_ascii_uppercase() {
            self.open = Some(stream);
            return each(stream, line.strip_suffix(b"\n").unwrap_or(line));
        }
        each(stream, line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pieces: &[&[u8]]) -> Vec<u8> {
        let mut reader = RecordReader::new();
        let mut out = Vec::new();
        for piece in pieces {
            let fed: Result<(), ()> = reader.feed(piece, |_, bytes| {
                out.extend_from_slice(bytes);
                Ok(())
            });
            fed.unwrap();
        }
        out
    }

    #[test]
    fn lines_that_go_on_are_joined_wherever_the_pieces_are_cut() {
        let records = b"oone\nOtwo-\noand more\nee\xff\n";
        for cut in 0..records.len() {
            let (a, b) = records.split_at(cut);
            assert_eq!(read(&[a, b]), b"one\ntwo-and more\ne\xff\n");
        }
    }

    #[test]
    fn a_line_that_another_stream_interrupts_is_ended() {
        assert_eq!(read(&[b"Ono end\nhdone\n"]), b"no end\ndone\n");
        assert_eq!(read(&[b"Ono end\n"]), b"no end");
    }
}
