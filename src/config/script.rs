//! One load, on the thread of its own: an interpreter is made, runs the file, and what it gathered becomes a draft. If the
//! file gave functions away, the interpreter is kept ([`Live`]).

use std::{path::Path, rc::Rc, sync::Arc};

use mlua::{Error, Lua, chunk::ChunkMode};

use super::{
    LoadError,
    api::{
        self,
        made::{Field, Made},
        master::Master,
        none::NoneValue,
    },
    calls::Live,
    hooks,
    meter::{Limits, Meter, Seen, Stop},
    sandbox::{self, Given},
    session::{FilesRead, Session, note_look},
    source::Sources,
    trace::{frames, split_place},
};
use crate::definition::{
    Draft, Problem,
    options::{Class, MASTER},
    record::{self, Record},
};

/// What a load has come to.
pub(super) struct Ran {
    /// The values, and what is wrong with them.
    pub(super) draft: Draft,
    /// The texts of the files that ran.
    pub(super) sources: Sources,
    /// The interpreter, if functions of it are to be called.
    pub(super) live: Option<Live>,
    /// What nobody needs any more.
    pub(super) rest: Rest,
}

/// What a load leaves behind. To take it apart takes a quarter of the time of the whole load, for which nobody needs to wait.
#[expect(dead_code, reason = "it is here to be dropped")]
pub(super) struct Rest {
    record: Option<Record>,
    made: Option<Made>,
    lua: Option<Lua>,
    session: Rc<Session>,
}

/// Reads and runs the file at `path`, which is shown as `shown`.
pub(super) fn run(
    path: &Path,
    shown: Arc<str>,
    limits: Limits,
    seen: Arc<Seen>,
    read: &FilesRead,
) -> Result<Ran, LoadError> {
    note_look(read, path);
    let text = sandbox::read_main(path, limits.memory_bytes)?;
    let folder = path.parent().unwrap_or(Path::new("")).to_owned();
    let session = Rc::new(Session::new(Meter::new(limits, seen), folder, shown, Arc::clone(read)));
    session.note_read(path);
    session.note_text(path, &session.main().file, &text);
    let (record, made, lua, is_kept) = match evaluate(&session, sandbox::runnable(&text)) {
        Ok((made, lua, is_kept)) => (finish(&session, &made), Some(made), Some(lua), is_kept),
        Err(error) => {
            complain(&session, &error);
            (None, None, None, false)
        }
    };
    let mut draft = match &record {
        Some(record) => {
            if session.is_well() {
                // What is used nowhere may be so because of what is wrong.
                unlisted(&session);
                session.tell_remarks();
            }
            Draft::from_record(record, session.take_problems())
        }
        None => broken_off(&session),
    };
    let lost = session.lost();
    draft.unreadable.extend(lost.names);
    draft.is_incomplete |= lost.nameless;
    let sources = session.sources();
    let live = lua.as_ref().filter(|_| is_kept).map(|lua| Live::new(lua.clone(), Rc::clone(&session)));
    Ok(Ran { draft, sources, live, rest: Rest { record, made, lua, session } })
}

/// Runs the text; what it assigned to `c`, unless it was broken off, the interpreter, and whether it gave functions away.
fn evaluate(session: &Rc<Session>, text: &[u8]) -> mlua::Result<(Made, Lua, bool)> {
    let lua = sandbox::interpreter(session)?;
    api::install(&lua, session)?;
    let master = Master::new(&lua, session)?;
    let none = NoneValue::install(&lua)?;
    sandbox::arm(&lua, session, Given { c: master.c.clone(), none })?;
    let name = format!("@{}", session.main().file);
    lua.load(text).set_name(name).set_mode(ChunkMode::Text).into_function()?.call::<()>(())?;
    reading(&lua, session)?;
    let made = master.finish(&lua, session)?;
    let is_kept = hooks::any(&lua)?;
    Ok((made, lua, is_kept))
}

/// From here on nothing of the operator's runs; but a load that was stopped has nothing to be read.
fn reading(lua: &Lua, session: &Session) -> mlua::Result<()> {
    if session.meter.is_stopped() {
        return Err(Error::runtime("the load was stopped"));
    }
    lua.remove_global_hook();
    Ok(())
}

fn finish(session: &Session, made: &Made) -> Option<Record> {
    made.finish(session).map_err(|stop: Stop| session.stop(stop, session.main())).ok()
}

/// The draft of a file that did not reach its end. Its parts are held to their own laws, so that one load tells as much as
/// it can; but the whole is not there, and nothing can be said of what it lacks.
fn broken_off(session: &Session) -> Draft {
    let mut whole = Record::new(&MASTER, session.main());
    for made in session.made().iter().filter(|made| !made.broken.get()) {
        let option = match made.constructor.class {
            Class::Worker => "workers",
            Class::Builder => "builders",
            Class::Scheduler => "schedulers",
            Class::Reporter => "reporters",
            Class::SecretsProvider => "secretsProviders",
            Class::Factory
            | Class::Step
            | Class::Lock
            | Class::LockAccess
            | Class::Generator
            | Class::Formatter
            | Class::Settings => continue,
        };
        let Ok(part) = made.finish(session) else { break };
        if let record::Value::Objects(parts) =
            whole.values.entry(option).or_insert_with(|| record::Value::Objects(Vec::new()))
        {
            parts.push(part);
        }
    }
    let mut draft = Draft::from_record(&whole, session.take_problems());
    draft.workers.clear();
    draft.builders.clear();
    draft.schedulers.clear();
    draft.reporters.clear();
    draft.secrets_providers.clear();
    draft.is_incomplete = true;
    draft
}

