---@meta lunabot
-- Types of a configuration, for the Lua language server. Written by a test from `src/definition/options.rs`.

---The value that says `None`: no limit, no text, never.
---@class lunabot.None
None = {}

---A text that is made from the properties of a build.
---@class lunabot.Renderable

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

---The certificate of a port. Changed files are used from the next handshake on; nobody is cut.
---@class lunabot.options.c.protocols.pb.port.tls
---@field cert? string The file of the certificate, in PEM form; those that lead to its authority may follow in it. Below the master's folder, unless absolute.
---@field key? string The file of its private key, in PEM form and without a pass phrase.
---@field chain? string|lunabot.None|false A file of more certificates that lead to the authority, if they are not in `cert`. Default: `None`.
---@field client_ca? string|lunabot.None|false The file of the authorities of workers' certificates: then a worker needs one of theirs, beside its password. Without it no worker is asked for a certificate. Default: `None`.

---A port as a table, the same for both protocols.
---@class lunabot.options.c.protocols.pb.port
---@field port? integer|string A number from 1 to 65535.
---@field interface? string|lunabot.None|false The address of this machine on which it listens: `127.0.0.1`, `::1`. `::` is all of both families, `0.0.0.0` all of IPv4. Default: all addresses.
---@field backlog? integer|lunabot.None|false How many connections may wait to be answered; the system may allow fewer. Default: 16384.
---@field tls? lunabot.options.c.protocols.pb.port.tls|lunabot.None|false Its certificate; without it the port is in the clear. Default: `None`.

---The ports for workers that speak msgpack over WebSocket: `buildbot-worker --protocol msgpack_experimental_v7`.
---@class lunabot.options.c.protocols.msgpack_experimental_v7
---@field port? integer|string|lunabot.options.c.protocols.pb.port|(integer|string|lunabot.options.c.protocols.pb.port)[] Where to listen: `9989`; Twisted's `tcp:9989:interface=127.0.0.1` or `ssl:9990:privateKey=key.pem:certKey=cert.pem`, as in Buildbot; a table as below; or a list of these.

---The ports for workers that speak Perspective Broker, which `buildbot-worker` does unless told otherwise.
---@class lunabot.options.c.protocols.pb
---@field port? integer|string|lunabot.options.c.protocols.pb.port|(integer|string|lunabot.options.c.protocols.pb.port)[] Where to listen: `9989`; Twisted's `tcp:9989:interface=127.0.0.1` or `ssl:9990:privateKey=key.pem:certKey=cert.pem`, as in Buildbot; a table as below; or a list of these.

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
---@field password? string|lunabot.Secret|(string|lunabot.Secret)[] What it must know to log in; a list of up to four while it changes: `{ new, old }`. For msgpack a hash will do: `$argon2id$…`, as `lunabot hash-password` prints it. A change applies to the next login; a live link stays.
---@field max_builds? integer|lunabot.None|false How many builds it may run at once; `None` or 0 sets no limit. Default: `None`.
---@field notify_on_missing? string|string[]|lunabot.None|false The addresses that are told when it has been missing for `missing_timeout`. Default: `{}`.
---@field missing_timeout? number|string|lunabot.None|false How long it may be away before it counts as missing; `None` or 0: it never does. Default: `3600`.
---@field properties? table<string, any> Set on each of its builds with the source `Worker`, over all other properties. Default: `{}`.
---@field defaultProperties? table<string, any> Set on each of its builds where nothing else has set them. Default: `{}`.
---@field keepalive_interval? number|string|lunabot.None|false How often an idle link is asked for a sign of life; `None` turns that off. Default: `3600`.
---@field keepalive_timeout? number|string|lunabot.None|false How long the answer to that may take; a later one ends the link. Default: the smaller of 30 s and three intervals.
---@field [1]? string The same as `name`.
---@field [2]? string|lunabot.Secret|(string|lunabot.Secret)[] The same as `password`.

---A worker inside the master's process, for small set-ups and for trying things out. It needs no password.
---@class lunabot.options.LocalWorker
---@field name? string Its name and login, also the property `workername`: letters, digits, `_` and `-`, at most 50 characters.
---@field workdir? string|lunabot.None|false Its folder, below `DIR/workers` unless absolute. Default: its name.
---@field max_builds? integer|lunabot.None|false How many builds it may run at once; `None` or 0 sets no limit. Default: `None`.
---@field notify_on_missing? string|string[]|lunabot.None|false The addresses that are told when it has been missing for `missing_timeout`. Default: `{}`.
---@field missing_timeout? number|string|lunabot.None|false How long it may be away before it counts as missing; `None` or 0: it never does. Default: `3600`.
---@field properties? table<string, any> Set on each of its builds with the source `Worker`, over all other properties. Default: `{}`.
---@field defaultProperties? table<string, any> Set on each of its builds where nothing else has set them. Default: `{}`.
---@field keepalive_interval? number|string|lunabot.None|false How often an idle link is asked for a sign of life; `None` turns that off. Default: `3600`.
---@field keepalive_timeout? number|string|lunabot.None|false How long the answer to that may take; a later one ends the link. Default: the smaller of 30 s and three intervals.
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
---@field timeout? number|string|lunabot.None|false How long it may be silent before it is killed; `None`: for ever. Default: `1200`.
---@field maxTime? number|string|lunabot.None|false How long it may run in all before it is killed. Default: `None`.
---@field sigtermTime? number|string|lunabot.None|false If given, a kill begins with SIGTERM and waits this long before `interruptSignal`. Default: `None`.
---@field interruptSignal? string The signal that ends it: KILL, TERM, INT, HUP, QUIT or ABRT. Default: `"KILL"`.
---@field want_stdout? boolean Whether its standard output is kept. Default: `true`.
---@field want_stderr? boolean Whether its standard error is kept. Default: `true`.
---@field logEnviron? boolean Whether its log begins with its environment. Values of variables that look secret are hidden. Default: `true`.
---@field initialStdin? string|lunabot.Renderable|lunabot.None|false What it reads from standard input, which is then closed. Default: `None`.
---@field logfiles? table<string, string|lunabot.Renderable|{ filename: string|lunabot.Renderable, follow?: boolean }> Files that are watched while it runs, each a log of the step beside `stdio`: names, and paths below `workdir`. Instead of a path, `{ filename = path, follow = true }` keeps only what is added while it runs. Default: `{}`.
---@field lazylogfiles? boolean Whether the log of a watched file is there only once something was written to the file. Default: `false`.
---@field max_lines? integer|lunabot.None|false How many lines of output it may write before it is killed. Default: `None`.
---@field usePTY? boolean Whether it runs on a terminal. `initialStdin` is then ignored by the worker. Default: `false`.
---@field decodeRC? table<integer, string|integer>|lunabot.None|false Exit codes and their outcomes; all others are failures. Default: { [0] = "success" }.
---@field name? string Its name; a second step of the same name gets a number. Default: `"shell"`.
---@field description? string|lunabot.Renderable|(string|lunabot.Renderable)[]|lunabot.None|false The line that people read while it runs; a list is joined by spaces. Default: `None`.
---@field descriptionDone? string|lunabot.Renderable|(string|lunabot.Renderable)[]|lunabot.None|false The line that people read once it has ended; `description` if that alone is given. Default: `None`.
---@field descriptionSuffix? string|lunabot.Renderable|(string|lunabot.Renderable)[]|lunabot.None|false What is added to both lines. Default: `None`.
---@field haltOnFailure? boolean After a failure, the steps that follow are skipped, but for those with `alwaysRun`. Default: `false`.
---@field flunkOnFailure? boolean Its failure is a failure of the build. Default: `true`.
---@field flunkOnWarnings? boolean Its warnings are a failure of the build. Default: `false`.
---@field warnOnFailure? boolean Its failure is a warning of the build, unless `flunkOnFailure` makes it more. Default: `false`.
---@field warnOnWarnings? boolean Its warnings are warnings of the build. Default: `true`.
---@field alwaysRun? boolean It runs even after a halt. Default: `false`.
---@field doStepIf? boolean|lunabot.Renderable|(fun(step: lunabot.RunningStep): any) Whether it is done; else it is skipped, which is no failure. A function is given the step. Default: `true`.
---@field hideStepIf? boolean|lunabot.Renderable|(fun(results: integer, step: lunabot.RunningStep): any) Whether it is left out where steps are shown. A function is given its outcome (`util.SUCCESS` and kin) and the step. Default: `false`.

