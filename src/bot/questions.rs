//! The commands that are done at once: they make, tell or remove one thing.
//!
//! Source of the texts and of the exit code, which is the system's number of the error: Buildbot's worker.

use std::{fs, io, os::unix::fs::MetadataExt, path::Path, time::Duration};

use super::{
    job::{Early, FILES_LIMIT, Job, reason},
    outlet::Gone,
    pattern::{self, MAX_FILES},
};
use crate::protocol::{Update, command::StatPath, message::FileStat};

/// How long a pattern may be searched for.
const SEARCH_LIMIT: Duration = Duration::from_secs(600);

/// Makes folders, up to the first that cannot be made.
pub(super) async fn make_directories(job: &Job, dirs: &[String]) -> Result<(), Gone> {
    let mut path = job.folder.clone();
    let mut done = Ok(Ok(None));
    for dir in dirs {
        path = job.folder.join(dir);
        let made = path.clone();
        done = job.work(FILES_LIMIT, move |_| fs::create_dir_all(made).map(|()| None)).await;
        if !matches!(done, Ok(Ok(_))) {
            break;
        }
    }
    answer(job, "mkdir", &path, done).await
}

/// Removes a file.
pub(super) async fn remove_file(job: &Job, path: &str) -> Result<(), Gone> {
    let path = job.path("", path);
    let removed = path.clone();
    let done = job.work(FILES_LIMIT, move |_| fs::remove_file(removed).map(|()| None)).await;
    answer(job, "rmfile", &path, done).await
}

/// Tells what a path is.
pub(super) async fn stat(job: &Job, arguments: &StatPath) -> Result<(), Gone> {
    let path = job.folder.join(&arguments.workdir).join(&arguments.path);
    let asked = path.clone();
    let done = job.work(FILES_LIMIT, move |_| {
        fs::metadata(asked).map(|metadata| Some(Update::Stat(Box::new(told(&metadata)))))
    });
    answer(job, "stat", &path, done.await).await
}

/// Lists a folder.
pub(super) async fn list_directory(job: &Job, dir: &str) -> Result<(), Gone> {
    let path = job.folder.join(dir);
    let listed = path.clone();
    let done = job.work(FILES_LIMIT, move |_| match pattern::names(&listed) {
        Ok(names) if names.len() > MAX_FILES => Err(too_many()),
        names => names.map(|names| Some(Update::Files(names))),
    });
    answer(job, "listdir", &path, done.await).await
}

/// Lists the paths that match a pattern.
pub(super) async fn glob(job: &Job, pattern: &str) -> Result<(), Gone> {
    let (folder, searched) = (job.folder.clone(), pattern.to_owned());
    let done = job.work(SEARCH_LIMIT, move |unwanted| {
        let found = pattern::find(&folder, &searched, unwanted);
        found.map(|paths| Some(Update::Files(paths))).map_err(|pattern::TooMany| too_many())
    });
    answer(job, "glob", &job.folder.join(pattern), done.await).await
}

fn too_many() -> io::Error {
    io::Error::other(format!("more than {MAX_FILES} are found"))
}

/// Tells what came of it, and the end.
async fn answer(
    job: &Job,
    name: &str,
    path: &Path,
    done: Result<io::Result<Option<Update>>, Early>,
) -> Result<(), Gone> {
    let (text, rc) = match done {
        Ok(Ok(news)) => {
            if let Some(news) = news {
                job.outlet.update(news).await?;
            }
            return job.finish(0).await;
        }
        Ok(Err(error)) => (reason(&error), error.raw_os_error().unwrap_or(1)),
        Err(Early::Failed(text)) => (text, 1),
        Err(Early::Interrupted) => {
            job.tell_interrupt().await?;
            return job.finish(-1).await;
        }
        Err(Early::Gone) => return Err(Gone),
    };
    job.outlet.header(format!("{name}: {text}: {}\n", path.display())).await?;
    job.finish(rc).await
}

fn told(metadata: &fs::Metadata) -> FileStat {
    FileStat {
        mode: metadata.mode(),
        inode: metadata.ino(),
        device: metadata.dev(),
        links: metadata.nlink(),
        uid: metadata.uid(),
        gid: metadata.gid(),
        size: metadata.size(),
        accessed_at: metadata.atime(),
        modified_at: metadata.mtime(),
        changed_at: metadata.ctime(),
    }
}
