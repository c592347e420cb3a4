//! The formats of `util.Interpolate`: `%(prop:name)s`, `%(src:codebase:attribute)s`, `%(worker:name)s`,
//! `%(secret:name)s`, `%(kw:name)s`, and `%s` for what is given by position.
//!
//! After the name may stand `:-text`, `:~text`, `:+text`, `:?|yes|no` or `:#?|yes|no`; the texts are formats themselves.
//!
//! # Source
//! Behaviour: Buildbot 4.3.0, `process/properties.py`, `Interpolate` and `_Lookup`.

use std::collections::BTreeMap;

use futures_util::future::BoxFuture;

use super::{Known, RenderError, Renderable, Worth, text_of};
use crate::{
    definition::secret::{SecretName, SecretNameError},
    model::PropertyValue,
};

/// A piece of an interpolated text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// As it stands.
    Literal(String),
    /// `%(prop:name)s` and kin.
    Hole {
        /// What fills it.
        filling: Filling,
        /// What is done with it.
        form: Form,
    },
}

/// What fills a hole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Filling {
    /// A property of the build.
    Property(String),
    /// What the worker said of itself.
    Worker(String),
    /// A fact about what is built.
    Source {
        /// Of which codebase; the empty one is that of builds with one only.
        codebase: String,
        /// Which: `branch`, `revision`, `repository`, `project`, `codebase`.
        attribute: String,
    },
    /// A secret.
    Secret(SecretName),
    /// What was given beside the format.
    Given {
        /// Its name, or its place in the order.
        name: String,
        /// The value.
        worth: Box<Worth>,
    },
}

/// What is done with the filling.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Form {
    /// The filling; empty if there is none.
    Plain,
    /// `:-text`: the text if there is no filling.
    IfAbsent(Vec<Piece>),
    /// `:~text`: the text if the filling is absent, empty, false or zero.
    IfEmpty(Vec<Piece>),
    /// `:+text`: the text if there is a filling, else nothing.
    IfPresent(Vec<Piece>),
    /// `:?|yes|no`: one text if there is a filling, else the other; `:#?|yes|no` asks whether it is true.
    Choice {
        /// Whether an empty, false or zero filling counts as none.
        by_truth: bool,
        /// If there is one.
        yes: Vec<Piece>,
        /// If there is none.
        no: Vec<Piece>,
    },
}

/// Why a format is no interpolation.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FormatError {
    /// A `%` that begins nothing known.
    #[error(
        "`{0}` begins no interpolation; write `%(prop:name)s`, `%(kw:name)s`, or `%%` for a percent sign"
    )]
    Stray(String),
    /// A hole that is not closed by `)s`.
    #[error("`%({0}` is not closed by `)s`")]
    Open(String),
    /// A hole without a selector, as older Buildbots had them.
    #[error("`%({0})s` has no selector; a property is written `%(prop:{0})s`")]
    Bare(String),
    /// A selector without a name.
    #[error("`%({0})s` names nothing; write `%({0}:name)s`")]
    Nameless(String),
    /// A selector that is not known.
    #[error("unknown selector `{0}`; `prop`, `src`, `worker`, `secret` and `kw` can be used")]
    Selector(String),
    /// What follows a name and its colon is nothing known.
    #[error("`%({0})s`: after the name may stand `:-text`, `:~text`, `:+text`, `:?|yes|no` or `:#?|yes|no`")]
    Form(String),
    /// A keyword that was not given.
    #[error("no keyword `{0}` is given beside the format")]
    Keyword(String),
    /// `%(src:…)s` with something missing, or of an attribute that is not there.
    #[error(
        "`%({0})s`: write `%(src:CODEBASE:ATTRIBUTE)s`, where the attribute is `branch`, `revision`, `repository`, `project` or `codebase`"
    )]
    Source(String),
    /// A bad name of a secret.
    #[error(transparent)]
    Secret(#[from] SecretNameError),
    /// `%s` and named holes in one format.
    #[error("`%s` and named holes cannot stand in one format")]
    Mixed,
    /// More or fewer values than `%s`.
    #[error("the format has {holes} times `%s`, and {given} values are given")]
    Count {
        /// How many are wanted.
        holes: usize,
        /// How many there are.
        given: usize,
    },
    /// Formats within formats within formats.
    #[error("it holds too many formats within formats")]
    Deep,
}

