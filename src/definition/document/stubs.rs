//! `lua/lunabot.lua`: types for the Lua language server.

use std::{collections::BTreeSet, fmt::Write as _};

use super::{SETTINGS, default, tables};
use crate::definition::options::{
    CONSTRUCTORS, Class, Constructor, Default, Kind, LOCK_ACCESS, MASTER, OptionSpec,
};

/// Writing to a `String` cannot fail.
const LAW: &str = "a string takes all that is written to it";

/// The types for editors, as `lua/lunabot.lua` holds them.
pub fn luals_stubs() -> String {
    let mut out = HEAD.to_owned();
    for settings in SETTINGS.iter().rev() {
        fields(&mut out, &class_name(settings), settings);
    }
    fields(&mut out, "lunabot.options.access", &LOCK_ACCESS);
    for constructor in CONSTRUCTORS {
        for table in tables(constructor) {
            fields(&mut out, &class_name(table), table);
        }
        fields(&mut out, &class_name(constructor), constructor);
    }
    let modules: BTreeSet<&str> = CONSTRUCTORS.iter().map(|constructor| constructor.module).collect();
    for module in &modules {
        writeln!(out, "---@class lunabot.module.{module}\nlocal {module} = {{}}\n").expect(LAW);
        for constructor in CONSTRUCTORS.iter().filter(|constructor| constructor.module == *module) {
            function(&mut out, constructor);
        }
        if *module == "util" {
            out.push_str(RENDERABLES);
        }
    }
    out.push_str("---@class lunabot.plugins\n---@field status lunabot.module.reporters\n");
    for module in &modules {
        writeln!(out, "---@field {module} lunabot.module.{module}").expect(LAW);
    }
    out.push_str(TAIL);
    out
}

/// What `require "buildbot.plugins"` and `require "lunabot.plugins"` give, each in a file of that name beside the types.
pub const LUALS_PLUGINS: &str = r"---@meta

---@type lunabot.plugins
local plugins

return plugins
";

/// The class of a table of options.
fn class_name(constructor: &Constructor) -> String {
    format!("lunabot.options.{}", constructor.name)
}

fn fields(out: &mut String, class: &str, constructor: &Constructor) {
    writeln!(out, "---{}\n---@class {class}{}", constructor.sentence, closed(constructor)).expect(LAW);
    for option in constructor.options() {
        // By position it may stand in the same table without its name; `c` is filled line by line.
        let is_optional = !matches!(option.default, Default::Required)
            || constructor.positional.contains(&option.name)
            || is_master(constructor);
        // Lists and tables of `c` are there from the start: `table.insert(c.workers, …)`, `c.protocols.pb = …`.
        let is_there = is_master(constructor) && matches!(option.kind, Kind::Objects(_) | Kind::Record(_));
        let mark = if is_optional && !is_there { "?" } else { "" };
        let default = match option.default {
            Default::Required => String::new(),
            _ => format!(" Default: {}.", default(option)),
        };
        // `c.protocols = None` is taken as well; with it in the type, no table could be filled.
        let kind =
            if is_there { lua_type(&OptionSpec { nullable: false, ..*option }) } else { lua_type(option) };
        writeln!(out, "---@field {}{mark} {kind} {}{default}", option.name, option.sentence).expect(LAW);
    }
    for (index, name) in (1..).zip(constructor.positional) {
        if let Some(option) = constructor.option(name) {
            match option.kind {
                // The elements of the table are the list.
                Kind::Objects(class) => {
                    writeln!(out, "---@field [integer] {} The same as `{name}`.", made(class)).expect(LAW);
                }
                _ => writeln!(out, "---@field [{index}]? {} The same as `{name}`.", lua_type(option))
                    .expect(LAW),
            }
        }
    }
    out.push('\n');
}

/// What a table of options stands above: a table in which each name but its own is of a type that nothing has.
///
/// So a misspelt option is a type error, which a checker tells at its line. `c` itself needs none: setting a field that
/// its class lacks is told without it.
fn closed(constructor: &Constructor) -> String {
    if is_master(constructor) {
        return String::new();
    }
    let mut members: Vec<String> =
        constructor.options().map(|option| format!("{}?: any", option.name)).collect();
    if constructor.positional.is_empty() {
        members.push("[integer]: lunabot.NoSuchOption".to_owned());
    }
    members.push("[string]: lunabot.NoSuchOption".to_owned());
    format!(": {{ {} }}", members.join(", "))
}

/// Whether it is `c` itself.
fn is_master(constructor: &Constructor) -> bool {
    std::ptr::eq(constructor, &raw const MASTER)
}