/// Warns of what was made and is used nowhere.
fn unlisted(session: &Session) {
    // Of what is not used, what it wants of locks says nothing more, and of an access its lock.
    for made in session.made() {
        match made.fields.borrow().get("locks") {
            // Of these, where they stand is what is told.
            Some(Field::Parts(accesses)) => accesses.iter().for_each(|access| access.listed.set(true)),
            Some(Field::Plain(_) | Field::Part(_)) | None => {}
        }
        if let Some(lock) = made.lock() {
            lock.listed.set(true);
        }
    }
    // Of a factory that is not used, its steps say nothing more.
    for factory in session.made().iter().filter(|made| made.constructor.class == Class::Factory) {
        for field in factory.fields.borrow().values() {
            if let Field::Parts(steps) = field {
                for step in steps {
                    step.listed.set(true);
                }
            }
        }
    }
    for made in session.made() {
        if made.listed.get() || made.broken.get() {
            continue;
        }
        let lacks = match made.constructor.class {
            Class::Worker => "made, but not listed in `c.workers`",
            Class::Builder => "made, but not listed in `c.builders`",
            Class::Scheduler => "made, but not listed in `c.schedulers`",
            Class::Reporter => "made, but not listed in `c.reporters`",
            Class::Generator => "made, but no reporter in `c.reporters` uses it",
            Class::Formatter => "made, but nothing in `c.reporters` uses it",
            Class::SecretsProvider => "made, but not listed in `c.secretsProviders`",
            Class::Lock => {
                "made, but nothing in the configuration wants it: no access of it stands in a `locks`"
            }
            Class::LockAccess => "made, but in no `locks` of the configuration",
            Class::Factory => "made, but no builder in `c.builders` uses it",
            Class::Step => "made, but in no factory",
            Class::Settings => continue,
        };
        session.complain(Problem::warning(
            made.place.clone(),
            "unused value",
            format!("{}: {lacks}", made.label()),
        ));
    }
}

/// The error that ended the file, or a call of a function, as a problem at its line.
pub(super) fn complain(session: &Session, error: &Error) {
    const SHOWN: usize = 500;
    if session.meter.is_stopped() {
        // Told when it happened.
        return;
    }
    let mut cause = error;
    let mut outer = None;
    loop {
        match cause {
            Error::CallbackError { cause: inner, traceback } => {
                // The innermost one has all frames.
                outer = Some(traceback.clone());
                cause = inner;
            }
            Error::WithContext { cause: inner, .. } => cause = inner,
            _ => break,
        }
    }
    let last_seen = || session.raised().unwrap_or_else(|| session.meter.seen().place());
    if let Error::MemoryError(_) = cause {
        let text = format!(
            "not enough memory; a configuration may use {} MiB (--config-memory)",
            session.meter.limits().memory_bytes >> 20
        );
        session.complain(Problem::error(session.meter.seen().place(), text));
        return;
    }
    let whole = match cause {
        Error::SyntaxError { message, .. } => message.clone(),
        Error::RuntimeError(text) => text.clone(),
        other => other.to_string(),
    };
    let (text, traceback) = whole.split_once("\nstack traceback:").unwrap_or((&whole, ""));
    let traceback = outer.as_deref().unwrap_or(traceback);
    let (mut place, mut text) = split_place(session, text).unwrap_or_else(|| (last_seen(), text));
    // `coroutine.wrap` and who raises an error again put their own line before it; the traceback has that as well.
    while let Some(inner) = split_place(session, text) {
        (place, text) = inner;
    }
    // `nil` in the place of an undefined name is the same mistake as the name.
    let names_undefined = text
        .split_once("(global '")
        .and_then(|(_, rest)| rest.split_once('\''))
        .is_some_and(|(name, _)| session.is_undefined(name, &place));
    if !names_undefined {
        let hint = text
            .ends_with("near '['")
            .then(|| "lists are written with braces: `{ \"a\", \"b\" }`".to_owned());
        let text: String = named(text).chars().take(SHOWN).collect();
        let trace = frames(session, traceback, &place);
        let place = match near(&text) {
            Some(word) => session.at_text(place, word),
            None => place,
        };
        session.complain(Problem { trace, ..Problem::error(place, text).hint(hint) });
    }
}

/// The word of the line that Lua speaks of: `(local 'x')`, `(field 'x')`, `near 'x'`.
fn near(text: &str) -> Option<&str> {
    let kinds = ["(global '", "(local '", "(upvalue '", "(field '", "(method '", "near '"];
    let (_, rest) = kinds.iter().find_map(|kind| text.split_once(kind))?;
    rest.split_once('\'').map(|(word, _)| word)
}

/// An error may be any value, and Lua shows some by their address, which says nothing.
fn named(text: &str) -> &str {
    match text.split_once(": 0x").map(|(kind, _)| kind) {
        Some("table") => "a table was raised as error",
        Some("function") => "a function was raised as error",
        Some("thread") => "a coroutine was raised as error",
        _ => text,
    }
}
