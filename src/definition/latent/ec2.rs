//! A worker on a machine of Amazon's EC2.
//!
//! # Source
//! Which options go together: Buildbot, `worker/ec2.py`. What a name may look like: the EC2 API reference.

use std::{collections::BTreeMap, net::Ipv4Addr, path::PathBuf};

use regex::Regex;
use serde_json::Number;

use super::Complaints;
use crate::definition::{
    plan::{Cost, FieldChange, changes},
    record::{Record, Value},
    secret::SecretText,
    shown::{Shown, braces},
};

/// What a machine of EC2 is made from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ec2Definition {
    /// Its size.
    pub instance_type: String,
    /// Its image.
    pub image: Image,
    /// What is paid for it.
    pub pricing: Pricing,
    /// Who asks for it.
    pub credentials: Credentials,
    /// The region; as all programs for AWS find it, if absent.
    pub region: Option<String>,
    /// The zone, without its region.
    pub placement: Option<String>,
    /// By which people log in to it.
    pub key_pair: String,
    /// Where it stands.
    pub network: Network,
    /// Security groups of a VPC.
    pub security_group_ids: Vec<String>,
    /// An address of the account that it has while it runs.
    pub elastic_ip: Option<Ipv4Addr>,
    /// What it is told when it boots.
    pub user_data: Option<SecretText>,
    /// Volumes and where it sees them.
    pub volumes: Vec<(String, String)>,
    /// Its own devices.
    pub devices: Vec<Ec2Device>,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
    /// By which it may use other services.
    pub instance_profile: Option<String>,
}

/// The image of a machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Image {
    /// This one.
    Ami(String),
    /// The last of those that fit; at least one of the two says what fits.
    Search {
        /// Whose; anybody's if empty.
        owners: Vec<String>,
        /// What its location begins with.
        location: Option<LocationPattern>,
    },
}

/// What the location of an image begins with.
#[derive(Clone, Debug)]
pub struct LocationPattern(pub Regex);

/// What is paid for a machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pricing {
    /// The price of the list.
    OnDemand,
    /// A bid; at least one of the two numbers says how high.
    Spot {
        /// The most, in dollars an hour.
        max_price: Option<Number>,
        /// Times the mean price of the last day.
        multiplier: Option<Number>,
        /// For which product that price is asked.
        product: String,
    },
}

/// Who asks for a machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credentials {
    /// As all programs for AWS find it: environment, `~/.aws`, the role of the master's machine.
    Found,
    /// A key.
    Keys {
        /// Its name.
        identifier: SecretText,
        /// The key.
        secret: SecretText,
    },
    /// A file with both, a line each.
    File(PathBuf),
    /// In the words of `boto3.Session`.
    Session(Session),
}

/// Key and region in the words of `boto3.Session`; the region stands in [`Ec2Definition::region`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// A profile of `~/.aws/config`.
    pub profile: Option<String>,
    /// A key, its name first.
    pub keys: Option<(SecretText, SecretText)>,
    /// What goes with a temporary key.
    pub token: Option<SecretText>,
}

/// Where a machine stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Network {
    /// In a security group, known by its name.
    Group(String),
    /// In a subnet of a VPC.
    Subnet(String),
}

/// A device of a machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ec2Device {
    /// Where the machine sees it.
    pub name: String,
    /// What it is.
    pub kind: Ec2DeviceKind,
}

/// What a device is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ec2DeviceKind {
    /// A volume that is made with the machine.
    Ebs(Ebs),
    /// A disk of the machine itself, by its name.
    Virtual(String),
    /// None, though the image has one there.
    Absent,
}

/// A volume that is made with its machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ebs {
    /// Whether it goes with its machine.
    pub delete_on_termination: bool,
    /// The snapshot that it begins as.
    pub snapshot: Option<String>,
    /// Its size.
    pub size_gib: Option<i64>,
    /// Its type.
    pub volume_type: Option<String>,
    /// Its operations in a second.
    pub iops: Option<i64>,
    /// Its MiB in a second.
    pub throughput: Option<i64>,
    /// Whether it is encrypted whatever the account says.
    pub encrypted: bool,
    /// The key that encrypts it.
    pub kms_key: Option<String>,
}

