//! `docs/config.md`.

use std::fmt::Write as _;

use super::{SETTINGS, default, example, tables};
use crate::definition::{
    known,
    options::{CONSTRUCTORS, Constructor, Kind, LOCK_ACCESS, OptionSpec, WORKER_LOCK},
};

/// Writing to a `String` cannot fail.
const LAW: &str = "a string takes all that is written to it";

/// The page of all options, as `docs/config.md` holds it.
pub fn config_md() -> String {
    let mut page = INTRODUCTION.to_owned();
    page.push_str("\n## Constructors\n");
    for constructor in CONSTRUCTORS {
        section(&mut page, constructor);
        for table in tables(constructor) {
            section(&mut page, table);
        }
        if std::ptr::eq(*constructor, &raw const WORKER_LOCK) {
            section(&mut page, &LOCK_ACCESS);
        }
    }
    page.push_str("\n## The configuration itself\n");
    for constructor in SETTINGS {
        section(&mut page, constructor);
    }
    page.push_str(RENDERABLES);
    block(&mut page, "renderables");
    absent(&mut page);
    page.push_str(LIMITS);
    page
}

/// What Buildbot has and Lunabot has not.
fn absent(page: &mut String) {
    page.push_str(ABSENT);
    let mut row = |module: &str, names: Vec<String>| {
        if !names.is_empty() {
            writeln!(page, "| {module} | {} |", names.join(", ")).expect(LAW);
        }
    };
    for module in known::modules() {
        let names = known::absent(module).map(|(name, instead)| match instead {
            Some(instead) => format!("`{name}` ({instead})"),
            None => format!("`{name}`"),
        });
        row(&format!("`{module}`"), names.collect());
    }
    row("keys of `c`", known::absent_keys().map(|key| format!("`{key}`")).collect());
}

fn section(page: &mut String, constructor: &Constructor) {
    writeln!(page, "\n### `{}`\n\n{}", constructor.path(), constructor.sentence).expect(LAW);
    if !constructor.positional.is_empty() {
        let names = constructor.positional.join("`, `");
        writeln!(page, "\nBy position: `{names}`.").expect(LAW);
    }
    page.push_str("\n| option | takes | default | |\n|---|---|---|---|\n");
    for option in constructor.options() {
        row(page, option);
    }
    if !constructor.not_yet.is_empty() {
        let names = constructor.not_yet.join("`, `");
        writeln!(page, "\nKnown from Buildbot and not there yet: `{names}`.").expect(LAW);
    }
    block(page, &constructor.path());
}

fn row(page: &mut String, option: &OptionSpec) {
    let mut takes = option.kind.words();
    match option.kind {
        Kind::Integer { least, most } if most >= i64::from(u32::MAX) => {
            write!(takes, ", at least {least}").expect(LAW);
        }
        Kind::Integer { least, most } => write!(takes, " from {least} to {most}").expect(LAW),
        Kind::Seconds { least } | Kind::Number { least } if least > 0.0 => {
            write!(takes, ", at least {least}").expect(LAW);
        }
        _ => {}
    }
    if option.nullable {
        takes.push_str(", or `None`");
    }
    let renderable = if option.renderable { " May be [rendered](#texts-that-are-rendered)." } else { "" };
    let cells = [takes, default(option), format!("{}{renderable}", option.sentence)];
    let cells: Vec<String> = cells.iter().map(|cell| cell.replace('|', "\\|")).collect();
    writeln!(page, "| `{}` | {} |", option.name, cells.join(" | ")).expect(LAW);
}

fn block(page: &mut String, path: &str) {
    if let Some(example) = example::of(path) {
        writeln!(page, "\n```lua\n{example}```").expect(LAW);
    }
}

const INTRODUCTION: &str = r#"# The configuration

<!-- Written by a test from `src/definition/options.rs`; change it there. -->

The configuration of a master is a Lua program, `master.cfg.lua` in the master's folder. It fills the table `c`, which is given, with
workers, builders and schedulers. If you know Buildbot's `master.cfg`, you know this: names, arguments and defaults are Buildbot's,
and where one differs, its sentence says so. `lunabot checkconfig` tells all that is wrong with a file, each with its line.