/// A function and its forms: by position, by position and then by name, all in one table.
fn function(out: &mut String, constructor: &Constructor) {
    let class = class_name(constructor);
    let returned = made(constructor.class);
    let path = constructor.path();
    writeln!(out, "---{}", constructor.sentence).expect(LAW);
    let positional: Vec<&OptionSpec> =
        constructor.positional.iter().filter_map(|name| constructor.option(name)).collect();
    if positional.is_empty() {
        writeln!(out, "---@param options {class}\n---@return {returned}\nfunction {path}(options) end\n")
            .expect(LAW);
        return;
    }
    writeln!(out, "---@overload fun(options: {class}): {returned}").expect(LAW);
    let required = positional.iter().filter(|option| matches!(option.default, Default::Required)).count();
    // Nobody counts to ten before a table of names.
    let prefixes = (1..=positional.len()).filter(|count| *count <= required.max(1) + 4);
    for count in prefixes {
        let given: Vec<String> = positional[..count]
            .iter()
            .map(|option| format!("{}: {}", option.name, lua_type(option)))
            .collect();
        writeln!(out, "---@overload fun({}, options: {class}): {returned}", given.join(", ")).expect(LAW);
    }
    for option in &positional {
        let mark = if matches!(option.default, Default::Required) { "" } else { "?" };
        writeln!(out, "---@param {}{mark} {} {}", option.name, lua_type(option), option.sentence).expect(LAW);
    }
    let names = constructor.positional.join(", ");
    writeln!(out, "---@return {returned}\nfunction {path}({names}) end\n").expect(LAW);
}

/// The class of what is made.
const fn made(class: Class) -> &'static str {
    match class {
        Class::Worker => "lunabot.Worker",
        Class::Builder => "lunabot.Builder",
        Class::Factory => "lunabot.Factory",
        Class::Step => "lunabot.Step",
        Class::Lock => "lunabot.Lock",
        Class::LockAccess => "lunabot.LockAccess",
        Class::Scheduler => "lunabot.Scheduler",
        Class::Reporter => "lunabot.Reporter",
        Class::Generator => "lunabot.Generator",
        Class::Formatter => "lunabot.MessageFormatter",
        Class::SecretsProvider => "lunabot.SecretsProvider",
        Class::Settings => "table",
    }
}

fn lua_type(option: &OptionSpec) -> String {
    let text = if option.renderable { "string|lunabot.Renderable" } else { "string" };
    let list = if option.renderable { "(string|lunabot.Renderable)[]" } else { "string[]" };
    let mut types = match option.kind {
        Kind::Text | Kind::Hidden => text.to_owned(),
        Kind::Name if option.renderable => "string|integer|lunabot.Renderable".to_owned(),
        Kind::Name => "string|integer".to_owned(),
        Kind::Names => "string|integer|(string|integer)[]".to_owned(),
        Kind::Secret => "string|lunabot.Secret".to_owned(),
        Kind::Secrets => "string|lunabot.Secret|(string|lunabot.Secret)[]".to_owned(),
        Kind::SecretTable => "table<string, string|lunabot.Secret>".to_owned(),
        Kind::Port | Kind::Bytes { .. } => "integer|string".to_owned(),
        Kind::Ports(constructor) => {
            let one = format!("integer|string|{}", class_name(constructor));
            format!("{one}|({one})[]")
        }
        Kind::Bool => "boolean".to_owned(),
        Kind::BoolOrTexts => "boolean|string[]".to_owned(),
        Kind::Switch(constructor) => format!("boolean|{}", class_name(constructor)),
        Kind::Integer { .. } => "integer".to_owned(),
        Kind::Number { .. } => "number".to_owned(),
        Kind::Seconds { .. } | Kind::Idle => "number|string".to_owned(),
        Kind::Function => signature(option.name).to_owned(),
        Kind::TextOrFunction => "string|function".to_owned(),
        Kind::Condition if option.renderable => {
            format!("boolean|lunabot.Renderable|({})", signature(option.name))
        }
        Kind::Condition => format!("boolean|({})", signature(option.name)),
        Kind::TextTable => format!("table<string, {text}>"),
        Kind::Texts | Kind::Command | Kind::Words => format!("{text}|{list}"),
        Kind::Properties | Kind::Table => "table<string, lunabot.Value>".to_owned(),
        Kind::Labels => format!("table<string, {LABEL}|({LABEL})[]>"),
        Kind::Pairs => "string[][]".to_owned(),
        Kind::Environment => format!("table<string, {text}|{list}|lunabot.None|false>"),
        Kind::Outcomes => "table<integer, lunabot.Outcome>".to_owned(),
        Kind::Counts { .. } => "table<string, integer>".to_owned(),
        Kind::LogFiles => format!("table<string, {text}|{{ filename: {text}, follow?: boolean }}>"),
        Kind::Mode => "string".to_owned(),
        Kind::Json => "lunabot.Value".to_owned(),
        Kind::Record(constructor) => class_name(constructor),
        Kind::Records(constructor) => format!("{}[]", class_name(constructor)),
        Kind::Object(class) => made(class).to_owned(),
        Kind::Objects(class) => format!("{}[]", made(class)),
    };
    if option.renderable && matches!(option.kind, Kind::Bool | Kind::Integer { .. } | Kind::Table) {
        types.push_str("|lunabot.Renderable");
    }
    if option.nullable {
        types.push_str("|lunabot.None|false");
    }
    types
}

