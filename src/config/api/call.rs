//! A call of a constructor: the forms in which arguments may come.
//!
//! As in Buildbot, by position and by name: `worker.Worker("bot", "secret", { max_builds = 2 })`. Or all in one table:
//! `worker.Worker { "bot", "secret", max_builds = 2 }`.

use std::{collections::BTreeMap, rc::Rc};

use mlua::{AnyUserData, Lua, MultiValue, Value};

use super::{
    dud::is_dud,
    made::{Field, Handle, Made, OF_LOCK, handle},
};
use crate::{
    config::{field::Reader, session::Session, shape::Shape, source::Given},
    definition::options::{Constructor, Kind},
    model::Place,
};

/// Arguments, sorted.
#[derive(Debug, Default)]
struct Arguments {
    /// By position, from 0.
    positional: BTreeMap<usize, Value>,
    named: BTreeMap<String, Value>,
    /// What is wrong with their form.
    faults: Vec<String>,
    /// One of them stands for a thing that could not be made.
    has_dud: bool,
}

/// Makes the value; what is wrong is told, and the value is given all the same.
pub(super) fn construct(
    lua: &Lua,
    session: &Rc<Session>,
    constructor: &'static Constructor,
    arguments: MultiValue,
) -> mlua::Result<AnyUserData> {
    construct_of(lua, session, constructor, arguments, None)
}

/// The same for a method of a lock: what it makes is of that lock.
pub(super) fn construct_of(
    lua: &Lua,
    session: &Rc<Session>,
    constructor: &'static Constructor,
    arguments: MultiValue,
    lock: Option<&Rc<Made>>,
) -> mlua::Result<AnyUserData> {
    session.only_in_a_load(lua, &format!("`{}` cannot be made", constructor.path()))?;
    let arguments = sort(constructor, arguments.into_vec())?;
    let place = arguments.place_of_call(lua, session, constructor);
    let made = Rc::new(Made::new(constructor, place.clone()));
    made.broken.set(arguments.has_dud || lock.is_some_and(|lock| lock.broken.get()));
    if let Some(lock) = lock {
        made.fields.borrow_mut().insert(OF_LOCK, Field::Part(Rc::clone(lock)));
    }
    let mut reader = Reader { lua, session, place, label: Some(constructor.path()), prefix: String::new() };

    let mut named = arguments.named;
    let mut faults = arguments.faults;
    let most = constructor.positional.len();
    if let Some((last, _)) = arguments.positional.last_key_value()
        && *last >= most
    {
        faults.push(match constructor.positional {
            [] => "takes its options by name only: `{ name = value }`".to_owned(),
            [one] => format!("takes one argument by position (`{one}`), not {}", last + 1),
            several => {
                format!("takes {most} arguments by position (`{}`), not {}", several.join("`, `"), last + 1)
            }
        });
        // What was meant for the missing ones may be among them.
        made.broken.set(true);
    }
    for (index, value) in arguments.positional {
        let Some(name) = constructor.positional.get(index) else { continue };
        if named.contains_key(*name) {
            faults.push(format!("`{name}` is given twice, by position and by name"));
        } else {
            named.insert((*name).to_owned(), value);
        }
    }

    // The name comes first: each problem begins with it.
    if let (Some(spec), Some(name)) = (constructor.option("name"), named.get("name"))
        && matches!(name, Value::String(_))
    {
        let name = named.remove("name").unwrap_or(Value::Nil);
        match reader.option(spec, &name, &made)? {
            Some(field) => {
                made.fields.borrow_mut().insert("name", field);
            }
            None => made.broken.set(true),
        }
    }
    reader.label = Some(made.label());
    for fault in faults {
        reader.complain(&fault, None);
    }
    reader.options(&made, named)?;
    Handle::give(lua, session, made)
}

fn sort(constructor: &Constructor, given: Vec<Value>) -> mlua::Result<Arguments> {
    let mut arguments = Arguments { has_dud: given.iter().any(is_dud), ..Arguments::default() };
    let mut given = given;
    // A dud says nothing more, wherever it stands.
    given.retain(|value| !is_dud(value));

    if let [Value::Table(all)] = &*given {
        let shape = Shape::of(all)?;
        // `BuildFactory { step, step }`: the elements are the one list that it takes.
        let is_parts =
            matches!(constructor.positional, [_]) && first_kind(constructor).is_some_and(takes_parts);
        if is_parts && shape.numbered.values().all(|value| handle(value).is_some() || is_dud(value)) {
            if shape.named.is_empty() || !shape.numbered.is_empty() {
                arguments.take_parts(constructor, all, shape)?;
            } else {
                arguments.take_named(shape);
            }
        } else if !shape.numbered.is_empty() && is_list_of_parts(constructor, &shape) {
            arguments.positional.insert(0, Value::Table(all.clone()));
        } else {
            arguments.take_numbered(&shape);
            arguments.take_named(shape);
        }
        return Ok(arguments);
    }

    if let Some(Value::Table(last)) = given.last() {
        let shape = Shape::of(last)?;
        if is_keywords(constructor, given.len(), &shape) {
            given.pop();
            arguments.take_numbered_as_fault(&shape);
            arguments.take_named(shape);
        }
    }
    let positional = given.into_iter().enumerate().filter(|(_, value)| !value.is_nil());
    arguments.positional.extend(positional);
    Ok(arguments)
}