/// What stands between the two texts of a choice; the operator may take any other.
const MARKS: [char; 8] = ['|', '/', '!', ',', ';', '^', '~', '§'];

/// Formats that stand within forms of others.
const MOST_DEPTH: usize = 16;

/// The facts of a source stamp. Source: Buildbot, `sourcestamp.asDict`.
const ATTRIBUTES: [&str; 5] = ["branch", "revision", "repository", "project", "codebase"];

impl Renderable {
    /// Reads a format of `util.Interpolate` with what is given beside it, by name or by position.
    pub fn interpolate(
        format: &str,
        keywords: &BTreeMap<String, Worth>,
        positional: &[Worth],
    ) -> Result<Self, FormatError> {
        let reader = Reader { keywords, positional };
        let (mut holes, mut names) = (0, false);
        let pieces = reader.pieces(format, &mut holes, &mut names, MOST_DEPTH)?;
        match (holes, names) {
            (1.., true) => Err(FormatError::Mixed),
            (holes, _) if holes != positional.len() => {
                Err(FormatError::Count { holes, given: positional.len() })
            }
            _ => Ok(Self::Interpolate(pieces)),
        }
    }
}

struct Reader<'a> {
    keywords: &'a BTreeMap<String, Worth>,
    positional: &'a [Worth],
}

impl Reader<'_> {
    fn pieces(
        &self,
        format: &str,
        holes: &mut usize,
        names: &mut bool,
        depth: usize,
    ) -> Result<Vec<Piece>, FormatError> {
        let depth = depth.checked_sub(1).ok_or(FormatError::Deep)?;
        let mut pieces = Vec::new();
        let mut literal = String::new();
        let mut rest = format;
        while let Some(at) = rest.find('%') {
            literal.push_str(&rest[..at]);
            rest = &rest[at + 1..];
            if let Some(after) = rest.strip_prefix('%') {
                literal.push('%');
                rest = after;
                continue;
            }
            let hole = if let Some(after) = rest.strip_prefix('s') {
                rest = after;
                let name = holes.to_string();
                // Too few are told by their number, once all are counted.
                let worth = self.positional.get(*holes).cloned().unwrap_or(Worth::Plain(PropertyValue::Null));
                *holes += 1;
                Piece::Hole { filling: Filling::Given { name, worth: Box::new(worth) }, form: Form::Plain }
            } else if let Some(inner) = rest.strip_prefix('(') {
                let (hole, after) = closed(inner).ok_or_else(|| FormatError::Open(inner.to_owned()))?;
                rest = after;
                *names = true;
                self.hole(hole, holes, names, depth)?
            } else {
                return Err(FormatError::Stray(
                    rest.chars().next().map_or_else(|| "%".into(), |c| format!("%{c}")),
                ));
            };
            if !literal.is_empty() {
                pieces.push(Piece::Literal(std::mem::take(&mut literal)));
            }
            pieces.push(hole);
        }
        literal.push_str(rest);
        if !literal.is_empty() {
            pieces.push(Piece::Literal(literal));
        }
        Ok(pieces)
    }

    fn hole(
        &self,
        hole: &str,
        holes: &mut usize,
        names: &mut bool,
        depth: usize,
    ) -> Result<Piece, FormatError> {
        let bare = || match hole {
            "prop" | "src" | "worker" | "secret" | "kw" => FormatError::Nameless(hole.to_owned()),
            _ => FormatError::Bare(hole.to_owned()),
        };
        let (selector, rest) = hole.split_once(':').ok_or_else(bare)?;
        let (codebase, rest) = match selector {
            "src" => rest.split_once(':').ok_or_else(|| FormatError::Source(hole.to_owned()))?,
            _ => ("", rest),
        };
        let (name, form) = rest.split_once(':').map_or((rest, None), |(name, form)| (name, Some(form)));
        let filling = match selector {
            "prop" => Filling::Property(name.to_owned()),
            "worker" => Filling::Worker(name.to_owned()),
            "secret" => Filling::Secret(SecretName::new(name)?),
            "src" if ATTRIBUTES.contains(&name) => {
                Filling::Source { codebase: codebase.to_owned(), attribute: name.to_owned() }
            }
            "src" => return Err(FormatError::Source(hole.to_owned())),
            "kw" => {
                let worth = self.keywords.get(name).ok_or_else(|| FormatError::Keyword(name.to_owned()))?;
                Filling::Given { name: name.to_owned(), worth: Box::new(worth.clone()) }
            }
            other => return Err(FormatError::Selector(other.to_owned())),
        };
        let Some(form) = form else { return Ok(Piece::Hole { filling, form: Form::Plain }) };
        let bad = || FormatError::Form(hole.to_owned());
        let mut pieces = |text: &str| self.pieces(text, holes, names, depth);
        let form = if let Some(text) = form.strip_prefix('-') {
            Form::IfAbsent(pieces(text)?)
        } else if let Some(text) = form.strip_prefix('~') {
            Form::IfEmpty(pieces(text)?)
        } else if let Some(text) = form.strip_prefix('+') {
            Form::IfPresent(pieces(text)?)
        } else {
            let (by_truth, choice) = match form.strip_prefix("#?") {
                Some(choice) => (true, choice),
                None => (false, form.strip_prefix('?').ok_or_else(bad)?),
            };
            let mark = choice.chars().next().ok_or_else(bad)?;
            let texts: Vec<&str> = choice[mark.len_utf8()..].split(mark).collect();
            let [yes, no] = *texts else { return Err(bad()) };
            Form::Choice { by_truth, yes: pieces(yes)?, no: pieces(no)? }
        };
        Ok(Piece::Hole { filling, form })
    }
}

