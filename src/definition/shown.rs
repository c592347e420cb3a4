//! Values of options as the operator would write them, for the lines of a plan.

use std::{
    collections::{BTreeMap, HashSet},
    num::NonZeroU32,
    path::PathBuf,
    time::Duration,
};

use crate::{
    definition::{
        Hook, IdlePolicy, Text, Worth, address::Mailbox, listener::TlsFiles, step::EnvironmentValue,
    },
    model::{BuilderName, PropertyValue, WorkerName},
};

/// A value for people, in Lua's form where it has one.
pub trait Shown {
    /// The text.
    fn shown(&self) -> String;

    /// The texts of two values that differ, so that one sees in what.
    fn shown_beside(&self, new: &Self) -> (String, String)
    where
        Self: Sized,
    {
        (self.shown(), new.shown())
    }
}

/// How many members of a list or table are shown; a farm's list has thousands.
const MOST: usize = 8;

/// Members in braces, the first of them.
pub(super) fn braces(members: impl ExactSizeIterator<Item = String>) -> String {
    let more = members.len().saturating_sub(MOST);
    let mut shown: Vec<String> = members.take(MOST).collect();
    if more > 0 {
        shown.push(format!("and {more} more"));
    }
    if shown.is_empty() { "{}".into() } else { format!("{{ {} }}", shown.join(", ")) }
}

/// Two lists. Of long ones it is told how many there are, and which of them came or went.
fn beside(old: Vec<String>, new: Vec<String>) -> (String, String) {
    if old.len() <= MOST && new.len() <= MOST {
        return (braces(old.into_iter()), braces(new.into_iter()));
    }
    let (was, is): (HashSet<&String>, HashSet<&String>) = (old.iter().collect(), new.iter().collect());
    let few = |sign: char, list: &[String], others: &HashSet<&String>| {
        let mut some: Vec<String> = Vec::new();
        let differs: Vec<&String> = list.iter().filter(|member| !others.contains(member)).collect();
        some.extend(differs.iter().take(MOST).map(|member| format!("{sign}{member}")));
        let more = differs.len().saturating_sub(MOST);
        some.extend((more > 0).then(|| format!("{sign}{more} more")));
        some
    };
    let mut changes = few('-', &old, &is);
    changes.extend(few('+', &new, &was));
    let changes = if changes.is_empty() { "in another order".to_owned() } else { changes.join(", ") };
    (format!("{{ {} members }}", old.len()), format!("{{ {} members: {changes} }}", new.len()))
}

impl<T: Shown> Shown for Option<T> {
    fn shown(&self) -> String {
        self.as_ref().map_or_else(|| "None".into(), Shown::shown)
    }

    fn shown_beside(&self, new: &Self) -> (String, String) {
        match (self, new) {
            (Some(old), Some(new)) => old.shown_beside(new),
            _ => (self.shown(), new.shown()),
        }
    }
}

impl<T: Shown> Shown for Vec<T> {
    fn shown(&self) -> String {
        braces(self.iter().map(Shown::shown))
    }

    fn shown_beside(&self, new: &Self) -> (String, String) {
        let members = |list: &Self| list.iter().map(Shown::shown).collect();
        beside(members(self), members(new))
    }
}

impl<T: Shown> Shown for BTreeMap<String, T> {
    fn shown(&self) -> String {
        braces(self.iter().map(|(name, value)| format!("{name} = {}", value.shown())))
    }

    fn shown_beside(&self, new: &Self) -> (String, String) {
        let members =
            |map: &Self| map.iter().map(|(name, value)| format!("{name} = {}", value.shown())).collect();
        beside(members(self), members(new))
    }
}

impl Shown for String {
    fn shown(&self) -> String {
        format!("{self:?}")
    }
}

impl Shown for WorkerName {
    fn shown(&self) -> String {
        format!("{:?}", self.as_str())
    }
}

impl Shown for BuilderName {
    fn shown(&self) -> String {
        format!("{:?}", self.as_str())
    }
}

impl Shown for Mailbox {
    fn shown(&self) -> String {
        format!("{:?}", self.to_string())
    }
}

impl Shown for NonZeroU32 {
    fn shown(&self) -> String {
        self.to_string()
    }
}

