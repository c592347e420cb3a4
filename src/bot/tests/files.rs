//! Folders made, copied and removed; paths that are asked for.

use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

use super::*;
use crate::protocol::{
    command::{CopyDirectory, RemoveDirectory, StatPath},
    link::DEPTH,
};

fn removal(dirs: &[&str]) -> WorkerCommand {
    WorkerCommand::RemoveDirectory(Box::new(RemoveDirectory {
        dirs: dirs.iter().map(|&dir| dir.to_owned()).collect(),
        timeout: Some(LIMIT),
        max_time: None,
        log_environ: false,
    }))
}

fn copying(from: &str, to: &str) -> WorkerCommand {
    WorkerCommand::CopyDirectory(Box::new(CopyDirectory {
        from: from.to_owned(),
        to: to.to_owned(),
        timeout: Some(LIMIT),
        max_time: None,
        log_environ: false,
    }))
}

fn stat(path: &str) -> WorkerCommand {
    WorkerCommand::Stat(Box::new(StatPath { workdir: "build".to_owned(), path: path.to_owned() }))
}

fn list(dir: &str) -> WorkerCommand {
    WorkerCommand::ListDirectory { dir: dir.to_owned() }
}

fn remove_file(path: &str) -> WorkerCommand {
    WorkerCommand::RemoveFile { path: path.to_owned() }
}

fn make(dir: &str) -> WorkerCommand {
    WorkerCommand::MakeDirectory { dirs: vec![dir.to_owned()] }
}

#[tokio::test]
async fn a_folder_is_made_with_those_above_it_and_may_be_there() {
    let mut master = Master::start().await;
    for _ in 0..2 {
        let told = master.carry_out(make("build/ä/b")).await;
        assert_eq!((told.rc, told.header.as_str(), told.failure), (Some(0), "", None));
        assert!(master.builddir().join("build/ä/b").is_dir());
    }
    fs::write(master.builddir().join("file"), "").unwrap();
    let told = master.carry_out(make("file")).await;
    let path = master.builddir().join("file").display().to_string();
    assert_eq!((told.rc, told.header), (Some(17), format!("mkdir: File exists: {path}\n")));
}

#[tokio::test]
async fn what_is_missing_is_told_with_the_number_of_the_system() {
    let mut master = Master::start().await;
    let build = master.builddir().join("build");
    let at = |name: &str| format!("{}: No such file or directory: {}\n", name, build.join("no").display());
    let told = master.carry_out(stat("no")).await;
    assert_eq!((told.rc, told.header, told.stat), (Some(2), at("stat"), None));
    let told = master.carry_out(list("build/no")).await;
    assert_eq!((told.rc, told.header, told.files), (Some(2), at("listdir"), None));
    let told = master.carry_out(remove_file("build/no")).await;
    assert_eq!((told.rc, told.header), (Some(2), at("rmfile")));
}

#[tokio::test]
async fn a_path_is_told_as_the_system_tells_it() {
    let mut master = Master::start().await;
    let build = master.builddir().join("build");
    fs::create_dir_all(&build).unwrap();
    fs::write(build.join("ä"), "four").unwrap();
    symlink("ä", build.join("link")).unwrap();
    let told = master.carry_out(stat("link")).await;
    let (stat, metadata) = (told.stat.unwrap(), build.join("ä").metadata().unwrap());
    assert_eq!(told.rc, Some(0));
    assert_eq!((stat.size, stat.inode, stat.links, stat.uid), (4, metadata.ino(), 1, metadata.uid()));
    assert_eq!((stat.mode, stat.modified_at), (metadata.mode(), metadata.mtime()));
    let mut files = master.carry_out(list("build")).await.files.unwrap();
    files.sort();
    assert_eq!(files, ["link", "ä"]);
    assert_eq!(master.carry_out(remove_file("build/link")).await.rc, Some(0));
    assert_eq!(master.carry_out(list("build")).await.files.unwrap(), ["ä"]);
}

#[tokio::test]
async fn a_pattern_finds_absolute_paths_below_the_folder() {
    let mut master = Master::start().await;
    fs::create_dir_all(master.builddir().join("build/deep")).unwrap();
    fs::write(master.builddir().join("build/deep/x.txt"), "").unwrap();
    let told = master.carry_out(WorkerCommand::Glob { pattern: "**/*.txt".to_owned() }).await;
    let path = master.builddir().join("build/deep/x.txt").display().to_string();
    assert_eq!((told.rc, told.files), (Some(0), Some(vec![path])));
    let told = master.carry_out(WorkerCommand::Glob { pattern: "no/*".to_owned() }).await;
    assert_eq!((told.rc, told.files), (Some(0), Some(Vec::new())));
}

