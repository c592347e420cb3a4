//! What was said of a worker and holds until somebody says otherwise.

use crate::model::{Timestamp, WorkerRecord};

/// What holds for a worker, whatever its links and the configuration do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WorkerWord {
    /// It is given no builds.
    pub paused: Option<Remark>,
    /// It is given no builds, and its program is told to stop when it runs none.
    pub stopping: Option<Remark>,
    /// What it has against it, and the quarantine that this brought it.
    pub record: WorkerRecord,
}

/// Who said something, when and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remark {
    /// Why, in words for people; absent if nobody said.
    pub reason: Option<String>,
    /// Who; absent for the worker itself.
    pub by: Option<String>,
    /// When.
    pub at: Timestamp,
}

/// Characters of a reason that are kept: it stands in a table's row.
const LONGEST_REASON: usize = 300;

impl WorkerWord {
    /// Whether nothing is said.
    pub fn is_empty(&self) -> bool {
        self.paused.is_none() && self.stopping.is_none() && self.record.is_clean()
    }
}

impl Remark {
    /// A remark whose reason is one [line](remark_line).
    pub fn new(reason: Option<&str>, by: Option<String>, at: Timestamp) -> Self {
        Self { reason: reason.map(remark_line).filter(|reason| !reason.is_empty()), by, at }
    }
}

/// A text as one line of printable characters, since it is shown in terminals: what is neither becomes a space, and a text of
/// more than 300 characters is cut.
pub fn remark_line(text: &str) -> String {
    let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let line = line.trim();
    let mut kept: String = line.chars().take(LONGEST_REASON).collect();
    if kept.len() < line.len() {
        kept.push('…');
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_one_line_of_bounded_length_and_an_empty_one_is_none() {
        let reason = |text: &str| Remark::new(Some(text), None, Timestamp::UNIX_EPOCH).reason;
        assert_eq!(reason(" disk\nfull \u{1b}[31m").as_deref(), Some("disk full  [31m"));
        assert_eq!(reason(" \n"), None);
        assert_eq!(reason(&"é".repeat(1000)), Some("é".repeat(300) + "…"));
    }
}
