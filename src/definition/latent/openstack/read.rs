//! From the options of `worker.OpenStackLatentWorker` to what they mean.
//!
//! # Source
//! Which options go together: Buildbot, `worker/openstack.py`.

use super::{
    super::{
        Complaints, Late,
        words::{late_word, literal, names, not_text},
    },
    Auth, BlockDevice, DESTINATIONS, NovaVersion, OpenStackDefinition, SOURCES,
};
use crate::definition::{record::Record, secret::SecretText};

/// What the options say already; in Buildbot `nova_args` replaces it without a word, or the start fails.
const NOT_NOVA_ARGS: [(&str, &str); 5] = [
    ("name", "name"),
    ("image", "image"),
    ("flavor", "flavor"),
    ("meta", "meta"),
    ("block_device_mapping_v2", "block_devices"),
];

impl OpenStackDefinition {
    pub(in crate::definition::latent) fn from_record(
        record: &Record,
        complaints: &mut Complaints<'_>,
    ) -> Option<Self> {
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
