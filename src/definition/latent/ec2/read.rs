//! From the options of `worker.EC2LatentWorker` to what they mean.
//!
//! # Source
//! Which options go together: Buildbot, `worker/ec2.py`. What a name may look like: the EC2 API reference.

use std::{collections::BTreeMap, net::Ipv4Addr};

use super::{
    super::Complaints, Credentials, Ebs, Ec2Definition, Ec2Device, Ec2DeviceKind, Image, LocationPattern,
    Network, Pricing, Session,
};
use crate::definition::{
    record::{Record, Value},
    secret::SecretText,
};

impl Ec2Definition {
    pub(in crate::definition::latent) fn from_record(
        record: &Record,
        complaints: &mut Complaints<'_>,
    ) -> Option<Self> {
        let image = image(record, complaints);
        let pricing = pricing(record, complaints);
        let (credentials, region) = access(record, complaints);
        let placement = record.text("placement");
        match (&placement, &region) {
            (Some(_), None) => {
                complaints.tell("`placement` is a zone of a region; `region` is missing", None);
            }
            (Some(zone), Some(region)) if zone.starts_with(region.as_str()) => {
                let hint = format!("write {:?}", &zone[region.len()..]);
                complaints.tell(
                    &format!("`placement` takes the zone without its region, not {zone:?}"),
                    Some(&hint),
                );
            }
            _ => {}
        }
        let network = match (record.text("security_name"), record.text("subnet_id")) {
            (Some(_), Some(_)) => {
                let hint = "name the groups of a VPC in `security_group_ids`";
                complaints.tell("`security_name` cannot stand beside `subnet_id`", Some(hint));
                None
            }
            (Some(group), None) => Some(Network::Group(group)),
            (None, Some(subnet)) => Some(Network::Subnet(subnet)),
            (None, None) => {
                complaints.tell("`security_name` is missing, and so is `subnet_id`", None);
                None
            }
        };
        let elastic_ip = record.text("elastic_ip").and_then(|text| {
            let read = text.parse::<Ipv4Addr>();
            complaints.take(
                "elastic_ip",
                read.map_err(|_| format!("takes an address like \"203.0.113.7\", not {text:?}")),
            )
        });
        let devices = devices(record, complaints);
        let tags = tags(record, complaints);
        let volumes = record.pairs("volumes");
        let mut seen: Vec<&str> = devices.iter().map(|device| device.name.as_str()).collect();
        for (volume, device) in &volumes {
            if volume.is_empty() || device.is_empty() {
                complaints.tell("`volumes` holds an empty text", None);
            } else if seen.contains(&device.as_str()) {
                complaints.tell(&format!("`volumes` names the device {device:?}, which is taken"), None);
            }
            seen.push(device);
        }
        Some(Self {
            instance_type: record.text("instance_type")?,
            image: image?,
            pricing: pricing?,
            credentials: credentials?,
            region,
            placement,
            key_pair: record.text("keypair_name")?,
            network: network?,
            security_group_ids: record.texts("security_group_ids"),
            elastic_ip,
            user_data: record.secret("user_data"),
            volumes,
            devices,
            tags,
            instance_profile: record.text("instance_profile_name"),
        })
    }
}

fn image(record: &Record, complaints: &mut Complaints<'_>) -> Option<Image> {
    const EITHER: &str = "give either `ami`, or `valid_ami_owners` and `valid_ami_location_regex`";
    let owners: Option<Vec<String>> = record
        .texts("valid_ami_owners")
        .iter()
        .map(|owner| complaints.take("valid_ami_owners", account(owner)))
        .collect();
    let location = record.text("valid_ami_location_regex");
    let search = record.get("valid_ami_owners").is_some() || location.is_some();
    let location = match location {
        None => None,
        Some(text) => Some(complaints.take("valid_ami_location_regex", LocationPattern::parse(&text))?),
    };
    let owners = owners?;
    match (record.text("ami"), search) {
        (Some(ami), false) => Some(Image::Ami(ami)),
        (None, true) if owners.is_empty() && location.is_none() => {
            complaints.tell("`valid_ami_owners` names nobody", None);
            None
        }
        (None, true) => Some(Image::Search { owners, location }),
        (Some(_), true) => {
            complaints.tell("it has an `ami`, and more that chooses one", Some(EITHER));
            None
        }
        (None, false) => {
            complaints.tell("it has no image", Some(EITHER));
            None
        }
    }
}

