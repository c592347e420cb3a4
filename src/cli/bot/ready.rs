//! What a worker needs to start: its settings, from its file or from the environment, and its password.
//!
//! # Laws
//! - The two are alternatives: a folder with settings is never started with those of the environment.

use std::{os::unix::fs::MetadataExt as _, path::Path};

use crate::{
    cli::{
        bot::{file, folder::WorkerFolder, settings::Settings, start::no_worker, variables::Variables},
        failure::{Failure, Kind},
        password,
    },
    model::Secret,
};

/// Where the settings are.
#[derive(Clone, Debug)]
pub(super) enum Origin {
    /// In this folder.
    File(WorkerFolder),
    /// In the environment; the worker runs in this folder.
    Variables(WorkerFolder),
}

/// A worker that can start.
#[derive(Debug)]
pub(super) struct Ready {
    /// Its folder, by its one true name.
    pub(super) folder: WorkerFolder,
    /// Its settings.
    pub(super) settings: Settings,
    /// Its password.
    pub(super) password: Secret,
    /// Where the settings were, for the log.
    pub(super) origin: String,
    /// What somebody should look at, for the log.
    pub(super) warnings: Vec<String>,
}

impl Origin {
    /// Looks where the settings are.
    pub(super) fn find(dir: Option<&Path>) -> Result<Self, Failure> {
        let folder = WorkerFolder::new(dir.unwrap_or(Path::new(".")));
        if folder.settings().exists() {
            return Ok(Self::File(folder));
        }
        if dir.is_none() && Variables::of_process().given().next().is_some() {
            return Ok(Self::Variables(folder));
        }
        let hint =
            "name its folder, as `lunabot-worker start DIR`; or set BUILDMASTER, WORKERNAME and WORKERPASS";
        let failure = no_worker(&folder);
        Err(if dir.is_some() { failure } else { failure.hint(hint.to_owned()) })
    }

    /// The worker's folder.
    pub(super) const fn folder(&self) -> &WorkerFolder {
        let (Self::File(folder) | Self::Variables(folder)) = self;
        folder
    }
}

impl Ready {
    /// Reads all of it. `password_file` is the one of the command line, below the current folder.
    pub(super) fn prepare(origin: &Origin, password_file: Option<&Path>) -> Result<Self, Failure> {
        let folder = origin.folder();
        let root = folder.root().canonicalize().map_err(|error| {
            let text = format!("cannot use the folder {}: {error}", folder.root().display());
            Failure::message(Kind::Failed, text)
        })?;
        let variables = Variables::of_process();
        let mut warnings = Vec::new();
        let (mut settings, told) = match origin {
            Origin::File(folder) => {
                let unread: Vec<_> = variables.given().collect();
                if !unread.is_empty() {
                    let text =
                        format!("not read, since this folder has a worker.toml: {}", unread.join(", "));
                    warnings.push(text);
                }
                (file::read(&folder.settings())?, root.join("worker.toml").display().to_string())
            }
            Origin::Variables(_) => {
                let settings = variables.settings(password_file.is_none()).map_err(|problems| {
                    let text = "the environment does not say what a worker needs";
                    let hint = "see `lunabot-worker start --help`; or name a worker's folder".to_owned();
                    Failure::message(Kind::Failed, text).problems(problems).hint(hint)
                })?;
                let names: Vec<_> = variables.given().collect();
                (settings, format!("the environment ({})", names.join(", ")))
            }
        };
        let file = match (password_file, settings.password_file.take()) {
            (Some(path), _) => Some(path.to_owned()),
            (None, Some(path)) => Some(root.join(path)),
            (None, None) => None,
        };
        let password = match (file, settings.password.take()) {
            (Some(file), _) => read_password(&file, &mut warnings)?,
            (None, Some(password)) => password,
            (None, None) => unreachable!("settings without a password have a wrong"),
        };
        Ok(Self { folder: WorkerFolder::new(root), settings, password, origin: told, warnings })
    }
}

fn read_password(path: &Path, warnings: &mut Vec<String>) -> Result<Secret, Failure> {
    let shown = path.display();
    let password = password::from_file(path).map_err(|error| {
        let text = format!("cannot read the password in {shown}: {error}");
        Failure::message(Kind::Failed, text)
            .hint("it is one line in a file that the worker's user may read".to_owned())
    })?;
    // A warning only: what a container mounts has the mode that its engine likes, and nobody else is in there.
    if path.metadata().is_ok_and(|metadata| metadata.mode() & 0o006 != 0) {
        warnings.push(format!("all users of this machine may read the password in {shown}, or change it"));
    }
    Ok(password)
}