```lua
local plugins = require "buildbot.plugins"
local worker, util, steps, schedulers = plugins.worker, plugins.util, plugins.steps, plugins.schedulers

c.title = "Hello"
c.workers = { worker.LocalWorker "bot1" }

local factory = util.BuildFactory()
factory:addStep(steps.ShellCommand { command = { "echo", "hello" } })

c.builders = { util.BuilderConfig { name = "hello", workernames = { "bot1" }, factory = factory } }
c.schedulers = { schedulers.ForceScheduler("force", { "hello" }) }
```

## How it is written

- **Calls.** A constructor takes the positional arguments of Buildbot's, and then a table of named ones:
  `worker.Worker("bot", "sesame", { max_builds = 2 })`. Or one table for all: `worker.Worker { "bot", "sesame", max_builds = 2 }`.
  A single text needs no brackets: `worker.LocalWorker "bot1"`.
- **`None`** is given, and says what it says in Python: `{ keepalive_interval = None }` turns the option off. `false` means the same
  wherever an option is not a truth value itself. An option set to `nil` is not given, so it has its default. Note that Lua takes
  `None` for true in an `if`.
- **Spans of time** are seconds, fractions allowed.
- **Lists** are tables: `{ "a", "b" }`. A list with a hole in it (a `nil` between its elements) is an error, since a misspelt name is
  what makes one.
- **Order.** Lists, tables of `c` and the steps of a factory are read when the file has ended: what is added later counts.
- **Names that are not there**, be it a variable, an option or a constructor, are errors with their line and a "did you mean". So are
  wrong types and values out of range. All of them are told in one run.
- **What is made and not used** (a worker that no list holds) is a warning.
- **Of two assignments** the last one counts. If a second `c.workers = { … }` drops what the first one held, a warning says so;
  `table.insert(c.workers, …)` adds.
- **Reporters** stand in `c.reporters`, in Buildbot's `c.services`, or in `c.status` as older manuals write it: the three are one list,
  and `plugins.status` is `plugins.reporters`. One that stands there twice is an error. What they tell is
  in [notifications.md](notifications.md).
- **Modules.** `require "lib.workers"` reads `lib/workers.lua` or `lib/workers/init.lua` below the folder of `master.cfg.lua`, nothing
  else. `require "buildbot.plugins"` has another name, `lunabot.plugins`.
- **Editors.** With a Lua language server names complete and types are checked as you type: [editor.md](editor.md).
- **Coming from Buildbot?** [from-buildbot.md](from-buildbot.md) has Python on the left and Lua on the right.
"#;

const RENDERABLES: &str = r#"
## Texts that are rendered

Where the tables above say so, a text may be made when the build needs it: from its properties, by a function, from a secret.

- `util.Interpolate(format, { keyword = … })`: a text with holes.
  - `%(prop:name)s` is the property `name`.
  - `%(src:codebase:attribute)s` is a fact about what is built: `branch`, `revision`, `repository`, `project` or `codebase`. The
    codebase is mostly empty: `%(src::branch)s`. So `lunabot force DIR BUILDER -p branch=main` fills `%(src::branch)s` with `main`.
  - `%(worker:name)s` is what the worker said of itself (`os_id`, `numcpus`, `system`, `admin` and what else `lunabot workers --json`
    shows).
  - `%(secret:name)s` is a secret.
  - `%(kw:name)s` is the keyword `name`: text, a number, true or false, or what is rendered itself.
  - `%%` is a percent sign.
  - After the name may stand `:-text` (used if there is no such thing), `:~text` (used if it is absent, empty, false or zero), `:+text`
    (used if there is one), `:?|yes|no` (one text if there is one, else the other; any other sign may stand for `|`) or `:#?|yes|no`
    (one text unless it is absent, empty, false or zero). The texts may have holes of their own. Without any of these, what is absent
    is empty text.
