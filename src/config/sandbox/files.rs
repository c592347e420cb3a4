//! The files that a configuration may read: `require`, `dofile`, `loadfile`, `io.open`, `io.lines`.
//!
//! # Laws
//! - `require` looks only below the folder of the main file.
//! - Each file that was read is noted, so that it can be watched.
//! - Once the load is over nothing is opened: the file system might not answer, and who reads what nobody watches is not
//!   told of its change.
//! - Only regular files are opened: reading a pipe or a terminal could wait for ever.

use std::{ffi::OsStr, fs, io, io::Read as _, os::unix::ffi::OsStrExt as _, path::Path, rc::Rc};

use mlua::{Function, Lua, LuaString, MultiValue, Table, Value, chunk::ChunkMode};

use super::globals::{relay, seal_library};
use crate::config::{LoadError, session::Session};

/// Where modules are kept that were required already; `false` while one is being loaded.
const LOADED: &str = "lunabot.loaded";

/// Reads the main file.
pub(in crate::config) fn read_main(path: &Path, most_bytes: usize) -> Result<Vec<u8>, LoadError> {
    let unfit = |what| LoadError::Unfit { path: path.to_owned(), what };
    match read_text(path, most_bytes) {
        Ok(Text::Whole(bytes)) => Ok(bytes),
        Ok(Text::NotRegular) => Err(unfit("not a regular file")),
        Ok(Text::TooLarge) => Err(unfit("larger than the memory that a configuration may use")),
        Err(source) => Err(LoadError::Read { path: path.to_owned(), source }),
    }
}

/// What a file holds.
enum Text {
    Whole(Vec<u8>),
    NotRegular,
    TooLarge,
}

fn read_text(path: &Path, most_bytes: usize) -> io::Result<Text> {
    // Asked before it is opened: to open a pipe already waits.
    if !fs::metadata(path)?.is_file() {
        return Ok(Text::NotRegular);
    }
    let limit = u64::try_from(most_bytes).unwrap_or(u64::MAX);
    let mut bytes = Vec::new();
    fs::File::open(path)?.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    Ok(if bytes.len() > most_bytes { Text::TooLarge } else { Text::Whole(bytes) })
}

/// The text without what Lua's own loader skips: a byte order mark, and a first line that begins with `#`.
pub(in crate::config) fn runnable(bytes: &[u8]) -> &[u8] {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    match bytes.first() {
        // The line's end stays, so that the lines keep their numbers.
        Some(b'#') => memchr::memchr(b'\n', bytes).map_or(&[], |end| &bytes[end..]),
        _ => bytes,
    }
}

/// Makes a module known that is in no file.
pub(in crate::config) fn provide(lua: &Lua, name: &str, module: &Table) -> mlua::Result<()> {
    lua.named_registry_value::<Table>(LOADED)?.raw_set(name, module)
}

pub(super) fn install(lua: &Lua, session: &Rc<Session>) -> mlua::Result<()> {
    lua.set_named_registry_value(LOADED, lua.create_table()?)?;
    let globals = lua.globals();
    {
        let session = Rc::clone(session);
        let require = lua.create_function(move |lua, name: LuaString| require(lua, &session, &name))?;
        globals.raw_set("require", require)?;
    }
    {
        let session = Rc::clone(session);
        let dofile = lua.create_function(move |lua, name: LuaString| {
            let path = session.folder().join(OsStr::from_bytes(&name.as_bytes()));
            chunk(lua, &session, &path)?.call::<MultiValue>(())
        })?;
        globals.raw_set("dofile", dofile)?;
    }
    {
        let session = Rc::clone(session);
        let loadfile =
            lua.create_function(move |lua, (name, _, env): (LuaString, Value, Option<Table>)| {
                let path = session.folder().join(OsStr::from_bytes(&name.as_bytes()));
                // Lua's own gives nil and the reason.
                match chunk(lua, &session, &path) {
                    Ok(function) => {
                        if let Some(env) = env {
                            function.set_environment(env)?;
                        }
                        Ok((Some(function), None))
                    }
                    Err(error) => Ok((None, Some(error.to_string()))),
                }
            })?;
        globals.raw_set("loadfile", loadfile)?;
    }
    reading_io(lua, session)
}

