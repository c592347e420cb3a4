//! What constructors make: a record in the making, seen from Lua as an object.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    rc::Rc,
};

use mlua::{AnyUserData, Lua, MetaMethod, MultiValue, UserData, UserDataMethods, UserDataRef, Value};

pub(in crate::config) use super::none::is_none;

use super::{call, dud::is_dud};
use crate::{
    config::{
        meter::Stop,
        session::Session,
        shape::{self, Shape},
    },
    definition::{
        Problem,
        options::{Class, Constructor, Kind, LOCK_ACCESS},
        record::{self, Record},
        render::Text,
        suggest,
    },
    model::Place,
};

/// The value of one option.
#[derive(Clone, Debug)]
pub(in crate::config) enum Field {
    /// A value of its own.
    Plain(record::Value),
    /// A table with options of its own, or what a constructor made.
    Part(Rc<Made>),
    /// A list of what constructors made.
    Parts(Vec<Rc<Made>>),
}

/// A record in the making. Parts stay linked until the file has ended, so that steps added later count.
#[derive(Debug)]
pub(in crate::config) struct Made {
    pub(in crate::config) constructor: &'static Constructor,
    pub(in crate::config) place: Place,
    /// An option that it cannot do without could not be read, which has been told.
    pub(in crate::config) broken: Cell<bool>,
    /// It became part of the configuration.
    pub(in crate::config) listed: Cell<bool>,
    pub(in crate::config) fields: RefCell<BTreeMap<&'static str, Field>>,
    /// The lines of single options, where they are known.
    pub(in crate::config) places: RefCell<BTreeMap<&'static str, Place>>,
    /// What it takes outside the interpreter, in bytes.
    pub(in crate::config) bytes: Cell<usize>,
}

/// What Lua holds of a [`Made`].
#[derive(Clone, Debug)]
pub(in crate::config) struct Handle {
    pub(in crate::config) made: Rc<Made>,
    session: Rc<Session>,
}

/// Where an access has its lock. It is no option, since nobody can give it another one.
pub(super) const OF_LOCK: &str = "lock";

/// A record takes this much without its texts.
const RECORD_BYTES: usize = 512;

impl Made {
    pub(in crate::config) fn new(constructor: &'static Constructor, place: Place) -> Self {
        Self {
            constructor,
            place,
            broken: Cell::new(false),
            listed: Cell::new(false),
            fields: RefCell::default(),
            places: RefCell::default(),
            bytes: Cell::new(RECORD_BYTES),
        }
    }

    /// Its name, if it has a good one.
    pub(in crate::config) fn name(&self) -> Option<String> {
        match self.fields.borrow().get("name") {
            Some(Field::Plain(record::Value::Text(Text::Plain(name)))) => Some(name.clone()),
            _ => None,
        }
    }

    /// As problems begin: `worker "bot1"`, or `worker.Worker` while it has no name.
    pub(in crate::config) fn label(&self) -> String {
        if let Some(lock) = self.lock() {
            return lock.label();
        }
        match self.name() {
            Some(name) => format!("{} {name:?}", self.constructor.class.noun()),
            None => self.constructor.path(),
        }
    }

    /// Of what is wanted of a lock: which lock.
    pub(in crate::config) fn lock(&self) -> Option<Rc<Self>> {
        match self.fields.borrow().get(OF_LOCK) {
            Some(Field::Part(lock)) => Some(Rc::clone(lock)),
            _ => None,
        }
    }

    /// The finished record; it and its parts are part of the configuration from now on.
    pub(in crate::config) fn finish(&self, session: &Session) -> Result<Record, Stop> {
        session.meter.copy(self.bytes.get())?;
        self.listed.set(true);
        let mut record = Record::new(self.constructor, self.place.clone());
        record.broken = self.broken.get();
        record.places = self.places.borrow().clone();
        for (name, field) in &*self.fields.borrow() {
            let value = match field {
                Field::Plain(value) => value.clone(),
                Field::Part(part) => {
                    let part_record = Box::new(part.finish(session)?);
                    // Without its factory a builder says nothing more, in which its own mistake was told already.
                    record.broken |= part_record.broken;
                    match self.constructor.option(name).map(|option| option.kind) {
                        Some(Kind::Record(_) | Kind::Switch(_)) => record::Value::Record(part_record),
                        _ => record::Value::Object(part_record),
                    }
                }
                Field::Parts(parts) => {
                    let records: Vec<Record> =
                        parts.iter().map(|part| part.finish(session)).collect::<Result<_, _>>()?;
                    if let Some(Kind::Records(_)) = self.constructor.option(name).map(|option| option.kind) {
                        record.broken |= records.iter().any(|part| part.broken);
                    }
                    record::Value::Objects(records)
                }
            };
            record.values.insert(name, value);
        }
        Ok(record)
    }

    /// Adds to the steps of a factory.
    fn add_steps(&self, steps: impl IntoIterator<Item = Rc<Self>>) {
        let mut fields = self.fields.borrow_mut();
        match fields.entry("steps").or_insert_with(|| Field::Parts(Vec::new())) {
            Field::Parts(parts) => parts.extend(steps),
            Field::Plain(_) | Field::Part(_) => {}
        }
    }
}

impl Handle {
    /// Makes a value known to the session and to Lua.
    pub(in crate::config) fn give(
        lua: &Lua,
        session: &Rc<Session>,
        made: Rc<Made>,
    ) -> mlua::Result<AnyUserData> {
        session.note_made(&made);
        lua.create_userdata(Self { made, session: Rc::clone(session) })
    }

