//! What of a machine of EC2 a reload changes, and how people read it.

use super::{Credentials, Ebs, Ec2Definition, Ec2Device, Ec2DeviceKind, Image, Network, Pricing};
use crate::definition::{
    plan::{Cost, FieldChange, changes},
    shown::{Shown, braces},
};

impl Ec2Definition {
    /// A machine that runs keeps what it was made from.
    pub(in crate::definition::latent) fn changes(&self, new: &Self) -> Vec<FieldChange> {
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