---Runs a command on the worker and makes its output a property of the build, which the steps that follow can use. Output of more than 1 MiB is a failure.
---@class lunabot.options.SetPropertyFromCommand
---@field property? string|lunabot.Renderable|lunabot.None|false The property that is set. Either this or `extract_fn` is given. Default: `None`.
---@field extract_fn? fun(rc: integer, stdout: string, stderr: string): table<string, any>|lunabot.None|false A function that is given the exit code, the standard output and the standard error, and returns a table of properties, all of which are set; also if the command has failed. Default: `None`.
---@field strip? boolean Whether white space around the value is removed. Default: `true`.
---@field includeStdout? boolean Whether its standard output is the value, and given to `extract_fn`. Default: `true`.
---@field includeStderr? boolean Without effect: as in Buildbot `extract_fn` is always given the standard error, and `property` never. Default: `false`.
---@field command string|lunabot.Renderable|(string|lunabot.Renderable)[] A line for the worker's shell, or a list: program and arguments, seen by no shell.
---@field workdir? string|lunabot.Renderable Where it runs, below the builder's folder. Default: `"build"`.
---@field env? table<string, string|lunabot.Renderable|(string|lunabot.Renderable)[]|lunabot.None|false> Its environment, over the builder's and the worker's. `${NAME}` in a value is replaced on the worker. Default: `{}`.
---@field timeout? number|string|lunabot.None|false How long it may be silent before it is killed; `None`: for ever. Default: `1200`.
---@field maxTime? number|string|lunabot.None|false How long it may run in all before it is killed. Default: `None`.
---@field sigtermTime? number|string|lunabot.None|false If given, a kill begins with SIGTERM and waits this long before `interruptSignal`. Default: `None`.
---@field interruptSignal? string The signal that ends it: KILL, TERM, INT, HUP, QUIT or ABRT. Default: `"KILL"`.
---@field want_stdout? boolean Whether its standard output is kept. Default: `true`.
---@field want_stderr? boolean Whether its standard error is kept. Default: `true`.
---@field logEnviron? boolean Whether its log begins with its environment. Values of variables that look secret are hidden. Default: `true`.
---@field initialStdin? string|lunabot.Renderable|lunabot.None|false What it reads from standard input, which is then closed. Default: `None`.
---@field logfiles? table<string, string|lunabot.Renderable|{ filename: string|lunabot.Renderable, follow?: boolean }> Files that are watched while it runs, each a log of the step beside `stdio`: names, and paths below `workdir`. Instead of a path, `{ filename = path, follow = true }` keeps only what is added while it runs. Default: `{}`.
---@field lazylogfiles? boolean Whether the log of a watched file is there only once something was written to the file. Default: `false`.
---@field max_lines? integer|lunabot.None|false How many lines of output it may write before it is killed. Default: `None`.
---@field usePTY? boolean Whether it runs on a terminal. `initialStdin` is then ignored by the worker. Default: `false`.
---@field decodeRC? table<integer, string|integer>|lunabot.None|false Exit codes and their outcomes; all others are failures. Default: { [0] = "success" }.
---@field name? string Its name; a second step of the same name gets a number. Default: `"setproperty"`.
---@field description? string|lunabot.Renderable|(string|lunabot.Renderable)[]|lunabot.None|false The line that people read while it runs; a list is joined by spaces. Default: `None`.
---@field descriptionDone? string|lunabot.Renderable|(string|lunabot.Renderable)[]|lunabot.None|false The line that people read once it has ended; `description` if that alone is given. Default: `None`.
---@field descriptionSuffix? string|lunabot.Renderable|(string|lunabot.Renderable)[]|lunabot.None|false What is added to both lines. Default: `None`.
---@field haltOnFailure? boolean After a failure, the steps that follow are skipped, but for those with `alwaysRun`. Default: `false`.
---@field flunkOnFailure? boolean Its failure is a failure of the build. Default: `true`.
---@field flunkOnWarnings? boolean Its warnings are a failure of the build. Default: `false`.
---@field warnOnFailure? boolean Its failure is a warning of the build, unless `flunkOnFailure` makes it more. Default: `false`.
---@field warnOnWarnings? boolean Its warnings are warnings of the build. Default: `true`.
---@field alwaysRun? boolean It runs even after a halt. Default: `false`.
---@field doStepIf? boolean|lunabot.Renderable|(fun(step: lunabot.RunningStep): any) Whether it is done; else it is skipped, which is no failure. A function is given the step. Default: `true`.
---@field hideStepIf? boolean|lunabot.Renderable|(fun(results: integer, step: lunabot.RunningStep): any) Whether it is left out where steps are shown. A function is given its outcome (`util.SUCCESS` and kin) and the step. Default: `false`.
---@field [1]? string|lunabot.Renderable|lunabot.None|false The same as `property`.