    fn complain(&self, lua: &Lua, text: String, hint: Option<String>) {
        self.session.complain_here(lua, Problem::error(self.session.place(lua), text).hint(hint));
    }

    /// `factory:addStep(step)`, and with a dot as in Buildbot; `addSteps` takes a list.
    fn add(&self, lua: &Lua, method: &str, arguments: MultiValue) -> mlua::Result<()> {
        self.session.only_in_a_load(lua, "no step can be added")?;
        let mut arguments = arguments.into_vec();
        // With a colon, the factory itself comes first.
        if arguments.first().and_then(handle).is_some_and(|first| Rc::ptr_eq(&first.made, &self.made)) {
            arguments.remove(0);
        }
        let mut steps = Vec::new();
        if arguments.is_empty() {
            self.complain(lua, format!("{}: `{method}` takes a step", self.made.label()), None);
        }
        for argument in arguments {
            match argument {
                Value::Table(list) => match Shape::of(&list)?.into_list() {
                    Ok(list) => steps.extend(list),
                    Err(why) => {
                        let text = format!(
                            "{}: `{method}` takes steps, or a list of them; {why}",
                            self.made.label()
                        );
                        self.complain(lua, text, None);
                    }
                },
                step => steps.push(step),
            }
        }
        for step in steps {
            match handle(&step) {
                Some(step) if step.made.constructor.class == Class::Step => {
                    self.session.copy(lua, size_of::<usize>())?;
                    self.made.add_steps([Rc::clone(&step.made)]);
                }
                _ if is_dud(&step) => self.made.broken.set(true),
                _ => {
                    let text = format!(
                        "{}: `{method}` takes a step, not {}",
                        self.made.label(),
                        shape::describe(&step)
                    );
                    let hint = self.session.uncalled(&step);
                    self.complain(lua, text, hint);
                }
            }
        }
        Ok(())
    }

    /// `lock:access("counting", 2)`, and with a dot as in Buildbot.
    fn access(&self, lua: &Lua, arguments: MultiValue) -> mlua::Result<AnyUserData> {
        let mut arguments = arguments;
        if arguments.front().and_then(handle).is_some_and(|first| Rc::ptr_eq(&first.made, &self.made)) {
            arguments.pop_front();
        }
        call::construct_of(lua, &self.session, &LOCK_ACCESS, arguments, Some(&self.made))
    }

    /// What can be called of it.
    fn methods(&self) -> &'static [&'static str] {
        match self.made.constructor.class {
            Class::Factory => &["addStep", "addSteps"],
            Class::Lock => &["access"],
            _ => &[],
        }
    }

    fn read(&self, lua: &Lua, key: &Value) -> mlua::Result<Value> {
        let Value::String(key) = key else { return Ok(Value::Nil) };
        let key = key.to_string_lossy();
        if self.methods().contains(&key.as_str()) {
            let this = self.clone();
            let method = match self.made.constructor.class {
                Class::Lock => lua.create_function(move |lua, arguments| this.access(lua, arguments))?,
                _ => lua.create_function(move |lua, arguments| this.add(lua, &key, arguments))?,
            };
            return Ok(Value::Function(method));
        }
        match self.made.fields.borrow().get(key.as_str()) {
            Some(Field::Plain(record::Value::Text(Text::Plain(text)))) => {
                return lua.create_string(text).map(Value::String);
            }
            Some(Field::Plain(record::Value::Integer(number))) => return Ok(Value::Integer(*number)),
            Some(Field::Plain(record::Value::Bool(flag))) => return Ok(Value::Boolean(*flag)),
            _ => {}
        }
        if self.made.constructor.option(&key).is_none() {
            let names = self.made.constructor.options().map(|option| option.name);
            let hint = suggest::did_you_mean(&key, names.chain(self.methods().iter().copied()));
            self.complain(lua, format!("{} has no `{key}`", self.made.label()), hint);
            // It will be called, or read further; neither may hide what follows.
            return lua.create_userdata(super::dud::Dud(Rc::clone(&self.session))).map(Value::UserData);
        }
        Ok(Value::Nil)
    }

    fn write(&self, lua: &Lua, key: &Value) {
        let text = format!(
            "{}: {} cannot be set afterwards",
            self.made.label(),
            match key {
                Value::String(key) => format!("`{}`", key.to_string_lossy()),
                other => shape::describe(other),
            }
        );
        self.complain(lua, text, Some(format!("give it to `{}`", self.made.constructor.path())));
    }
}

impl UserData for Handle {
    fn add_methods<M: UserDataMethods<Self>>(methods: &mut M) {
        methods.add_meta_method(MetaMethod::Index, |lua, this, key: Value| this.read(lua, &key));
        methods.add_meta_method(MetaMethod::NewIndex, |lua, this, (key, _): (Value, Value)| {
            this.write(lua, &key);
            Ok(())
        });
        methods.add_meta_method(MetaMethod::ToString, |_, this, ()| Ok(this.made.label()));
    }
}

/// What a constructor made, if the value is that.
pub(in crate::config) fn handle(value: &Value) -> Option<UserDataRef<Handle>> {
    match value {
        Value::UserData(data) => data.borrow::<Handle>().ok(),
        _ => None,
    }
}

/// For people, if it is something made.
pub(in crate::config) fn describe(value: &Value) -> Option<String> {
    handle(value).map(|handle| format!("a {}", handle.made.constructor.class.noun()))
}
