//! The options of `worker.OpenStackLatentWorker`.

use super::{
    super::{Class, Constructor, Default, Kind, OptionSpec, option, or_none, rendered},
    LATENT, LATENT_PASSWORD, NOT_YET, RESUME, WORKER_BASE, WORKER_NAME,
};

static BLOCK_DEVICE_OPTIONS: &[OptionSpec] = &[
    rendered(option("uuid", Kind::Text, Default::Required, "What it begins as.")),
    rendered(option(
        "source_type",
        Kind::Text,
        Default::Text("image"),
        "What `uuid` is: `image`, `volume` or `snapshot`.",
    )),
    rendered(option(
        "destination_type",
        Kind::Text,
        Default::Text("volume"),
        "What it becomes: `volume`, or `local` for a disk of the host.",
    )),
    rendered(option("device_name", Kind::Text, Default::Text("vda"), "Where the server sees it.")),
    rendered(option(
        "delete_on_termination",
        Kind::Bool,
        Default::Bool(true),
        "Whether it goes with its server.",
    )),
    rendered(option(
        "boot_index",
        Kind::Integer { least: -1, most: 255 },
        Default::Integer(0),
        "Its place in the order of boot; -1: it is not booted from.",
    )),
    rendered(option(
        "volume_size",
        Kind::Integer { least: 1, most: u32::MAX as i64 },
        Default::Derived("that of what it begins as"),
        "Its size in GiB.",
    )),
];

static BLOCK_DEVICE: Constructor = Constructor {
    module: "",
    name: "worker.OpenStackLatentWorker.block_devices",
    class: Class::Settings,
    positional: &[],
    groups: &[BLOCK_DEVICE_OPTIONS],
    not_yet: &[],
    sentence: "A disk of a server.",
};

static OPENSTACK: &[OptionSpec] = &[
    rendered(option("flavor", Kind::Name, Default::Required, "The size of the server: name or id.")),
    option(
        "os_username",
        Kind::Secret,
        Default::None,
        "Who logs in at Keystone. Needed with `os_password` and `os_auth_url`, unless there is `os_auth_args`.",
    ),
    option("os_password", Kind::Secret, Default::None, "With which password."),
    option("os_tenant_name", Kind::Secret, Default::None, "The project."),
    option("os_auth_url", Kind::Secret, Default::None, "Where Keystone is."),
    option("os_user_domain", Kind::Secret, Default::None, "The domain of the user."),
    option("os_project_domain", Kind::Secret, Default::None, "The domain of the project."),
    option(
        "os_auth_args",
        Kind::SecretTable,
        Default::None,
        "All of this in Keystone's words, instead: `auth_url`, and what `auth_type` (`password` unless told otherwise) needs.",
    ),
    or_none(option(
        "block_devices",
        Kind::Records(&BLOCK_DEVICE),
        Default::Empty,
        "The disks of the server. Either these or `image`, or both.",
    )),
    option("region", Kind::Text, Default::None, "The region."),
    rendered(option("image", Kind::Text, Default::None, "The image: name or id.")),
    rendered(or_none(option(
        "meta",
        Kind::Table,
        Default::Empty,
        "Names and texts that the server carries.",
    ))),
    rendered(or_none(option(
        "nova_args",
        Kind::Table,
        Default::Empty,
        "What else Nova is told: `nics`, `availability_zone`, `security_groups`, `config_drive`, …. Never shown in a plan.",
    ))),
    option("client_version", Kind::Text, Default::Text("2"), "The version of Nova's API: `2` or `2.90`."),
];

/// `worker.OpenStackLatentWorker`.
pub static OPENSTACK_LATENT_WORKER: Constructor = Constructor {
    module: "worker",
    name: "OpenStackLatentWorker",
    class: Class::Worker,
    positional: &[
        "name",
        "password",
        "flavor",
        "os_username",
        "os_password",
        "os_tenant_name",
        "os_auth_url",
        "os_user_domain",
        "os_project_domain",
        "os_auth_args",
        "block_devices",
        "region",
        "image",
        "meta",
        "nova_args",
        "client_version",
    ],
    groups: &[WORKER_NAME, LATENT_PASSWORD, OPENSTACK, LATENT, WORKER_BASE, RESUME],
    not_yet: NOT_YET,
    sentence: "A worker on a server of OpenStack that is started when there is a build for it.",
};
