//! The functions of `string` that take patterns or repeat, on our own matcher.

use std::{cell::Cell, rc::Rc};

use mlua::{Function, Lua, LuaString, MultiValue, Table, Value};

use super::{
    globals::{relay, seal_library},
    pattern::{Captured, Fault, Matcher},
};
use crate::config::session::Session;

/// Text, pattern, where to begin, and whether the pattern is plain text.
type Find = (LuaString, LuaString, Option<i64>, Option<bool>);
/// Text, pattern, where to begin.
type Gmatch = (LuaString, LuaString, Option<i64>);
/// Text, pattern, by what, and how often at most.
type Gsub = (LuaString, LuaString, Value, Option<i64>);
/// Text, how often, with what between.
type Rep = (LuaString, i64, Option<LuaString>);

pub(super) fn install(lua: &Lua, session: &Rc<Session>) -> mlua::Result<()> {
    let library: Table = lua.globals().raw_get("string")?;
    // Precompiled chunks cannot be loaded, so there is no use in making them.
    library.raw_set("dump", Value::Nil)?;

    for (name, captures_only) in [("find", false), ("match", true)] {
        let session = Rc::clone(session);
        let function = lua.create_function(move |lua, (text, pattern, start, plain): Find| {
            let plain = plain.unwrap_or(false) && !captures_only;
            find(lua, &session, &text.as_bytes(), &pattern.as_bytes(), start, plain, captures_only)
        })?;
        library.raw_set(name, function)?;
    }
    {
        let session = Rc::clone(session);
        let function = lua.create_function(move |lua, arguments: Gmatch| gmatch(lua, &session, arguments))?;
        library.raw_set("gmatch", function)?;
    }
    {
        let session = Rc::clone(session);
        let function = lua.create_function(move |lua, (text, pattern, with, most): Gsub| {
            gsub(lua, &session, &text.as_bytes(), &pattern.as_bytes(), &with, most)
        })?;
        library.raw_set("gsub", function)?;
    }
    {
        let (session, original) = (Rc::clone(session), library.raw_get::<Function>("rep")?);
        let function = lua.create_function(move |lua, (text, count, separator): Rep| {
            // The original counts to the end even where there is nothing to write.
            if text.as_bytes().is_empty() && separator.as_ref().is_none_or(|text| text.as_bytes().is_empty())
            {
                return lua.create_string("").map(Value::String);
            }
            original.call((text, count, separator)).map_err(|error| relay(lua, &session, &error))
        })?;
        library.raw_set("rep", function)?;
    }
    seal_library(lua, session, "string", &library)
}

/// Where a search begins, counted from 0; nothing if that is behind the end.
fn begin(start: Option<i64>, length: usize) -> Option<usize> {
    let start = start.unwrap_or(1);
    match start {
        1.. => usize::try_from(start - 1).ok().filter(|begin| *begin <= length),
        0 => Some(0),
        _ => {
            let back = usize::try_from(start.unsigned_abs()).unwrap_or(usize::MAX);
            Some(length.saturating_sub(back))
        }
    }
}

fn anchored(pattern: &[u8]) -> (bool, &[u8]) {
    pattern.strip_prefix(b"^").map_or((false, pattern), |rest| (true, rest))
}

fn find(
    lua: &Lua,
    session: &Session,
    text: &[u8],
    pattern: &[u8],
    start: Option<i64>,
    plain: bool,
    captures_only: bool,
) -> mlua::Result<MultiValue> {
    let none = || MultiValue::from_iter([Value::Nil]);
    let Some(begin) = begin(start, text.len()) else { return Ok(none()) };
    let mut out = MultiValue::new();
    if plain {
        session.meter.spend(text.len() as u64 / 16).map_err(|stop| session.stop_here(lua, stop))?;
        let Some(at) = memchr::memmem::find(&text[begin..], pattern) else { return Ok(none()) };
        out.push_back(position(begin + at + 1));
        out.push_back(position(begin + at + pattern.len()));
        return Ok(out);
    }
    let (anchored, pattern) = anchored(pattern);
    let mut matcher = Matcher::new(text, pattern, &session.meter);
    let Some((from, to)) = matcher.search(begin, anchored).map_err(|fault| raise(lua, session, fault))?
    else {
        return Ok(none());
    };
    if !captures_only {
        out.push_back(position(from + 1));
        out.push_back(position(to));
        if matcher.is_bare() {
            return Ok(out);
        }
    }
    push_captures(lua, session, &matcher, text, (from, to), &mut out)?;
    Ok(out)
}

fn gmatch(lua: &Lua, session: &Rc<Session>, (text, pattern, start): Gmatch) -> mlua::Result<Function> {
    let session = Rc::clone(session);
    let next = Cell::new(begin(start, text.as_bytes().len()));
    let last_end = Cell::new(None);
    lua.create_function(move |lua, ()| {
        let (text, pattern) = (text.as_bytes(), pattern.as_bytes());
        let mut matcher = Matcher::new(&text, &pattern, &session.meter);
        let mut out = MultiValue::new();
        let Some(mut from) = next.get() else { return Ok(MultiValue::from_iter([Value::Nil])) };
        while from <= text.len() {
            match matcher.match_at(from).map_err(|fault| raise(lua, &session, fault))? {
                // An empty match where the last one ended is that one again.
                Some(to) if last_end.get() != Some(to) => {
                    next.set(Some(to));
                    last_end.set(Some(to));
                    push_captures(lua, &session, &matcher, &text, (from, to), &mut out)?;
                    return Ok(out);
                }
                _ => from += 1,
            }
        }
        next.set(None);
        out.push_back(Value::Nil);
        Ok(out)
    })
}