---Sets a property of the build, on the master.
---@class lunabot.options.SetProperty
---@field property? string|lunabot.Renderable The property that is set.
---@field value? any Its value. `util.Property` keeps the type of what it stands for.
---@field name? string Its name; a second step of the same name gets a number. Default: `"SetProperty"`.
---@field description? string|lunabot.Renderable|(string|lunabot.Renderable)[]|lunabot.None|false The line that people read while it runs; a list is joined by spaces. Default: `None`.
---@field descriptionDone? string|lunabot.Renderable|(string|lunabot.Renderable)[]|lunabot.None|false The line that people read once it has ended; `description` if that alone is given. Default: `None`.
---@field descriptionSuffix? string|lunabot.Renderable|(string|lunabot.Renderable)[]|lunabot.None|false What is added to both lines. Default: `None`.
---@field haltOnFailure? boolean After a failure, the steps that follow are skipped, but for those with `alwaysRun`. Default: `false`.
---@field flunkOnFailure? boolean Its failure is a failure of the build. Default: `true`.
---@field flunkOnWarnings? boolean Its warnings are a failure of the build. Default: `false`.
---@field warnOnFailure? boolean Its failure is a warning of the build, unless `flunkOnFailure` makes it more. Default: `false`.
---@field warnOnWarnings? boolean Its warnings are warnings of the build. Default: `true`.
---@field alwaysRun? boolean It runs even after a halt. Default: `false`.
---@field doStepIf? boolean|lunabot.Renderable|(fun(step: lunabot.RunningStep): any) Whether it is done; else it is skipped, which is no failure. A function is given the step. Default: `true`.
---@field hideStepIf? boolean|lunabot.Renderable|(fun(results: integer, step: lunabot.RunningStep): any) Whether it is left out where steps are shown. A function is given its outcome (`util.SUCCESS` and kin) and the step. Default: `false`.
---@field [1]? string|lunabot.Renderable The same as `property`.
---@field [2]? any The same as `value`.

---Brings a file from the worker to the master. The file is replaced when all of it has come, and not before.
---@class lunabot.options.FileUpload
---@field workersrc? string|lunabot.Renderable The file on the worker, below `workdir`.
---@field masterdest? string|lunabot.Renderable The file on the master, below the master's folder unless it is absolute; `~/` is the home of the master's user. Folders above it are made.
---@field workdir? string|lunabot.Renderable Where `workersrc` begins, below the builder's folder. Default: `"build"`.
---@field maxsize? integer|string|lunabot.None|false The most bytes that are sent; more is a failure. Default: `None`.
---@field blocksize? integer|string Bytes that are sent at a time. Each block waits for the answer to the last one, so larger ones are faster; more than 655360 counts as that. Default: `262144`.
---@field mode? string|lunabot.None|false Permissions of the file on the master; for its owner alone if absent, in octal as text: `"0644"`. Default: `None`.
---@field keepstamp? boolean Whether the file keeps its times of access and change. Default: `false`.
---@field url? string|lunabot.Renderable|lunabot.None|false An address that is shown beside the step. Default: `None`.
---@field urlText? string|lunabot.Renderable|lunabot.None|false How it is called; the name of the target if absent. Default: `None`.
---@field name? string Its name; a second step of the same name gets a number. Default: `"upload"`.
---@field description? string|lunabot.Renderable|(string|lunabot.Renderable)[]|lunabot.None|false The line that people read while it runs; a list is joined by spaces. Default: `None`.
---@field descriptionDone? string|lunabot.Renderable|(string|lunabot.Renderable)[]|lunabot.None|false The line that people read once it has ended; `description` if that alone is given. Default: `None`.
---@field descriptionSuffix? string|lunabot.Renderable|(string|lunabot.Renderable)[]|lunabot.None|false What is added to both lines. Default: `None`.
---@field haltOnFailure? boolean After a failure, the steps that follow are skipped, but for those with `alwaysRun`. Default: `true`.
---@field flunkOnFailure? boolean Its failure is a failure of the build. Default: `true`.
---@field flunkOnWarnings? boolean Its warnings are a failure of the build. Default: `false`.
---@field warnOnFailure? boolean Its failure is a warning of the build, unless `flunkOnFailure` makes it more. Default: `false`.
---@field warnOnWarnings? boolean Its warnings are warnings of the build. Default: `true`.
---@field alwaysRun? boolean It runs even after a halt. Default: `false`.
---@field doStepIf? boolean|lunabot.Renderable|(fun(step: lunabot.RunningStep): any) Whether it is done; else it is skipped, which is no failure. A function is given the step. Default: `true`.
---@field hideStepIf? boolean|lunabot.Renderable|(fun(results: integer, step: lunabot.RunningStep): any) Whether it is left out where steps are shown. A function is given its outcome (`util.SUCCESS` and kin) and the step. Default: `false`.
---@field [1]? string|lunabot.Renderable The same as `workersrc`.
---@field [2]? string|lunabot.Renderable The same as `masterdest`.
---@field [3]? string|lunabot.Renderable The same as `workdir`.
---@field [4]? integer|string|lunabot.None|false The same as `maxsize`.
---@field [5]? integer|string The same as `blocksize`.
---@field [6]? string|lunabot.None|false The same as `mode`.
---@field [7]? boolean The same as `keepstamp`.
---@field [8]? string|lunabot.Renderable|lunabot.None|false The same as `url`.
---@field [9]? string|lunabot.Renderable|lunabot.None|false The same as `urlText`.

