//! From a Lua table to the watched files of a command.

use std::collections::BTreeMap;

use mlua::{Table, Value};

use super::{
    api::dud::is_dud,
    field::{Taken, VALUE_BYTES, Wrong, because, text},
    shape::{Shape, describe},
};
use crate::definition::WatchedFile;

/// Reads `{ name = path, other = { filename = path, follow = true } }`.
pub(super) fn log_files(
    table: &Table,
    renderable: bool,
    bytes: &mut usize,
) -> Taken<BTreeMap<String, WatchedFile>> {
    let shape = Shape::of(table)?;
    if let Some(index) = shape.numbered.keys().next() {
        return Ok(because(format!("takes a table of names and paths; it has the key {index}")));
    }
    if let Some(odd) = shape.odd.first() {
        return Ok(because(format!("takes a table of names and paths; it has {odd} as key")));
    }
    let mut files = BTreeMap::new();
    for (name, value) in shape.named {
        *bytes = bytes.saturating_add(name.len() + VALUE_BYTES);
        let (path, follow) = match &value {
            Value::Table(table) => {
                let mut named = Shape::of(table)?.named;
                let path = named.remove("filename").unwrap_or(Value::Nil);
                let follow = match named.remove("follow") {
                    None => false,
                    Some(Value::Boolean(follow)) => follow,
                    Some(other) => {
                        let found = describe(&other);
                        return Ok(because(format!(
                            "file `{name}`: `follow` takes true or false, not {found}"
                        )));
                    }
                };
                if let Some(other) = named.keys().next() {
                    return Ok(because(format!(
                        "file `{name}` has `{other}`; there are `filename` and `follow`"
                    )));
                }
                (path, follow)
            }
            value => (value.clone(), false),
        };
        match text(&path, renderable, bytes) {
            Ok(path) => files.insert(name, WatchedFile { path, follow }),
            Err(_) if is_dud(&path) => return Ok(Err(Wrong::Told)),
            Err(Wrong::Because(reason)) => return Ok(because(format!("file `{name}` {reason}"))),
            Err(_) => {
                return Ok(because(format!("file `{name}` takes its path as text, not {}", describe(&path))));
            }
        };
    }
    Ok(Ok(files))
}
