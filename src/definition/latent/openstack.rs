//! A worker on a server of OpenStack.
//!
//! # Source
//! Which options go together: Buildbot, `worker/openstack.py`.

use std::collections::BTreeMap;

use super::{Complaints, Late, address::word, laws::literal};
use crate::{
    definition::{
        plan::{Cost, FieldChange, changes},
        record::Record,
        render::{Text, Worth},
        secret::SecretText,
        shown::Shown,
    },
    model::PropertyValue,
};

/// What a server of OpenStack is made from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenStackDefinition {
    /// Its size.
    pub flavor: Text,
    /// Its image; with `block_devices` perhaps none.
    pub image: Option<Text>,
    /// Its disks.
    pub block_devices: Vec<BlockDevice>,
    /// Who asks for it.
    pub auth: Auth,
    /// The region.
    pub region: Option<String>,
    /// What it carries.
    pub meta: Option<Worth>,
    /// What else Nova is told.
    pub nova_args: Option<Worth>,
    /// The version of Nova's API.
    pub client_version: NovaVersion,
}

/// Who asks for a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Auth {
    /// A user with a password.
    Password {
        /// Where Keystone is.
        auth_url: SecretText,
        /// Who.
        username: SecretText,
        /// With which password.
        password: SecretText,
        /// The project.
        project: Option<SecretText>,
        /// The domain of the user.
        user_domain: Option<SecretText>,
        /// The domain of the project.
        project_domain: Option<SecretText>,
    },
    /// In Keystone's own words; `auth_url` is among them.
    Arguments(BTreeMap<String, SecretText>),
}

/// A disk of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockDevice {
    /// What it begins as.
    pub uuid: Text,
    /// What that is.
    pub source: Late<Source>,
    /// What it becomes.
    pub destination: Late<Destination>,
    /// Where the server sees it.
    pub device_name: Text,
    /// Whether it goes with its server.
    pub delete_on_termination: Late<bool>,
    /// Its place in the order of boot; less than 0: none.
    pub boot_index: Late<i64>,
    /// Its size in GiB; that of what it begins as, if absent.
    pub volume_size_gib: Option<Late<i64>>,
}

/// What a disk begins as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// An image.
    Image,
    /// A volume.
    Volume,
    /// A snapshot of a volume.
    Snapshot,
}

/// What a disk becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Destination {
    /// A volume.
    Volume,
    /// A disk of the host.
    Local,
}

/// The version of Nova's API: 2, or 2 and a microversion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NovaVersion {
    /// The microversion.
    pub minor: Option<u32>,
}

const SOURCES: [(&str, Source); 3] =
    [("image", Source::Image), ("volume", Source::Volume), ("snapshot", Source::Snapshot)];

const DESTINATIONS: [(&str, Destination); 2] =
    [("volume", Destination::Volume), ("local", Destination::Local)];

/// What the options say already; in Buildbot `nova_args` replaces it without a word, or the start fails.
const NOT_NOVA_ARGS: [(&str, &str); 5] = [
    ("name", "name"),
    ("image", "image"),
    ("flavor", "flavor"),
    ("meta", "meta"),
    ("block_device_mapping_v2", "block_devices"),
];

impl OpenStackDefinition {
    pub(super) fn from_record(record: &Record, complaints: &mut Complaints<'_>) -> Option<Self> {
        let flavor = record.renderable("flavor");
        let image = record.renderable("image");
        let tables = record.records("block_devices");
        if image.is_none() && tables.is_empty() {
            complaints.tell("it has neither an `image` nor `block_devices`", None);
        }
        let block_devices = block_devices(&tables, complaints);
        let auth = auth(record, complaints);
        let meta = record.worth("meta");
        if let Some(name) = meta.as_ref().and_then(not_text) {
            complaints.tell(&format!("`meta` takes names and texts; {name:?} is none"), None);
        }
        let nova_args = record.worth("nova_args");
        for (name, option) in NOT_NOVA_ARGS {
            if nova_args.as_ref().is_some_and(|table| names(table).contains(&name)) {
                complaints
                    .tell(&format!("`nova_args` holds `{name}`, which the option `{option}` says"), None);
            }
        }
        let version = record.text("client_version").map(|text| NovaVersion::parse(&text));
        let client_version = version.and_then(|version| complaints.take("client_version", version));
        Some(Self {
            flavor: flavor?,
            image,
            block_devices,
            auth: auth?,
            region: record.text("region"),
            meta,
            nova_args,
            client_version: client_version?,
        })
    }