---Brings a folder from the worker to the master, into one that may be there already. Nothing changes there before all of it has come. A folder with devices, or with links that lead out of it, is refused.
---@class lunabot.options.DirectoryUpload
---@field workersrc? string|lunabot.Renderable The folder on the worker, below `workdir`.
---@field masterdest? string|lunabot.Renderable The folder on the master, below the master's folder unless it is absolute; `~/` is the home of the master's user. Folders above it are made.
---@field workdir? string|lunabot.Renderable Where `workersrc` begins, below the builder's folder. Default: `"build"`.
---@field maxsize? integer|string|lunabot.None|false The most bytes that are sent; more is a failure. Default: `None`.
---@field blocksize? integer|string Bytes that are sent at a time. Each block waits for the answer to the last one, so larger ones are faster; more than 655360 counts as that. Default: `16384`.
---@field compress? string|lunabot.None|false How it is compressed on its way: `gz`, `bz2`, or not at all. Default: `None`.
---@field url? string|lunabot.Renderable|lunabot.None|false An address that is shown beside the step. Default: `None`.
---@field urlText? string|lunabot.Renderable|lunabot.None|false How it is called; the name of the target if absent. Default: `None`.
---@field name? string Its name; a second step of the same name gets a number. Default: `"upload"`.
---@field description? string|lunabot.Renderable|(string|lunabot.Renderable)[]|lunabot.None|false The line that people read while it runs; a list is joined by spaces. Default: `None`.
---@field descriptionDone? string|lunabot.Renderable|(string|lunabot.Renderable)[]|lunabot.None|false The line that people read once it has ended; `description` if that alone is given. Default: `None`.
---@field descriptionSuffix? string|lunabot.Renderable|(string|lunabot.Renderable)[]|lunabot.None|false What is added to both lines. Default: `None`.
---@field haltOnFailure? boolean After a failure, the steps that follow are skipped, but for those with `alwaysRun`. Default: `true`.
---@field flunkOnFailure? boolean Its failure is a failure of the build. Default: `true`.
---@field flunkOnWarnings? boolean Its warnings are a failure of the build. Default: `false`.
---@field warnOnFailure? boolean Its failure is a warning of the build, unless `flunkOnFailure` makes it more. Default: `false`.
---@field warnOnWarnings? boolean Its warnings are warnings of the build. Default: `true`.
---@field alwaysRun? boolean It runs even after a halt. Default: `false`.
---@field doStepIf? boolean|lunabot.Renderable|(fun(step: lunabot.RunningStep): any) Whether it is done; else it is skipped, which is no failure. A function is given the step. Default: `true`.
---@field hideStepIf? boolean|lunabot.Renderable|(fun(results: integer, step: lunabot.RunningStep): any) Whether it is left out where steps are shown. A function is given its outcome (`util.SUCCESS` and kin) and the step. Default: `false`.
---@field [1]? string|lunabot.Renderable The same as `workersrc`.
---@field [2]? string|lunabot.Renderable The same as `masterdest`.
---@field [3]? string|lunabot.Renderable The same as `workdir`.
---@field [4]? integer|string|lunabot.None|false The same as `maxsize`.
---@field [5]? integer|string The same as `blocksize`.
---@field [6]? string|lunabot.None|false The same as `compress`.
---@field [7]? string|lunabot.Renderable|lunabot.None|false The same as `url`.
---@field [8]? string|lunabot.Renderable|lunabot.None|false The same as `urlText`.

---Brings files and folders from the worker into a folder on the master, one after the other. The first that fails is the last.
---@class lunabot.options.MultipleFileUpload
---@field workersrcs? string|lunabot.Renderable|(string|lunabot.Renderable)[] Files and folders on the worker, below `workdir`.
---@field masterdest? string|lunabot.Renderable The folder on the master, below the master's folder unless it is absolute; `~/` is the home of the master's user. Folders above it are made.
---@field workdir? string|lunabot.Renderable Where each of `workersrcs` begins, below the builder's folder. Default: `"build"`.
---@field maxsize? integer|string|lunabot.None|false The most bytes that are sent; more is a failure. Default: `None`.
---@field blocksize? integer|string Bytes that are sent at a time. Each block waits for the answer to the last one, so larger ones are faster; more than 655360 counts as that. Default: `16384`.
---@field glob? boolean Whether `workersrcs` are patterns: `*.deb`, `out/**`. Default: `false`.
---@field mode? string|lunabot.None|false Permissions of the files on the master; for their owner alone if absent, in octal as text: `"0644"`. Default: `None`.
---@field compress? string|lunabot.None|false How it is compressed on its way: `gz`, `bz2`, or not at all. Default: `None`.
---@field keepstamp? boolean Whether the file keeps its times of access and change. Default: `false`.
---@field url? string|lunabot.Renderable|lunabot.None|false An address that is shown beside the step. Default: `None`.
---@field urlText? string|lunabot.Renderable|lunabot.None|false How it is called; the name of the target if absent. Default: `None`.
---@field name? string Its name; a second step of the same name gets a number. Default: `"upload"`.
---@field description? string|lunabot.Renderable|(string|lunabot.Renderable)[]|lunabot.None|false The line that people read while it runs; a list is joined by spaces. Default: `None`.
---@field descriptionDone? string|lunabot.Renderable|(string|lunabot.Renderable)[]|lunabot.None|false The line that people read once it has ended; `description` if that alone is given. Default: `None`.
---@field descriptionSuffix? string|lunabot.Renderable|(string|lunabot.Renderable)[]|lunabot.None|false What is added to both lines. Default: `None`.
---@field haltOnFailure? boolean After a failure, the steps that follow are skipped, but for those with `alwaysRun`. Default: `true`.
---@field flunkOnFailure? boolean Its failure is a failure of the build. Default: `true`.
---@field flunkOnWarnings? boolean Its warnings are a failure of the build. Default: `false`.
---@field warnOnFailure? boolean Its failure is a warning of the build, unless `flunkOnFailure` makes it more. Default: `false`.
---@field warnOnWarnings? boolean Its warnings are warnings of the build. Default: `true`.
---@field alwaysRun? boolean It runs even after a halt. Default: `false`.
---@field doStepIf? boolean|lunabot.Renderable|(fun(step: lunabot.RunningStep): any) Whether it is done; else it is skipped, which is no failure. A function is given the step. Default: `true`.
---@field hideStepIf? boolean|lunabot.Renderable|(fun(results: integer, step: lunabot.RunningStep): any) Whether it is left out where steps are shown. A function is given its outcome (`util.SUCCESS` and kin) and the step. Default: `false`.
---@field [1]? string|lunabot.Renderable|(string|lunabot.Renderable)[] The same as `workersrcs`.
---@field [2]? string|lunabot.Renderable The same as `masterdest`.
---@field [3]? string|lunabot.Renderable The same as `workdir`.
---@field [4]? integer|string|lunabot.None|false The same as `maxsize`.
---@field [5]? integer|string The same as `blocksize`.
---@field [6]? boolean The same as `glob`.
---@field [7]? string|lunabot.None|false The same as `mode`.
---@field [8]? string|lunabot.None|false The same as `compress`.
---@field [9]? boolean The same as `keepstamp`.
---@field [10]? string|lunabot.Renderable|lunabot.None|false The same as `url`.
---@field [11]? string|lunabot.Renderable|lunabot.None|false The same as `urlText`.

