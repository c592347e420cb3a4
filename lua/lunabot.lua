---@meta lunabot
-- Types of a configuration, for the Lua language server. Written by a test from `src/definition/options.rs`.

---The value that says `None`: no limit, no text, never.
---@class lunabot.None
None = {}

---A text that is made from the properties of a build.
---@class lunabot.Renderable

---@class lunabot.Worker
---@field name string
---@class lunabot.Builder
---@field name string
---@class lunabot.Scheduler
---@field name string
---@class lunabot.Step

---@class lunabot.Factory
local Factory = {}

---Adds a step at the end.
---@param step lunabot.Step
function Factory:addStep(step) end

---Adds steps at the end.
---@param steps lunabot.Step[]
function Factory:addSteps(steps) end

---The port for workers that speak msgpack over WebSocket: `buildbot-worker --protocol msgpack_experimental_v7`.
---@class lunabot.options.c.protocols.msgpack_experimental_v7
---@field port? integer|string A number from 1 to 65535, or `tcp:9989:interface=127.0.0.1` as in Buildbot.

---The port for workers that speak Perspective Broker, which `buildbot-worker` does unless told otherwise.
---@class lunabot.options.c.protocols.pb
---@field port? integer|string A number from 1 to 65535, or `tcp:9989:interface=127.0.0.1` as in Buildbot.

---Where workers may connect.
---@class lunabot.options.c.protocols
---@field pb? lunabot.options.c.protocols.pb|lunabot.None|false Perspective Broker. Default: `None`.
---@field msgpack_experimental_v7? lunabot.options.c.protocols.msgpack_experimental_v7|lunabot.None|false msgpack over WebSocket. Default: `None`.

