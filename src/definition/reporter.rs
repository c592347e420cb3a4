//! A reporter, as the operator defined it: who is told what by mail.
//!
//! # Laws
//! - Nothing that is written into a header of a mail, or sent to the host as a command, can end its line.
//! - `useTls` and `useSmtps` are one choice, [`Security`].
//!
//! # Not here
//! Sending.

mod build;
mod message;
mod plan;

use std::{collections::BTreeMap, fmt};

pub use build::{AttachedLogs, BuildGenerator, BuildMode, UnknownMode};
pub use message::{Message, MissingGenerator, TemplateType, WatchedWorkers};

use crate::{
    definition::{
        Hook, SecretText, Text,
        address::{Address, AddressError, Mailbox, is_domain},
        problem::Problem,
        record::{Record, Value},
    },
    model::{Place, ReporterName},
};

/// `reporters.MailNotifier`: mail through a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReporterDefinition {
    /// Its name, unique in the master.
    pub name: ReporterName,
    /// The sender.
    pub from: Mailbox,
    /// The host that takes the mail.
    pub relay_host: String,
    /// Its port.
    pub port: u16,
    /// How the link to it is kept from other eyes.
    pub security: Security,
    /// The login there; none if absent.
    pub login: Option<Login>,
    /// Who is told of builds besides.
    pub extra_recipients: Vec<Address>,
    /// Whether the people behind the changes are told of their builds.
    pub tells_interested_users: bool,
    /// How a person's name becomes an address.
    pub lookup: Option<Lookup>,
    /// Headers that are added to each mail.
    pub extra_headers: BTreeMap<String, Text>,
    /// Whether each mail is written to the log as well.
    pub logs_mails: bool,
    /// Which builds are mailed, and how.
    pub builds: Vec<BuildGenerator>,
    /// Which missing workers are mailed, and how.
    pub missing: Vec<MissingGenerator>,
    /// Where it was written.
    pub place: Place,
}

/// How the link to the host is kept from other eyes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Security {
    /// STARTTLS if the host offers it, as Buildbot does without `useTls`.
    IfOffered,
    /// STARTTLS, or no mail: `useTls`.
    StartTls,
    /// TLS from the first byte: `useSmtps`.
    Smtps,
}

/// A login at the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    /// `smtpUser`.
    pub user: SecretText,
    /// `smtpPassword`.
    pub password: SecretText,
}

/// How a person's name becomes an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lookup {
    /// This domain is added.
    Domain(String),
    /// A function says it.
    Function(Hook),
}

/// Headers that each mail has anyhow, or that say to whom it goes. In small letters.
const OWN_HEADERS: [&str; 11] = [
    "from",
    "to",
    "cc",
    "bcc",
    "subject",
    "date",
    "message-id",
    "mime-version",
    "content-type",
    "content-transfer-encoding",
    "content-disposition",
];