    /// A server that runs keeps what it was made from.
    pub(super) fn changes(&self, new: &Self) -> Vec<FieldChange> {
        let mut out = changes!(self, new;
            "flavor" flavor WhenIdle,
            "image" image WhenIdle,
            "block_devices" block_devices WhenIdle,
            "region" region WhenIdle,
            "meta" meta WhenIdle,
            "client_version" client_version InPlace,
        );
        // What a server is told when it boots often holds a password.
        if self.nova_args != new.nova_args {
            out.push(FieldChange::hidden("nova_args", Cost::WhenIdle));
        }
        if self.auth != new.auth {
            out.extend(self.auth.changes(&new.auth));
        }
        out
    }
}

impl Auth {
    /// The master asks as the new one from now on, also for what runs.
    fn changes(&self, new: &Self) -> Vec<FieldChange> {
        let mut out = Vec::new();
        let (was, is) = (self.by_option(), new.by_option());
        for (option, value) in &is {
            if was.get(option) != Some(value) {
                out.push(FieldChange::hidden(option, Cost::InPlace));
            }
        }
        let gone = was.keys().filter(|option| !is.contains_key(*option));
        out.extend(gone.map(|option| FieldChange::hidden(option, Cost::InPlace)));
        out
    }

    fn by_option(&self) -> BTreeMap<&'static str, Vec<(&str, &SecretText)>> {
        match self {
            Self::Password { auth_url, username, password, project, user_domain, project_domain } => [
                ("os_auth_url", Some(auth_url)),
                ("os_username", Some(username)),
                ("os_password", Some(password)),
                ("os_tenant_name", project.as_ref()),
                ("os_user_domain", user_domain.as_ref()),
                ("os_project_domain", project_domain.as_ref()),
            ]
            .into_iter()
            .filter_map(|(option, value)| Some((option, vec![("", value?)])))
            .collect(),
            Self::Arguments(arguments) => {
                let all = arguments.iter().map(|(name, value)| (name.as_str(), value)).collect();
                BTreeMap::from([("os_auth_args", all)])
            }
        }
    }
}

impl NovaVersion {
    fn parse(text: &str) -> Result<Self, String> {
        let wrong = || format!("takes `2` or `2.` and a number, not {text:?}");
        let Some(rest) = text.strip_prefix('2') else { return Err(wrong()) };
        if rest.is_empty() {
            return Ok(Self { minor: None });
        }
        let digits = rest.strip_prefix('.').filter(|digits| digits.bytes().all(|b| b.is_ascii_digit()));
        let minor = digits.and_then(|digits| digits.parse().ok()).ok_or_else(wrong)?;
        Ok(Self { minor: Some(minor) })
    }
}

impl Shown for NovaVersion {
    fn shown(&self) -> String {
        self.minor.map_or_else(|| "\"2\"".into(), |minor| format!("\"2.{minor}\""))
    }
}

impl Shown for Source {
    fn shown(&self) -> String {
        shown_word(*self, &SOURCES)
    }
}

impl Shown for Destination {
    fn shown(&self) -> String {
        shown_word(*self, &DESTINATIONS)
    }
}

impl Shown for BlockDevice {
    fn shown(&self) -> String {
        let size = self.volume_size_gib.as_ref().map(|size| format!(", volume_size = {}", size.shown()));
        format!(
            "{{ uuid = {}, source_type = {}, destination_type = {}, device_name = {}, delete_on_termination = {}, \
             boot_index = {}{} }}",
            Shown::shown(&self.uuid),
            self.source.shown(),
            self.destination.shown(),
            Shown::shown(&self.device_name),
            self.delete_on_termination.shown(),
            self.boot_index.shown(),
            size.unwrap_or_default(),
        )
    }
}

