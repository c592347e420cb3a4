//! What tests of secrets leave for the last stage of `tests/run`, which searches it for their marker.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

use super::master::MasterDir;

/// What each secret of the tests carries.
pub(crate) const MARKER: &str = "SECRET-MARKER-5f3a";

/// A secret of a test.
pub(crate) fn secret(what: &str) -> String {
    format!("{what}/{MARKER}'s \"end\"")
}

/// Keeps a text for the search, and searches it at once.
pub(crate) fn keep(test: &str, name: &str, text: &str) {
    assert!(!text.contains(MARKER), "{name} holds a secret:\n{text}");
    if let Some(folder) = folder_of(test) {
        fs::write(folder.join(name), text).unwrap();
    }
}

/// Keeps what the API answers, on all its paths.
pub(crate) fn keep_api(test: &str, dir: &MasterDir) {
    let mut all = String::new();
    for path in ["masters", "generations", "workers", "builders", "forceschedulers", "buildrequests"] {
        writeln!(all, "{path}: {}", dir.get(&format!("/api/v2/{path}"))).unwrap();
    }
    for build in dir.builds() {
        let id = &build["buildid"];
        for path in [format!("builds/{id}"), format!("builds/{id}/properties"), format!("builds/{id}/steps")]
        {
            writeln!(all, "{path}: {}", dir.get(&format!("/api/v2/{path}"))).unwrap();
        }
    }
    let mut logs = 0;
    for log in 1.. {
        let contents = dir.get(&format!("/api/v2/logs/{log}/contents"));
        if !contents.starts_with("HTTP/1.1 200") {
            break;
        }
        let raw = dir.get(&format!("/api/v2/logs/{log}/raw"));
        writeln!(all, "logs/{log}: {contents}\n{raw}").unwrap();
        logs += 1;
    }
    assert!(logs > 0, "no log was read");
    keep(test, "api.txt", &all);
}

/// Keeps what this machine shows of a process and of all that it has started, in the moment. Other tests may put a secret on
/// a command line, as the operators of their workers do.
pub(crate) fn keep_processes(test: &str, root: u32) {
    let parents: BTreeMap<u32, u32> = fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| {
            let pid = entry.ok()?.file_name().to_str()?.parse().ok()?;
            let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
            // Source: proc_pid_stat(5); the name before it may hold anything.
            let parent = stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()?;
            Some((pid, parent))
        })
        .collect();
    let is_of_root = |pid: u32| {
        std::iter::successors(Some(pid), |pid| parents.get(pid).copied()).any(|ancestor| ancestor == root)
    };
    let mut all = String::new();
    for pid in parents.keys().copied().filter(|pid| is_of_root(*pid)) {
        let words = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        writeln!(all, "{pid} {}", String::from_utf8_lossy(&words).replace('\0', " ")).unwrap();
    }
    assert!(all.lines().count() > 1, "the master and its command: {all}");
    keep(test, "processes.txt", &all);
}

/// Keeps what a master that has ended left in its folder, but for what must hold secrets: the configuration, the folder of
/// secrets, and what its workers have on their side.
pub(crate) fn keep_folder(test: &str, dir: &MasterDir) {
    let own = ["master.cfg.lua", "secrets", "workers"];
    let Some(to) = folder_of(test) else { return };
    for entry in fs::read_dir(dir.path()).unwrap() {
        let entry = entry.unwrap();
        if !own.iter().any(|name| entry.file_name() == *name) {
            copy(&entry.path(), &to.join(entry.file_name()));
        }
    }
}

fn copy(from: &Path, to: &Path) {
    if from.is_dir() {
        fs::create_dir_all(to).unwrap();
        for entry in fs::read_dir(from).unwrap() {
            let entry = entry.unwrap();
            copy(&entry.path(), &to.join(entry.file_name()));
        }
    } else if from.is_file() {
        fs::copy(from, to).unwrap();
    }
}

/// Where the traces of a test go, if they are wanted.
fn folder_of(test: &str) -> Option<PathBuf> {
    let all = std::env::var_os("LUNABOT_TEST_TRACES").filter(|folder| !folder.is_empty())?;
    // Each kind of build runs all tests once.
    let folder = Path::new(&all).join(format!("{test}-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    Some(folder)
}
