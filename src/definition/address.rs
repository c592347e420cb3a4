//! Addresses of mail, as the operator writes them.
//!
//! # Laws
//! - An address has one `@` with something on both sides, and nothing in it that could end it in a header or a command.
//! - A domain needs no dot: `me@localhost` is an address. (Buildbot refuses it.)
//!
//! # Not here
//! Whether somebody reads what is sent there.

use std::fmt;

/// An address: `bob@example.com`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address(String);

/// An address, perhaps with the name of its owner: `Buildbot <ci@example.org>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mailbox {
    /// The owner, for people.
    pub owner: Option<String>,
    /// The address.
    pub address: Address,
}

/// Why a text is no address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no address of mail: {why}")]
pub struct AddressError {
    text: String,
    why: &'static str,
}

/// What SMTP takes at most.
const LONGEST: usize = 254;

impl Address {
    /// The address, if the text is one.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn new(text: &str) -> Result<Self, AddressError> {
        match fault(text) {
            None => Ok(Self(text.to_owned())),
            Some(why) => Err(AddressError { text: text.to_owned(), why }),
        }
    }

    /// The address as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Mailbox {
    /// A mailbox from `ADDRESS` or `OWNER <ADDRESS>`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        let Some(inner) = text.trim_end().strip_suffix('>') else {
            return Ok(Self { owner: None, address: Address::new(text)? });
        };
        let wrong = |why| AddressError { text: text.to_owned(), why };
        let (owner, address) = inner.split_once('<').ok_or_else(|| wrong("its `<` is missing"))?;
        let owner = owner.trim().trim_matches('"');
        if owner.contains(['"', '<', '>']) || owner.contains(char::is_control) {
            return Err(wrong("the name before it holds a quote, an angle bracket or a control character"));
        }
        let owner = (!owner.is_empty()).then(|| owner.to_owned());
        Ok(Self { owner, address: Address::new(address)? })
    }
}

/// Whether the text can be the domain of an address.
pub fn is_domain(text: &str) -> bool {
    fault(&format!("x@{text}")).is_none()
}

fn fault(text: &str) -> Option<&'static str> {
    let mut parts = text.split('@');
    let (local, domain, more) = (parts.next()?, parts.next(), parts.next());
    match (local, domain, more) {
        (_, None, _) => Some("it has no `@`"),
        (_, Some(_), Some(_)) => Some("it has more than one `@`"),
        ("", ..) => Some("nothing stands before its `@`"),
        (_, Some(""), _) => Some("nothing stands behind its `@`"),
        _ if text.contains(char::is_control) => Some("it holds a control character"),
        _ if text.contains(char::is_whitespace) => Some("it holds a space"),
        _ if text.contains(['<', '>', ',', ';', '"', '(', ')', '\\']) => {
            Some("it holds one of `< > , ; \" ( ) \\`")
        }
        _ if text.len() > LONGEST => Some("it is longer than 254 bytes"),
        _ => None,
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Mailbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.owner {
            Some(owner) => write!(f, "{owner} <{}>", self.address),
            None => self.address.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_address_has_one_at_and_nothing_that_ends_it() {
        for good in ["me@localhost", "bob@example.com", "a.b+c@x-y.org", "root@[::1]", "bücher@example.org"]
        {
            assert_eq!(Address::new(good).map(|address| address.to_string()), Ok(good.to_owned()));
        }
        for bad in [
            "",
            "me",
            "@x",
            "me@",
            "a@b@c",
            "a b@c",
            "a@b, c",
            "a@b\r\nRCPT TO:<x>",
            "<a@b>",
            "a@b;c",
            "\"a\"@b",
        ] {
            assert!(Address::new(bad).is_err(), "{bad:?}");
        }
        assert!(Address::new(&format!("a@{}", "b".repeat(LONGEST))).is_err());
    }

    #[test]
    fn a_mailbox_may_tell_its_owner() {
        let parsed = |text| Mailbox::parse(text).map(|mailbox| mailbox.to_string());
        assert_eq!(parsed("ci@x"), Ok("ci@x".into()));
        assert_eq!(parsed("<ci@x>"), Ok("ci@x".into()));
        assert_eq!(parsed("Buildbot, the one <ci@x>"), Ok("Buildbot, the one <ci@x>".into()));
        assert_eq!(parsed("\"Build Bot\" <ci@x>"), Ok("Build Bot <ci@x>".into()));
        for bad in ["Buildbot ci@x", "Buildbot <ci>", "ci@x>", "a\nBcc: b <ci@x>", "a <b> <ci@x>", ""] {
            assert!(Mailbox::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_domain_is_what_may_stand_behind_the_at() {
        assert!(is_domain("example.org") && is_domain("localhost"));
        assert!(!is_domain("") && !is_domain("a@b") && !is_domain("a b"));
    }

    proptest! {
        #[test]
        fn what_is_taken_never_ends_a_line(text in any::<String>()) {
            if let Ok(mailbox) = Mailbox::parse(&text) {
                prop_assert!(!mailbox.to_string().contains(char::is_control));
            }
        }
    }
}
