//! What a worker tells of itself: as much as a `buildbot-worker` 4.3.0 on Debian does, its environment included.

use serde_json::{Map, Value, json};

/// The name of a worker.
pub(crate) fn name(index: usize) -> String {
    format!("w{:05}", index + 1)
}

/// The answer to the master's question for facts.
pub(crate) fn facts(index: usize) -> Value {
    let environ: Map<String, Value> = (0..25)
        .map(|number| {
            let value = format!("/usr/local/share/value-{number}:/usr/share/value-{number}");
            (format!("VARIABLE_{number}"), value.into())
        })
        .collect();
    let commands = [
        "shell",
        "uploadFile",
        "upload_file",
        "uploadDirectory",
        "upload_directory",
        "downloadFile",
        "download_file",
        "mkdir",
        "rmdir",
        "cpdir",
        "stat",
        "glob",
        "listdir",
        "rmfile",
    ];
    let commands: Map<String, Value> =
        commands.map(|command| (command.to_owned(), "3.3".into())).into_iter().collect();
    json!({
        "admin": "Your Name Here <admin@youraddress.invalid>\n",
        "host": "Please put a description of this build host here\n",
        "os_pretty_name": "Debian GNU/Linux 13 (trixie)",
        "os_name": "Debian GNU/Linux",
        "os_version_id": "13",
        "os_version": "13 (trixie)",
        "os_version_codename": "trixie",
        "os_id": "debian",
        "os_home_url": "https://os.example.org/",
        "os_support_url": "https://os.example.org/support",
        "os_bug_report_url": "https://os.example.org/bugs",
        "environ": environ,
        "system": "posix",
        "basedir": format!("/srv/workers/{}", name(index)),
        "numcpus": 2,
        "version": "4.3.0",
        "worker_commands": commands,
        "delete_leftover_dirs": 0,
    })
}