fn gsub(
    lua: &Lua,
    session: &Session,
    text: &[u8],
    pattern: &[u8],
    with: &Value,
    most: Option<i64>,
) -> mlua::Result<(LuaString, i64)> {
    let with = match with {
        Value::Integer(_) | Value::Number(_) => match lua.coerce_string(with.clone())? {
            Some(text) => Value::String(text),
            None => Value::Nil,
        },
        other => other.clone(),
    };
    if !matches!(with, Value::String(_) | Value::Table(_) | Value::Function(_)) {
        let text = format!("`string.gsub` replaces by text, a table or a function, not {}", with.type_name());
        return Err(session.error(lua, text));
    }
    let (anchored, pattern) = anchored(pattern);
    let mut matcher = Matcher::new(text, pattern, &session.meter);
    let mut out = Vec::new();
    let (mut at, mut last_end, mut count) = (0, None, 0);
    while most.is_none_or(|most| count < most) {
        match matcher.match_at(at).map_err(|fault| raise(lua, session, fault))? {
            Some(end) if last_end != Some(end) => {
                count += 1;
                replace(lua, session, &matcher, text, (at, end), &with, &mut out)?;
                at = end;
                last_end = Some(end);
            }
            _ if at < text.len() => {
                out.push(text[at]);
                at += 1;
            }
            _ => break,
        }
        // The result grows outside the interpreter, whose own limit does not see it.
        if out.len() > session.meter.limits().memory_bytes {
            return Err(session.error(lua, "the resulting string is too large"));
        }
        if anchored || at > text.len() {
            break;
        }
    }
    out.extend_from_slice(text.get(at..).unwrap_or_default());
    Ok((lua.create_string(&out)?, count))
}

fn replace(
    lua: &Lua,
    session: &Session,
    matcher: &Matcher<'_>,
    text: &[u8],
    (from, to): (usize, usize),
    with: &Value,
    out: &mut Vec<u8>,
) -> mlua::Result<()> {
    let value = match with {
        Value::String(template) => {
            return expand(lua, session, matcher, text, (from, to), &template.as_bytes(), out);
        }
        Value::Table(table) => table.get(one(lua, session, matcher, text, 0, (from, to))?)?,
        Value::Function(function) => {
            let mut captures = MultiValue::new();
            push_captures(lua, session, matcher, text, (from, to), &mut captures)?;
            function.call::<Value>(captures)?
        }
        _ => Value::Nil,
    };
    match value {
        Value::Nil | Value::Boolean(false) => out.extend_from_slice(&text[from..to]),
        Value::String(_) | Value::Integer(_) | Value::Number(_) => {
            if let Some(text) = lua.coerce_string(value)? {
                out.extend_from_slice(&text.as_bytes());
            }
        }
        other => {
            return Err(session.error(lua, format!("invalid replacement value (a {})", other.type_name())));
        }
    }
    Ok(())
}

/// `%1` in the text that replaces.
fn expand(
    lua: &Lua,
    session: &Session,
    matcher: &Matcher<'_>,
    text: &[u8],
    (from, to): (usize, usize),
    template: &[u8],
    out: &mut Vec<u8>,
) -> mlua::Result<()> {
    let mut bytes = template.iter();
    while let Some(&byte) = bytes.next() {
        if byte != b'%' {
            out.push(byte);
            continue;
        }
        match bytes.next() {
            Some(b'%') => out.push(b'%'),
            Some(b'0') => out.extend_from_slice(&text[from..to]),
            Some(digit) if digit.is_ascii_digit() => {
                let index = usize::from(digit - b'1');
                match matcher.capture(index, from, to).map_err(|fault| raise(lua, session, fault))? {
                    Captured::Text(from, to) => out.extend_from_slice(&text[from..to]),
                    Captured::Position(at) => out.extend_from_slice(at.to_string().as_bytes()),
                }
            }
            _ => return Err(session.error(lua, "invalid use of '%' in replacement string")),
        }
    }
    Ok(())
}

fn push_captures(
    lua: &Lua,
    session: &Session,
    matcher: &Matcher<'_>,
    text: &[u8],
    whole: (usize, usize),
    out: &mut MultiValue,
) -> mlua::Result<()> {
    for index in 0..matcher.count() {
        out.push_back(one(lua, session, matcher, text, index, whole)?);
    }
    Ok(())
}

fn one(
    lua: &Lua,
    session: &Session,
    matcher: &Matcher<'_>,
    text: &[u8],
    index: usize,
    (from, to): (usize, usize),
) -> mlua::Result<Value> {
    match matcher.capture(index, from, to).map_err(|fault| raise(lua, session, fault))? {
        Captured::Text(from, to) => lua.create_string(&text[from..to]).map(Value::String),
        Captured::Position(at) => Ok(position(at)),
    }
}

fn position(at: usize) -> Value {
    Value::Integer(i64::try_from(at).unwrap_or(i64::MAX))
}

fn raise(lua: &Lua, session: &Session, fault: Fault) -> mlua::Error {
    match fault {
        Fault::Malformed(text) => session.error(lua, text),
        Fault::Stop(stop) => session.stop_here(lua, stop),
    }
}