fn shown_word<T: PartialEq>(value: T, words: &[(&'static str, T)]) -> String {
    let found = words.iter().find(|(_, known)| *known == value);
    format!("{:?}", found.expect("each value has its word").0)
}

/// A word that may be rendered.
pub(super) fn late_word<T: Copy>(
    text: Option<Text>,
    words: &[(&'static str, T)],
) -> Option<Result<Late<T>, String>> {
    Some(match text? {
        Text::Plain(text) => word(&text, words).map(Late::Fixed),
        Text::Rendered(renderable) => Ok(Late::Rendered(renderable)),
    })
}

fn block_devices(tables: &[Record], complaints: &mut Complaints<'_>) -> Vec<BlockDevice> {
    let mut devices: Vec<BlockDevice> = Vec::new();
    for (index, table) in (1..).zip(tables) {
        let at = |option: &str| format!("block_devices[{index}].{option}");
        let source = late_word(table.renderable("source_type"), &SOURCES)
            .and_then(|read| complaints.take(&at("source_type"), read));
        let destination = late_word(table.renderable("destination_type"), &DESTINATIONS)
            .and_then(|read| complaints.take(&at("destination_type"), read));
        let device = (|| {
            Some(BlockDevice {
                uuid: table.renderable("uuid")?,
                source: source?,
                destination: destination?,
                device_name: table.renderable("device_name")?,
                delete_on_termination: table.late_flag("delete_on_termination"),
                boot_index: table.late_integer("boot_index")?,
                volume_size_gib: table.late_integer("volume_size"),
            })
        })();
        let Some(device) = device else { continue };
        for other in &devices {
            if let (Some(name), Some(same)) =
                (literal(Some(&device.device_name)), literal(Some(&other.device_name)))
                && name == same
            {
                complaints.tell(&format!("`{}` is {name:?} a second time", at("device_name")), None);
            }
            if let (Late::Fixed(place), Late::Fixed(same)) = (&device.boot_index, &other.boot_index)
                && place == same
                && *place >= 0
            {
                let hint = "-1 stands for a disk that is not booted from";
                complaints.tell(&format!("`{}` is {place} a second time", at("boot_index")), Some(hint));
            }
        }
        devices.push(device);
    }
    devices
}

fn auth(record: &Record, complaints: &mut Complaints<'_>) -> Option<Auth> {
    const OWN: [&str; 6] = [
        "os_username",
        "os_password",
        "os_tenant_name",
        "os_auth_url",
        "os_user_domain",
        "os_project_domain",
    ];
    if record.get("os_auth_args").is_some() {
        let arguments = record.secret_table("os_auth_args");
        for option in OWN {
            if record.get(option).is_some() {
                let text = format!("`os_auth_args` takes the place of `{option}`; keep one of them");
                complaints.tell(&text, None);
            }
        }
        match arguments.get("auth_url") {
            None => complaints.tell("`os_auth_args` holds no `auth_url`", None),
            Some(url) => check_url("os_auth_args.auth_url", url, complaints),
        }
        return Some(Auth::Arguments(arguments));
    }
    for option in ["os_username", "os_password", "os_auth_url"] {
        if record.get(option).is_none() {
            complaints.tell(&format!("`{option}` is missing, and so is `os_auth_args`"), None);
        }
    }
    let auth_url = record.secret("os_auth_url");
    if let Some(url) = &auth_url {
        check_url("os_auth_url", url, complaints);
    }
    Some(Auth::Password {
        auth_url: auth_url?,
        username: record.secret("os_username")?,
        password: record.secret("os_password")?,
        project: record.secret("os_tenant_name"),
        user_domain: record.secret("os_user_domain"),
        project_domain: record.secret("os_project_domain"),
    })
}

/// It is not shown: it may be a secret.
fn check_url(option: &str, url: &SecretText, complaints: &mut Complaints<'_>) {
    if let SecretText::Given(url) = url
        && !["http://", "https://"].iter().any(|scheme| url.expose().starts_with(scheme))
    {
        complaints.tell(&format!("`{option}` takes a URL, which begins with `https://` or `http://`"), None);
    }
}

/// The names in a table that stands already.
pub(super) fn names(table: &Worth) -> Vec<&str> {
    match table {
        Worth::Plain(PropertyValue::Object(map)) => map.keys().map(String::as_str).collect(),
        Worth::Table(map) => map.keys().map(String::as_str).collect(),
        _ => Vec::new(),
    }
}

/// The first name in a table that has neither text nor what is as good as text.
pub(super) fn not_text(table: &Worth) -> Option<String> {
    let is_text = |value: &PropertyValue| value.is_string() || value.is_number() || value.is_boolean();
    match table {
        Worth::Plain(PropertyValue::Object(map)) => {
            map.iter().find(|(_, value)| !is_text(value)).map(|(name, _)| name.clone())
        }
        Worth::Table(map) => map
            .iter()
            .find(|(_, worth)| match worth {
                Worth::Plain(value) => !is_text(value),
                Worth::Rendered(_) => false,
                Worth::List(_) | Worth::Table(_) => true,
            })
            .map(|(name, _)| name.clone()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_of_nova_is_two_or_a_microversion_of_it() {
        assert_eq!(NovaVersion::parse("2"), Ok(NovaVersion { minor: None }));
        assert_eq!(NovaVersion::parse("2.90"), Ok(NovaVersion { minor: Some(90) }));
        for bad in ["", "3", "2.", "2.x", "2.+1", "latest", "21"] {
            assert!(NovaVersion::parse(bad).is_err(), "{bad:?}");
        }
    }
}
