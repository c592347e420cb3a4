//! `lunabot create-master`.

use std::{fs, io, path::Path, process::ExitCode};

use anyhow::Context as _;

use crate::{
    cli::failure::{Failure, Kind},
    definition::document,
    master::socket,
    secret,
};

/// The configuration of a new master: short, commented, runs as it is.
const CONFIG: &str = include_str!("master.cfg.lua");

/// Tells LuaLS where the types are, and which names are given.
const LUARC: &str = r#"{
  "runtime.version": "Lua 5.4",
  "workspace.library": [".lunabot"],
  "diagnostics.globals": ["c", "None"]
}
"#;

/// Makes a folder for a new master. What is there already stays as it is.
pub(super) fn run(dir: &Path) -> Result<ExitCode, Failure> {
    let config = dir.join("master.cfg.lua");
    if config.exists() {
        let text = format!("{} is there already", config.display());
        let hint = format!("start it with `lunabot start {}`", dir.display());
        return Err(Failure::message(Kind::Failed, text).hint(hint));
    }
    let whole = std::path::absolute(dir).unwrap_or_else(|_| dir.to_owned());
    if let Err(error) = socket::check_path(&whole.join("lunabot.sock")) {
        return Err(
            Failure::new(Kind::Environment, error).hint("choose a folder with a shorter path".to_owned())
        );
    }
    let write = || -> anyhow::Result<()> {
        create_dir(&dir.join(".lunabot"))?;
        create_private_dir(&dir.join(secret::DEFAULT_FOLDER))?;
        write_new(&dir.join(".lunabot").join("lunabot.lua"), &document::luals_stubs())?;
        write_new(&dir.join(".luarc.json"), LUARC)?;
        // Last: a folder with a configuration is a whole master.
        write_new(&config, CONFIG)
    };
    write().map_err(|error| {
        Failure::new(Kind::Environment, error)
            .hint("check the owner and mode of the folder above it".to_owned())
    })?;
    anstream::println!("a new master lies in {}", dir.display());
    anstream::println!("  its configuration: {}", config.display());
    anstream::println!("  start it:          lunabot start {}", dir.display());
    anstream::println!("  try a build:       lunabot force {} hello --wait", dir.display());
    Ok(ExitCode::SUCCESS)
}

fn create_dir(path: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(path).with_context(|| format!("cannot make the folder {}", path.display()))
}

/// For the master's user alone.
fn create_private_dir(path: &Path) -> anyhow::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    match fs::DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        other => other.with_context(|| format!("cannot make the folder {}", path.display())),
    }
}

fn write_new(path: &Path, text: &str) -> anyhow::Result<()> {
    match fs::File::create_new(path).and_then(|mut file| io::Write::write_all(&mut file, text.as_bytes())) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        other => other.with_context(|| format!("cannot write {}", path.display())),
    }
}