---Where the master keeps what it must not forget.
---@class lunabot.options.c.db
---@field db_url? string|lunabot.None|false `sqlite:///FILE` (below the master's folder; four slashes for an absolute path) or `postgresql://USER:PASSWORD@HOST/NAME`. Default: sqlite:///state.sqlite.

---The configuration. It is given; the file fills it.
---@class lunabot.options.c
---@field title? string What the installation is called. Default: `"Lunabot"`.
---@field titleURL? string Where people find more about the project. Default: `""`.
---@field buildbotURL? string Where the web interface is reached from outside. Default: `""`.
---@field workers? lunabot.Worker[] The workers. At least one. Default: `{}`.
---@field builders? lunabot.Builder[] The builders. Default: `{}`.
---@field schedulers? lunabot.Scheduler[] What asks for builds. Default: `{}`.
---@field protocols? lunabot.options.c.protocols|lunabot.None|false Where workers may connect. Default: `None`.
---@field db? lunabot.options.c.db|lunabot.None|false Where the master keeps what it must not forget. A change needs a restart. Default: `None`.
---@field db_url? string|lunabot.None|false Short for `c.db = { db_url = … }`. Default: `None`.

---A worker that connects to the master by itself: a `buildbot-worker` process on some machine.
---@class lunabot.options.Worker
---@field name? string Its name and login, also the property `workername`: letters, digits, `_` and `-`, at most 50 characters.
---@field password? string|string[] What it must know to log in; a list of up to four while it changes: `{ new, old }`. For msgpack a hash will do: `$argon2id$…`, as `lunabot hash-password` prints it. A change applies to the next login; a live link stays.
---@field max_builds? integer|lunabot.None|false How many builds it may run at once; `None` or 0 sets no limit. Default: `None`.
---@field notify_on_missing? string|string[]|lunabot.None|false The addresses that are told when it has been missing for `missing_timeout`. Default: `{}`.
---@field missing_timeout? number|lunabot.None|false How long it may be away before it counts as missing; `None` or 0: it never does. Default: `3600`.
---@field properties? table<string, any> Set on each of its builds with the source `Worker`, over all other properties. Default: `{}`.
---@field defaultProperties? table<string, any> Set on each of its builds where nothing else has set them. Default: `{}`.
---@field keepalive_interval? number|lunabot.None|false How often an idle link is asked for a sign of life; `None` turns that off. Default: `3600`.
---@field keepalive_timeout? number|lunabot.None|false How long the answer to that may take; a later one ends the link. Default: the smaller of 30 s and three intervals.
---@field [1]? string The same as `name`.
---@field [2]? string|string[] The same as `password`.

---A worker inside the master's process, for small set-ups and for trying things out. It needs no password.
---@class lunabot.options.LocalWorker
---@field name? string Its name and login, also the property `workername`: letters, digits, `_` and `-`, at most 50 characters.
---@field workdir? string|lunabot.None|false Its folder, below `DIR/workers` unless absolute. Default: its name.
---@field max_builds? integer|lunabot.None|false How many builds it may run at once; `None` or 0 sets no limit. Default: `None`.
---@field notify_on_missing? string|string[]|lunabot.None|false The addresses that are told when it has been missing for `missing_timeout`. Default: `{}`.
---@field missing_timeout? number|lunabot.None|false How long it may be away before it counts as missing; `None` or 0: it never does. Default: `3600`.
---@field properties? table<string, any> Set on each of its builds with the source `Worker`, over all other properties. Default: `{}`.
---@field defaultProperties? table<string, any> Set on each of its builds where nothing else has set them. Default: `{}`.
---@field keepalive_interval? number|lunabot.None|false How often an idle link is asked for a sign of life; `None` turns that off. Default: `3600`.
---@field keepalive_timeout? number|lunabot.None|false How long the answer to that may take; a later one ends the link. Default: the smaller of 30 s and three intervals.
---@field [1]? string The same as `name`.
---@field [2]? string|lunabot.None|false The same as `workdir`.

---A builder: which steps, on which workers.
---@class lunabot.options.BuilderConfig
---@field name? string Its name: free text of at most 70 characters.
---@field workername? string|lunabot.None|false The one worker that may run its builds. Default: `None`.
---@field workernames? string|string[] The workers that may run its builds. Default: `{}`.
---@field factory lunabot.Factory Its steps.
---@field builddir? string|lunabot.None|false What `workerbuilddir` is unless given; the master itself keeps no folder for a builder. Default: the name, made safe for a file system.
---@field workerbuilddir? string|lunabot.None|false Its folder on a worker, below the worker's own. Two builders of one worker may not share it. Default: `builddir`.
---@field env? table<string, string|lunabot.Renderable|(string|lunabot.Renderable)[]|lunabot.None|false> Environment of all its commands, over the worker's. Default: `{}`.
---@field properties? table<string, any> Set on each of its builds, over those of the request. Default: `{}`.
---@field defaultProperties? table<string, any> Set on each of its builds where nothing else has. Default: `{}`.
---@field tags? string|string[] Words to find it by. Default: `{}`.
---@field description? string|lunabot.None|false A sentence for people. Default: `None`.
---@field [1]? string The same as `name`.

---A list of steps, which several builders may share.
---@class lunabot.options.BuildFactory
---@field steps? lunabot.Step[] The steps, in order; `addStep` and `addSteps` add more. Default: `{}`.
---@field [1]? lunabot.Step The same as `steps`.

---Runs a command on the worker. Its exit code is the outcome, its output the log `stdio`.
---@class lunabot.options.ShellCommand
---@field command string|lunabot.Renderable|(string|lunabot.Renderable)[] A line for the worker's shell, or a list: program and arguments, seen by no shell.
---@field workdir? string|lunabot.Renderable Where it runs, below the builder's folder. Default: `"build"`.
---@field env? table<string, string|lunabot.Renderable|(string|lunabot.Renderable)[]|lunabot.None|false> Its environment, over the builder's and the worker's. `${NAME}` in a value is replaced on the worker. Default: `{}`.
---@field timeout? number|lunabot.None|false How long it may be silent before it is killed; `None`: for ever. Default: `1200`.
---@field maxTime? number|lunabot.None|false How long it may run in all before it is killed. Default: `None`.
---@field sigtermTime? number|lunabot.None|false If given, a kill begins with SIGTERM and waits this long before `interruptSignal`. Default: `None`.
---@field interruptSignal? string The signal that ends it: KILL, TERM, INT, HUP, QUIT or ABRT. Default: `"KILL"`.
---@field want_stdout? boolean Whether its standard output is kept. Default: `true`.
---@field want_stderr? boolean Whether its standard error is kept. Default: `true`.
---@field logEnviron? boolean Whether its log begins with its environment. Values of variables that look secret are hidden. Default: `true`.
---@field initialStdin? string|lunabot.Renderable|lunabot.None|false What it reads from standard input, which is then closed. Default: `None`.
---@field decodeRC? table<integer, string|integer>|lunabot.None|false Exit codes and their outcomes; all others are failures. Default: { [0] = "success" }.
---@field name? string Its name; a second step of the same name gets a number. Default: `"shell"`.
---@field haltOnFailure? boolean After a failure, the steps that follow are skipped, but for those with `alwaysRun`. Default: `false`.
---@field flunkOnFailure? boolean Its failure is a failure of the build. Default: `true`.
---@field flunkOnWarnings? boolean Its warnings are a failure of the build. Default: `false`.
---@field warnOnFailure? boolean Its failure is a warning of the build, unless `flunkOnFailure` makes it more. Default: `false`.
---@field warnOnWarnings? boolean Its warnings are warnings of the build. Default: `true`.
---@field alwaysRun? boolean It runs even after a halt. Default: `false`.

---Asks for builds when a person says so: `lunabot force`, or the button of the web interface.
---@class lunabot.options.ForceScheduler
---@field name? string Its name; that of a `ForceScheduler` has letters, digits, `_` and `-`.
---@field builderNames? string|string[] The builders that it asks for builds.
---@field properties? table<string, any> Set on each of its requests with the source `Scheduler`. Default: `{}`.
---@field buttonName? string|lunabot.None|false What its button says. Default: the name.
---@field label? string|lunabot.None|false What its form is called. Default: the name.
---@field reason? string The reason, if the person gives none. Default: `"force build"`.
---@field reasonString? string The reason of the build; `%(owner)s` and `%(reason)s` are replaced. Default: `"A build was forced by '%(owner)s': %(reason)s"`.
---@field [1]? string The same as `name`.
---@field [2]? string|string[] The same as `builderNames`.

---Asks for builds again and again, at an even pace.
---@class lunabot.options.Periodic
---@field name? string Its name; that of a `ForceScheduler` has letters, digits, `_` and `-`.
---@field builderNames? string|string[] The builders that it asks for builds.
---@field periodicBuildTimer? number From one build to the next. The first comes at once, unless the last one before a restart was nearer than this.
---@field reason? string|lunabot.None|false The reason of its builds. Default: The Periodic scheduler named 'NAME' triggered this build.
---@field properties? table<string, any> Set on each of its requests with the source `Scheduler`. Default: `{}`.
---@field [1]? string The same as `name`.
---@field [2]? string|string[] The same as `builderNames`.
---@field [3]? number The same as `periodicBuildTimer`.

---@class lunabot.module.schedulers
local schedulers = {}

---Asks for builds when a person says so: `lunabot force`, or the button of the web interface.
---@overload fun(options: lunabot.options.ForceScheduler): lunabot.Scheduler
---@param name string Its name; that of a `ForceScheduler` has letters, digits, `_` and `-`.
---@param builderNames string|string[] The builders that it asks for builds.
---@param options? lunabot.options.ForceScheduler
---@return lunabot.Scheduler
function schedulers.ForceScheduler(name, builderNames, options) end

---Asks for builds again and again, at an even pace.
---@overload fun(options: lunabot.options.Periodic): lunabot.Scheduler
---@param name string Its name; that of a `ForceScheduler` has letters, digits, `_` and `-`.
---@param builderNames string|string[] The builders that it asks for builds.
---@param periodicBuildTimer number From one build to the next. The first comes at once, unless the last one before a restart was nearer than this.
---@param options? lunabot.options.Periodic
---@return lunabot.Scheduler
function schedulers.Periodic(name, builderNames, periodicBuildTimer, options) end

---@class lunabot.module.steps
local steps = {}

---Runs a command on the worker. Its exit code is the outcome, its output the log `stdio`.
---@param options lunabot.options.ShellCommand
---@return lunabot.Step
function steps.ShellCommand(options) end

---@class lunabot.module.util
local util = {}

---A builder: which steps, on which workers.
---@overload fun(options: lunabot.options.BuilderConfig): lunabot.Builder
---@overload fun(name: string, options?: lunabot.options.BuilderConfig): lunabot.Builder
---@param name string Its name: free text of at most 70 characters.
---@param options? lunabot.options.BuilderConfig
---@return lunabot.Builder
function util.BuilderConfig(name, options) end

---A list of steps, which several builders may share.
---@overload fun(options: lunabot.options.BuildFactory): lunabot.Factory
---@overload fun(steps: lunabot.Step[], options?: lunabot.options.BuildFactory): lunabot.Factory
---@param steps? lunabot.Step[] The steps, in order; `addStep` and `addSteps` add more.
---@param options? lunabot.options.BuildFactory
---@return lunabot.Factory
function util.BuildFactory(steps, options) end

---A text with holes: `%(prop:name)s` is a property of the build, `%(kw:name)s` a keyword.
---@param format string
---@param keywords? table<string, string|number|lunabot.Renderable>
---@return lunabot.Renderable
function util.Interpolate(format, keywords) end

---One property of the build.
---@param name string
---@param default? any What stands for it if it is not set.
---@return lunabot.Renderable
function util.Property(name, default) end

---@class lunabot.module.worker
local worker = {}

---A worker that connects to the master by itself: a `buildbot-worker` process on some machine.
---@overload fun(options: lunabot.options.Worker): lunabot.Worker
---@param name string Its name and login, also the property `workername`: letters, digits, `_` and `-`, at most 50 characters.
---@param password string|string[] What it must know to log in; a list of up to four while it changes: `{ new, old }`. For msgpack a hash will do: `$argon2id$…`, as `lunabot hash-password` prints it. A change applies to the next login; a live link stays.
---@param options? lunabot.options.Worker
---@return lunabot.Worker
function worker.Worker(name, password, options) end

---A worker inside the master's process, for small set-ups and for trying things out. It needs no password.
---@overload fun(options: lunabot.options.LocalWorker): lunabot.Worker
---@overload fun(name: string, options?: lunabot.options.LocalWorker): lunabot.Worker
---@param name string Its name and login, also the property `workername`: letters, digits, `_` and `-`, at most 50 characters.
---@param workdir? string|lunabot.None|false Its folder, below `DIR/workers` unless absolute.
---@param options? lunabot.options.LocalWorker
---@return lunabot.Worker
function worker.LocalWorker(name, workdir, options) end

---@class lunabot.plugins
---@field schedulers lunabot.module.schedulers
---@field steps lunabot.module.steps
---@field util lunabot.module.util
---@field worker lunabot.module.worker

---@type lunabot.options.c
c = {}

---@overload fun(name: "buildbot.plugins"): lunabot.plugins
---@overload fun(name: "lunabot.plugins"): lunabot.plugins
---@param name string
---@return any
function require(name) end