/// What a function is given, and what it returns.
fn signature(option: &str) -> &'static str {
    match option {
        "extract_fn" => "fun(rc: integer, stdout: string, stderr: string): table<string, any>",
        "doStepIf" => "fun(step: lunabot.RunningStep): any",
        "hideStepIf" => "fun(results: integer, step: lunabot.RunningStep): any",
        "nextWorker" | "select_next_worker" => {
            "fun(builder: lunabot.QueuedBuilder, workers: lunabot.FreeWorker[], request: lunabot.QueuedRequest): lunabot.FreeWorker|string|nil"
        }
        "nextBuild" => {
            "fun(builder: lunabot.QueuedBuilder, requests: lunabot.QueuedRequest[]): lunabot.QueuedRequest|integer|nil"
        }
        "canStartBuild" => {
            "fun(builder: lunabot.QueuedBuilder, worker: lunabot.FreeWorker, request: lunabot.QueuedRequest): boolean"
        }
        "prioritizeBuilders" => "fun(builders: lunabot.QueuedBuilder[]): lunabot.QueuedBuilder[]|string[]",
        "collapseRequests" => {
            "fun(builder: lunabot.QueuedBuilder, new: lunabot.QueuedRequest, old: lunabot.QueuedRequest): boolean"
        }
        _ => "function",
    }
}

/// What a label may be.
const LABEL: &str = "string|number|boolean";

const HEAD: &str = r#"---@meta lunabot
-- Types of a configuration, for Lua language servers. Written by a test from `src/definition/options.rs`.
-- The fields that begin with an underscore are not there: they tell one class from another.

---There is no option of this name.
---@class lunabot.NoSuchOption
---@field private _no_such_option true

---The value that says `None`: no limit, no text, never.
---@class lunabot.None
---@field private _none true

---@type lunabot.None
None = {}

---A text that is made from the properties of a build.
---@class lunabot.Renderable
---@field private _renderable true

---A text or value that a function makes from the properties of a build.
---@class lunabot.Renderer: lunabot.Renderable
local Renderer = {}

---The same with more values that the function is given after the properties. They may be rendered.
---@param ... any
---@return lunabot.Renderer
function Renderer:withArgs(...) end

---The same with more values by name, which the function is given as one table, after all others.
---@param named table<string, any>
---@return lunabot.Renderer
function Renderer:withKwArgs(named) end

---The properties of a build, as a function sees them: `props.os`, or by Buildbot's methods. They cannot be set here.
---@class lunabot.Properties
---@field [string] any
local Properties = {}

---The value of a property; the default, or nil, if it is not set.
---@param name string
---@param default? any
---@return any
function Properties:getProperty(name, default) end

---Whether a property is set.
---@param name string
---@return boolean
function Properties:hasProperty(name) end

---Who set a property; nil if nobody did.
---@param name string
---@return string?
function Properties:getPropertySource(name) end

---All properties: for each name its value and who set it.
---@return table<string, { [1]: any, [2]: string }>
function Properties:asDict() end

---A builder whose requests wait, as a function sees it.
---@class lunabot.QueuedBuilder
---@field name string
---@field tags string[]
---@field running integer How many of its builds run.
---@field waiting integer How many of its requests wait.

---A worker that could run a build, as a function sees it.
---@class lunabot.FreeWorker
---@field name string
---@field running integer How many builds it runs.
---@field max_builds integer? How many it may run; nil: as many as there are.
---@field properties table<string, any>
---@field info table<string, any> What it tells of itself.

---A request that waits, as a function sees it.
---@class lunabot.QueuedRequest
---@field id integer
---@field builder string
---@field priority integer
---@field submitted_at integer Seconds since 1970.
---@field attempts integer How many of its builds were lost with their workers.
---@field reason string
---@field properties table<string, any>

---A step of a running build, as a function sees it.
---@class lunabot.RunningStep
---@field name string
---@field build lunabot.Properties
local RunningStep = {}

---The value of a property of the build; the default, or nil, if it is not set.
---@param name string
---@param default? any
---@return any
function RunningStep:getProperty(name, default) end

