//! `lunabot create-master`.

use std::{fs, io, path::Path, process::ExitCode};

use anyhow::Context as _;

use crate::{
    cli::failure::{Failure, Kind},
    definition::document::{LUALS_PLUGINS, luals_stubs},
    master::socket,
    secret,
};

/// The configuration of a new master: short, commented, runs as it is.
const CONFIG: &str = include_str!("master.cfg.lua");

/// Tells LuaLS and EmmyLua where the types are, and which names are given. `require` is told by our own types.
const LUARC: &str = r#"{
  "runtime.version": "Lua 5.4",
  "runtime.path": ["?.lua", "?/init.lua"],
  "runtime.builtin": { "package": "disable" },
  "workspace.library": [".lunabot"],
  "workspace.checkThirdParty": false,
  "diagnostics.globals": ["c", "None"]
}
"#;

/// Where editors look for [`LUARC`].
const LUARC_NAME: &str = ".luarc.json";

/// The folder of the types for editors, below the master's.
const TYPES: &str = ".lunabot";

/// Makes a folder for a new master. What is there already stays as it is.
pub(super) fn run(dir: &Path) -> Result<ExitCode, Failure> {
    let config = dir.join("master.cfg.lua");
    if config.exists() {
        let text = format!("{} is there already", config.display());
        let dir = dir.display();
        let hint =
            format!("start it with `lunabot start {dir}`; `--editor` renews what is there for editors only");
        return Err(Failure::message(Kind::Failed, text).hint(hint));
    }
    let whole = std::path::absolute(dir).unwrap_or_else(|_| dir.to_owned());
    if let Err(error) = socket::check_path(&whole.join("lunabot.sock")) {
        return Err(
            Failure::new(Kind::Environment, error).hint("choose a folder with a shorter path".to_owned())
        );
    }
    let write = || -> anyhow::Result<()> {
        write_types(dir)?;
        create_private_dir(&dir.join(secret::DEFAULT_FOLDER))?;
        // Last: a folder with a configuration is a whole master.
        write_new(&config, CONFIG)
    };
    write().map_err(unwritable)?;
    anstream::println!("a new master lies in {}", dir.display());
    anstream::println!("  its configuration: {}", config.display());
    anstream::println!("  start it:          lunabot start {}", dir.display());
    anstream::println!("  try a build:       lunabot force {} hello --wait", dir.display());
    Ok(ExitCode::SUCCESS)
}

/// Writes what editors need, and nothing else: for a folder that is a master's, or where a configuration is written.
pub(super) fn editor(dir: &Path) -> Result<ExitCode, Failure> {
    write_types(dir).map_err(unwritable)?;
    anstream::println!(
        "the types for editors lie in {}, and {} leads to them",
        dir.join(TYPES).display(),
        dir.join(LUARC_NAME).display()
    );
    Ok(ExitCode::SUCCESS)
}

fn unwritable(error: anyhow::Error) -> Failure {
    Failure::new(Kind::Environment, error).hint("check the owner and mode of the folder above it".to_owned())
}

/// Writes the types for editors, over those of another version, and the settings that lead to them if there are none.
fn write_types(dir: &Path) -> anyhow::Result<()> {
    let types = dir.join(TYPES);
    let plugins = |name: &str| types.join(name).join("plugins.lua");
    for (path, text) in [
        (types.join("lunabot.lua"), &*luals_stubs()),
        (plugins("buildbot"), LUALS_PLUGINS),
        (plugins("lunabot"), LUALS_PLUGINS),
    ] {
        create_dir(path.parent().unwrap_or(&types))?;
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    write_new(&dir.join(LUARC_NAME), LUARC)
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