/// The number of an account, or a word for one. A number loses its leading zeros in Lua; it has twelve digits.
fn account(text: &str) -> Result<String, String> {
    const DIGITS: usize = 12;
    let is_number = !text.is_empty() && text.len() <= DIGITS && text.bytes().all(|b| b.is_ascii_digit());
    if is_number {
        Ok(format!("{text:0>DIGITS$}"))
    } else if ["self", "amazon", "aws-marketplace"].contains(&text) {
        Ok(text.to_owned())
    } else {
        Err(format!(
            "takes numbers of accounts (12 digits), \"self\", \"amazon\" or \"aws-marketplace\", not {text:?}"
        ))
    }
}

fn pricing(record: &Record, complaints: &mut Complaints<'_>) -> Option<Pricing> {
    if !record.flag("spot_instance") {
        return Some(Pricing::OnDemand);
    }
    let (max_price, multiplier) = (record.number("max_spot_price"), record.number("price_multiplier"));
    if max_price.is_none() && multiplier.is_none() {
        complaints.tell("a spot instance needs `max_spot_price` or `price_multiplier`", None);
        return None;
    }
    let product = record.text("product_description")?;
    Some(Pricing::Spot { max_price, multiplier, product })
}

/// Who asks, and in which region.
fn access(record: &Record, complaints: &mut Complaints<'_>) -> (Option<Credentials>, Option<String>) {
    let keys = pair(record, "", ["identifier", "secret_identifier"], complaints);
    let file = record.text("aws_id_file_path");
    let region = record.text("region");
    let session = record.record("session");
    if let Some(session) = session {
        for name in ["identifier", "secret_identifier", "aws_id_file_path", "region"] {
            if record.get(name).is_some() {
                complaints.tell(&format!("`session` takes the place of `{name}`; keep one of them"), None);
            }
        }
        let region = session.text("region_name");
        check_region("session.region_name", region.as_deref(), complaints);
        let keys = pair(&session, "session.", ["aws_access_key_id", "aws_secret_access_key"], complaints);
        let profile = session.text("profile_name");
        if profile.is_some() && keys.is_some() {
            complaints.tell("`session` has a profile and a key; keep one of them", None);
        }
        let token = session.secret("aws_session_token");
        if token.is_some() && keys.is_none() {
            complaints.tell("`session.aws_session_token` goes with a key, which is missing", None);
        }
        return (Some(Credentials::Session(Session { profile, keys, token })), region);
    }
    check_region("region", region.as_deref(), complaints);
    let credentials = match (keys, file) {
        (Some(_), Some(_)) => {
            complaints.tell("`aws_id_file_path` cannot stand beside `identifier`; keep one of them", None);
            None
        }
        (Some((identifier, secret)), None) => Some(Credentials::Keys { identifier, secret }),
        (None, Some(file)) => Some(Credentials::File(file.into())),
        (None, None) => Some(Credentials::Found),
    };
    (credentials, region)
}

/// A key and its name: both or neither.
fn pair(
    record: &Record,
    prefix: &str,
    [first, second]: [&str; 2],
    complaints: &mut Complaints<'_>,
) -> Option<(SecretText, SecretText)> {
    let (name, key) = (record.secret(first), record.secret(second));
    let mut missing = |given: &str, missing: &str| {
        complaints.tell(&format!("`{prefix}{given}` is given and `{prefix}{missing}` is missing"), None);
    };
    match (name, key) {
        (Some(name), Some(key)) => return Some((name, key)),
        (Some(_), None) => missing(first, second),
        (None, Some(_)) => missing(second, first),
        (None, None) => {}
    }
    None
}