impl Ec2Definition {
    pub(super) fn from_record(record: &Record, complaints: &mut Complaints<'_>) -> Option<Self> {
        let image = image(record, complaints);
        let pricing = pricing(record, complaints);
        let (credentials, region) = access(record, complaints);
        let placement = record.text("placement");
        match (&placement, &region) {
            (Some(_), None) => {
                complaints.tell("`placement` is a zone of a region; `region` is missing", None)
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

    /// A machine that runs keeps what it was made from.
    pub(super) fn changes(&self, new: &Self) -> Vec<FieldChange> {
        let mut out = changes!(self, new;
            "instance_type" instance_type WhenIdle,
            "region" region WhenIdle,
            "placement" placement WhenIdle,
            "keypair_name" key_pair WhenIdle,
            "security_group_ids" security_group_ids WhenIdle,
            "elastic_ip" elastic_ip WhenIdle,
            "volumes" volumes WhenIdle,
            "block_device_map" devices WhenIdle,
            "tags" tags WhenIdle,
            "instance_profile_name" instance_profile WhenIdle,
        );
        let (was, is) = (&self.image, &new.image);
        out.extend(FieldChange::between("ami", &was.ami(), &is.ami(), Cost::WhenIdle));
        out.extend(FieldChange::between("valid_ami_owners", &was.owners(), &is.owners(), Cost::WhenIdle));
        let (was, is) = (was.location(), is.location());
        out.extend(FieldChange::between("valid_ami_location_regex", &was, &is, Cost::WhenIdle));
        out.extend(self.pricing.changes(&new.pricing));
        let (was, is) = (&self.network, &new.network);
        out.extend(FieldChange::between("security_name", &was.group(), &is.group(), Cost::WhenIdle));
        out.extend(FieldChange::between("subnet_id", &was.subnet(), &is.subnet(), Cost::WhenIdle));
        if self.user_data != new.user_data {
            out.push(FieldChange::hidden("user_data", Cost::WhenIdle));
        }
        // The master asks with the new key from now on, also for what runs.
        if self.credentials != new.credentials {
            out.push(FieldChange::hidden(new.credentials.option(), Cost::InPlace));
        }
        out
    }
}

impl Image {
    fn ami(&self) -> Option<String> {
        match self {
            Self::Ami(ami) => Some(ami.clone()),
            Self::Search { .. } => None,
        }
    }

    fn owners(&self) -> Vec<String> {
        match self {
            Self::Ami(_) => Vec::new(),
            Self::Search { owners, .. } => owners.clone(),
        }
    }

    fn location(&self) -> Option<String> {
        match self {
            Self::Search { location: Some(pattern), .. } => Some(pattern.0.as_str().to_owned()),
            Self::Ami(_) | Self::Search { .. } => None,
        }
    }
}

impl Pricing {
    fn changes(&self, new: &Self) -> Vec<FieldChange> {
        match (self, new) {
            (
                Self::Spot { max_price, multiplier, product },
                Self::Spot { max_price: new_price, multiplier: new_multiplier, product: new_product },
            ) => [
                FieldChange::between("max_spot_price", max_price, new_price, Cost::WhenIdle),
                FieldChange::between("price_multiplier", multiplier, new_multiplier, Cost::WhenIdle),
                FieldChange::between("product_description", product, new_product, Cost::WhenIdle),
            ]
            .into_iter()
            .flatten()
            .collect(),
            (old, new) if old != new => {
                let is_spot = |pricing: &Self| matches!(pricing, Self::Spot { .. });
                vec![FieldChange::new("spot_instance", &is_spot(old), &is_spot(new), Cost::WhenIdle)]
            }
            _ => Vec::new(),
        }
    }
}

impl Credentials {
    /// The option that the operator sees change.
    const fn option(&self) -> &'static str {
        match self {
            Self::Found | Self::Keys { .. } => "identifier",
            Self::File(_) => "aws_id_file_path",
            Self::Session(_) => "session",
        }
    }
}

impl Network {
    fn group(&self) -> Option<String> {
        match self {
            Self::Group(name) => Some(name.clone()),
            Self::Subnet(_) => None,
        }
    }

    fn subnet(&self) -> Option<String> {
        match self {
            Self::Group(_) => None,
            Self::Subnet(subnet) => Some(subnet.clone()),
        }
    }
}

impl LocationPattern {
    /// Reads one.
    ///
    /// # Errors
    /// Why it is no regular expression, on one line.
    pub fn parse(text: &str) -> Result<Self, String> {
        Regex::new(text).map(Self).map_err(|error| {
            let error = error.to_string();
            let why = error.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
            format!("is no regular expression: {text:?}: {why}")
        })
    }
}

impl PartialEq for LocationPattern {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_str() == other.0.as_str()
    }
}

impl Eq for LocationPattern {}

impl Shown for Ec2Device {
    fn shown(&self) -> String {
        let name = self.name.shown();
        let kind = match &self.kind {
            Ec2DeviceKind::Ebs(ebs) => ebs.shown(),
            Ec2DeviceKind::Virtual(name) => name.shown(),
            Ec2DeviceKind::Absent => "none".to_owned(),
        };
        format!("{name}: {kind}")
    }
}

impl Shown for Ebs {
    fn shown(&self) -> String {
        let number = |number: Option<i64>| number.map(|number| number.to_string());
        let text = |text: &Option<String>| text.as_ref().map(|text| format!("{text:?}"));
        let given = [
            ("DeleteOnTermination", (!self.delete_on_termination).then(|| "false".to_owned())),
            ("SnapshotId", text(&self.snapshot)),
            ("VolumeSize", number(self.size_gib)),
            ("VolumeType", text(&self.volume_type)),
            ("Iops", number(self.iops)),
            ("Throughput", number(self.throughput)),
            ("Encrypted", self.encrypted.then(|| "true".to_owned())),
            ("KmsKeyId", text(&self.kms_key)),
        ];
        let given: Vec<String> =
            given.into_iter().filter_map(|(name, value)| Some(format!("{name} = {}", value?))).collect();
        braces(given.into_iter())
    }
}

fn image(record: &Record, complaints: &mut Complaints<'_>) -> Option<Image> {
    let owners: Vec<String> = record.texts("valid_ami_owners");
    let owners: Vec<String> =
        owners.iter().filter_map(|owner| complaints.take("valid_ami_owners", account(owner))).collect();
    let location = record.text("valid_ami_location_regex");
    let search = record.get("valid_ami_owners").is_some() || location.is_some();
    let location = match location {
        None => None,
        Some(text) => Some(complaints.take("valid_ami_location_regex", LocationPattern::parse(&text))?),
    };
    const EITHER: &str = "give either `ami`, or `valid_ami_owners` and `valid_ami_location_regex`";
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
                && middle.iter().all(|part| is_word(part))
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
