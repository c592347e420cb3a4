//! A worker on a machine of Amazon's EC2.

mod changes;
mod read;

use std::{collections::BTreeMap, net::Ipv4Addr, path::PathBuf};

use regex::Regex;
use serde_json::Number;

use crate::definition::secret::SecretText;

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