fn require(lua: &Lua, session: &Rc<Session>, name: &LuaString) -> mlua::Result<Value> {
    let loaded: Table = lua.named_registry_value(LOADED)?;
    match loaded.raw_get(name)? {
        Value::Nil => {}
        Value::Boolean(false) => {
            return Err(session.error(lua, format!("module `{}` requires itself", name.to_string_lossy())));
        }
        module => return Ok(module),
    }
    let shown = name.to_string_lossy();
    let is_plain = |part: &str| !part.is_empty() && !part.contains(['/', '\\', '\0']);
    if !shown.split('.').all(is_plain) {
        let text =
            format!("`{shown}` names no module; write `require \"lib.workers\"` for `lib/workers.lua`");
        return Err(session.error(lua, text));
    }
    session.only_in_a_load(lua, "no module can be read")?;
    let base = shown.replace('.', "/");
    let candidates = [format!("{base}.lua"), format!("{base}/init.lua")];
    let is_there = |path: &std::path::PathBuf| {
        // One that is not there is waited for.
        session.note_look(path);
        path.is_file()
    };
    let Some(found) = candidates.iter().map(|path| session.folder().join(path)).find(is_there) else {
        let [first, second] = candidates;
        let text = format!(
            "no module `{shown}`; there is neither `{first}` nor `{second}` in the folder of the main file"
        );
        return Err(session.error(lua, text));
    };
    loaded.raw_set(name, false)?;
    let result = chunk(lua, session, &found).and_then(|function| function.call::<Value>(name));
    match result {
        Ok(value) => {
            let value = if value.is_nil() { Value::Boolean(true) } else { value };
            loaded.raw_set(name, &value)?;
            Ok(value)
        }
        Err(error) => {
            loaded.raw_set(name, Value::Nil)?;
            Err(error)
        }
    }
}

/// The function that a file is.
fn chunk(lua: &Lua, session: &Session, path: &Path) -> mlua::Result<Function> {
    session.only_in_a_load(lua, "no file can be opened")?;
    let shown = path.strip_prefix(session.folder()).unwrap_or(path).to_string_lossy();
    session.note_look(path);
    let bytes = match read_text(path, session.meter.limits().memory_bytes) {
        Ok(Text::Whole(bytes)) => bytes,
        Ok(Text::NotRegular) => return Err(session.error(lua, format!("`{shown}` is not a regular file"))),
        Ok(Text::TooLarge) => return Err(session.error(lua, format!("`{shown}` is too large"))),
        Err(error) => return Err(session.error(lua, format!("cannot read `{shown}`: {error}"))),
    };
    session.note_read(path);
    // Known before it runs, so that an error in its syntax has its place.
    let name = session.file(&shown);
    session.note_text(&shown, &bytes);
    lua.load(runnable(&bytes)).set_name(format!("@{name}")).set_mode(ChunkMode::Text).into_function()
}

/// `io`, for reading only.
fn reading_io(lua: &Lua, session: &Rc<Session>) -> mlua::Result<()> {
    let all: Table = lua.globals().raw_get("io")?;
    let library = lua.create_table()?;
    library.raw_set("type", all.raw_get::<Function>("type")?)?;
    for name in ["open", "lines"] {
        let original: Function = all.raw_get(name)?;
        let session = Rc::clone(session);
        let guarded = lua.create_function(move |lua, arguments: MultiValue| {
            session.only_in_a_load(lua, "no file can be opened")?;
            let mut arguments = arguments.into_vec();
            let Some(Value::String(given)) = arguments.first() else {
                return Err(session.error(lua, format!("`io.{name}` takes the name of a file")));
            };
            let path = session.folder().join(OsStr::from_bytes(&given.as_bytes()));
            if name == "open"
                && let Some(Value::String(mode)) = arguments.get(1)
                && !["r", "rb"].iter().any(|reading| *mode == *reading)
            {
                let mode = mode.to_string_lossy();
                return Err(session
                    .error(lua, format!("a configuration may read files only, not open with {mode:?}")));
            }
            session.note_look(&path);
            match fs::metadata(&path) {
                Ok(metadata) if !metadata.is_file() => {
                    let shown = path.display();
                    return Err(session.error(lua, format!("`{shown}` is not a regular file")));
                }
                Ok(_) => session.note_read(&path),
                // The original tells why, in its own way.
                Err(_) => {}
            }
            arguments[0] = Value::String(lua.create_string(path.as_os_str().as_bytes())?);
            original
                .call::<MultiValue>(MultiValue::from_vec(arguments))
                .map_err(|error| relay(lua, &session, &error))
        })?;
        library.raw_set(name, guarded)?;
    }
    seal_library(lua, session, "io", &library)?;
    lua.globals().raw_set("io", library)
}
