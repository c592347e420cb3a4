//! From the options of `worker.DockerLatentWorker` to what they mean.
//!
//! # Source
//! Which options go together: Buildbot, `worker/docker.py`. The words of `hostconfig`: docker-py's `HostConfig`.

use super::{
    super::{
        Complaints, Late, MasterAddress,
        words::{is_host, late_word, literal, names, not_text, word},
    },
    DockerDefinition, DockerImage, DockerTls, ENCODINGS, PullPolicy, Recipe, Volume,
};
use crate::definition::{
    listener::Protocol,
    record::{Record, Value},
    render::{Text, Worth},
    suggest,
};

const PROTOCOLS: [(&str, Protocol); 2] =
    [(Protocol::Pb.key(), Protocol::Pb), (Protocol::Msgpack.key(), Protocol::Msgpack)];

/// How the engine can be reached.
const SCHEMES: [&str; 5] = ["unix://", "tcp://", "http://", "https://", "ssh://"];

/// What may follow the target of a volume.
const MODES: [&str; 11] =
    ["ro", "rw", "z", "Z", "nocopy", "shared", "slave", "private", "rshared", "rslave", "rprivate"];

/// The words of `hostconfig`. A word that begins with a capital letter is the engine's own, and the engine judges it.
const HOST_CONFIG: [&str; 63] = [
    "auto_remove",
    "blkio_weight",
    "blkio_weight_device",
    "cap_add",
    "cap_drop",
    "cgroup_parent",
    "cgroupns",
    "cpu_count",
    "cpu_percent",
    "cpu_period",
    "cpu_quota",
    "cpu_rt_period",
    "cpu_rt_runtime",
    "cpu_shares",
    "cpuset_cpus",
    "cpuset_mems",
    "device_cgroup_rules",
    "device_read_bps",
    "device_read_iops",
    "device_requests",
    "device_write_bps",
    "device_write_iops",
    "devices",
    "dns",
    "dns_opt",
    "dns_search",
    "extra_hosts",
    "group_add",
    "init",
    "init_path",
    "ipc_mode",
    "isolation",
    "kernel_memory",
    "links",
    "log_config",
    "lxc_conf",
    "mem_limit",
    "mem_reservation",
    "mem_swappiness",
    "memswap_limit",
    "mounts",
    "nano_cpus",
    "network_mode",
    "oom_kill_disable",
    "oom_score_adj",
    "pid_mode",
    "pids_limit",
    "port_bindings",
    "privileged",
    "publish_all_ports",
    "read_only",
    "restart_policy",
    "runtime",
    "security_opt",
    "shm_size",
    "storage_opt",
    "sysctls",
    "tmpfs",
    "ulimits",
    "userns_mode",
    "uts_mode",
    "volume_driver",
    "volumes_from",
];

impl DockerDefinition {
    pub(in crate::definition::latent) fn from_record(
        record: &Record,
        complaints: &mut Complaints<'_>,
    ) -> Option<Self> {
        let host = record.renderable("docker_host");
        if let Some(host) = literal(host.as_ref())
            && !is_engine(host)
        {
            let hint = "write `unix:///var/run/docker.sock` or `tcp://host:2376`";
            complaints.tell(&format!("`docker_host` takes the URL of an engine, not {host:?}"), Some(hint));
        }
        let tls = tls(record, complaints);
        if tls != DockerTls::Off && literal(host.as_ref()).is_some_and(|host| host.starts_with("unix://")) {
            complaints.tell("`tls` has no meaning for an engine behind a Unix socket", None);
        }
        let api_version = record.text("version").filter(|version| version != "auto");
        if let Some(version) = api_version.as_ref().filter(|version| !is_version(version)) {
            complaints.tell(&format!("`version` takes a version like \"1.45\", not {version:?}"), None);
        }
        let image = image(record, complaints);
        let pull = match (record.flag("autopull"), record.flag("alwaysPull")) {
            (false, false) => PullPolicy::Never,
            (true, false) => PullPolicy::IfAbsent,
            (true, true) => PullPolicy::Always,
            (false, true) => {
                complaints.tell("`alwaysPull` needs `autopull`", None);
                PullPolicy::Never
            }
        };
        let command = record.texts("command");
        if let [program] = &*command
            && program.contains(char::is_whitespace)
        {
            let parts: Vec<String> = program.split_whitespace().map(|part| format!("{part:?}")).collect();
            let hint = format!("write `{{ {} }}`", parts.join(", "));
            complaints
                .tell(&format!("`command` is seen by no shell, so {program:?} is one name"), Some(&hint));
        }
        let volumes = volumes(record, complaints);
        let hostname = record.renderable("hostname");
        if let Some(name) = literal(hostname.as_ref())
            && !is_host(name)
        {
            complaints.tell(&format!("`hostname` takes the name of a machine, not {name:?}"), None);
        }
        let host_config = host_config(record, complaints);
        let master = record.text("masterFQDN");
        let master = master.and_then(|text| complaints.take("masterFQDN", MasterAddress::parse(&text)));
        let protocol = record.text("master_protocol").map(|text| word(&text, &PROTOCOLS));
        let master_protocol = protocol.and_then(|read| complaints.take("master_protocol", read));
        Some(Self {
            host: host?,
            api_version,
            tls,
            image: image?,
            pull,
            command,
            volumes,
            hostname,
            host_config,
            master,
            master_protocol: master_protocol?,
            follow_startup_logs: record.flag("followStartupLogs"),
        })
    }
}