impl Arguments {
    /// Where the call stands that has these.
    fn place_of_call(&self, lua: &Lua, session: &Session, constructor: &'static Constructor) -> Place {
        let position = constructor.positional.iter().position(|option| *option == "name");
        let name = self.named.get("name").or_else(|| self.positional.get(&position?));
        let name = match name {
            Some(Value::String(name)) => name.to_str().ok(),
            _ => None,
        };
        let options: Vec<&str> = self.named.keys().map(String::as_str).collect();
        let given = Given { constructor, name: name.as_deref(), options: &options };
        session.place_of_call(lua, Some(given))
    }

    fn take_named(&mut self, shape: Shape) {
        if let Some(odd) = shape.odd.first() {
            self.faults.push(format!("{odd} is no name of an option"));
        }
        self.named = shape.named;
    }

    fn take_numbered(&mut self, shape: &Shape) {
        for (index, value) in &shape.numbered {
            match usize::try_from(*index).ok().and_then(|index| index.checked_sub(1)) {
                Some(_) if is_dud(value) => self.has_dud = true,
                Some(index) => {
                    self.positional.insert(index, value.clone());
                }
                None => self.faults.push(format!("{index} is no name of an option")),
            }
        }
    }

    fn take_numbered_as_fault(&mut self, shape: &Shape) {
        if !shape.numbered.is_empty() {
            self.faults.push("its table of named options holds values without a name".to_owned());
        }
    }

    /// The elements of the table are the list; its names are options.
    fn take_parts(&mut self, constructor: &Constructor, all: &mlua::Table, shape: Shape) -> mlua::Result<()> {
        if shape.named.is_empty() {
            self.positional.insert(0, Value::Table(all.clone()));
            return Ok(());
        }
        let weak = all.weak_lua().upgrade();
        let list = weak.create_table()?;
        for (index, value) in &shape.numbered {
            list.raw_set(*index, value)?;
        }
        if let [name] = constructor.positional
            && shape.named.contains_key(*name)
        {
            self.faults.push(format!("`{name}` is given twice, as elements and by name"));
        }
        self.positional.insert(0, Value::Table(list));
        let mut shape = shape;
        for name in constructor.positional {
            shape.named.remove(*name);
        }
        self.take_named(shape);
        Ok(())
    }
}

fn first_kind(constructor: &Constructor) -> Option<Kind> {
    constructor.positional.first().and_then(|name| constructor.option(name)).map(|option| option.kind)
}

const fn takes_parts(kind: Kind) -> bool {
    matches!(kind, Kind::Objects(_))
}

/// `BuildFactory({ step, 5 })`: a list with a mistake in it, not arguments by position.
fn is_list_of_parts(constructor: &Constructor, shape: &Shape) -> bool {
    first_kind(constructor).is_some_and(takes_parts)
        && shape.named.is_empty()
        && !matches!(shape.numbered.get(&1), Some(Value::Table(_)))
}

/// Whether the last of several arguments is the table of named options, and not a value by position.
fn is_keywords(constructor: &Constructor, count: usize, shape: &Shape) -> bool {
    let kind =
        constructor.positional.get(count - 1).and_then(|name| constructor.option(name)).map(|it| it.kind);
    if let Some(Kind::Counts { .. }) = kind {
        // Names of the operator's own, unless one of them is an option.
        return shape.named.keys().any(|name| constructor.option(name).is_some());
    }
    if !shape.named.is_empty() {
        return true;
    }
    let takes_table = kind.is_some_and(|kind| {
        matches!(
            kind,
            Kind::Texts
                | Kind::Words
                | Kind::BoolOrTexts
                | Kind::Secrets
                | Kind::Command
                | Kind::Objects(_)
                | Kind::Names
                | Kind::Pairs
                | Kind::Records(_)
        )
    });
    shape.numbered.is_empty() && !takes_table
}
