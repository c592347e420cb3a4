//! The words in which commands and their news are told on this wire: what one end writes by them, the other reads by them.
//!
//! # Source
//! Buildbot 4.3.0, `buildbot_worker/pb.py`, `buildbot_worker/commands` and `buildbot_worker/runprocess.py`.

use crate::{
    model::LogStream,
    protocol::{FailureReason, command::Compression},
};

/// What commands are told.
pub(super) mod argument {
    pub(crate) const BLOCK_SIZE: &str = "blocksize";
    pub(crate) const COMMAND: &str = "command";
    pub(crate) const COMPRESS: &str = "compress";
    pub(crate) const DESTINATION: &str = "workerdest";
    pub(crate) const DIR: &str = "dir";
    pub(crate) const ENV: &str = "env";
    pub(crate) const FILE: &str = "file";
    pub(crate) const FROM_DIR: &str = "fromdir";
    pub(crate) const INTERRUPT_SIGNAL: &str = "interruptSignal";
    pub(crate) const KEEP_STAMP: &str = "keepstamp";
    pub(crate) const LOG_ENVIRON: &str = "logEnviron";
    pub(crate) const LOG_FILES: &str = "logfiles";
    /// Of a watched file.
    pub(crate) const LOG_FILE_FOLLOW: &str = "follow";
    /// Of a watched file.
    pub(crate) const LOG_FILE_PATH: &str = "filename";
    pub(crate) const MAX_LINES: &str = "max_lines";
    pub(crate) const MAX_SIZE: &str = "maxsize";
    pub(crate) const MAX_TIME: &str = "maxTime";
    pub(crate) const MODE: &str = "mode";
    /// Before 3.0.
    pub(crate) const OLD_DESTINATION: &str = "slavedest";
    /// Before 3.0.
    pub(crate) const OLD_SOURCE: &str = "slavesrc";
    pub(crate) const PATH: &str = "path";
    pub(crate) const READER: &str = "reader";
    pub(crate) const SIGTERM_TIME: &str = "sigtermTime";
    pub(crate) const SOURCE: &str = "workersrc";
    pub(crate) const STDIN: &str = "initial_stdin";
    pub(crate) const TIMEOUT: &str = "timeout";
    pub(crate) const TO_DIR: &str = "todir";
    pub(crate) const USE_PTY: &str = "usePTY";
    pub(crate) const WANT_STDERR: &str = "want_stderr";
    pub(crate) const WANT_STDOUT: &str = "want_stdout";
    pub(crate) const WORKDIR: &str = "workdir";
    pub(crate) const WRITER: &str = "writer";
}

/// What is told of commands.
pub(super) mod news {
    pub(crate) const ELAPSED: &str = "elapsed";
    pub(crate) const FAILURE_REASON: &str = "failure_reason";
    pub(crate) const FILES: &str = "files";
    pub(crate) const LOG: &str = "log";
    pub(crate) const RC: &str = "rc";
    pub(crate) const STAT: &str = "stat";
}

/// The first of three, before a word as it is and as it may be shown.
pub(super) const OBFUSCATED: &str = "obfuscated";

/// How a stream is compressed.
pub(super) const COMPRESSIONS: [(&str, Compression); 2] =
    [("gz", Compression::Gzip), ("bz2", Compression::Bzip2)];

/// Why a worker kills a command.
pub(super) const FAILURE_REASONS: [(&str, FailureReason); 3] = [
    ("timeout", FailureReason::Timeout),
    ("timeout_without_output", FailureReason::TimeoutWithoutOutput),
    ("max_lines_failure", FailureReason::MaxLines),
];

/// The streams of a command.
pub(super) const STREAMS: [(&str, LogStream); 3] =
    [("stdout", LogStream::Stdout), ("stderr", LogStream::Stderr), ("header", LogStream::Header)];

/// What a word means, by one of the tables above.
pub(super) fn meaning<T: Copy>(table: &[(&str, T)], word: &str) -> Option<T> {
    table.iter().find_map(|(name, meaning)| (*name == word).then_some(*meaning))
}

/// The word for what one of the tables above has.
pub(super) fn word<T: PartialEq>(table: &[(&'static str, T)], meant: &T) -> &'static str {
    let found = table.iter().find_map(|(name, meaning)| (meaning == meant).then_some(*name));
    found.expect("a table has a word for each of its kind")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_word_means_one_thing_and_each_thing_has_a_word() {
        let streams = [LogStream::Stdout, LogStream::Stderr, LogStream::Header];
        assert!(streams.iter().all(|stream| meaning(&STREAMS, word(&STREAMS, stream)) == Some(*stream)));
        for (name, reason) in FAILURE_REASONS {
            assert_eq!(
                (meaning(&FAILURE_REASONS, name), word(&FAILURE_REASONS, &reason)),
                (Some(reason), name)
            );
        }
        for (name, compression) in COMPRESSIONS {
            assert_eq!(
                (meaning(&COMPRESSIONS, name), word(&COMPRESSIONS, &compression)),
                (Some(compression), name)
            );
        }
        assert_eq!(meaning(&STREAMS, "log"), None);
    }
}
