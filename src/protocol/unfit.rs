//! What the failure of a command says of its worker: that no other command would fare better there.
//!
//! The wires of `buildbot-worker` have no word for that but the text of the failure. Read are only the places of the text
//! that the worker's own program writes, and only what leaves no doubt: a missing program, a folder without permission, and whatever
//! a build can bring about by its words, say nothing of the worker.
//!
//! # Not here
//! What comes of it (`worker::quarantine`).
//!
//! # Source
//! Buildbot 4.3.0, `buildbot_worker/runprocess.py`, `commands/fs.py` and `msgpack.py`: the texts; Python's `OSError` and Rust's
//! `io::Error`: how each writes its number.

/// Why a worker cannot carry out commands, whatever they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unfit {
    /// It did not take the builder: it could not make its folder.
    Refuses,
    /// It has no room, memory, processes or open files left.
    Exhausted,
}

/// How a refusal begins; what follows is the name of the builder.
const REFUSES: &str = "the worker does not take builder `";

/// What of a refusal is said when no worker of its system could make the folder, by the name that its builder gave it.
const BY_ITS_NAME: [&str; 2] = ["File name too long", "volume label syntax is incorrect"];

/// `ENOMEM`, `ENFILE`, `EMFILE`, `ENOSPC`, which are the same on all systems; `EAGAIN`, of a process that could not be made, and
/// `EDQUOT`, as Linux numbers them.
const EXHAUSTED: [i32; 6] = [12, 23, 24, 28, 11, 122];

/// The failure of a command whose worker could not make the folder of its builder.
pub fn refusal(builder: &str, cause: &str) -> String {
    format!("{REFUSES}{builder}`: {cause}")
}

impl Unfit {
    /// What the failure of a command says.
    pub fn told_by(failure: &str) -> Option<Self> {
        let first = failure.lines().next().unwrap_or_default();
        if without_class(first).starts_with(REFUSES) {
            let is_by_its_name = BY_ITS_NAME.iter().any(|words| failure.contains(words));
            return (!is_by_its_name).then_some(Self::Refuses);
        }
        number(first).and_then(Self::of_errno)
    }

    /// What a number of the system says with which a command failed that is no program.
    pub fn of_errno(errno: i32) -> Option<Self> {
        EXHAUSTED.contains(&errno).then_some(Self::Exhausted)
    }
}

/// A line without the class of an exception before it, as PB tells it.
fn without_class(line: &str) -> &str {
    let is_class = |class: &str| {
        class.contains('.') && class.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_'))
    };
    line.split_once(": ").filter(|(class, _)| is_class(class)).map_or(line, |(_, rest)| rest)
}

/// The number of the system's error, if that is what failed: `[Errno 28] …` at the begin of a worker's exception, or
/// `… (os error 28)` at the end of what a `lunabot-worker` says.
fn number(line: &str) -> Option<i32> {
    let message = match line.strip_prefix("[Failure instance: Traceback") {
        // msgpack: the class in quotes.
        Some(rest) => {
            let rest = rest.strip_prefix(" (failure with no frames)").unwrap_or(rest);
            let told = rest.strip_prefix(": <class '").and_then(|rest| rest.split_once("'>: "));
            told.map_or("", |(_, message)| message)
        }
        None => without_class(line),
    };
    // A process that was not begun: the text of one exception in another.
    let message = message.strip_prefix("(-1, ").map_or(message, |inner| {
        inner.trim_start_matches(['\'', '"']).strip_prefix("Got exception (").unwrap_or_default()
    });
    let python = || message.strip_prefix("[Errno ")?.split_once(']').map(|(number, _)| number);
    let rust = || line.strip_suffix(')')?.rsplit_once(" (os error ").map(|(_, number)| number);
    python().or_else(rust)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_without_room_memory_or_processes_is_known_by_its_own_words_on_each_wire() {
        for failure in [
            "builtins.OSError: [Errno 28] No space left on device: '/w/b1/build'\nTraceback …",
            "[Failure instance: Traceback: <class 'OSError'>: [Errno 28] No space left on device: '/w/b1/build'\n/usr/…",
            "buildbot_worker.exceptions.AbandonChain: (-1, 'Got exception ([Errno 11] Resource temporarily unavailable)')",
            "buildbot_worker.exceptions.AbandonChain: (-1, \"Got exception ([Errno 24] Too many open files: '/dev/null')\")",
            "[Failure instance: Traceback (failure with no frames): <class 'buildbot_worker.exceptions.AbandonChain'>: (-1, 'Got exception ([Errno 24] Too many open files)')\n]",
            "cannot make the folder `/w/b1/build`: No space left on device (os error 28)",
            "builtins.RuntimeError: cannot start `/bin/sh`: Resource temporarily unavailable (os error 11)",
        ] {
            assert_eq!(Unfit::told_by(failure), Some(Unfit::Exhausted), "{failure}");
        }
        assert_eq!((Unfit::of_errno(28), Unfit::of_errno(2)), (Some(Unfit::Exhausted), None));
    }

    #[test]
    fn a_worker_that_does_not_take_its_builder_is_known_whoever_tells_so() {
        let refused = refusal("b1", "File exists");
        for failure in [refused.clone(), format!("builtins.RuntimeError: {refused}")] {
            assert_eq!(Unfit::told_by(&failure), Some(Unfit::Refuses), "{failure}");
        }
    }

    #[test]
    fn what_a_build_can_bring_about_by_its_words_says_nothing_of_the_worker() {
        for failure in [
            "",
            "builtins.FileNotFoundError: [Errno 2] No such file or directory: '[Errno 28] x'",
            "the worker does not take builder `b`: builtins.OSError: [Errno 36] File name too long: '/w/bbb'",
            "builtins.PermissionError: [Errno 13] Permission denied: '/root/x'",
            "builtins.RuntimeError: 'env' values must be strings or lists; key 'X' is incorrect: [Errno 28]",
            "cannot make the folder `/w/(os error 28)`: Permission denied (os error 13)",
            "cannot make the folder `/w/x: [Errno 28] y`: not done within 60 s",
            "cannot run the command: unknown signal `(os error 28)`",
            "interrupted before it began: the worker does not take builder `b`",
            "buildbot_worker.exceptions.AbandonChain: (-1, 'Got exception (embedded null byte [Errno 28])')",
            "(os error )",
            "a\nbuiltins.OSError: [Errno 28] No space left on device",
        ] {
            assert_eq!(Unfit::told_by(failure), None, "{failure}");
        }
    }
}