---Brings a file from the master to the worker.
---@class lunabot.options.FileDownload
---@field mastersrc? string|lunabot.Renderable The file on the master, below the master's folder unless it is absolute; `~/` is the home of the master's user.
---@field workerdest? string|lunabot.Renderable The file on the worker, below `workdir`; it is replaced if it is there.
---@field workdir? string|lunabot.Renderable Where `workerdest` begins, below the builder's folder. Default: `"build"`.
---@field maxsize? integer|string|lunabot.None|false The most bytes that are sent; more is a failure. Default: `None`.
---@field blocksize? integer|string Bytes that are sent at a time. Each block waits for the answer to the last one, so larger ones are faster; more than 655360 counts as that. Default: `16384`.
---@field mode? string|lunabot.None|false Permissions of the file on the worker, in octal as text: `"0644"`. Default: `None`.
---@field name? string Its name; a second step of the same name gets a number. Default: `"download"`.
---@field description? string|lunabot.Renderable|(string|lunabot.Renderable)[]|lunabot.None|false The line that people read while it runs; a list is joined by spaces. Default: `None`.
---@field descriptionDone? string|lunabot.Renderable|(string|lunabot.Renderable)[]|lunabot.None|false The line that people read once it has ended; `description` if that alone is given. Default: `None`.
---@field descriptionSuffix? string|lunabot.Renderable|(string|lunabot.Renderable)[]|lunabot.None|false What is added to both lines. Default: `None`.
---@field haltOnFailure? boolean After a failure, the steps that follow are skipped, but for those with `alwaysRun`. Default: `true`.
---@field flunkOnFailure? boolean Its failure is a failure of the build. Default: `true`.
---@field flunkOnWarnings? boolean Its warnings are a failure of the build. Default: `false`.
---@field warnOnFailure? boolean Its failure is a warning of the build, unless `flunkOnFailure` makes it more. Default: `false`.
---@field warnOnWarnings? boolean Its warnings are warnings of the build. Default: `true`.
---@field alwaysRun? boolean It runs even after a halt. Default: `false`.
---@field doStepIf? boolean|lunabot.Renderable|(fun(step: lunabot.RunningStep): any) Whether it is done; else it is skipped, which is no failure. A function is given the step. Default: `true`.
---@field hideStepIf? boolean|lunabot.Renderable|(fun(results: integer, step: lunabot.RunningStep): any) Whether it is left out where steps are shown. A function is given its outcome (`util.SUCCESS` and kin) and the step. Default: `false`.
---@field [1]? string|lunabot.Renderable The same as `mastersrc`.
---@field [2]? string|lunabot.Renderable The same as `workerdest`.
---@field [3]? string|lunabot.Renderable The same as `workdir`.
---@field [4]? integer|string|lunabot.None|false The same as `maxsize`.
---@field [5]? integer|string The same as `blocksize`.
---@field [6]? string|lunabot.None|false The same as `mode`.

---Writes a text into a file on the worker.
---@class lunabot.options.StringDownload
---@field s? string|lunabot.Renderable What the file holds.
---@field workerdest? string|lunabot.Renderable The file on the worker, below `workdir`; it is replaced if it is there.
---@field workdir? string|lunabot.Renderable Where `workerdest` begins, below the builder's folder. Default: `"build"`.
---@field maxsize? integer|string|lunabot.None|false The most bytes that are sent; more is a failure. Default: `None`.
---@field blocksize? integer|string Bytes that are sent at a time. Each block waits for the answer to the last one, so larger ones are faster; more than 655360 counts as that. Default: `16384`.
---@field mode? string|lunabot.None|false Permissions of the file on the worker, in octal as text: `"0644"`. Default: `None`.
---@field name? string Its name; a second step of the same name gets a number. Default: `"string_download"`.
---@field description? string|lunabot.Renderable|(string|lunabot.Renderable)[]|lunabot.None|false The line that people read while it runs; a list is joined by spaces. Default: `None`.
---@field descriptionDone? string|lunabot.Renderable|(string|lunabot.Renderable)[]|lunabot.None|false The line that people read once it has ended; `description` if that alone is given. Default: `None`.
---@field descriptionSuffix? string|lunabot.Renderable|(string|lunabot.Renderable)[]|lunabot.None|false What is added to both lines. Default: `None`.
---@field haltOnFailure? boolean After a failure, the steps that follow are skipped, but for those with `alwaysRun`. Default: `true`.
---@field flunkOnFailure? boolean Its failure is a failure of the build. Default: `true`.
---@field flunkOnWarnings? boolean Its warnings are a failure of the build. Default: `false`.
---@field warnOnFailure? boolean Its failure is a warning of the build, unless `flunkOnFailure` makes it more. Default: `false`.
---@field warnOnWarnings? boolean Its warnings are warnings of the build. Default: `true`.
---@field alwaysRun? boolean It runs even after a halt. Default: `false`.
---@field doStepIf? boolean|lunabot.Renderable|(fun(step: lunabot.RunningStep): any) Whether it is done; else it is skipped, which is no failure. A function is given the step. Default: `true`.
---@field hideStepIf? boolean|lunabot.Renderable|(fun(results: integer, step: lunabot.RunningStep): any) Whether it is left out where steps are shown. A function is given its outcome (`util.SUCCESS` and kin) and the step. Default: `false`.
---@field [1]? string|lunabot.Renderable The same as `s`.
---@field [2]? string|lunabot.Renderable The same as `workerdest`.
---@field [3]? string|lunabot.Renderable The same as `workdir`.
---@field [4]? integer|string|lunabot.None|false The same as `maxsize`.
---@field [5]? integer|string The same as `blocksize`.
---@field [6]? string|lunabot.None|false The same as `mode`.

---Writes a value as JSON into a file on the worker.
---@class lunabot.options.JSONStringDownload
---@field o? any What the file holds, as JSON.
---@field workerdest? string|lunabot.Renderable The file on the worker, below `workdir`; it is replaced if it is there.
---@field workdir? string|lunabot.Renderable Where `workerdest` begins, below the builder's folder. Default: `"build"`.
---@field maxsize? integer|string|lunabot.None|false The most bytes that are sent; more is a failure. Default: `None`.
---@field blocksize? integer|string Bytes that are sent at a time. Each block waits for the answer to the last one, so larger ones are faster; more than 655360 counts as that. Default: `16384`.
---@field mode? string|lunabot.None|false Permissions of the file on the worker, in octal as text: `"0644"`. Default: `None`.
---@field name? string Its name; a second step of the same name gets a number. Default: `"json_download"`.
---@field description? string|lunabot.Renderable|(string|lunabot.Renderable)[]|lunabot.None|false The line that people read while it runs; a list is joined by spaces. Default: `None`.
---@field descriptionDone? string|lunabot.Renderable|(string|lunabot.Renderable)[]|lunabot.None|false The line that people read once it has ended; `description` if that alone is given. Default: `None`.
---@field descriptionSuffix? string|lunabot.Renderable|(string|lunabot.Renderable)[]|lunabot.None|false What is added to both lines. Default: `None`.
---@field haltOnFailure? boolean After a failure, the steps that follow are skipped, but for those with `alwaysRun`. Default: `true`.
---@field flunkOnFailure? boolean Its failure is a failure of the build. Default: `true`.
---@field flunkOnWarnings? boolean Its warnings are a failure of the build. Default: `false`.
---@field warnOnFailure? boolean Its failure is a warning of the build, unless `flunkOnFailure` makes it more. Default: `false`.
---@field warnOnWarnings? boolean Its warnings are warnings of the build. Default: `true`.
---@field alwaysRun? boolean It runs even after a halt. Default: `false`.
---@field doStepIf? boolean|lunabot.Renderable|(fun(step: lunabot.RunningStep): any) Whether it is done; else it is skipped, which is no failure. A function is given the step. Default: `true`.
---@field hideStepIf? boolean|lunabot.Renderable|(fun(results: integer, step: lunabot.RunningStep): any) Whether it is left out where steps are shown. A function is given its outcome (`util.SUCCESS` and kin) and the step. Default: `false`.
---@field [1]? any The same as `o`.
---@field [2]? string|lunabot.Renderable The same as `workerdest`.
---@field [3]? string|lunabot.Renderable The same as `workdir`.
---@field [4]? integer|string|lunabot.None|false The same as `maxsize`.
---@field [5]? integer|string The same as `blocksize`.
---@field [6]? string|lunabot.None|false The same as `mode`.