/// What stands before the `)s` that closes a hole, and what after it. Holes within it have parentheses of their own.
fn closed(text: &str) -> Option<(&str, &str)> {
    let mut open = 1_u32;
    for (at, c) in text.char_indices() {
        match c {
            '(' => open += 1,
            ')' => open -= 1,
            _ => {}
        }
        if open == 0 {
            return Some((&text[..at], text[at + 1..].strip_prefix('s')?));
        }
    }
    None
}

/// The text with its holes filled.
pub(super) fn text<'a>(
    pieces: &'a [Piece],
    known: Known<'a>,
    rounds: usize,
) -> BoxFuture<'a, Result<String, RenderError>> {
    Box::pin(async move {
        let mut out = String::new();
        for piece in pieces {
            match piece {
                Piece::Literal(text) => out.push_str(text),
                Piece::Hole { filling, form } => {
                    let value = filling.value(known, rounds).await?.filter(|value| !value.is_null());
                    match (form, value) {
                        (Form::IfEmpty(pieces), Some(value)) if is_empty(&value) => {
                            out.push_str(&text(pieces, known, rounds).await?);
                        }
                        (Form::Choice { by_truth, yes, no }, value) => {
                            let is_there = value.is_some_and(|value| !by_truth || !is_empty(&value));
                            let chosen = if is_there { yes } else { no };
                            out.push_str(&text(chosen, known, rounds).await?);
                        }
                        (Form::IfAbsent(pieces) | Form::IfEmpty(pieces), None)
                        | (Form::IfPresent(pieces), Some(_)) => {
                            out.push_str(&text(pieces, known, rounds).await?);
                        }
                        (Form::Plain | Form::IfPresent(_), None) => {}
                        (Form::Plain | Form::IfAbsent(_) | Form::IfEmpty(_), Some(value)) => {
                            out.push_str(&text_of(filling.name(), &value)?);
                        }
                    }
                }
            }
        }
        Ok(out)
    })
}

