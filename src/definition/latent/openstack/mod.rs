//! A worker on a server of OpenStack.

mod changes;
mod read;

use std::collections::BTreeMap;

use super::Late;
use crate::definition::{
    render::{Text, Worth},
    secret::SecretText,
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