---Makes a folder on the worker, and those above it. One that is there already is a success.
---@class lunabot.options.MakeDirectory
---@field dir? string|lunabot.Renderable Which, below the builder's folder: `build/out` is `out` in the folder where commands run.
---@field name? string Its name; a second step of the same name gets a number. Default: `"MakeDirectory"`.
---@field description? string|lunabot.Renderable|(string|lunabot.Renderable)[]|lunabot.None|false The line that people read while it runs; a list is joined by spaces. Default: `None`.
---@field descriptionDone? string|lunabot.Renderable|(string|lunabot.Renderable)[]|lunabot.None|false The line that people read once it has ended; `description` if that alone is given. Default: `None`.
---@field descriptionSuffix? string|lunabot.Renderable|(string|lunabot.Renderable)[]|lunabot.None|false What is added to both lines. Default: `None`.
---@field haltOnFailure? boolean After a failure, the steps that follow are skipped, but for those with `alwaysRun`. Default: `true`.
---@field flunkOnFailure? boolean Its failure is a failure of the build. Default: `true`.
---@field flunkOnWarnings? boolean Its warnings are a failure of the build. Default: `false`.
---@field warnOnFailure? boolean Its failure is a warning of the build, unless `flunkOnFailure` makes it more. Default: `false`.
---@field warnOnWarnings? boolean Its warnings are warnings of the build. Default: `true`.
---@field alwaysRun? boolean It runs even after a halt. Default: `false`.
---@field doStepIf? boolean|lunabot.Renderable|(fun(step: lunabot.RunningStep): any) Whether it is done; else it is skipped, which is no failure. A function is given the step. Default: `true`.
---@field hideStepIf? boolean|lunabot.Renderable|(fun(results: integer, step: lunabot.RunningStep): any) Whether it is left out where steps are shown. A function is given its outcome (`util.SUCCESS` and kin) and the step. Default: `false`.
---@field [1]? string|lunabot.Renderable The same as `dir`.

---Removes a folder on the worker and all in it. One that is missing is a success.
---@class lunabot.options.RemoveDirectory
---@field dir? string|lunabot.Renderable|(string|lunabot.Renderable)[] Which, below the builder's folder; or a list of them.
---@field name? string Its name; a second step of the same name gets a number. Default: `"RemoveDirectory"`.
---@field description? string|lunabot.Renderable|(string|lunabot.Renderable)[]|lunabot.None|false The line that people read while it runs; a list is joined by spaces. Default: `None`.
---@field descriptionDone? string|lunabot.Renderable|(string|lunabot.Renderable)[]|lunabot.None|false The line that people read once it has ended; `description` if that alone is given. Default: `None`.
---@field descriptionSuffix? string|lunabot.Renderable|(string|lunabot.Renderable)[]|lunabot.None|false What is added to both lines. Default: `None`.
---@field haltOnFailure? boolean After a failure, the steps that follow are skipped, but for those with `alwaysRun`. Default: `true`.
---@field flunkOnFailure? boolean Its failure is a failure of the build. Default: `true`.
---@field flunkOnWarnings? boolean Its warnings are a failure of the build. Default: `false`.
---@field warnOnFailure? boolean Its failure is a warning of the build, unless `flunkOnFailure` makes it more. Default: `false`.
---@field warnOnWarnings? boolean Its warnings are warnings of the build. Default: `true`.
---@field alwaysRun? boolean It runs even after a halt. Default: `false`.
---@field doStepIf? boolean|lunabot.Renderable|(fun(step: lunabot.RunningStep): any) Whether it is done; else it is skipped, which is no failure. A function is given the step. Default: `true`.
---@field hideStepIf? boolean|lunabot.Renderable|(fun(results: integer, step: lunabot.RunningStep): any) Whether it is left out where steps are shown. A function is given its outcome (`util.SUCCESS` and kin) and the step. Default: `false`.
---@field [1]? string|lunabot.Renderable|(string|lunabot.Renderable)[] The same as `dir`.

---Copies a folder on the worker, links kept.
---@class lunabot.options.CopyDirectory
---@field src? string|lunabot.Renderable What is copied, below the builder's folder.
---@field dest? string|lunabot.Renderable Where to, below the builder's folder.
---@field timeout? number|string|lunabot.None|false How long it may be silent before it is killed; `None`: for ever. Default: `120`.
---@field maxTime? number|string|lunabot.None|false How long it may run in all before it is killed. Default: `None`.
---@field name? string Its name; a second step of the same name gets a number. Default: `"CopyDirectory"`.
---@field description? string|lunabot.Renderable|(string|lunabot.Renderable)[]|lunabot.None|false The line that people read while it runs; a list is joined by spaces. Default: `None`.
---@field descriptionDone? string|lunabot.Renderable|(string|lunabot.Renderable)[]|lunabot.None|false The line that people read once it has ended; `description` if that alone is given. Default: `None`.
---@field descriptionSuffix? string|lunabot.Renderable|(string|lunabot.Renderable)[]|lunabot.None|false What is added to both lines. Default: `None`.
---@field haltOnFailure? boolean After a failure, the steps that follow are skipped, but for those with `alwaysRun`. Default: `true`.
---@field flunkOnFailure? boolean Its failure is a failure of the build. Default: `true`.
---@field flunkOnWarnings? boolean Its warnings are a failure of the build. Default: `false`.
---@field warnOnFailure? boolean Its failure is a warning of the build, unless `flunkOnFailure` makes it more. Default: `false`.
---@field warnOnWarnings? boolean Its warnings are warnings of the build. Default: `true`.
---@field alwaysRun? boolean It runs even after a halt. Default: `false`.
---@field doStepIf? boolean|lunabot.Renderable|(fun(step: lunabot.RunningStep): any) Whether it is done; else it is skipped, which is no failure. A function is given the step. Default: `true`.
---@field hideStepIf? boolean|lunabot.Renderable|(fun(results: integer, step: lunabot.RunningStep): any) Whether it is left out where steps are shown. A function is given its outcome (`util.SUCCESS` and kin) and the step. Default: `false`.
---@field [1]? string|lunabot.Renderable The same as `src`.
---@field [2]? string|lunabot.Renderable The same as `dest`.
---@field [3]? number|string|lunabot.None|false The same as `timeout`.
---@field [4]? number|string|lunabot.None|false The same as `maxTime`.

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
---@field periodicBuildTimer? number|string From one build to the next. The first comes at once, unless the last one before a restart was nearer than this.
---@field reason? string|lunabot.None|false The reason of its builds. Default: The Periodic scheduler named 'NAME' triggered this build.
---@field properties? table<string, any> Set on each of its requests with the source `Scheduler`. Default: `{}`.
---@field [1]? string The same as `name`.
---@field [2]? string|string[] The same as `builderNames`.
---@field [3]? number|string The same as `periodicBuildTimer`.

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
---@param periodicBuildTimer number|string From one build to the next. The first comes at once, unless the last one before a restart was nearer than this.
---@param options? lunabot.options.Periodic
---@return lunabot.Scheduler
function schedulers.Periodic(name, builderNames, periodicBuildTimer, options) end

