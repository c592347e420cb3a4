//! What is written from the table of options: `docs/config.md` for people, `lua/` for their editors.
//!
//! A test compares these files with what is written here; with `UPDATE_GENERATED=1` it writes them anew.

mod example;
mod page;
mod stubs;

pub use page::config_md;
pub use stubs::{LUALS_PLUGINS, luals_stubs};

use crate::definition::options::{
    Constructor, DB, Default, MASTER, MSGPACK, OptionSpec, PB, PORT, PROTOCOLS, TLS,
};

/// The tables of settings, in the order of the documentation: `c`, and those in it.
static SETTINGS: [&Constructor; 7] = [&MASTER, &DB, &PROTOCOLS, &PB, &MSGPACK, &PORT, &TLS];

/// The tables with options of their own that stand in a constructor's options, and in theirs.
fn tables(constructor: &Constructor) -> Vec<&'static Constructor> {
    constructor.tables().flat_map(|table| std::iter::once(table).chain(tables(table))).collect()
}

/// What stands for an option that was not given, as Lua writes it.
fn default(option: &OptionSpec) -> String {
    match option.default {
        Default::Required => "required".into(),
        Default::None => "`None`".into(),
        Default::Empty => "`{}`".into(),
        Default::Bool(flag) => format!("`{flag}`"),
        Default::Integer(number) => format!("`{number}`"),
        Default::Number(number) => format!("`{number}`"),
        Default::Seconds(seconds) => format!("`{seconds}`"),
        Default::Text(text) => format!("`{text:?}`"),
        Default::Derived(text) => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::*;
    use crate::definition::options::{
        BUILD_STATUS_GENERATOR, BUILDER_CONFIG, CONSTRUCTORS, COPY_DIRECTORY, DIRECTORY_UPLOAD,
        DOCKER_LATENT_WORKER, EC2_LATENT_WORKER, FILE_DOWNLOAD, FILE_UPLOAD, LATENT_WORKER, LIBVIRT_WORKER,
        LOCAL_WORKER, LOCK_ACCESS, MASTER_LOCK, MESSAGE_FORMATTER, MULTIPLE_FILE_UPLOAD,
        OPENSTACK_LATENT_WORKER, SET_PROPERTY_FROM_COMMAND, SHELL_COMMAND, STRING_DOWNLOAD, WORKER,
        WORKER_LOCK,
    };

    fn compare(file: &str, text: &str) {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
        if std::env::var_os("UPDATE_GENERATED").is_some() {
            fs::create_dir_all(path.parent().expect("the file is in a folder"))
                .expect("the folder can be made");
            fs::write(&path, text).expect("the file can be written");
        }
        let found = fs::read_to_string(&path).unwrap_or_default();
        assert!(
            found == text,
            "{file} is not what the table of options says; set UPDATE_GENERATED=1 to write it"
        );
    }

    #[test]
    fn the_page_of_options_is_what_the_table_says() {
        compare("docs/config.md", &config_md());
    }

    #[test]
    fn the_stubs_for_the_editor_are_what_the_table_says() {
        compare("lua/lunabot.lua", &luals_stubs());
        compare("lua/buildbot/plugins.lua", LUALS_PLUGINS);
        compare("lua/lunabot/plugins.lua", LUALS_PLUGINS);
    }

    #[test]
    fn each_option_stands_in_both() {
        let (page, stubs) = (config_md(), luals_stubs());
        let nested = CONSTRUCTORS.iter().flat_map(|constructor| tables(constructor));
        for constructor in CONSTRUCTORS.iter().copied().chain(nested).chain([&LOCK_ACCESS]).chain(SETTINGS) {
            for option in constructor.options() {
                assert!(
                    page.contains(&format!("| `{}` |", option.name)),
                    "{}: {}",
                    constructor.path(),
                    option.name
                );
                assert!(
                    stubs.contains(&format!("---@field {}", option.name)),
                    "{}: {}",
                    constructor.path(),
                    option.name
                );
            }
        }
    }

    /// Typed by hand from Buildbot 4.3.0, so that the table is not its own witness. Name, and default as Lua writes it.
    const BASE: [(&str, &str); 8] = [
        ("max_builds", "`None`"),
        ("notify_on_missing", "`{}`"),
        ("missing_timeout", "`3600`"),
        ("properties", "`{}`"),
        ("defaultProperties", "`{}`"),
        ("keepalive_interval", "`3600`"),
        ("locks", "`{}`"),
        ("keepalive_timeout", "the smaller of 30 s and three intervals"),
    ];
    const BASE_NOT_YET: [&str; 1] = ["machine_name"];
    const BUILDER: [(&str, &str); 13] = [
        ("locks", "`{}`"),
        ("workername", "`None`"),
        ("workernames", "`{}`"),
        ("builddir", "the name, made safe for a file system"),
        ("workerbuilddir", "`builddir`"),
        ("env", "`{}`"),
        ("properties", "`{}`"),
        ("defaultProperties", "`{}`"),
        ("factory", "required"),
        ("nextWorker", "`None`"),
        ("nextBuild", "`None`"),
        ("canStartBuild", "`None`"),
        // `None` in Buildbot, which means the same.
        ("collapseRequests", "`c.collapseRequests`"),
    ];
    const BUILDER_NOT_YET: [&str; 1] = ["do_build_if"];

    fn holds(constructor: &Constructor, options: &[(&str, &str)], not_yet: &[&str]) {
        for (name, written) in options {
            let option =
                constructor.option(name).unwrap_or_else(|| panic!("{}: no {name}", constructor.path()));
            assert_eq!(default(option), *written, "{}: {name}", constructor.path());
        }
        for name in not_yet {
            assert!(
                constructor.not_yet.contains(name) || constructor.option(name).is_some(),
                "{}: {name} is unknown",
                constructor.path()
            );
        }
    }

    #[test]
    fn names_and_defaults_are_buildbots() {
        holds(&WORKER, &[("name", "required"), ("password", "required")], &BASE_NOT_YET);
        holds(&WORKER, &BASE, &[]);
        holds(&LOCAL_WORKER, &[("name", "required"), ("workdir", "its name")], &BASE_NOT_YET);
        holds(&LOCAL_WORKER, &BASE, &[]);
        assert!(LOCAL_WORKER.option("password").is_none(), "a LocalWorker has no password");
        holds(&BUILDER_CONFIG, &BUILDER, &BUILDER_NOT_YET);
        assert_eq!(WORKER.positional, ["name", "password"]);
        assert_eq!(LOCAL_WORKER.positional, ["name", "workdir"]);
    }

    #[test]
    fn names_places_and_defaults_of_what_tells_of_builds_are_buildbots() {
        let options = [
            ("mode", "`{ \"failing\", \"passing\", \"warnings\" }`"),
            ("tags", "`None`"),
            ("builders", "`None`"),
            ("schedulers", "`None`"),
            ("branches", "`None`"),
            ("add_logs", "`None`"),
            // `None` in Buildbot, which means the same.
            ("message_formatter", "one of plain text"),
        ];
        holds(&BUILD_STATUS_GENERATOR, &options, &["add_patch", "report_new"]);
        // Buildbot has two more places behind them, which are not there yet.
        assert_eq!(BUILD_STATUS_GENERATOR.positional, &options.map(|(name, _)| name)[..6]);
        let options = [
            ("template", "`None`"),
            ("subject", "`None`"),
            // `None` in Buildbot, which means the same.
            ("template_type", "`\"plain\"`"),
            ("ctx", "`{}`"),
            ("want_properties", "`true`"),
            ("want_steps", "`false`"),
            ("want_logs", "`false`"),
            ("want_logs_content", "`false`"),
        ];
        holds(&MESSAGE_FORMATTER, &options, &["extra_info_cb"]);
        assert_eq!(MESSAGE_FORMATTER.positional, &options.map(|(name, _)| name)[..3]);
    }

    #[test]
    fn names_places_and_defaults_of_locks_are_buildbots() {
        assert_eq!(MASTER_LOCK.positional, ["name", "maxCount"]);
        assert_eq!(WORKER_LOCK.positional, ["name", "maxCount", "maxCountForWorker"]);
        assert_eq!(LOCK_ACCESS.positional, ["mode", "count"]);
        holds(&MASTER_LOCK, &[("name", "required"), ("maxCount", "`1`")], &[]);
        holds(&WORKER_LOCK, &[("name", "required"), ("maxCount", "`1`"), ("maxCountForWorker", "`{}`")], &[]);
        // Buildbot's count is `None`, and then 1.
        holds(&LOCK_ACCESS, &[("mode", "required"), ("count", "`1`")], &[]);
    }

    /// Buildbot's parameters in their order, and what stands for them; `required` where Buildbot raises without.
    const EC2: [(&str, &str); 26] = [
        ("name", "required"),
        ("password", "made anew for each instance"),
        ("instance_type", "required"),
        ("ami", "`None`"),
        ("valid_ami_owners", "`None`"),
        ("valid_ami_location_regex", "`None`"),
        ("elastic_ip", "`None`"),
        ("identifier", "`None`"),
        ("secret_identifier", "`None`"),
        ("aws_id_file_path", "`None`"),
        ("user_data", "`None`"),
        ("region", "as all programs for AWS find it, else `us-east-1`"),
        ("keypair_name", "required"),
        ("security_name", "`None`"),
        ("spot_instance", "`false`"),
        ("max_spot_price", "`1.6`"),
        ("volumes", "`{}`"),
        ("placement", "`None`"),
        ("price_multiplier", "`1.2`"),
        ("tags", "`{}`"),
        ("product_description", "`\"Linux/UNIX\"`"),
        ("subnet_id", "`None`"),
        ("security_group_ids", "`{}`"),
        ("instance_profile_name", "`None`"),
        ("block_device_map", "`{}`"),
        ("session", "`None`"),
    ];
    const LIBVIRT: [(&str, &str); 7] = [
        ("name", "required"),
        ("password", "made anew for each instance"),
        ("hd_image", "`None`"),
        ("base_image", "`None`"),
        // Buildbot's own, `system:///`, is none.
        ("uri", "`\"qemu:///system\"`"),
        ("xml", "the defined domain that is called like the worker"),
        ("masterFQDN", "the full name of the master's machine"),
    ];
    const OPENSTACK: [(&str, &str); 16] = [
        ("name", "required"),
        ("password", "made anew for each instance"),
        ("flavor", "required"),
        ("os_username", "`None`"),
        ("os_password", "`None`"),
        ("os_tenant_name", "`None`"),
        ("os_auth_url", "`None`"),
        ("os_user_domain", "`None`"),
        ("os_project_domain", "`None`"),
        ("os_auth_args", "`None`"),
        ("block_devices", "`{}`"),
        ("region", "`None`"),
        ("image", "`None`"),
        ("meta", "`{}`"),
        ("nova_args", "`{}`"),
        ("client_version", "`\"2\"`"),
    ];
    const OPENSTACK_DISK: [(&str, &str); 7] = [
        ("uuid", "required"),
        ("source_type", "`\"image\"`"),
        ("destination_type", "`\"volume\"`"),
        ("device_name", "`\"vda\"`"),
        ("delete_on_termination", "`true`"),
        ("boot_index", "`0`"),
        ("volume_size", "that of what it begins as"),
    ];
    const DOCKER: [(&str, &str); 20] = [
        ("name", "required"),
        ("password", "made anew for each instance"),
        ("docker_host", "required"),
        ("image", "`None`"),
        ("command", "`{}`"),
        ("volumes", "`{}`"),
        ("dockerfile", "`None`"),
        ("version", "what the engine speaks"),
        ("tls", "`None`"),
        ("followStartupLogs", "`false`"),
        ("masterFQDN", "the full name of the master's machine"),
        ("master_protocol", "`\"pb\"`"),
        ("hostconfig", "`{}`"),
        ("autopull", "`false`"),
        ("alwaysPull", "`false`"),
        ("custom_context", "`false`"),
        ("encoding", "`\"gzip\"`"),
        ("target", "`\"\"`"),
        ("buildargs", "`{}`"),
        ("hostname", "`None`"),
    ];
    const LATENT: [(&str, &str); 4] = [
        ("build_wait_timeout", "`600`"),
        ("check_instance_interval", "`10`"),
        ("missing_timeout", "`3600`"),
        // Ours.
        ("attach_timeout", "`1200`"),
    ];
    const RENDERED: [(&Constructor, &[&str]); 5] = [
        (&EC2_LATENT_WORKER, &[]),
        (&LIBVIRT_WORKER, &[]),
        (&OPENSTACK_LATENT_WORKER, &["flavor", "image", "meta", "nova_args"]),
        (
            &DOCKER_LATENT_WORKER,
            &[
                "docker_host",
                "image",
                "volumes",
                "dockerfile",
                "custom_context",
                "encoding",
                "buildargs",
                "target",
                "hostconfig",
                "hostname",
            ],
        ),
        (&LATENT_WORKER, &[]),
    ];

    #[test]
    fn names_places_and_defaults_of_latent_workers_are_buildbots() {
        for (constructor, options) in [
            (&EC2_LATENT_WORKER, &EC2[..]),
            (&LIBVIRT_WORKER, &LIBVIRT),
            (&OPENSTACK_LATENT_WORKER, &OPENSTACK),
            (&DOCKER_LATENT_WORKER, &DOCKER),
            (&LATENT_WORKER, &[("name", "required"), ("password", "made anew for each instance")]),
        ] {
            let names: Vec<&str> = options.iter().map(|(name, _)| *name).collect();
            assert_eq!(constructor.positional, names, "{}", constructor.path());
            holds(constructor, options, &BASE_NOT_YET);
            holds(constructor, &BASE, &[]);
            holds(constructor, &LATENT, &[]);
        }
        let own = [
            (&LIBVIRT_WORKER, ("cheap_copy", "`true`")),
            (&LIBVIRT_WORKER, ("graceful_shutdown", "`false`")),
            (&LATENT_WORKER, ("start_instance", "required")),
            (&LATENT_WORKER, ("stop_instance", "required")),
            (&LATENT_WORKER, ("check_instance", "`None`")),
        ];
        for (constructor, option) in own {
            holds(constructor, &[option], &[]);
        }
        for (constructor, name, options) in [
            (&OPENSTACK_LATENT_WORKER, "block_devices", &OPENSTACK_DISK[..]),
            (&EC2_LATENT_WORKER, "block_device_map", &[("DeviceName", "required"), ("Ebs", "`None`")]),
        ] {
            let table = constructor.option(name).and_then(|option| option.kind.table());
            holds(table.expect("it takes tables"), options, &[]);
        }
    }

    #[test]
    fn what_buildbot_renders_of_latent_workers_is_rendered() {
        for (constructor, names) in RENDERED {
            for option in constructor.options() {
                let is_base = BASE.iter().any(|(name, _)| *name == option.name);
                assert!(
                    is_base || option.renderable == names.contains(&option.name),
                    "{}: {}",
                    constructor.path(),
                    option.name
                );
            }
        }
        let disk = OPENSTACK_LATENT_WORKER.option("block_devices").and_then(|option| option.kind.table());
        assert!(disk.expect("it takes tables").options().all(|option| option.renderable));
    }

    #[test]
    fn names_and_defaults_of_steps_are_buildbots() {
        let transfer = [("workdir", "`\"build\"`"), ("maxsize", "`None`"), ("haltOnFailure", "`true`")];
        for (constructor, name, block) in [
            (&FILE_UPLOAD, "upload", "`262144`"),
            (&DIRECTORY_UPLOAD, "upload", "`16384`"),
            (&MULTIPLE_FILE_UPLOAD, "upload", "`16384`"),
            (&FILE_DOWNLOAD, "download", "`16384`"),
            (&STRING_DOWNLOAD, "string_download", "`16384`"),
        ] {
            holds(constructor, &transfer, &[]);
            holds(constructor, &[("locks", "`{}`"), ("doStepIf", "`true`"), ("hideStepIf", "`false`")], &[]);
            holds(constructor, &[("name", &format!("`{name:?}`")), ("blocksize", block)], &[]);
        }
        holds(&FILE_UPLOAD, &[("mode", "`None`"), ("keepstamp", "`false`"), ("urlText", "`None`")], &[]);
        holds(
            &COPY_DIRECTORY,
            &[("timeout", "`120`"), ("maxTime", "`None`"), ("haltOnFailure", "`true`")],
            &[],
        );
        let shell = [
            ("logfiles", "`{}`"),
            ("lazylogfiles", "`false`"),
            ("max_lines", "`None`"),
            ("timeout", "`1200`"),
        ];
        holds(&SHELL_COMMAND, &shell, &[]);
        holds(&SET_PROPERTY_FROM_COMMAND, &shell, &["extract_fn"]);
        let own = [
            ("strip", "`true`"),
            ("includeStdout", "`true`"),
            ("includeStderr", "`false`"),
            ("haltOnFailure", "`false`"),
        ];
        holds(&SET_PROPERTY_FROM_COMMAND, &own, &[]);
        assert_eq!(FILE_UPLOAD.positional[..3], ["workersrc", "masterdest", "workdir"]);
        assert_eq!(FILE_DOWNLOAD.positional[..3], ["mastersrc", "workerdest", "workdir"]);
    }
}