impl ReporterDefinition {
    /// A reporter from its record; what is wrong goes to `problems`.
    pub fn from_record(record: &Record, problems: &mut Vec<Problem>) -> Option<Self> {
        let given = record.text("fromaddr")?;
        let label = match record.text("name") {
            Some(name) => format!("reporter {name:?}"),
            None => record.constructor.path(),
        };
        let mut faults: Vec<(&'static str, String)> = Vec::new();
        let from = match Mailbox::parse(&given) {
            Ok(from) => Some(from),
            Err(error) => {
                faults.push(("fromaddr", error.to_string()));
                None
            }
        };
        let relay_host = record.text("relayhost")?;
        if let Err(why) = check_host(&relay_host) {
            faults.push(("relayhost", format!("{relay_host:?} {why}")));
        }
        let extra_recipients = addresses(record, "extraRecipients", &mut faults);
        let extra_headers = record.text_table("extraHeaders");
        headers(&extra_headers, &mut faults);
        let security = match (record.flag("useTls"), record.flag("useSmtps")) {
            (false, false) => Security::IfOffered,
            (true, false) => Security::StartTls,
            (false, true) => Security::Smtps,
            (true, true) => {
                let text = "is STARTTLS, and `useSmtps` is TLS from the first byte; keep one of them";
                faults.push(("useTls", text.into()));
                Security::Smtps
            }
        };
        let login = match (record.secret("smtpUser"), record.secret("smtpPassword")) {
            (Some(user), Some(password)) => Some(Login { user, password }),
            (None, None) => None,
            (Some(_), None) => {
                faults.push(("smtpUser", "is given without `smtpPassword`; a login needs both".into()));
                None
            }
            (None, Some(_)) => {
                faults.push(("smtpPassword", "is given without `smtpUser`; a login needs both".into()));
                None
            }
        };
        let lookup = match record.get("lookup") {
            None => None,
            Some(Value::Hook(hook)) => Some(Lookup::Function(hook)),
            Some(_) => {
                let domain = record.text("lookup")?;
                if !is_domain(&domain) {
                    let text = format!("{domain:?} is no domain; give one like `example.org`, or a function");
                    faults.push(("lookup", text));
                }
                Some(Lookup::Domain(domain))
            }
        };
        let (builds, missing) = message::told(record, &label, &mut faults, problems);
        let port = record.integer("smtpPort").and_then(|port| u16::try_from(port).ok());
        let name = record.text("name").unwrap_or_else(|| {
            let address = from.as_ref().map_or(given.as_str(), |from| from.address.as_str());
            format!("{address} via {relay_host}")
        });
        let name = match ReporterName::new(&name) {
            Ok(name) => Some(name),
            Err(error) => {
                faults.push(("name", error.to_string()));
                None
            }
        };
        for (option, text) in faults {
            let text = format!("{label}: `{option}`: {text}");
            problems.push(Problem::error(record.place_of(option), text));
        }
        Some(Self {
            name: name?,
            from: from?,
            relay_host,
            port: port.unwrap_or(if security == Security::Smtps { 465 } else { 25 }),
            security,
            login,
            extra_recipients,
            tells_interested_users: record.flag("sendToInterestedUsers"),
            lookup,
            extra_headers,
            logs_mails: record.flag("dumpMailsToLog"),
            builds,
            missing,
            place: record.place.clone(),
        })
    }
}

/// Whether a text can be the name or the address of a host.
fn check_host(host: &str) -> Result<(), &'static str> {
    match host {
        "" => Err("is no name of a host"),
        _ if host.parse::<std::net::IpAddr>().is_ok() => Ok(()),
        _ if host.contains(':') => Err("is no name of a host; its port is `smtpPort`"),
        _ if host.contains(|c: char| !c.is_alphanumeric() && !matches!(c, '.' | '-' | '_')) => {
            Err("is no name of a host")
        }
        _ => Ok(()),
    }
}

fn addresses(
    record: &Record,
    option: &'static str,
    faults: &mut Vec<(&'static str, String)>,
) -> Vec<Address> {
    let mut fault = |error: AddressError| faults.push((option, error.to_string()));
    let texts = record.texts(option);
    texts.iter().filter_map(|text| Address::new(text).map_err(&mut fault).ok()).collect()
}

fn headers(headers: &BTreeMap<String, Text>, faults: &mut Vec<(&'static str, String)>) {
    let mut seen = BTreeMap::new();
    for (name, value) in headers {
        let small = name.to_ascii_lowercase();
        let is_name = !name.is_empty() && name.bytes().all(|b| b.is_ascii_graphic() && b != b':');
        let fault = if !is_name {
            Some(format!("{name:?} is no name of a header"))
        } else if OWN_HEADERS.contains(&small.as_str()) {
            Some(format!("each mail has a header `{name}` of its own"))
        } else if let Text::Plain(text) = value
            && text.contains(char::is_control)
        {
            Some(format!("header `{name}` holds a control character; it is one line"))
        } else {
            seen.insert(small, name).map(|other| format!("`{other}` and `{name}` are one header"))
        };
        faults.extend(fault.map(|fault| ("extraHeaders", fault)));
    }
}

impl fmt::Display for Security {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::IfOffered => "STARTTLS if offered",
            Self::StartTls => "STARTTLS",
            Self::Smtps => "TLS from the first byte",
        })
    }
}

#[cfg(test)]
impl ReporterDefinition {
    /// One that tells of all missing workers in our own words, for tests.
    pub(crate) fn bare(name: &str) -> Self {
        Self {
            name: ReporterName::new(name).expect("the test gives a good name"),
            from: Mailbox::parse("buildbot@localhost").expect("a good address"),
            relay_host: "localhost".into(),
            port: 25,
            security: Security::IfOffered,
            login: None,
            extra_recipients: Vec::new(),
            tells_interested_users: true,
            lookup: None,
            extra_headers: BTreeMap::new(),
            logs_mails: false,
            builds: Vec::new(),
            missing: vec![MissingGenerator::all()],
            place: Place::new("master.cfg.lua", 1),
        }
    }
}
