//! Mail: its words ([`text`]), its form ([`letter`]), its way to the host that takes it ([`relay`]).
//!
//! # Not here
//! Which mails there are, whether one was sent already, and when it is tried again.

pub mod letter;
pub mod relay;
pub mod text;

use crate::{
    definition::{
        MasterDefinition, Problem, ReporterDefinition, Text,
        address::{Address, Mailbox},
        reporter::Security,
    },
    net::random,
    reporter::mail::relay::Relay,
};

/// The host that takes mails where no reporter names one.
const DEFAULT_HOST: &str = "localhost";

/// Its port.
const DEFAULT_PORT: u16 = 25;

/// The name of this machine as one of mail: what it calls itself, or `localhost` if that could not be a domain.
pub fn host_name() -> String {
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let is_word = |part: &str| {
        !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
    };
    if name.len() <= 200 && name.split('.').all(is_word) { name } else { DEFAULT_HOST.to_owned() }
}

/// Who writes where no reporter says it: `buildbot@` this machine.
pub fn default_sender() -> Mailbox {
    let address = Address::new(&format!("buildbot@{}", host_name()));
    Mailbox { owner: None, address: address.expect("a name of a machine is a domain") }
}

/// The host that takes mails where no reporter names one: this machine.
pub fn default_relay() -> Relay {
    Relay::new(DEFAULT_HOST, DEFAULT_PORT, Security::IfOffered)
}

/// A name for a mail that no other has: `id@host`. Made once for a mail, however often it is sent.
pub fn new_message_id() -> String {
    let [high, low]: [u64; 2] = [random(), random()].map(u64::from_be_bytes);
    format!("{high:016x}{low:016x}@{}", host_name())
}

/// The headers of a reporter that need no build to be known. What would have to be rendered is left out, as in Buildbot.
pub fn plain_headers(reporter: &ReporterDefinition) -> Vec<(String, String)> {
    let plain = |(name, value): (&String, &Text)| match value {
        Text::Plain(value) => Some((name.clone(), value.clone())),
        Text::Rendered(_) => None,
    };
    reporter.extra_headers.iter().filter_map(plain).collect()
}

/// What is wrong with the templates of the reporters. Nothing is sent for it.
pub fn problems(definition: &MasterDefinition) -> Vec<Problem> {
    let mut problems = Vec::new();
    for reporter in definition.reporters.values() {
        let missing = reporter.missing.iter().map(|generator| text::check(&generator.message));
        let builds = reporter.builds.iter().map(|generator| text::ended::check(&generator.message));
        for checked in missing.chain(builds) {
            if let Err(error) = checked {
                let text = format!("reporter {:?}: {error}", reporter.name.as_str());
                problems.push(Problem::error(reporter.place.clone(), text));
            }
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_mails_have_one_name() {
        let (one, other) = (new_message_id(), new_message_id());
        assert_ne!(one, other);
        assert_eq!(
            one.split_once('@').map(|(id, host)| (id.len(), host.to_owned())),
            Some((32, host_name()))
        );
    }

    #[test]
    fn without_a_reporter_this_machine_writes_to_itself() {
        assert!(default_sender().address.as_str().starts_with("buildbot@"));
        let relay = default_relay();
        assert_eq!((relay.host.as_str(), relay.port), ("localhost", 25));
        assert!(relay.login.is_none());
    }
}
