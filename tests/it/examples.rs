//! The examples: each loads, the manual's configurations all have their twin, and those that can run do.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use serde_json::Value;

use crate::{
    lua_blocks::{files_below, problems_of},
    support::{
        master::{MasterDir, eventually, lunabot},
        tree::crate_root,
    },
};

/// The configurations of the chapter "Workers" of Buildbot's manual, in their order, copied by hand: the section, the
/// twin, and texts of the original that the twin must hold. What the text only describes stands behind its section.
const TWINS: [(&str, &str, &[&str]); 13] = [
    ("Defining Workers", "defining_workers", &["bot-solaris", "solarispasswd", "bot-bsd", "bsdpasswd"]),
    ("Properties", "properties", &["bot-solaris", "solarispasswd", "properties = { os = \"solaris\" }"]),
    ("Limiting Concurrency", "max_builds", &["bot-linux", "linuxpassword", "max_builds = 2"]),
    ("Master-Worker TCP Keepalive", "keepalive", &["bot-linux", "linuxpasswd", "keepalive_interval = 3600"]),
    ("Master-Worker TCP Keepalive", "keepalive_off", &["bot-linux", "keepalive_interval = None"]),
    ("When Workers Go Missing", "notify_on_missing", &["notify_on_missing = \"bob@example.com\""]),
    (
        "When Workers Go Missing",
        "notify_several",
        &["bot-solaris", "{ \"bob@example.com\", \"alice@example.org\" }", "missing_timeout = 300"],
    ),
    (
        "When Workers Go Missing",
        "mail_notifier",
        &[
            "fromaddr = \"buildbot@localhost\"",
            "builders = {}",
            "relayhost = \"smtp.example.org\"",
            "table.insert(c.status, m)",
            "notify_on_missing = \"bob@example.com\"",
        ],
    ),
    ("Local Workers", "local_workers", &["worker.LocalWorker \"bot1\"", "worker.LocalWorker \"bot2\""]),
    ("Common Options", "ec2", &["worker.EC2LatentWorker", "build_wait_timeout = 600"]),
    ("Common Options", "libvirt", &["worker.LibVirtWorker", "build_wait_timeout = 0"]),
    ("Common Options", "openstack", &["worker.OpenStackLatentWorker", "build_wait_timeout = -1"]),
    ("Common Options", "docker", &["worker.DockerLatentWorker", "build_wait_timeout = 0"]),
];

fn examples() -> PathBuf {
    crate_root().join("examples")
}

/// Whether it is a module, which a configuration beside it requires.
fn is_module(path: &Path) -> bool {
    path.parent().is_some_and(|folder| folder.ends_with("lib"))
}

#[test]
fn every_example_and_the_template_load() {
    let mut configurations = files_below(&examples(), "lua");
    configurations.push(crate_root().join("src/cli/master.cfg.lua"));
    let (modules, configurations): (Vec<_>, Vec<_>) =
        configurations.into_iter().partition(|path| is_module(path));
    assert!(configurations.len() > TWINS.len(), "{configurations:?}");
    for configuration in &configurations {
        assert_eq!(problems_of(configuration), Vec::<String>::new(), "{}", configuration.display());
    }
    for module in modules {
        let name = format!("\"lib.{}\"", module.file_stem().unwrap().to_str().unwrap());
        let main = module.parent().unwrap().with_file_name("master.cfg.lua");
        assert!(fs::read_to_string(main).unwrap().contains(&name), "{} is not required", module.display());
    }
}

#[test]
fn every_configuration_of_the_manuals_chapter_has_its_twin() {
    let folder = examples().join("manual");
    let page = fs::read_to_string(folder.join("README.md")).unwrap();
    for (section, twin, texts) in TWINS {
        let file = format!("{twin}.lua");
        let text = fs::read_to_string(folder.join(&file)).unwrap();
        let heading = text.lines().next().unwrap();
        assert!(heading.contains(&format!("section \"{section}\"")), "{file}: {heading}");
        let code: String = text.lines().filter(|line| !line.starts_with("--")).collect();
        for wanted in texts {
            assert!(code.contains(wanted), "{file} has no {wanted}");
        }
        assert!(page.contains(&format!("({file})")), "README.md does not lead to {file}");
    }
    let there: BTreeSet<String> = files_below(&folder, "lua")
        .iter()
        .map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    let listed: BTreeSet<String> = TWINS.iter().map(|(_, twin, _)| (*twin).to_owned()).collect();
    assert_eq!(there, listed, "a twin that nobody holds to its original");
}

#[test]
fn a_fleet_takes_ten_lines() {
    let main = examples().join("fleet/master.cfg.lua");
    let text = fs::read_to_string(&main).unwrap();
    let lines = text.lines().filter(|line| !line.trim().is_empty() && !line.starts_with("--")).count();
    assert!(lines <= 10, "{lines} lines");
    let checked = lunabot().args(["checkconfig"]).arg(&main).output().unwrap();
    let said = String::from_utf8_lossy(&checked.stdout);
    assert!(checked.status.success() && said.contains("40 workers, 3 builders, 1 scheduler"), "{said}");
}

#[test]
fn the_manuals_local_workers_are_there_once_the_master_runs() {
    let dir = MasterDir::new(&fs::read_to_string(examples().join("manual/local_workers.lua")).unwrap());
    let _master = dir.start();
    eventually("both workers", || {
        let workers = dir.json("workers", &[]);
        let connected = workers["workers"].as_array()?.iter().filter(|worker| is_connected(worker)).count();
        (connected == 2).then_some(())
    });
}

fn is_connected(worker: &Value) -> bool {
    worker["connected_to"].as_array().is_some_and(|masters| !masters.is_empty())
}