#[tokio::test]
async fn a_folder_is_copied_with_its_links_and_times() {
    let mut master = Master::start().await;
    let from = master.builddir().join("from dir");
    fs::create_dir_all(&from).unwrap();
    fs::write(from.join("ä"), "text").unwrap();
    symlink("/nonexistent", from.join("link")).unwrap();
    let told = master.carry_out(copying("from dir", "new/to")).await;
    assert_eq!(told.rc, Some(0), "{}", told.text());
    let to = master.builddir().join("new/to");
    assert_eq!(fs::read(to.join("ä")).unwrap(), b"text");
    assert_eq!(fs::read_link(to.join("link")).unwrap(), Path::new("/nonexistent"));
    assert_eq!(to.join("ä").metadata().unwrap().mtime(), from.join("ä").metadata().unwrap().mtime());
    assert!(told.text().contains("/new/to/ä'\n"), "{}", told.text());

    let told = master.carry_out(copying("missing", "x")).await;
    assert_eq!(told.rc, Some(1));
    assert!(told.text().contains("missing"), "{}", told.text());
    let told = master.carry_out(copying("from dir", "from dir/ä/to")).await;
    assert_eq!(told.rc, None);
    assert!(told.failure.unwrap().starts_with("cannot make the folder `"));
}

#[tokio::test]
async fn folders_are_removed_and_links_lead_nowhere() {
    let mut master = Master::start().await;
    let dir = master.builddir();
    fs::create_dir_all(dir.join("a/deep/er")).unwrap();
    fs::create_dir(dir.join("kept")).unwrap();
    for file in ["a/ä", "a/deep/er/f", "kept/f", "file"] {
        fs::write(dir.join(file), "").unwrap();
    }
    symlink("../kept", dir.join("a/link")).unwrap();
    symlink("kept", dir.join("link")).unwrap();
    fs::set_permissions(dir.join("a/deep/er"), fs::Permissions::from_mode(0o000)).unwrap();
    fs::set_permissions(dir.join("a/deep"), fs::Permissions::from_mode(0o444)).unwrap();
    let told = master.carry_out(removal(&["a", "missing", "file", "link/"])).await;
    assert_eq!((told.rc, told.text().as_str()), (Some(0), ""));
    assert!(told.header.starts_with(&format!("removing {}\n", dir.join("a").display())));
    let mut left = master.carry_out(list("")).await.files.unwrap();
    left.sort();
    assert_eq!(left, ["kept"]);
    assert!(dir.join("kept/f").exists());
}

#[tokio::test]
async fn what_cannot_be_removed_is_told_and_the_rest_goes() {
    let mut master = Master::start().await;
    fs::create_dir_all(master.builddir().join("a")).unwrap();
    let told = master.carry_out(removal(&["/proc/self/environ", "/", "..", "a"])).await;
    assert_eq!(told.rc, Some(1));
    let text = told.text();
    assert!(text.starts_with("rmdir: cannot remove '/proc/self/environ': "), "{text}");
    assert!(text.contains("rmdir: refused to remove '/'\n"), "{text}");
    assert!(!master.builddir().join("a").exists());
}

#[tokio::test]
async fn a_removal_ends_when_it_is_interrupted() {
    let mut master = Master::start().await;
    fs::create_dir_all(master.builddir().join("kept")).unwrap();
    let mut dirs = vec!["missing"; 10 * DEPTH];
    dirs.push("kept");
    // What is told of each waits for its reader, so that it cannot be done before the interrupt.
    master.start_command(removal(&dirs)).await;
    master.interrupt().await;
    let told = master.rest(Told::default()).await;
    assert_eq!(told.rc, Some(-1));
    assert!(told.header.ends_with("command interrupted: stopped by ann\n"), "{}", told.header);
    assert!(master.builddir().join("kept").exists());
}

#[tokio::test]
async fn a_removal_has_its_limit() {
    let mut master = Master::start().await;
    fs::create_dir_all(master.builddir().join("kept")).unwrap();
    let mut dirs = vec!["missing".to_owned(); 10];
    dirs.push("kept".to_owned());
    let limited =
        RemoveDirectory { dirs, timeout: None, max_time: Some(Duration::from_nanos(1)), log_environ: false };
    let told = master.carry_out(WorkerCommand::RemoveDirectory(Box::new(limited))).await;
    assert_eq!((told.rc, told.reason), (Some(-1), Some(FailureReason::Timeout)));
    assert!(
        told.header.contains("\ncommand timed out: ") && told.header.ends_with(" seconds elapsed\n"),
        "{}",
        told.header
    );
    assert!(master.builddir().join("kept").exists());
}
