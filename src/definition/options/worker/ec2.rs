//! The options of `worker.EC2LatentWorker`.

use super::{
    super::{Class, Constructor, Default, Kind, OptionSpec, option, or_none},
    LATENT, LATENT_PASSWORD, NOT_YET, RESUME, WORKER_BASE, WORKER_NAME,
};

static EBS_OPTIONS: &[OptionSpec] = &[
    option(
        "DeleteOnTermination",
        Kind::Bool,
        Default::Bool(true),
        "Whether the volume goes with its instance.",
    ),
    option("SnapshotId", Kind::Text, Default::None, "The snapshot that it begins as."),
    option(
        "VolumeSize",
        Kind::Integer { least: 1, most: 65_536 },
        Default::None,
        "Its size in GiB; that of the snapshot, if there is one.",
    ),
    option("VolumeType", Kind::Text, Default::None, "Its type: `gp3`, `io2`, …."),
    option(
        "Iops",
        Kind::Integer { least: 1, most: u32::MAX as i64 },
        Default::None,
        "Its operations in a second.",
    ),
    option(
        "Throughput",
        Kind::Integer { least: 1, most: u32::MAX as i64 },
        Default::None,
        "Its MiB in a second.",
    ),
    option(
        "Encrypted",
        Kind::Bool,
        Default::Bool(false),
        "Whether it is encrypted; `false` leaves that to the account.",
    ),
    option("KmsKeyId", Kind::Text, Default::None, "The key that encrypts it."),
];

static EBS: Constructor = Constructor {
    module: "",
    name: "worker.EC2LatentWorker.block_device_map.Ebs",
    class: Class::Settings,
    positional: &[],
    groups: &[EBS_OPTIONS],
    not_yet: &[],
    sentence: "A volume that is made with its instance, in the words of EC2.",
};

static BLOCK_DEVICE_OPTIONS: &[OptionSpec] = &[
    option("DeviceName", Kind::Text, Default::Required, "Where the instance sees it: `/dev/sda1`."),
    option("Ebs", Kind::Record(&EBS), Default::None, "The volume."),
    option("VirtualName", Kind::Text, Default::None, "A disk of the machine itself: `ephemeral0`."),
    option("NoDevice", Kind::Bool, Default::Bool(false), "Whether a device of the image is left out."),
];

static BLOCK_DEVICE: Constructor = Constructor {
    module: "",
    name: "worker.EC2LatentWorker.block_device_map",
    class: Class::Settings,
    positional: &[],
    groups: &[BLOCK_DEVICE_OPTIONS],
    not_yet: &[],
    sentence: "A device of an instance, in the words of EC2: one of `Ebs`, `VirtualName` and `NoDevice`.",
};

static SESSION_OPTIONS: &[OptionSpec] = &[
    option("profile_name", Kind::Text, Default::None, "A profile of `~/.aws/config`."),
    option("aws_access_key_id", Kind::Secret, Default::None, "The key's name."),
    option("aws_secret_access_key", Kind::Secret, Default::None, "The key."),
    option("aws_session_token", Kind::Secret, Default::None, "The token that goes with a temporary key."),
    option("region_name", Kind::Text, Default::None, "The region."),
];

static SESSION: Constructor = Constructor {
    module: "",
    name: "worker.EC2LatentWorker.session",
    class: Class::Settings,
    positional: &[],
    groups: &[SESSION_OPTIONS],
    not_yet: &[],
    sentence: "What `boto3.Session` takes: another way to name key and region.",
};

/// The least price that can be meant.
const LEAST_PRICE: f64 = 0.0001;