impl Volume {
    fn parse(text: &str) -> Result<Self, String> {
        let wrong = || format!("takes `source:target` or `source:target:ro`, not {text:?}");
        let mut parts = text.split(':');
        let (Some(source), Some(target), modes, None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(wrong());
        };
        if source.is_empty() || !target.starts_with('/') {
            return Err(wrong());
        }
        let modes: Vec<String> =
            modes.into_iter().flat_map(|modes| modes.split(',')).map(Into::into).collect();
        if let Some(mode) = modes.iter().find(|mode| !MODES.contains(&mode.as_str())) {
            return Err(format!("holds {text:?}, in which {mode:?} is no mode like `ro` or `rw`"));
        }
        Ok(Self { source: source.to_owned(), target: target.to_owned(), modes })
    }
}

fn is_engine(host: &str) -> bool {
    let rest = SCHEMES.iter().find_map(|scheme| host.strip_prefix(scheme));
    let is_text =
        |text: &str| !text.is_empty() && !text.contains(|c: char| c.is_whitespace() || c.is_control());
    match rest {
        Some(rest) => is_text(rest),
        // As docker-py reads it: `host:2375`.
        None => MasterAddress::parse(host).is_ok_and(|address| address.port.is_some()),
    }
}

fn is_version(version: &str) -> bool {
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    version.split_once('.').is_some_and(|(major, minor)| is_number(major) && is_number(minor))
}

fn tls(record: &Record, complaints: &mut Complaints<'_>) -> DockerTls {
    let table = match record.get("tls") {
        None | Some(Value::Bool(false)) => return DockerTls::Off,
        Some(Value::Record(table)) => table,
        Some(_) => return DockerTls::System,
    };
    let client = match (table.text("cert"), table.text("key")) {
        (Some(cert), Some(key)) => Some((cert.into(), key.into())),
        (None, None) => None,
        (cert, _) => {
            let (given, missing) = if cert.is_some() { ("cert", "key") } else { ("key", "cert") };
            complaints.tell(&format!("`tls.{given}` is given and `tls.{missing}` is missing"), None);
            None
        }
    };
    DockerTls::Files { ca: table.text("ca").map(Into::into), client, verify: table.flag("verify") }
}

fn image(record: &Record, complaints: &mut Complaints<'_>) -> Option<DockerImage> {
    let name = record.renderable("image");
    let encoding = late_word(record.renderable("encoding"), &ENCODINGS);
    let encoding = encoding.and_then(|read| complaints.take("encoding", read));
    let build_args = record.worth("buildargs");
    if let Some(name) = build_args.as_ref().and_then(not_text) {
        complaints.tell(&format!("`buildargs` takes names and texts; {name:?} is none"), None);
    }
    let Some(dockerfile) = record.renderable("dockerfile") else {
        for option in ["custom_context", "encoding", "target", "buildargs"] {
            if record.is_given(option) && record.get(option).is_some() {
                complaints.tell(
                    &format!("`{option}` is for an image that is built; `dockerfile` is missing"),
                    None,
                );
            }
        }
        if name.is_none() {
            complaints.tell("it has neither an `image` nor a `dockerfile`", None);
        }
        return name.map(DockerImage::Named);
    };
    Some(DockerImage::Built(Recipe {
        name,
        dockerfile,
        custom_context: record.late_flag("custom_context"),
        encoding: encoding?,
        build_args,
        target: record.renderable("target").filter(|target| *target != Text::Plain(String::new())),
    }))
}

fn volumes(record: &Record, complaints: &mut Complaints<'_>) -> Vec<Late<Volume>> {
    let mut volumes: Vec<Late<Volume>> = Vec::new();
    for text in record.renderables("volumes") {
        let volume = match text {
            Text::Plain(text) if text.is_empty() => continue,
            Text::Plain(text) => match complaints.take("volumes", Volume::parse(&text)) {
                Some(volume) => volume,
                None => continue,
            },
            Text::Rendered(renderable) => {
                volumes.push(Late::Rendered(renderable));
                continue;
            }
        };
        let mut others = volumes.iter().filter_map(Late::fixed);
        if others.any(|other| other.target == volume.target) {
            complaints.tell(&format!("`volumes` names {:?} twice", volume.target), None);
        }
        volumes.push(Late::Fixed(volume));
    }
    volumes
}

fn host_config(record: &Record, complaints: &mut Complaints<'_>) -> Option<Worth> {
    let table = record.worth("hostconfig")?;
    for name in names(&table) {
        let is_own = name.starts_with(|c: char| c.is_ascii_uppercase());
        if name.eq_ignore_ascii_case("binds") {
            // In Buildbot `volumes` replaces it without a word.
            complaints.tell(&format!("`hostconfig` holds `{name}`, which the option `volumes` says"), None);
        } else if !is_own && !HOST_CONFIG.contains(&name) {
            let hint = suggest::did_you_mean(name, HOST_CONFIG);
            complaints
                .tell(&format!("`hostconfig` holds `{name}`, which is no word for it"), hint.as_deref());
        }
    }
    Some(table)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::definition::shown::Shown as _;

    #[test]
    fn a_volume_has_a_source_a_target_and_perhaps_a_mode() {
        for (text, modes) in [("/src:/dst", 0), ("cache:/dst:ro", 1), ("/src:/dst:rw,Z", 2)] {
            let volume = Volume::parse(text).expect("it is well");
            assert_eq!((volume.modes.len(), volume.shown()), (modes, format!("{text:?}")));
        }
        for bad in ["", "/src", ":/dst", "/src:", "/src:dst", "/src:/dst:rx", "/src:/dst:", "/a:/b:ro:rw"] {
            assert!(Volume::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn an_engine_is_named_as_docker_does() {
        for good in ["unix:///var/run/docker.sock", "tcp://10.0.0.1:2376", "https://engine", "localhost:2375"]
        {
            assert!(is_engine(good), "{good}");
        }
        for bad in ["docker", "unix://", "ftp://engine", "tcp://a b"] {
            assert!(!is_engine(bad), "{bad}");
        }
    }
}