---@class lunabot.module.steps
local steps = {}

---Runs a command on the worker. Its exit code is the outcome, its output the log `stdio`.
---@param options lunabot.options.ShellCommand
---@return lunabot.Step
function steps.ShellCommand(options) end

---Runs a command on the worker and makes its output a property of the build, which the steps that follow can use. Output of more than 1 MiB is a failure.
---@overload fun(options: lunabot.options.SetPropertyFromCommand): lunabot.Step
---@overload fun(property: string|lunabot.Renderable|lunabot.None|false, options?: lunabot.options.SetPropertyFromCommand): lunabot.Step
---@param property? string|lunabot.Renderable|lunabot.None|false The property that is set. Either this or `extract_fn` is given.
---@param options? lunabot.options.SetPropertyFromCommand
---@return lunabot.Step
function steps.SetPropertyFromCommand(property, options) end

---Sets a property of the build, on the master.
---@overload fun(options: lunabot.options.SetProperty): lunabot.Step
---@param property string|lunabot.Renderable The property that is set.
---@param value any Its value. `util.Property` keeps the type of what it stands for.
---@param options? lunabot.options.SetProperty
---@return lunabot.Step
function steps.SetProperty(property, value, options) end

---Brings a file from the worker to the master. The file is replaced when all of it has come, and not before.
---@overload fun(options: lunabot.options.FileUpload): lunabot.Step
---@overload fun(workersrc: string|lunabot.Renderable, masterdest: string|lunabot.Renderable, options?: lunabot.options.FileUpload): lunabot.Step
---@param workersrc string|lunabot.Renderable The file on the worker, below `workdir`.
---@param masterdest string|lunabot.Renderable The file on the master, below the master's folder unless it is absolute; `~/` is the home of the master's user. Folders above it are made.
---@param workdir? string|lunabot.Renderable Where `workersrc` begins, below the builder's folder.
---@param maxsize? integer|string|lunabot.None|false The most bytes that are sent; more is a failure.
---@param blocksize? integer|string Bytes that are sent at a time. Each block waits for the answer to the last one, so larger ones are faster; more than 655360 counts as that.
---@param mode? string|lunabot.None|false Permissions of the file on the master; for its owner alone if absent, in octal as text: `"0644"`.
---@param keepstamp? boolean Whether the file keeps its times of access and change.
---@param url? string|lunabot.Renderable|lunabot.None|false An address that is shown beside the step.
---@param urlText? string|lunabot.Renderable|lunabot.None|false How it is called; the name of the target if absent.
---@param options? lunabot.options.FileUpload
---@return lunabot.Step
function steps.FileUpload(workersrc, masterdest, workdir, maxsize, blocksize, mode, keepstamp, url, urlText, options) end

---Brings a folder from the worker to the master, into one that may be there already. Nothing changes there before all of it has come. A folder with devices, or with links that lead out of it, is refused.
---@overload fun(options: lunabot.options.DirectoryUpload): lunabot.Step
---@overload fun(workersrc: string|lunabot.Renderable, masterdest: string|lunabot.Renderable, options?: lunabot.options.DirectoryUpload): lunabot.Step
---@param workersrc string|lunabot.Renderable The folder on the worker, below `workdir`.
---@param masterdest string|lunabot.Renderable The folder on the master, below the master's folder unless it is absolute; `~/` is the home of the master's user. Folders above it are made.
---@param workdir? string|lunabot.Renderable Where `workersrc` begins, below the builder's folder.
---@param maxsize? integer|string|lunabot.None|false The most bytes that are sent; more is a failure.
---@param blocksize? integer|string Bytes that are sent at a time. Each block waits for the answer to the last one, so larger ones are faster; more than 655360 counts as that.
---@param compress? string|lunabot.None|false How it is compressed on its way: `gz`, `bz2`, or not at all.
---@param url? string|lunabot.Renderable|lunabot.None|false An address that is shown beside the step.
---@param urlText? string|lunabot.Renderable|lunabot.None|false How it is called; the name of the target if absent.
---@param options? lunabot.options.DirectoryUpload
---@return lunabot.Step
function steps.DirectoryUpload(workersrc, masterdest, workdir, maxsize, blocksize, compress, url, urlText, options) end

---Brings files and folders from the worker into a folder on the master, one after the other. The first that fails is the last.
---@overload fun(options: lunabot.options.MultipleFileUpload): lunabot.Step
---@overload fun(workersrcs: string|lunabot.Renderable|(string|lunabot.Renderable)[], masterdest: string|lunabot.Renderable, options?: lunabot.options.MultipleFileUpload): lunabot.Step
---@param workersrcs string|lunabot.Renderable|(string|lunabot.Renderable)[] Files and folders on the worker, below `workdir`.
---@param masterdest string|lunabot.Renderable The folder on the master, below the master's folder unless it is absolute; `~/` is the home of the master's user. Folders above it are made.
---@param workdir? string|lunabot.Renderable Where each of `workersrcs` begins, below the builder's folder.
---@param maxsize? integer|string|lunabot.None|false The most bytes that are sent; more is a failure.
---@param blocksize? integer|string Bytes that are sent at a time. Each block waits for the answer to the last one, so larger ones are faster; more than 655360 counts as that.
---@param glob? boolean Whether `workersrcs` are patterns: `*.deb`, `out/**`.
---@param mode? string|lunabot.None|false Permissions of the files on the master; for their owner alone if absent, in octal as text: `"0644"`.
---@param compress? string|lunabot.None|false How it is compressed on its way: `gz`, `bz2`, or not at all.
---@param keepstamp? boolean Whether the file keeps its times of access and change.
---@param url? string|lunabot.Renderable|lunabot.None|false An address that is shown beside the step.
---@param urlText? string|lunabot.Renderable|lunabot.None|false How it is called; the name of the target if absent.
---@param options? lunabot.options.MultipleFileUpload
---@return lunabot.Step
function steps.MultipleFileUpload(workersrcs, masterdest, workdir, maxsize, blocksize, glob, mode, compress, keepstamp, url, urlText, options) end

