//! The settings of a worker in a container: the variables of its environment.
//!
//! # Laws
//! - All that is missing or wrong is told at once.
//! - An empty variable is one that is not set, but for the list of those that are hidden.
//!
//! # Source
//! The image `buildbot/buildbot-worker`, whose variables have the same names and defaults; but `BUILDMASTER` and
//! `WORKERNAME` must be set.

use std::{ffi::OsString, net::Ipv6Addr};

use crate::{
    cli::bot::{endpoint, key::Key, settings::Settings, value::Value},
    definition::Problem,
};

/// The variables, with what they say.
pub(super) const VARIABLES: [&str; 8] = [
    "BUILDMASTER",
    "BUILDMASTER_PORT",
    "BUILDMASTER_PROTOCOL",
    "BUILDMASTER_CONNECTION_STRING",
    "WORKERNAME",
    "WORKERPASS",
    "WORKERPASS_FILE",
    "WORKER_ENVIRONMENT_BLACKLIST",
];

/// As often as the image of Buildbot tries.
const MAX_RETRIES: i64 = 10;

/// What stands in the variables. It does not print: among them is a password.
#[derive(Clone)]
pub(super) struct Variables(Vec<(&'static str, OsString)>);

impl Variables {
    /// Those of this process.
    pub(super) fn of_process() -> Self {
        Self::new(|name| std::env::var_os(name))
    }

    fn new(variable: impl Fn(&str) -> Option<OsString>) -> Self {
        Self(VARIABLES.iter().filter_map(|name| Some((*name, variable(name)?))).collect())
    }

    /// Those that say where a master is and as whom to log in, by name.
    pub(super) fn given(&self) -> impl Iterator<Item = &'static str> {
        self.0.iter().filter(|(_, value)| !value.is_empty()).map(|(name, _)| *name)
    }

    /// The settings; `with_password` if the password must be there.
    pub(super) fn settings(&self, with_password: bool) -> Result<Settings, Vec<Problem>> {
        let mut reader = Reader { variables: self, settings: Settings::default(), problems: Vec::new() };
        reader.settings.set(Key::Maxretries, Value::Number(MAX_RETRIES)).expect("it is within the bounds");
        reader.master();
        reader.take("BUILDMASTER_CONNECTION_STRING", Key::ConnectionString);
        reader.take("BUILDMASTER_PROTOCOL", Key::Protocol);
        reader.take("WORKERNAME", Key::Name);
        if with_password {
            reader.take("WORKERPASS", Key::Password);
            reader.take("WORKERPASS_FILE", Key::PasswordFile);
        }
        reader.hidden();
        reader.finish(with_password)
    }
}

struct Reader<'a> {
    variables: &'a Variables,
    settings: Settings,
    problems: Vec<Problem>,
}