- `util.Interpolate("%s-%s", a, b)`: the values in their order. They may be whatever a keyword may be. `%s` and holes with a name
  cannot stand in one format.
- `util.Property(name, default, defaultWhenFalse)`: one property, of whatever type it is. The default also stands for a property that
  is false, zero or empty; with `defaultWhenFalse = false` only for one that is not set.
- `util.Secret "name"`: a secret.
- `util.renderer(function(props) … end)`: what the function returns. `r:withArgs(a, b)` and `r:withKwArgs { name = c }` make a renderer
  that is given more: `function(props, a, b, named)`, where `named.name` is `c`. These may be rendered themselves.
- `util.Transform(function, a, b)`: what the function makes of values that are rendered before.
- `util.FlattenList { "a", { "b", util.Property "more" } }`: one list of all that is in lists within lists.

## Functions

A function may be given to `util.renderer`, `util.Transform`, `doStepIf`, `hideStepIf` and `extract_fn`. It is called while builds run.

- **What it may return**: text, a number, true or false, nil or `None`, a list, a table of names and values, or something that is
  rendered, which then is. A list becomes the arguments of a `command`, or a joined variable of `env`; nil as a variable removes it.
- **`props`** are the properties of the build: `props.os`, `props["os"]`, `props:getProperty("os", "none")`, `props:hasProperty "os"`,
  `props:getPropertySource "os"`, `props:asDict()` (for each name the value and who set it), and `pairs(props)`. What is not set is nil.
  They cannot be set here; that is what `steps.SetProperty` is for.
- **`step`**, for `doStepIf` and `hideStepIf`, has `name`, `getProperty`, `hasProperty`, and `build`, which is as `props`.
- **Outcomes** are numbers: `util.SUCCESS`, `WARNINGS`, `FAILURE`, `SKIPPED`, `EXCEPTION`, `RETRY`, `CANCELLED`; `util.Results[n]` is the
  word. `require "buildbot.process.results"` has them too.
- **What counts as false** is what does in Python: `false`, nil, `None`, 0, empty text, an empty table.
- **Values of its own.** A function sees the variables around it, as it left them. In a loop each turn has its own. What it keeps in
  them is kept until the configuration is loaded anew: then a fresh file has run. What `props` and `step` hold is gone with the call.
- **Reloads.** A running build calls the functions of the configuration that it began with, to its end; a new build calls the new ones.
- **Limits.** Each call has the time, instructions and memory of a load. It may compute, and ask for the time and the environment. It can
  open no file, `require` no module that the file has not, make no worker, step or renderer, and not change `c`.
- **Errors.** A function that fails makes its step an exception. What is wrong, an undefined name and a function without an end too, stands
  in the step's log with its line, and with the calls in your files that led there: ``lib/pick.lua:3: no such thing; called from
  lib/pick.lua:9 in `command`, from master.cfg.lua:14``. `print` writes to the master's log.
"#;

const ABSENT: &str = r"
## What Buildbot has and Lunabot has not

A configuration that uses one of these is refused with its line: `` `steps.Git` is not in Lunabot yet ``. Options that are not there yet stand
with their constructors.

| | |
|---|---|
";

const LIMITS: &str = r"
## What a configuration can do

It is a program, and a guest in the master's process: it may compute, and read.

- There are Lua 5.4's `string`, `table`, `math`, `utf8` and `coroutine`; of `os`: `time`, `date`, `clock`, `difftime` and `getenv`;
  of `io`: `open` and `lines`, for reading regular files; `dofile`, `loadfile`, and `load` for text. Relative file names begin at the
  folder of `master.cfg.lua`. Files that were read are watched like the configuration itself.
- There is nothing that writes a file, starts a program or opens a socket; no compiled Lua, no finalizers (`__gc`), no `debug` but
  `debug.traceback`.
- `print` writes to the master's log, `warn` adds a warning to the result.
- One load, and each call of a function later, may take 5 seconds, 200 million instructions and 256 MiB. What needs more is stopped, told with the line where it was, and
  does no harm to the master, which keeps the configuration that it has.
";