---Brings a file from the master to the worker.
---@overload fun(options: lunabot.options.FileDownload): lunabot.Step
---@overload fun(mastersrc: string|lunabot.Renderable, workerdest: string|lunabot.Renderable, options?: lunabot.options.FileDownload): lunabot.Step
---@param mastersrc string|lunabot.Renderable The file on the master, below the master's folder unless it is absolute; `~/` is the home of the master's user.
---@param workerdest string|lunabot.Renderable The file on the worker, below `workdir`; it is replaced if it is there.
---@param workdir? string|lunabot.Renderable Where `workerdest` begins, below the builder's folder.
---@param maxsize? integer|string|lunabot.None|false The most bytes that are sent; more is a failure.
---@param blocksize? integer|string Bytes that are sent at a time. Each block waits for the answer to the last one, so larger ones are faster; more than 655360 counts as that.
---@param mode? string|lunabot.None|false Permissions of the file on the worker, in octal as text: `"0644"`.
---@param options? lunabot.options.FileDownload
---@return lunabot.Step
function steps.FileDownload(mastersrc, workerdest, workdir, maxsize, blocksize, mode, options) end

---Writes a text into a file on the worker.
---@overload fun(options: lunabot.options.StringDownload): lunabot.Step
---@overload fun(s: string|lunabot.Renderable, workerdest: string|lunabot.Renderable, options?: lunabot.options.StringDownload): lunabot.Step
---@param s string|lunabot.Renderable What the file holds.
---@param workerdest string|lunabot.Renderable The file on the worker, below `workdir`; it is replaced if it is there.
---@param workdir? string|lunabot.Renderable Where `workerdest` begins, below the builder's folder.
---@param maxsize? integer|string|lunabot.None|false The most bytes that are sent; more is a failure.
---@param blocksize? integer|string Bytes that are sent at a time. Each block waits for the answer to the last one, so larger ones are faster; more than 655360 counts as that.
---@param mode? string|lunabot.None|false Permissions of the file on the worker, in octal as text: `"0644"`.
---@param options? lunabot.options.StringDownload
---@return lunabot.Step
function steps.StringDownload(s, workerdest, workdir, maxsize, blocksize, mode, options) end

---Writes a value as JSON into a file on the worker.
---@overload fun(options: lunabot.options.JSONStringDownload): lunabot.Step
---@overload fun(o: any, workerdest: string|lunabot.Renderable, options?: lunabot.options.JSONStringDownload): lunabot.Step
---@param o any What the file holds, as JSON.
---@param workerdest string|lunabot.Renderable The file on the worker, below `workdir`; it is replaced if it is there.
---@param workdir? string|lunabot.Renderable Where `workerdest` begins, below the builder's folder.
---@param maxsize? integer|string|lunabot.None|false The most bytes that are sent; more is a failure.
---@param blocksize? integer|string Bytes that are sent at a time. Each block waits for the answer to the last one, so larger ones are faster; more than 655360 counts as that.
---@param mode? string|lunabot.None|false Permissions of the file on the worker, in octal as text: `"0644"`.
---@param options? lunabot.options.JSONStringDownload
---@return lunabot.Step
function steps.JSONStringDownload(o, workerdest, workdir, maxsize, blocksize, mode, options) end

---Makes a folder on the worker, and those above it. One that is there already is a success.
---@overload fun(options: lunabot.options.MakeDirectory): lunabot.Step
---@overload fun(dir: string|lunabot.Renderable, options?: lunabot.options.MakeDirectory): lunabot.Step
---@param dir string|lunabot.Renderable Which, below the builder's folder: `build/out` is `out` in the folder where commands run.
---@param options? lunabot.options.MakeDirectory
---@return lunabot.Step
function steps.MakeDirectory(dir, options) end

---Removes a folder on the worker and all in it. One that is missing is a success.
---@overload fun(options: lunabot.options.RemoveDirectory): lunabot.Step
---@overload fun(dir: string|lunabot.Renderable|(string|lunabot.Renderable)[], options?: lunabot.options.RemoveDirectory): lunabot.Step
---@param dir string|lunabot.Renderable|(string|lunabot.Renderable)[] Which, below the builder's folder; or a list of them.
---@param options? lunabot.options.RemoveDirectory
---@return lunabot.Step
function steps.RemoveDirectory(dir, options) end

---Copies a folder on the worker, links kept.
---@overload fun(options: lunabot.options.CopyDirectory): lunabot.Step
---@overload fun(src: string|lunabot.Renderable, dest: string|lunabot.Renderable, options?: lunabot.options.CopyDirectory): lunabot.Step
---@param src string|lunabot.Renderable What is copied, below the builder's folder.
---@param dest string|lunabot.Renderable Where to, below the builder's folder.
---@param timeout? number|string|lunabot.None|false How long it may be silent before it is killed; `None`: for ever.
---@param maxTime? number|string|lunabot.None|false How long it may run in all before it is killed.
---@param options? lunabot.options.CopyDirectory
---@return lunabot.Step
function steps.CopyDirectory(src, dest, timeout, maxTime, options) end

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

---A text with holes: `%(prop:name)s` is a property of the build, `%(kw:name)s` a keyword; or `%s` for values by position.
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

---@class lunabot.module.worker
local worker = {}

---A worker that connects to the master by itself: a `buildbot-worker` process on some machine.
---@overload fun(options: lunabot.options.Worker): lunabot.Worker
---@param name string Its name and login, also the property `workername`: letters, digits, `_` and `-`, at most 50 characters.
---@param password string|lunabot.Secret|(string|lunabot.Secret)[] What it must know to log in; a list of up to four while it changes: `{ new, old }`. For msgpack a hash will do: `$argon2id$…`, as `lunabot hash-password` prints it. A change applies to the next login; a live link stays.
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
---@overload fun(name: "buildbot.process.results"): { SUCCESS: 0, WARNINGS: 1, FAILURE: 2, SKIPPED: 3, EXCEPTION: 4, RETRY: 5, CANCELLED: 6, Results: table<integer, string> }
---@param name string
---@return any
function require(name) end