impl Reader<'_> {
    /// The text of a variable; nothing if it is not set, or no text, which is told.
    fn text(&mut self, name: &'static str) -> Option<String> {
        let (_, value) = self.variables.0.iter().find(|(known, _)| *known == name)?;
        let text = value.to_str();
        if text.is_none() {
            self.wrong(name, "it is no text in UTF-8");
        }
        text.map(str::to_owned)
    }

    fn wrong(&mut self, name: &str, text: &str) {
        self.problems.push(Problem::error(None, format!("{name}: {text}")));
    }

    fn take(&mut self, name: &'static str, key: Key) {
        let Some(text) = self.text(name).filter(|text| !text.is_empty()) else { return };
        if let Err(text) = self.settings.set(key, Value::Text(text)) {
            self.wrong(name, &text);
        }
    }

    fn master(&mut self) {
        let host = self.text("BUILDMASTER").filter(|text| !text.is_empty());
        let port = self.text("BUILDMASTER_PORT").filter(|text| !text.is_empty());
        let Some(host) = host else { return };
        // There is no port in it, as a rule, so an address needs no brackets.
        let host = if host.parse::<Ipv6Addr>().is_ok() { format!("[{host}]") } else { host };
        match endpoint::host_and_port(&host) {
            Err(error) => self.wrong("BUILDMASTER", &error.to_string()),
            Ok((host, own_port)) => {
                let port = port.unwrap_or_else(|| own_port.to_string());
                let address =
                    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
                if let Err(text) = self.settings.set(Key::Master, Value::Text(address)) {
                    self.wrong("BUILDMASTER_PORT", &text);
                }
            }
        }
    }

    fn hidden(&mut self) {
        let Some(list) = self.text("WORKER_ENVIRONMENT_BLACKLIST") else { return };
        // White space, as in Buildbot's image; a comma is no part of a name either.
        let names =
            list.split([' ', '\t', '\n', ',']).filter(|name| !name.is_empty()).map(str::to_owned).collect();
        if let Err(text) = self.settings.set(Key::EnvironmentBlacklist, Value::Texts(names)) {
            self.wrong("WORKER_ENVIRONMENT_BLACKLIST", &text);
        }
    }

    fn finish(mut self, with_password: bool) -> Result<Settings, Vec<Problem>> {
        let given: Vec<_> = self.variables.given().collect();
        for wrong in self.settings.wrongs() {
            let names: &[&str] = match wrong.key {
                Key::Name => &["WORKERNAME"],
                Key::Password | Key::PasswordFile if !with_password => continue,
                Key::Password => &["WORKERPASS", "WORKERPASS_FILE"],
                Key::PasswordFile => &["WORKERPASS_FILE"],
                Key::Master => &["BUILDMASTER", "BUILDMASTER_CONNECTION_STRING"],
                _ => &["BUILDMASTER_CONNECTION_STRING"],
            };
            // What was refused is not missing.
            if wrong.is_absence() && names.iter().any(|name| given.contains(name)) {
                continue;
            }
            if wrong.is_absence() {
                self.wrong(&names.join(" or "), "it is not set");
            } else {
                self.wrong(names[0], &wrong.text);
            }
        }
        if self.problems.is_empty() { Ok(self.settings) } else { Err(self.problems) }
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;
    use crate::{bot::remote::Wire, model::Secret};

    fn read(given: &[(&str, &str)]) -> Result<Settings, Vec<String>> {
        let variables = Variables::new(|name| {
            given.iter().find(|(known, _)| *known == name).map(|(_, value)| OsString::from(value))
        });
        variables.settings(true).map_err(|problems| problems.iter().map(ToString::to_string).collect())
    }

    const BASE: [(&str, &str); 3] = [("BUILDMASTER", "ci"), ("WORKERNAME", "bot1"), ("WORKERPASS", "sesame")];

    #[test]
    fn the_variables_of_buildbots_image_are_read() {
        let expected = Settings {
            name: "bot1".to_owned(),
            password: Some(Secret::new("sesame")),
            master: Some(("ci".to_owned(), 9989)),
            maxretries: NonZeroU32::new(10),
            ..Settings::default()
        };
        assert_eq!(read(&BASE), Ok(expected.clone()));
        let more = [
            ("BUILDMASTER_PORT", "9990"),
            ("BUILDMASTER_PROTOCOL", "msgpack_experimental_v7"),
            ("WORKER_ENVIRONMENT_BLACKLIST", "WORKERPASS AWS_*,X"),
        ];
        let settings = read(&[&BASE[..], &more].concat()).unwrap();
        assert_eq!(settings.environment_blacklist, ["WORKERPASS", "AWS_*", "X"]);
        assert_eq!((settings.master, settings.protocol), (Some(("ci".to_owned(), 9990)), Wire::Msgpack));
        for (master, port, wanted) in
            [("::1", "", ("::1", 9989)), ("[::1]:9990", "", ("::1", 9990)), ("ci:9000", "9001", ("ci", 9001))]
        {
            let settings = read(&[("BUILDMASTER", master), ("BUILDMASTER_PORT", port), BASE[1], BASE[2]]);
            assert_eq!(settings.unwrap().master, Some((wanted.0.to_owned(), wanted.1)));
        }
        let file = read(&[BASE[0], BASE[1], ("WORKERPASS_FILE", "/run/p"), ("WORKERPASS", "")]).unwrap();
        assert_eq!((file.password, file.password_file), (None, Some("/run/p".into())));
        let string = read(&[("BUILDMASTER_CONNECTION_STRING", "tls:ci:1"), BASE[1], BASE[2]]).unwrap();
        assert_eq!((string.master, string.connection_string.as_deref()), (None, Some("tls:ci:1")));
    }

    #[test]
    fn all_that_is_missing_or_wrong_is_told_at_once() {
        assert_eq!(
            read(&[]).unwrap_err(),
            [
                "WORKERNAME: it is not set",
                "WORKERPASS or WORKERPASS_FILE: it is not set",
                "BUILDMASTER or BUILDMASTER_CONNECTION_STRING: it is not set",
            ]
        );
        let wrong = [
            ("BUILDMASTER", "ci"),
            ("BUILDMASTER_PORT", "http"),
            ("BUILDMASTER_PROTOCOL", "http"),
            ("WORKERNAME", "bot1"),
            ("WORKERPASS", "a\nb"),
        ];
        assert_eq!(
            read(&wrong).unwrap_err(),
            [
                "BUILDMASTER_PORT: the port is \"http\", and not a number from 1 to 65535",
                "BUILDMASTER_PROTOCOL: it takes \"pb\" or \"msgpack\" or \"msgpack_experimental_v7\", not \"http\"",
                "WORKERPASS: it takes a text of one line",
            ]
        );
        let twice =
            [&BASE[..], &[("WORKERPASS_FILE", "p"), ("BUILDMASTER_CONNECTION_STRING", "tcp:ci:1")]].concat();
        assert_eq!(
            read(&twice).unwrap_err(),
            [
                "WORKERPASS_FILE: the password is given already",
                "BUILDMASTER_CONNECTION_STRING: the address of the master is given already",
            ]
        );
    }
}
