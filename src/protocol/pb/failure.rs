//! Failures: what a worker tells of one, and the few that are told to it.
//!
//! # Laws
//! - The parents of a failure go as text: a worker that finds bytes there does not know a refused login, and ends.
//! - Texts of a peer are bounded.

use std::fmt;

use super::jelly::{Value, field, pairs};

/// The most that is kept of one text of a failure, in bytes: a traceback of a hundred frames.
const MAX_TEXT_BYTES: usize = 16 * 1024;
/// Classes of one failure that are kept.
const MAX_PARENTS: usize = 64;

/// What stands for a traceback that is not told. Source: Twisted, `CopyableFailure`.
const NO_TRACEBACK: &str = "Traceback unavailable\n";

/// Wrong name or wrong password.
pub const UNAUTHORIZED: &str = "twisted.cred.error.UnauthorizedLogin";
/// The object has no such method.
pub const NO_SUCH_METHOD: &str = "twisted.spread.flavors.NoSuchMethod";
/// There is no such object.
pub const PB_ERROR: &str = "twisted.spread.pb.Error";

/// The worker has no such command.
pub const UNKNOWN_COMMAND: &str = "buildbot_worker.base.UnknownCommand";
/// An argument is missing.
pub const KEY_ERROR: &str = "builtins.KeyError";
/// An argument is not what it must be.
pub const VALUE_ERROR: &str = "builtins.ValueError";
/// A call has other arguments than its method.
pub const TYPE_ERROR: &str = "builtins.TypeError";
/// Any other trouble.
pub const RUNTIME_ERROR: &str = "builtins.RuntimeError";
/// A call of the peer was answered by a failure.
pub const REMOTE_ERROR: &str = "twisted.spread.pb.RemoteError";

/// What went wrong at the other end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Failure {
    /// The class, with dots.
    pub kind: String,
    /// The message.
    pub value: String,
    /// Where, if it is told; some lines.
    pub traceback: String,
    /// The class and all above it.
    pub parents: Vec<String>,
}

impl Failure {
    /// A failure without a traceback. Of a long message the begin is kept.
    pub fn new(kind: &str, value: impl Into<String>) -> Self {
        Self {
            kind: kind.to_owned(),
            value: bounded(&value.into()),
            traceback: String::new(),
            parents: vec![kind.to_owned()],
        }
    }

    /// The refusal of a login, the same for a wrong name and a wrong password.
    pub fn unauthorized() -> Self {
        let above = ["twisted.cred.error.LoginFailed", "twisted.cred.error.Unauthorized"];
        let mut failure = Self::new(UNAUTHORIZED, "");
        failure.parents.extend(above.map(str::to_owned));
        failure
    }

    /// As Python's exceptions are: the class is also those above it, for who asks for these.
    pub fn exception(kind: &str, value: impl Into<String>) -> Self {
        let mut failure = Self { traceback: NO_TRACEBACK.to_owned(), ..Self::new(kind, value) };
        failure
            .parents
            .extend(["builtins.Exception", "builtins.BaseException", "builtins.object"].map(str::to_owned));
        failure
    }

    /// Whether it is of this class or one below it.
    pub fn is(&self, class: &str) -> bool {
        self.kind == class || self.parents.iter().any(|parent| parent == class)
    }

    /// In one line, mostly: its class and its message, as far as it has them.
    pub fn brief(&self) -> String {
        match (self.kind.as_str(), self.value.trim_end()) {
            ("", value) => value.to_owned(),
            (kind, "") => kind.to_owned(),
            (kind, value) => format!("{kind}: {value}"),
        }
    }

    /// Reads one, whatever came.
    pub fn read(value: &Value) -> Self {
        let Value::Failure(fields) = value else {
            let text = value.as_text().map_or_else(|| "an unreadable failure".into(), |text| bounded(&text));
            return Self { value: text, ..Self::default() };
        };
        let text =
            |key| field(fields, key).and_then(Value::as_text).map_or_else(String::new, |text| bounded(&text));
        let parents = field(fields, "parents").and_then(Value::as_items).unwrap_or_default();
        Self {
            kind: text("type"),
            value: text("value"),
            traceback: text("traceback"),
            parents: parents
                .iter()
                .take(MAX_PARENTS)
                .filter_map(Value::as_text)
                .map(|text| bounded(&text))
                .collect(),
        }
    }

    /// The form that every worker reads.
    pub fn write(&self) -> Value {
        let text = |text: &str| Value::text(text.to_owned());
        Value::Failure(pairs([
            ("type", Value::Bytes(self.kind.clone().into())),
            ("value", text(&self.value)),
            ("parents", Value::List(self.parents.iter().map(|parent| text(parent)).collect())),
            ("traceback", text(&self.traceback)),
            ("tb", Value::None),
            ("frames", Value::List(Vec::new())),
            ("stack", Value::List(Vec::new())),
        ]))
    }
}

/// For a log: [`Failure::brief`], then the traceback.
impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.brief())?;
        match self.traceback.trim_end() {
            "" => Ok(()),
            none if none == NO_TRACEBACK.trim_end() => Ok(()),
            traceback => write!(f, "\n{traceback}"),
        }
    }
}

/// The text, cut to what is kept of it.
fn bounded(text: &str) -> String {
    text[..text.floor_char_boundary(MAX_TEXT_BYTES)].to_owned()
}