/// For people: the format again, as it could be read again, but for what was given beside it.
pub(super) fn shown(pieces: &[Piece]) -> String {
    let hole = |filling: &Filling, form: &Form| {
        let form = match form {
            Form::Plain => String::new(),
            Form::IfAbsent(text) => format!(":-{}", shown(text)),
            Form::IfEmpty(text) => format!(":~{}", shown(text)),
            Form::IfPresent(text) => format!(":+{}", shown(text)),
            Form::Choice { by_truth, yes, no } => {
                let (question, yes, no) = (if *by_truth { "#?" } else { "?" }, shown(yes), shown(no));
                let mark = MARKS.into_iter().find(|mark| !yes.contains(*mark) && !no.contains(*mark));
                let mark = mark.unwrap_or(MARKS[0]);
                format!(":{question}{mark}{yes}{mark}{no}")
            }
        };
        match filling {
            Filling::Property(name) => format!("%(prop:{name}{form})s"),
            Filling::Worker(name) => format!("%(worker:{name}{form})s"),
            Filling::Source { codebase, attribute } => format!("%(src:{codebase}:{attribute}{form})s"),
            Filling::Secret(name) => format!("%(secret:{name}{form})s"),
            Filling::Given { worth, .. } if form.is_empty() => match &**worth {
                Worth::Plain(PropertyValue::String(text)) => text.clone(),
                Worth::Rendered(renderable) => renderable.shown(),
                worth => worth.shown(),
            },
            Filling::Given { name, .. } => format!("%(kw:{name}{form})s"),
        }
    };
    pieces
        .iter()
        .map(|piece| match piece {
            Piece::Literal(text) => text.replace('%', "%%"),
            Piece::Hole { filling, form } => hole(filling, form),
        })
        .collect()
}

/// All secrets that are named in it.
pub(super) fn secrets(pieces: &[Piece], found: &mut Vec<SecretName>) {
    for piece in pieces {
        let Piece::Hole { filling, form } = piece else { continue };
        match filling {
            Filling::Secret(name) => found.push(name.clone()),
            Filling::Given { worth, .. } => worth.secrets(found),
            Filling::Property(_) | Filling::Worker(_) | Filling::Source { .. } => {}
        }
        match form {
            Form::Plain => {}
            Form::IfAbsent(text) | Form::IfEmpty(text) | Form::IfPresent(text) => secrets(text, found),
            Form::Choice { yes, no, .. } => {
                secrets(yes, found);
                secrets(no, found);
            }
        }
    }
}

impl Filling {
    async fn value(&self, known: Known<'_>, rounds: usize) -> Result<Option<PropertyValue>, RenderError> {
        Ok(match self {
            Self::Property(name) => known.properties.get(name).cloned(),
            Self::Worker(name) => known.worker.0.get(name).cloned(),
            Self::Source { codebase, attribute } => {
                known.sources.get(codebase, attribute).map(PropertyValue::from)
            }
            Self::Secret(name) => Some(known.secrets.secret(name).await?.expose().into()),
            Self::Given { worth, .. } => Some(worth.within(known, rounds).await?),
        })
    }

    fn name(&self) -> &str {
        match self {
            Self::Property(name) | Self::Worker(name) | Self::Given { name, .. } => name,
            Self::Source { attribute, .. } => attribute,
            Self::Secret(name) => name.as_str(),
        }
    }
}

/// What counts as false: as in Python.
pub(super) fn is_empty(value: &PropertyValue) -> bool {
    match value {
        PropertyValue::Null => true,
        PropertyValue::Bool(flag) => !flag,
        PropertyValue::Number(number) => number.as_f64() == Some(0.0),
        PropertyValue::String(text) => text.is_empty(),
        PropertyValue::Array(list) => list.is_empty(),
        PropertyValue::Object(table) => table.is_empty(),
    }
}