/// Regions come and go; their form stays: `us-gov-west-1`.
fn check_region(option: &str, region: Option<&str>, complaints: &mut Complaints<'_>) {
    let Some(region) = region.filter(|region| !region.is_empty()) else { return };
    let parts: Vec<&str> = region.split('-').collect();
    let is_region = match &*parts {
        [first, middle @ .., last] => {
            let is_word = |part: &&str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase());
            is_word(first)
                && !middle.is_empty()
                && middle.iter().all(is_word)
                && !last.is_empty()
                && last.bytes().all(|b| b.is_ascii_digit())
        }
        _ => false,
    };
    if !is_region {
        let hint = region
            .strip_suffix(|c: char| c.is_ascii_lowercase())
            .filter(|rest| rest.ends_with(|c: char| c.is_ascii_digit()));
        let hint = hint.map(|region| format!("did you mean {region:?}? The zone is `placement`"));
        let text = format!("`{option}` takes a region like \"us-west-2\", not {region:?}");
        complaints.tell(&text, hint.as_deref());
    }
}

fn tags(record: &Record, complaints: &mut Complaints<'_>) -> BTreeMap<String, String> {
    const MOST_NAME: usize = 128;
    const MOST_VALUE: usize = 256;
    let mut tags = BTreeMap::new();
    for (name, value) in record.plain_text_table("tags") {
        if name.starts_with("aws:") {
            complaints
                .tell(&format!("`tags` holds {name:?}; names that begin with `aws:` are Amazon's own"), None);
        } else if name.is_empty() || name.chars().count() > MOST_NAME || value.chars().count() > MOST_VALUE {
            complaints.tell(
                &format!("`tags`: a name has 1 to {MOST_NAME} characters, a value at most {MOST_VALUE}"),
                None,
            );
        }
        tags.insert(name, value);
    }
    tags
}

fn devices(record: &Record, complaints: &mut Complaints<'_>) -> Vec<Ec2Device> {
    let mut devices: Vec<Ec2Device> = Vec::new();
    for (index, table) in (1..).zip(record.records("block_device_map")) {
        let Some(name) = table.text("DeviceName") else { continue };
        let ebs = table.get("Ebs").is_some_and(|value| matches!(value, Value::Record(_)));
        let ebs = ebs.then(|| table.record("Ebs")).flatten().map(|ebs| volume(&ebs));
        let kind = match (ebs, table.text("VirtualName"), table.flag("NoDevice")) {
            (Some(ebs), None, false) => Ec2DeviceKind::Ebs(ebs),
            (None, Some(name), false) => Ec2DeviceKind::Virtual(name),
            (None, None, true) => Ec2DeviceKind::Absent,
            _ => {
                let text =
                    format!("`block_device_map[{index}]` takes one of `Ebs`, `VirtualName` and `NoDevice`");
                complaints.tell(&text, None);
                continue;
            }
        };
        if devices.iter().any(|device| device.name == name) {
            complaints.tell(&format!("`block_device_map` names the device {name:?} twice"), None);
        }
        devices.push(Ec2Device { name, kind });
    }
    devices
}

fn volume(ebs: &Record) -> Ebs {
    Ebs {
        delete_on_termination: ebs.flag("DeleteOnTermination"),
        snapshot: ebs.text("SnapshotId"),
        size_gib: ebs.integer("VolumeSize"),
        volume_type: ebs.text("VolumeType"),
        iops: ebs.integer("Iops"),
        throughput: ebs.integer("Throughput"),
        encrypted: ebs.flag("Encrypted"),
        kms_key: ebs.text("KmsKeyId"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_has_twelve_digits_also_when_lua_has_eaten_its_zeros() {
        assert_eq!(account("12345678901"), Ok("012345678901".into()));
        assert_eq!(account("099720109477"), Ok("099720109477".into()));
        assert_eq!(account("self"), Ok("self".into()));
        for bad in ["", "1234567890123", "-1", "canonical"] {
            assert!(account(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_pattern_compares_by_its_text_and_says_why_it_is_none() {
        assert_eq!(LocationPattern::parse("a(b+)"), LocationPattern::parse("a(b+)"));
        assert_ne!(LocationPattern::parse("a"), LocationPattern::parse("b"));
        let why = LocationPattern::parse("ubuntu/(").unwrap_err();
        assert_eq!(why, "is no regular expression: \"ubuntu/(\": unclosed group");
        assert!(LocationPattern::parse("(?=x)").unwrap_err().contains("look-around"));
    }
}