static EC2: &[OptionSpec] = &[
    option("instance_type", Kind::Text, Default::Required, "The size of the machine: `m5.large`."),
    option(
        "ami",
        Kind::Text,
        Default::None,
        "The image. Either this, or `valid_ami_owners` and `valid_ami_location_regex`, or one of these two.",
    ),
    option(
        "valid_ami_owners",
        Kind::Names,
        Default::None,
        "Whose images are looked through for the newest: account numbers, `self`, `amazon`, `aws-marketplace`.",
    ),
    option(
        "valid_ami_location_regex",
        Kind::Text,
        Default::None,
        "What the location of such an image begins with, as a regular expression (no look-around, no back-references). The last \
         one counts, ordered by the first group (as numbers, if all are), else by location.",
    ),
    option(
        "elastic_ip",
        Kind::Text,
        Default::None,
        "An address of the account, given to the instance while it runs.",
    ),
    option(
        "identifier",
        Kind::Secret,
        Default::None,
        "The name of the account's key; without it and `session`, the keys are found as all programs for AWS find them: \
         environment, `~/.aws`, the machine's role.",
    ),
    option("secret_identifier", Kind::Secret, Default::None, "The key that goes with `identifier`."),
    option(
        "aws_id_file_path",
        Kind::Text,
        Default::None,
        "A file with both, a line each. Buildbot also reads `~/.ec2/aws_id` unasked; name it if you want it.",
    ),
    option(
        "user_data",
        Kind::Secret,
        Default::None,
        "What the instance is told when it boots. Never shown: it often holds a password.",
    ),
    option(
        "region",
        Kind::Text,
        Default::Derived("as all programs for AWS find it, else `us-east-1`"),
        "The region.",
    ),
    option(
        "keypair_name",
        Kind::Text,
        Default::Required,
        "The key pair by which people log in to the machine. It must exist: loading a configuration makes nothing.",
    ),
    option(
        "security_name",
        Kind::Text,
        Default::None,
        "The security group by its name; without `subnet_id` it is needed, with it `security_group_ids` is meant. It must exist.",
    ),
    option("spot_instance", Kind::Bool, Default::Bool(false), "Whether to bid for spare machines."),
    or_none(option(
        "max_spot_price",
        Kind::Number { least: LEAST_PRICE },
        Default::Number(1.6),
        "The most that is bid, in dollars an hour. A spot instance needs this or `price_multiplier`.",
    )),
    or_none(option(
        "volumes",
        Kind::Pairs,
        Default::Empty,
        "Volumes that are attached while the instance runs: `{ { \"vol-1\", \"/dev/sdf\" } }`.",
    )),
    option(
        "placement",
        Kind::Text,
        Default::None,
        "The zone, without its region: `b` for `us-west-2b`. It needs a region.",
    ),
    or_none(option(
        "price_multiplier",
        Kind::Number { least: LEAST_PRICE },
        Default::Number(1.2),
        "The bid is the mean price of the last day times this, up to `max_spot_price`; with `None`, `max_spot_price` itself.",
    )),
    or_none(option(
        "tags",
        Kind::TextTable,
        Default::Empty,
        "Tags of the instance. It has them from its first moment on (in Buildbot only once it runs).",
    )),
    option(
        "product_description",
        Kind::Text,
        Default::Text("Linux/UNIX"),
        "For which product the mean price is asked.",
    ),
    option("subnet_id", Kind::Text, Default::None, "The subnet of a VPC."),
    or_none(option("security_group_ids", Kind::Texts, Default::Empty, "Security groups of a VPC.")),
    option(
        "instance_profile_name",
        Kind::Text,
        Default::None,
        "The IAM profile by which the machine may use other services.",
    ),
    or_none(option(
        "block_device_map",
        Kind::Records(&BLOCK_DEVICE),
        Default::Empty,
        "Devices of the instance.",
    )),
    option(
        "session",
        Kind::Record(&SESSION),
        Default::None,
        "Key and region in the words of `boto3.Session`; then no other of these options.",
    ),
];

/// `worker.EC2LatentWorker`.
pub static EC2_LATENT_WORKER: Constructor = Constructor {
    module: "worker",
    name: "EC2LatentWorker",
    class: Class::Worker,
    positional: &[
        "name",
        "password",
        "instance_type",
        "ami",
        "valid_ami_owners",
        "valid_ami_location_regex",
        "elastic_ip",
        "identifier",
        "secret_identifier",
        "aws_id_file_path",
        "user_data",
        "region",
        "keypair_name",
        "security_name",
        "spot_instance",
        "max_spot_price",
        "volumes",
        "placement",
        "price_multiplier",
        "tags",
        "product_description",
        "subnet_id",
        "security_group_ids",
        "instance_profile_name",
        "block_device_map",
        "session",
    ],
    groups: &[WORKER_NAME, LATENT_PASSWORD, EC2, LATENT, WORKER_BASE, RESUME],
    not_yet: NOT_YET,
    sentence: "A worker on a machine of Amazon's EC2 that is started when there is a build for it. Loading asks nothing of AWS.",
};