---Whether a property of the build is set.
---@param name string
---@return boolean
function RunningStep:hasProperty(name) end

---The properties of the build.
---@return lunabot.Properties
function RunningStep:getProperties() end

---A secret, known by its name.
---@class lunabot.Secret: lunabot.Renderable

---What JSON can hold, `None`, and what becomes one of these during a build.
---@alias lunabot.Value string|number|boolean|table|lunabot.None|lunabot.Renderable

---How something ended, in lower or upper case; or one of Buildbot's numbers for it.
---@alias lunabot.Outcome "success"|"warnings"|"failure"|"skipped"|"exception"|"retry"|"cancelled"|"SUCCESS"|"WARNINGS"|"FAILURE"|"SKIPPED"|"EXCEPTION"|"RETRY"|"CANCELLED"|integer

---@class lunabot.Worker
---@field private _worker true
---@field name string

---@class lunabot.Builder
---@field private _builder true
---@field name string

---What is wanted of a lock.
---@class lunabot.LockAccess
---@field private _lock_access true

---@class lunabot.Lock
---@field private _lock true
---@field name string
local Lock = {}

-- With a colon, or with a dot as in Buildbot: then the mode comes first.

---What is wanted of it: `"counting"`, beside others up to `maxCount`, or `"exclusive"`, alone.
---@overload fun(mode: "counting"|"exclusive", count?: integer): lunabot.LockAccess
---@overload fun(self: lunabot.Lock, options: lunabot.options.access): lunabot.LockAccess
---@param self lunabot.Lock
---@param mode "counting"|"exclusive"
---@param count? integer How much of it; 0 is always to be had. Default: `1`.
---@return lunabot.LockAccess
function Lock.access(self, mode, count) end

---@class lunabot.Scheduler
---@field private _scheduler true
---@field name string

---@class lunabot.Reporter
---@field private _reporter true
---@field name string

---@class lunabot.Generator
---@field private _generator true

---@class lunabot.MessageFormatter
---@field private _message_formatter true

---@class lunabot.SecretsProvider
---@field private _secrets_provider true
---@class lunabot.Step
---@field private _step true
---@field name string

---@class lunabot.Factory
---@field private _factory true
local Factory = {}

-- With a colon, or with a dot as in Buildbot: then the step comes first.

---Adds a step at the end.
---@param self lunabot.Factory|lunabot.Step
---@param step? lunabot.Step
function Factory.addStep(self, step) end

---Adds steps at the end.
---@param self lunabot.Factory|lunabot.Step[]
---@param steps? lunabot.Step[]
function Factory.addSteps(self, steps) end

"#;

const RENDERABLES: &str = r"---A text with holes: `%(prop:name)s` is a property of the build, `%(kw:name)s` a keyword; or `%s` for values by position.
---@overload fun(format: string, keywords: table<string, any>): lunabot.Renderable
---@overload fun(all: table): lunabot.Renderable
---@param format string
---@param ... any
---@return lunabot.Renderable
function util.Interpolate(format, ...) end

---One property of the build.
---@overload fun(name: string, options: { default?: any, defaultWhenFalse?: boolean }): lunabot.Renderable
---@overload fun(options: { [1]?: string, key?: string, name?: string, default?: any, defaultWhenFalse?: boolean }): lunabot.Renderable
---@param name string
---@param default? any What stands for it if it is not set, is false, zero or empty.
---@param defaultWhenFalse? boolean With false, the default stands only for what is not set.
---@return lunabot.Renderable
function util.Property(name, default, defaultWhenFalse) end

---What a function makes of the properties of a build, when the value is needed.
---@param make fun(props: lunabot.Properties, ...: any): any
---@return lunabot.Renderer
function util.renderer(make) end

---What a function makes of other values, once they are rendered. Values by name come as one table, after all others.
---@overload fun(all: table): lunabot.Renderable
---@param make fun(...: any): any
---@param ... any
---@return lunabot.Renderable
function util.Transform(make, ...) end

---One list of all that is in lists within lists.
---@param list any[]|lunabot.Renderable
---@return lunabot.Renderable
function util.FlattenList(list) end

util.SUCCESS = 0
util.WARNINGS = 1
util.FAILURE = 2
util.SKIPPED = 3
util.EXCEPTION = 4
util.RETRY = 5
util.CANCELLED = 6
---The words for outcomes, by their numbers.
---@type table<integer, string>
util.Results = {}

---A secret: only its name stands in the configuration.
---@param name string
---@return lunabot.Secret
function util.Secret(name) end

";

const TAIL: &str = r"
---@type lunabot.options.c
c = {}

---Reads a module: `lib.pool` is `lib/pool.lua` or `lib/pool/init.lua` below the folder of the configuration.
---@param name string
---@return any
function require(name) end
";
