//! The environment of a command: this process's own, without what is ours alone, with the master's changes.
//!
//! # Laws
//! - A variable that speaks to this process only is not passed on, nor does `${NAME}` reach it.
//! - What an operator's service file or container gave the worker to log in with is such a variable.
//! - So is each that the operator hides; what is told of the environment to a master has none of them either.

use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
    os::unix::ffi::OsStrExt,
};

use glob::Pattern;

use super::pattern::compiled;
use crate::protocol::command::EnvironmentChange;

/// The variables that a command gets.
pub(super) type Environment = BTreeMap<OsString, OsString>;

/// What systemd says to the service alone, and what a worker in a container logs in with.
const OURS: [&str; 19] = [
    "BUILDMASTER",
    "BUILDMASTER_CONNECTION_STRING",
    "BUILDMASTER_PORT",
    "BUILDMASTER_PROTOCOL",
    "CACHE_DIRECTORY",
    "CONFIGURATION_DIRECTORY",
    "CREDENTIALS_DIRECTORY",
    "INVOCATION_ID",
    "JOURNAL_STREAM",
    "LOGS_DIRECTORY",
    "MAINPID",
    "MANAGERPID",
    "NOTIFY_SOCKET",
    "RUNTIME_DIRECTORY",
    "STATE_DIRECTORY",
    "SYSTEMD_EXEC_PID",
    "WORKERPASS",
    "WORKERPASS_FILE",
    "WORKER_ENVIRONMENT_BLACKLIST",
];
const OUR_PREFIXES: [&str; 4] = ["LISTEN_", "LUNABOT_", "MEMORY_PRESSURE_", "WATCHDOG_"];

/// Names of variables that the operator hides, as patterns of a shell (`*`, `?`, `[…]`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HiddenVariables(Vec<Pattern>);

impl HiddenVariables {
    /// The patterns of a list with commas between them. Every text is one: a bracket that is not closed is itself.
    ///
    /// Source: `WORKER_ENVIRONMENT_BLACKLIST` of Buildbot's image.
    pub fn parse(list: &str) -> Self {
        let patterns = list.split(',').map(str::trim).filter(|pattern| !pattern.is_empty());
        Self(patterns.map(compiled).collect())
    }

    /// Whether one is hidden.
    pub fn hides(&self, name: &str) -> bool {
        self.0.iter().any(|pattern| pattern.matches(name))
    }
}

/// What this process may pass on.
pub(super) fn own(hidden: &HiddenVariables) -> Environment {
    passed_on(std::env::vars_os(), hidden)
}

fn passed_on(variables: impl Iterator<Item = (OsString, OsString)>, hidden: &HiddenVariables) -> Environment {
    variables
        .filter(|(name, _)| {
            let text = name.to_string_lossy();
            let name = name.as_bytes();
            !OURS.iter().any(|ours| ours.as_bytes() == name)
                && !OUR_PREFIXES.iter().any(|prefix| name.starts_with(prefix.as_bytes()))
                && !hidden.hides(&text)
        })
        .collect()
}

/// Carries out the master's changes. `${NAME}` means the variable before any of them.
pub(super) fn changed(own: &Environment, changes: &BTreeMap<String, EnvironmentChange>) -> Environment {
    let mut environment = own.clone();
    for (name, change) in changes {
        let value = match change {
            EnvironmentChange::Unset => {
                environment.remove(OsStr::new(name));
                continue;
            }
            EnvironmentChange::Set(text) => text.clone(),
            EnvironmentChange::Joined(texts) => texts.join(":"),
        };
        let mut value = replaced(&value, own);
        // Source: Buildbot's worker keeps its own modules reachable when a step sets this one.
        if let ("PYTHONPATH", Some(before)) = (name.as_str(), own.get(OsStr::new(name))) {
            value.push(":");
            value.push(before);
        }
        environment.insert(name.into(), value);
    }
    environment
}

/// `${NAME}` becomes the variable's value, or nothing if it is not set. A name is letters, digits and `_`; anything
/// else stays as it is.
fn replaced(text: &str, own: &Environment) -> OsString {
    let mut out = OsString::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        out.push(before);
        match after.split_once('}') {
            Some((name, after)) if is_name(name) => {
                out.push(own.get(OsStr::new(name)).map_or(OsStr::new(""), OsString::as_os_str));
                rest = after;
            }
            _ => {
                out.push("${");
                rest = after;
            }
        }
    }
    out.push(rest);
    out
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables(variables: &[(&str, &str)]) -> Environment {
        variables.iter().map(|(name, value)| (name.into(), value.into())).collect()
    }

    #[test]
    fn what_speaks_to_this_process_alone_is_not_passed_on() {
        let all = variables(&[
            ("HOME", "/root"),
            ("LISTEN_FDS", "1"),
            ("LISTENER", "kept"),
            ("LUNABOT_WORKER_DIR", "/w"),
            ("NOTIFY_SOCKET", "/run/n"),
            ("WORKERPASS", "sesame"),
        ]);
        let passed = passed_on(all.into_iter(), &HiddenVariables::default());
        assert_eq!(passed, variables(&[("HOME", "/root"), ("LISTENER", "kept")]));
    }

    #[test]
    fn what_the_operator_hides_is_not_passed_on() {
        let hidden = HiddenVariables::parse("AWS_*, TOKEN?,,EXACT,[odd");
        let all = variables(&[
            ("AWS_", "1"),
            ("AWS_SECRET", "2"),
            ("MY_AWS_SECRET", "3"),
            ("TOKEN", "4"),
            ("TOKEN1", "5"),
            ("EXACT", "6"),
            ("EXACTLY", "7"),
            ("[odd", "8"),
        ]);
        let kept = variables(&[("MY_AWS_SECRET", "3"), ("TOKEN", "4"), ("EXACTLY", "7")]);
        assert_eq!(passed_on(all.into_iter(), &hidden), kept);
        assert_eq!(HiddenVariables::parse(""), HiddenVariables::default());
    }

    #[test]
    fn changes_set_join_remove_and_refer_to_what_was_there_before() {
        let own = variables(&[("PATH", "/bin"), ("GONE", "x"), ("KEPT", "k"), ("PYTHONPATH", "/py")]);
        let changes = [
            ("PATH", EnvironmentChange::Joined(vec!["/opt/${KEPT}".into(), "${PATH}".into()])),
            ("GONE", EnvironmentChange::Unset),
            ("SELF", EnvironmentChange::Set("<${SELF}${GONE}>${not a name}${".into())),
            ("PYTHONPATH", EnvironmentChange::Set("/mine".into())),
        ];
        let changes = changes.into_iter().map(|(name, change)| (name.to_owned(), change)).collect();
        let expected = variables(&[
            ("PATH", "/opt/k:/bin"),
            ("KEPT", "k"),
            ("SELF", "<x>${not a name}${"),
            ("PYTHONPATH", "/mine:/py"),
        ]);
        assert_eq!(changed(&own, &changes), expected);
    }

    #[test]
    fn a_value_that_is_no_text_is_passed_on_as_it_is() {
        let odd = OsStr::from_bytes(b"a\xffb").to_owned();
        let own: Environment = [("ODD".into(), odd.clone())].into();
        let changes = [("COPY".to_owned(), EnvironmentChange::Set("${ODD}".into()))].into();
        assert_eq!(changed(&own, &changes)[OsStr::new("COPY")], odd);
    }
}