impl Shown for Duration {
    fn shown(&self) -> String {
        format!("{} s", self.as_secs_f64())
    }
}

impl Shown for bool {
    fn shown(&self) -> String {
        self.to_string()
    }
}

impl Shown for usize {
    fn shown(&self) -> String {
        self.to_string()
    }
}

impl Shown for i64 {
    fn shown(&self) -> String {
        self.to_string()
    }
}

impl Shown for serde_json::Number {
    fn shown(&self) -> String {
        self.to_string()
    }
}

impl Shown for std::net::Ipv4Addr {
    fn shown(&self) -> String {
        format!("{:?}", self.to_string())
    }
}

impl Shown for PathBuf {
    fn shown(&self) -> String {
        format!("{:?}", self.display().to_string())
    }
}

impl Shown for (String, String) {
    fn shown(&self) -> String {
        format!("{{ {:?}, {:?} }}", self.0, self.1)
    }
}

impl Shown for Hook {
    fn shown(&self) -> String {
        format!("the function at {}", self.place)
    }
}

impl Shown for i32 {
    fn shown(&self) -> String {
        self.to_string()
    }
}

impl Shown for u32 {
    fn shown(&self) -> String {
        self.to_string()
    }
}

impl Shown for TlsFiles {
    fn shown(&self) -> String {
        let files = [
            ("cert", Some(&self.cert)),
            ("key", Some(&self.key)),
            ("chain", self.chain.as_ref()),
            ("client_ca", self.client_ca.as_ref()),
        ];
        let given: Vec<String> = files
            .into_iter()
            .filter_map(|(name, file)| Some(format!("{name} = {:?}", file?.display().to_string())))
            .collect();
        braces(given.into_iter())
    }
}

impl Shown for Worth {
    fn shown(&self) -> String {
        Self::shown(self)
    }
}

impl Shown for Text {
    fn shown(&self) -> String {
        format!("{:?}", Self::shown(self))
    }
}

impl Shown for IdlePolicy {
    fn shown(&self) -> String {
        match self {
            Self::StopAtOnce => "0 s".into(),
            Self::StopAfter(span) => span.shown(),
            Self::KeepUntilShutdown => "-1 s".into(),
        }
    }
}

impl Shown for PropertyValue {
    fn shown(&self) -> String {
        self.to_string()
    }
}

impl Shown for EnvironmentValue {
    fn shown(&self) -> String {
        match self {
            Self::Set(text) => format!("{:?}", text.shown()),
            Self::Joined(texts) => braces(texts.iter().map(|text| format!("{:?}", text.shown()))),
            Self::Unset => "None".into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_shown_as_the_operator_writes_them() {
        assert_eq!(NonZeroU32::new(2).shown(), "2");
        assert_eq!(None::<NonZeroU32>.shown(), "None");
        assert_eq!(Some(Duration::from_millis(1500)).shown(), "1.5 s");
        let properties = BTreeMap::from([("os".to_owned(), PropertyValue::from("linux"))]);
        assert_eq!(properties.shown(), r#"{ os = "linux" }"#);
        assert_eq!(BTreeMap::<String, PropertyValue>::new().shown(), "{}");
        let names: Vec<WorkerName> = (0..10).map(|i| WorkerName::new(&format!("w{i}")).unwrap()).collect();
        assert_eq!(names[..2].to_vec().shown(), r#"{ "w0", "w1" }"#);
        assert!(names.shown().ends_with("and 2 more }"));
        let mut others = names.clone();
        others[9] = WorkerName::new("new").unwrap();
        let (old, new) = names.shown_beside(&others);
        assert_eq!((&*old, &*new), ("{ 10 members }", r#"{ 10 members: -"w9", +"new" }"#));
        assert_eq!(names[..1].to_vec().shown_beside(&Vec::new()), (r#"{ "w0" }"#.into(), "{}".into()));
        others = names.iter().rev().cloned().collect();
        assert!(names.shown_beside(&others).1.ends_with("in another order }"));
        let none: Vec<WorkerName> = Vec::new();
        assert!(names.shown_beside(&none).1.ends_with("-2 more }"));
    }
}
