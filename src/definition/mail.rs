//! A mail address, as far as its form can tell.

use std::fmt;

use crate::definition::shown::Shown;

/// Where mail is sent: `me@example.org`, or with a name: `Me <me@example.org>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailAddress(String);

/// Why a text is no mail address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no mail address; write `name@host`")]
pub struct MailAddressError(String);

impl MailAddress {
    /// An address, if it has the form of one. What a host makes of it is seen when mail is sent.
    ///
    /// # Errors
    /// [`MailAddressError`] if it has not exactly one `@` with something on both sides, or holds what would break the
    /// head of a mail.
    pub fn new(text: &str) -> Result<Self, MailAddressError> {
        let wrong = || MailAddressError(text.to_owned());
        let address = match text.strip_suffix('>') {
            Some(rest) => {
                let (name, address) = rest.rsplit_once('<').ok_or_else(wrong)?;
                if name.contains(|c: char| c.is_control() || matches!(c, '<' | '>' | '@' | ',')) {
                    return Err(wrong());
                }
                address
            }
            None => text,
        };
        let is_part = |part: &str| {
            let is_bad =
                |c: char| c.is_whitespace() || c.is_control() || matches!(c, '<' | '>' | ',' | ';' | '@');
            !part.is_empty() && !part.contains(is_bad)
        };
        let (name, host) = address.split_once('@').ok_or_else(wrong)?;
        if is_part(name) && is_part(host) { Ok(Self(text.to_owned())) } else { Err(wrong()) }
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for MailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Shown for MailAddress {
    fn shown(&self) -> String {
        format!("{:?}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_one_at_and_nothing_that_breaks_a_head() {
        for good in
            ["me@localhost", "a.b+c@example.org", "Me Myself <me@example.org>", "<me@x>", "ö@пример.рф"]
        {
            assert_eq!(MailAddress::new(good).map(|address| address.to_string()), Ok(good.to_owned()));
        }
        for bad in [
            "",
            "me",
            "@",
            "me@",
            "@host",
            "a@b@c",
            "a b@c",
            "a@b c",
            "a@b,c@d",
            "a@b\nBcc: c@d",
            "Me <me>",
            "Me me@x>",
            "a@b <c@d>",
            "Me\n<me@x>",
        ] {
            assert_eq!(MailAddress::new(bad), Err(MailAddressError(bad.to_owned())), "{bad:?}");
        }
    }
}
