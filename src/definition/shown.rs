//! Values of options as the operator would write them, for the lines of a plan.

use std::{collections::BTreeMap, num::NonZeroU32, path::PathBuf, time::Duration};

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

impl<T: Shown> Shown for Option<T> {
    fn shown(&self) -> String {
        self.as_ref().map_or_else(|| "None".into(), Shown::shown)
    }
}

impl<T: Shown> Shown for Vec<T> {
    fn shown(&self) -> String {
        braces(self.iter().map(Shown::shown))
    }
}

impl<T: Shown> Shown for BTreeMap<String, T> {
    fn shown(&self) -> String {
        braces(self.iter().map(|(name, value)| format!("{name} = {}", value.shown())))
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
    }
}
