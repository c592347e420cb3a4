//! The options of `worker.LibVirtWorker`.

use super::{
    super::{Class, Constructor, Default, Kind, OptionSpec, option},
    LATENT, LATENT_PASSWORD, MASTER_ADDRESS, NOT_YET, RESUME, WORKER_BASE, WORKER_NAME,
};

static LIBVIRT: &[OptionSpec] = &[
    option(
        "hd_image",
        Kind::Text,
        Default::None,
        "The disk of the machine, made from `base_image` at each start.",
    ),
    option(
        "base_image",
        Kind::Text,
        Default::None,
        "The disk that it begins as. Needs `hd_image`; without it the machine keeps its disk.",
    ),
    option(
        "uri",
        Kind::Text,
        // Buildbot's default, `system:///`, is refused by libvirt itself.
        Default::Text("qemu:///system"),
        "The hypervisor. Buildbot's default, `system:///`, is no URI that libvirt knows.",
    ),
    option(
        "xml",
        Kind::Text,
        Default::Derived("the defined domain that is called like the worker"),
        "The description of a domain that exists only while it runs.",
    ),
];

/// In Buildbot these are attributes, set on the worker once it is made.
static LIBVIRT_ATTRIBUTES: &[OptionSpec] = &[
    option(
        "cheap_copy",
        Kind::Bool,
        Default::Bool(true),
        "Whether `hd_image` holds only what differs from `base_image`, or is a whole copy. In Buildbot an attribute.",
    ),
    option(
        "graceful_shutdown",
        Kind::Bool,
        Default::Bool(false),
        "Whether the machine is asked to shut down before its power is cut. In Buildbot an attribute.",
    ),
];

/// `worker.LibVirtWorker`.
pub static LIBVIRT_WORKER: Constructor = Constructor {
    module: "worker",
    name: "LibVirtWorker",
    class: Class::Worker,
    positional: &["name", "password", "hd_image", "base_image", "uri", "xml", "masterFQDN"],
    groups: &[
        WORKER_NAME,
        LATENT_PASSWORD,
        LIBVIRT,
        MASTER_ADDRESS,
        LIBVIRT_ATTRIBUTES,
        LATENT,
        WORKER_BASE,
        RESUME,
    ],
    not_yet: NOT_YET,
    sentence: "A worker on a virtual machine of libvirt that is started when there is a build for it.",
};
