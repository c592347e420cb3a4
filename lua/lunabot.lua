---@meta lunabot
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

---The certificate of a port. Changed files are used from the next handshake on; nobody is cut.
---@class lunabot.options.c.protocols.pb.port.tls: { cert?: any, key?: any, chain?: any, client_ca?: any, [integer]: lunabot.NoSuchOption, [string]: lunabot.NoSuchOption }
---@field cert string The file of the certificate, in PEM form; those that lead to its authority may follow in it. Below the master's folder, unless absolute.
---@field key string The file of its private key, in PEM form and without a pass phrase.
---@field chain? string|lunabot.None|false A file of more certificates that lead to the authority, if they are not in `cert`. Default: `None`.
---@field client_ca? string|lunabot.None|false The file of the authorities of workers' certificates: then a worker needs one of theirs, beside its password. Without it no worker is asked for a certificate. Default: `None`.

---A port as a table, the same for both protocols.
---@class lunabot.options.c.protocols.pb.port: { port?: any, interface?: any, backlog?: any, tls?: any, [integer]: lunabot.NoSuchOption, [string]: lunabot.NoSuchOption }
---@field port integer|string A number from 1 to 65535.
---@field interface? string|lunabot.None|false The address of this machine on which it listens: `127.0.0.1`, `::1`. `::` is all of both families, `0.0.0.0` all of IPv4. Default: all addresses.
---@field backlog? integer|lunabot.None|false How many connections may wait to be answered; the system may allow fewer. Default: 16384.
---@field tls? lunabot.options.c.protocols.pb.port.tls|lunabot.None|false Its certificate; without it the port is in the clear. Default: `None`.

---The ports for workers that speak msgpack over WebSocket: `buildbot-worker --protocol msgpack_experimental_v7`.
---@class lunabot.options.c.protocols.msgpack_experimental_v7: { port?: any, [integer]: lunabot.NoSuchOption, [string]: lunabot.NoSuchOption }
---@field port integer|string|lunabot.options.c.protocols.pb.port|(integer|string|lunabot.options.c.protocols.pb.port)[] Where to listen: `9989`; Twisted's `tcp:9989:interface=127.0.0.1` or `ssl:9990:privateKey=key.pem:certKey=cert.pem`, as in Buildbot; a table as below; or a list of these.

---The ports for workers that speak Perspective Broker, which `buildbot-worker` does unless told otherwise.
---@class lunabot.options.c.protocols.pb: { port?: any, [integer]: lunabot.NoSuchOption, [string]: lunabot.NoSuchOption }
---@field port integer|string|lunabot.options.c.protocols.pb.port|(integer|string|lunabot.options.c.protocols.pb.port)[] Where to listen: `9989`; Twisted's `tcp:9989:interface=127.0.0.1` or `ssl:9990:privateKey=key.pem:certKey=cert.pem`, as in Buildbot; a table as below; or a list of these.

---Where workers may connect.
---@class lunabot.options.c.protocols: { pb?: any, msgpack_experimental_v7?: any, [integer]: lunabot.NoSuchOption, [string]: lunabot.NoSuchOption }
---@field pb? lunabot.options.c.protocols.pb|lunabot.None|false Perspective Broker. Default: `None`.
---@field msgpack_experimental_v7? lunabot.options.c.protocols.msgpack_experimental_v7|lunabot.None|false msgpack over WebSocket. Default: `None`.

---Where the master keeps what it must not forget.
---@class lunabot.options.c.db: { db_url?: any, [integer]: lunabot.NoSuchOption, [string]: lunabot.NoSuchOption }
---@field db_url? string|lunabot.None|false `sqlite:///FILE` (below the master's folder; four slashes for an absolute path) or `postgresql://USER:PASSWORD@HOST/NAME`. Default: sqlite:///state.sqlite.

---The configuration. It is given; the file fills it.
---@class lunabot.options.c
---@field title? string What the installation is called. Default: `"Lunabot"`.
---@field titleURL? string Where people find more about the project. Default: `""`.
---@field buildbotURL? string Where the web interface is reached from outside. Default: `""`.
---@field workers lunabot.Worker[] The workers. At least one. Default: `{}`.
---@field builders lunabot.Builder[] The builders. Default: `{}`.
---@field schedulers lunabot.Scheduler[] What asks for builds. Default: `{}`.
---@field reporters lunabot.Reporter[] Who is told what happens. Default: `{}`.
---@field services lunabot.Reporter[] Buildbot's name of `c.reporters`. Both may be filled, and `c.status` too: they are one list. Default: `{}`.
---@field status lunabot.Reporter[] The name of `c.reporters` in older manuals. Default: `{}`.
---@field properties? table<string, lunabot.Value> Set on each build with the source `Global`, under all other properties. Default: `{}`.
---@field secretsProviders lunabot.SecretsProvider[] Where secrets are looked for, in this order: the first that has one answers. Without any, in the folder `secrets` of the master's folder, if it is there. Default: `{}`.
---@field collapseRequests? boolean|(fun(builder: lunabot.QueuedBuilder, new: lunabot.QueuedRequest, old: lunabot.QueuedRequest): boolean)|lunabot.None|false Whether a request takes the place of an older one of its builder that still waits and would build the same: the same source stamps and properties, `reason` and `owner` aside, and no higher priority. `false`: never. A function `(builder, new, old)` says of two waiting requests whether `old` is given up for `new`. For builders that do not say it themselves. Default: `true`.
---@field prioritizeBuilders? fun(builders: lunabot.QueuedBuilder[]): lunabot.QueuedBuilder[]|string[]|lunabot.None|false A function `(builders)` that is given the builders whose requests wait, and returns them in the order in which they are to be served; one that it leaves out is not served now. Default: `None`.
---@field select_next_worker? fun(builder: lunabot.QueuedBuilder, workers: lunabot.FreeWorker[], request: lunabot.QueuedRequest): lunabot.FreeWorker|string|nil|lunabot.None|false A function `(builder, workers, request)` that chooses the worker of a build, for builders without a `nextWorker`, and is what that is. Default: `None`.
---@field protocols lunabot.options.c.protocols Where workers may connect. Default: `None`.
---@field db lunabot.options.c.db Where the master keeps what it must not forget. A change needs a restart. Default: `None`.
---@field db_url? string|lunabot.None|false Short for `c.db = { db_url = … }`. Default: `None`.

---What is wanted of a lock: a method of what `util.MasterLock` and `util.WorkerLock` make, to be called with a colon, or with a dot as in Buildbot.
---@class lunabot.options.access: { mode?: any, count?: any, [string]: lunabot.NoSuchOption }
---@field mode? string `"counting"`, beside others up to `maxCount`, or `"exclusive"`, alone.
---@field count? integer How much of it; 0 is always to be had. An exclusive access has the count 1. Default: `1`.
---@field [1]? string The same as `mode`.
---@field [2]? integer The same as `count`.

---A worker that connects to the master by itself: a `buildbot-worker` process on some machine.
---@class lunabot.options.Worker: { name?: any, password?: any, max_builds?: any, notify_on_missing?: any, missing_timeout?: any, notify_on_return?: any, locks?: any, properties?: any, defaultProperties?: any, keepalive_interval?: any, keepalive_timeout?: any, resume_grace?: any, [string]: lunabot.NoSuchOption }
---@field name? string Its name and login, also the property `workername`: letters, digits, `_` and `-`, at most 50 characters.
---@field password? string|lunabot.Secret|(string|lunabot.Secret)[] What it must know to log in; a list of up to four while it changes: `{ new, old }`. For msgpack a hash will do: `$argon2id$…`, as `lunabot hash-password` prints it. A change applies to the next login; a live link stays.
---@field max_builds? integer|lunabot.None|false How many builds it may run at once; `None` or 0 sets no limit. Default: `None`.
---@field notify_on_missing? string|string[]|lunabot.None|false The mail addresses that are told when it has been missing for `missing_timeout`. Default: `{}`.
---@field missing_timeout? number|string|lunabot.None|false How long it may be away before it counts as missing; `None` or 0: it never does. Default: `3600`.
---@field notify_on_return? boolean Whether the addresses in `notify_on_missing` are told as well when a worker is back that they were told was missing. Default: `false`.
---@field locks? lunabot.LockAccess[] What each build on it holds, from before it begins to its end. A `util.MasterLock` here counts for all workers together. Default: `{}`.
---@field properties? table<string, lunabot.Value> Set on each of its builds with the source `Worker`, over all other properties. Default: `{}`.
---@field defaultProperties? table<string, lunabot.Value> Set on each of its builds where nothing else has set them. Default: `{}`.
---@field keepalive_interval? number|string|lunabot.None|false How often an idle link is asked for a sign of life; `None` turns that off. Default: `3600`.
---@field keepalive_timeout? number|string|lunabot.None|false How long the answer to that may take; a later one ends the link. Default: the smaller of 30 s and three intervals.
---@field resume_grace? number|string|lunabot.None|false How long its builds wait for a `lunabot-worker` that has lost its link, or whose master is started again, before they are tried again; `None` or 0: they do not. A `buildbot-worker` cannot go on. Default: `60`.
---@field [1]? string The same as `name`.
---@field [2]? string|lunabot.Secret|(string|lunabot.Secret)[] The same as `password`.

---A worker inside the master's process, for small set-ups and for trying things out. It needs no password.
---@class lunabot.options.LocalWorker: { name?: any, workdir?: any, max_builds?: any, notify_on_missing?: any, missing_timeout?: any, notify_on_return?: any, locks?: any, properties?: any, defaultProperties?: any, keepalive_interval?: any, keepalive_timeout?: any, [string]: lunabot.NoSuchOption }
---@field name? string Its name and login, also the property `workername`: letters, digits, `_` and `-`, at most 50 characters.
---@field workdir? string|lunabot.None|false Its folder, below `DIR/workers` unless absolute. Default: its name.
---@field max_builds? integer|lunabot.None|false How many builds it may run at once; `None` or 0 sets no limit. Default: `None`.
---@field notify_on_missing? string|string[]|lunabot.None|false The mail addresses that are told when it has been missing for `missing_timeout`. Default: `{}`.
---@field missing_timeout? number|string|lunabot.None|false How long it may be away before it counts as missing; `None` or 0: it never does. Default: `3600`.
---@field notify_on_return? boolean Whether the addresses in `notify_on_missing` are told as well when a worker is back that they were told was missing. Default: `false`.
---@field locks? lunabot.LockAccess[] What each build on it holds, from before it begins to its end. A `util.MasterLock` here counts for all workers together. Default: `{}`.
---@field properties? table<string, lunabot.Value> Set on each of its builds with the source `Worker`, over all other properties. Default: `{}`.
---@field defaultProperties? table<string, lunabot.Value> Set on each of its builds where nothing else has set them. Default: `{}`.
---@field keepalive_interval? number|string|lunabot.None|false How often an idle link is asked for a sign of life; `None` turns that off. Default: `3600`.
---@field keepalive_timeout? number|string|lunabot.None|false How long the answer to that may take; a later one ends the link. Default: the smaller of 30 s and three intervals.
---@field [1]? string The same as `name`.
---@field [2]? string|lunabot.None|false The same as `workdir`.

---A device of an instance, in the words of EC2: one of `Ebs`, `VirtualName` and `NoDevice`.
---@class lunabot.options.worker.EC2LatentWorker.block_device_map: { DeviceName?: any, Ebs?: any, VirtualName?: any, NoDevice?: any, [integer]: lunabot.NoSuchOption, [string]: lunabot.NoSuchOption }
---@field DeviceName string Where the instance sees it: `/dev/sda1`.
---@field Ebs? lunabot.options.worker.EC2LatentWorker.block_device_map.Ebs|lunabot.None|false The volume. Default: `None`.
---@field VirtualName? string|lunabot.None|false A disk of the machine itself: `ephemeral0`. Default: `None`.
---@field NoDevice? boolean Whether a device of the image is left out. Default: `false`.

---A volume that is made with its instance, in the words of EC2.
---@class lunabot.options.worker.EC2LatentWorker.block_device_map.Ebs: { DeleteOnTermination?: any, SnapshotId?: any, VolumeSize?: any, VolumeType?: any, Iops?: any, Throughput?: any, Encrypted?: any, KmsKeyId?: any, [integer]: lunabot.NoSuchOption, [string]: lunabot.NoSuchOption }
---@field DeleteOnTermination? boolean Whether the volume goes with its instance. Default: `true`.
---@field SnapshotId? string|lunabot.None|false The snapshot that it begins as. Default: `None`.
---@field VolumeSize? integer|lunabot.None|false Its size in GiB; that of the snapshot, if there is one. Default: `None`.
---@field VolumeType? string|lunabot.None|false Its type: `gp3`, `io2`, …. Default: `None`.
---@field Iops? integer|lunabot.None|false Its operations in a second. Default: `None`.
---@field Throughput? integer|lunabot.None|false Its MiB in a second. Default: `None`.
---@field Encrypted? boolean Whether it is encrypted; `false` leaves that to the account. Default: `false`.
---@field KmsKeyId? string|lunabot.None|false The key that encrypts it. Default: `None`.

---What `boto3.Session` takes: another way to name key and region.
---@class lunabot.options.worker.EC2LatentWorker.session: { profile_name?: any, aws_access_key_id?: any, aws_secret_access_key?: any, aws_session_token?: any, region_name?: any, [integer]: lunabot.NoSuchOption, [string]: lunabot.NoSuchOption }
---@field profile_name? string|lunabot.None|false A profile of `~/.aws/config`. Default: `None`.
---@field aws_access_key_id? string|lunabot.Secret|lunabot.None|false The key's name. Default: `None`.
---@field aws_secret_access_key? string|lunabot.Secret|lunabot.None|false The key. Default: `None`.
---@field aws_session_token? string|lunabot.Secret|lunabot.None|false The token that goes with a temporary key. Default: `None`.
---@field region_name? string|lunabot.None|false The region. Default: `None`.

---A worker on a machine of Amazon's EC2 that is started when there is a build for it. Loading asks nothing of AWS.
---@class lunabot.options.EC2LatentWorker: { name?: any, password?: any, instance_type?: any, ami?: any, valid_ami_owners?: any, valid_ami_location_regex?: any, elastic_ip?: any, identifier?: any, secret_identifier?: any, aws_id_file_path?: any, user_data?: any, region?: any, keypair_name?: any, security_name?: any, spot_instance?: any, max_spot_price?: any, volumes?: any, placement?: any, price_multiplier?: any, tags?: any, product_description?: any, subnet_id?: any, security_group_ids?: any, instance_profile_name?: any, block_device_map?: any, session?: any, build_wait_timeout?: any, attach_timeout?: any, check_instance_interval?: any, max_builds?: any, notify_on_missing?: any, missing_timeout?: any, notify_on_return?: any, locks?: any, properties?: any, defaultProperties?: any, keepalive_interval?: any, keepalive_timeout?: any, resume_grace?: any, [string]: lunabot.NoSuchOption }
---@field name? string Its name and login, also the property `workername`: letters, digits, `_` and `-`, at most 50 characters.
---@field password? string|lunabot.Secret|(string|lunabot.Secret)[]|lunabot.None|false What an instance must know to log in, for one whose image knows it already. A change applies to the next instance. Default: made anew for each instance.
---@field instance_type? string The size of the machine: `m5.large`.
---@field ami? string|lunabot.None|false The image. Either this, or `valid_ami_owners` and `valid_ami_location_regex`, or one of these two. Default: `None`.
---@field valid_ami_owners? string|integer|(string|integer)[]|lunabot.None|false Whose images are looked through for the newest: account numbers, `self`, `amazon`, `aws-marketplace`. Default: `None`.
---@field valid_ami_location_regex? string|lunabot.None|false What the location of such an image begins with, as a regular expression (no look-around, no back-references). The last one counts, ordered by the first group (as numbers, if all are), else by location. Default: `None`.
---@field elastic_ip? string|lunabot.None|false An address of the account, given to the instance while it runs. Default: `None`.
---@field identifier? string|lunabot.Secret|lunabot.None|false The name of the account's key; without it and `session`, the keys are found as all programs for AWS find them: environment, `~/.aws`, the machine's role. Default: `None`.
---@field secret_identifier? string|lunabot.Secret|lunabot.None|false The key that goes with `identifier`. Default: `None`.
---@field aws_id_file_path? string|lunabot.None|false A file with both, a line each. Buildbot also reads `~/.ec2/aws_id` unasked; name it if you want it. Default: `None`.
---@field user_data? string|lunabot.Secret|lunabot.None|false What the instance is told when it boots. Never shown: it often holds a password. Default: `None`.
---@field region? string|lunabot.None|false The region. Default: as all programs for AWS find it, else `us-east-1`.
---@field keypair_name? string The key pair by which people log in to the machine. It must exist: loading a configuration makes nothing.
---@field security_name? string|lunabot.None|false The security group by its name; without `subnet_id` it is needed, with it `security_group_ids` is meant. It must exist. Default: `None`.
---@field spot_instance? boolean Whether to bid for spare machines. Default: `false`.
---@field max_spot_price? number|lunabot.None|false The most that is bid, in dollars an hour. A spot instance needs this or `price_multiplier`. Default: `1.6`.
---@field volumes? string[][]|lunabot.None|false Volumes that are attached while the instance runs: `{ { "vol-1", "/dev/sdf" } }`. Default: `{}`.
---@field placement? string|lunabot.None|false The zone, without its region: `b` for `us-west-2b`. It needs a region. Default: `None`.
---@field price_multiplier? number|lunabot.None|false The bid is the mean price of the last day times this, up to `max_spot_price`; with `None`, `max_spot_price` itself. Default: `1.2`.
---@field tags? table<string, string>|lunabot.None|false Tags of the instance. It has them from its first moment on (in Buildbot only once it runs). Default: `{}`.
---@field product_description? string For which product the mean price is asked. Default: `"Linux/UNIX"`.
---@field subnet_id? string|lunabot.None|false The subnet of a VPC. Default: `None`.
---@field security_group_ids? string|string[]|lunabot.None|false Security groups of a VPC. Default: `{}`.
---@field instance_profile_name? string|lunabot.None|false The IAM profile by which the machine may use other services. Default: `None`.
---@field block_device_map? lunabot.options.worker.EC2LatentWorker.block_device_map[]|lunabot.None|false Devices of the instance. Default: `{}`.
---@field session? lunabot.options.worker.EC2LatentWorker.session|lunabot.None|false Key and region in the words of `boto3.Session`; then no other of these options. Default: `None`.
---@field build_wait_timeout? number|string How long an instance without a build waits for another one before it is stopped. 0: it is stopped after each build; a negative number: it is kept until the master stops. The same for all; in Buildbot 0 for Docker. Default: `600`.
---@field attach_timeout? number|string How long a new instance may take from the order to start it until its worker has attached; then it is stopped, and the build is tried again. In Buildbot this is `missing_timeout`, an hour. Default: `1200`.
---@field check_instance_interval? number|string How often a new instance is looked at until its worker has attached: one that has died is not waited for. Default: `10`.
---@field max_builds? integer|lunabot.None|false How many builds it may run at once; `None` or 0 sets no limit. Default: `None`.
---@field notify_on_missing? string|string[]|lunabot.None|false The mail addresses that are told when it has been missing for `missing_timeout`. Default: `{}`.
---@field missing_timeout? number|string|lunabot.None|false How long it may be away before it counts as missing; `None` or 0: it never does. Default: `3600`.
---@field notify_on_return? boolean Whether the addresses in `notify_on_missing` are told as well when a worker is back that they were told was missing. Default: `false`.
---@field locks? lunabot.LockAccess[] What each build on it holds, from before it begins to its end. A `util.MasterLock` here counts for all workers together. Default: `{}`.
---@field properties? table<string, lunabot.Value> Set on each of its builds with the source `Worker`, over all other properties. Default: `{}`.
---@field defaultProperties? table<string, lunabot.Value> Set on each of its builds where nothing else has set them. Default: `{}`.
---@field keepalive_interval? number|string|lunabot.None|false How often an idle link is asked for a sign of life; `None` turns that off. Default: `3600`.
---@field keepalive_timeout? number|string|lunabot.None|false How long the answer to that may take; a later one ends the link. Default: the smaller of 30 s and three intervals.
---@field resume_grace? number|string|lunabot.None|false How long its builds wait for a `lunabot-worker` that has lost its link, or whose master is started again, before they are tried again; `None` or 0: they do not. A `buildbot-worker` cannot go on. Default: `60`.
---@field [1]? string The same as `name`.
---@field [2]? string|lunabot.Secret|(string|lunabot.Secret)[]|lunabot.None|false The same as `password`.
---@field [3]? string The same as `instance_type`.
---@field [4]? string|lunabot.None|false The same as `ami`.
---@field [5]? string|integer|(string|integer)[]|lunabot.None|false The same as `valid_ami_owners`.
---@field [6]? string|lunabot.None|false The same as `valid_ami_location_regex`.
---@field [7]? string|lunabot.None|false The same as `elastic_ip`.
---@field [8]? string|lunabot.Secret|lunabot.None|false The same as `identifier`.
---@field [9]? string|lunabot.Secret|lunabot.None|false The same as `secret_identifier`.
---@field [10]? string|lunabot.None|false The same as `aws_id_file_path`.
---@field [11]? string|lunabot.Secret|lunabot.None|false The same as `user_data`.
---@field [12]? string|lunabot.None|false The same as `region`.
---@field [13]? string The same as `keypair_name`.
---@field [14]? string|lunabot.None|false The same as `security_name`.
---@field [15]? boolean The same as `spot_instance`.
---@field [16]? number|lunabot.None|false The same as `max_spot_price`.
---@field [17]? string[][]|lunabot.None|false The same as `volumes`.
---@field [18]? string|lunabot.None|false The same as `placement`.
---@field [19]? number|lunabot.None|false The same as `price_multiplier`.
---@field [20]? table<string, string>|lunabot.None|false The same as `tags`.
---@field [21]? string The same as `product_description`.
---@field [22]? string|lunabot.None|false The same as `subnet_id`.
---@field [23]? string|string[]|lunabot.None|false The same as `security_group_ids`.
---@field [24]? string|lunabot.None|false The same as `instance_profile_name`.
---@field [25]? lunabot.options.worker.EC2LatentWorker.block_device_map[]|lunabot.None|false The same as `block_device_map`.
---@field [26]? lunabot.options.worker.EC2LatentWorker.session|lunabot.None|false The same as `session`.

---A worker on a virtual machine of libvirt that is started when there is a build for it.
---@class lunabot.options.LibVirtWorker: { name?: any, password?: any, hd_image?: any, base_image?: any, uri?: any, xml?: any, masterFQDN?: any, cheap_copy?: any, graceful_shutdown?: any, build_wait_timeout?: any, attach_timeout?: any, check_instance_interval?: any, max_builds?: any, notify_on_missing?: any, missing_timeout?: any, notify_on_return?: any, locks?: any, properties?: any, defaultProperties?: any, keepalive_interval?: any, keepalive_timeout?: any, resume_grace?: any, [string]: lunabot.NoSuchOption }
---@field name? string Its name and login, also the property `workername`: letters, digits, `_` and `-`, at most 50 characters.
---@field password? string|lunabot.Secret|(string|lunabot.Secret)[]|lunabot.None|false What an instance must know to log in, for one whose image knows it already. A change applies to the next instance. Default: made anew for each instance.
---@field hd_image? string|lunabot.None|false The disk of the machine, made from `base_image` at each start. Default: `None`.
---@field base_image? string|lunabot.None|false The disk that it begins as. Needs `hd_image`; without it the machine keeps its disk. Default: `None`.
---@field uri? string The hypervisor. Buildbot's default, `system:///`, is no URI that libvirt knows. Default: `"qemu:///system"`.
---@field xml? string|lunabot.None|false The description of a domain that exists only while it runs. Default: the defined domain that is called like the worker.
---@field masterFQDN? string|lunabot.None|false Where an instance finds the master: a host, `host:port` or `[address]:port`; without a port, that of `c.protocols`. Default: the full name of the master's machine.
---@field cheap_copy? boolean Whether `hd_image` holds only what differs from `base_image`, or is a whole copy. In Buildbot an attribute. Default: `true`.
---@field graceful_shutdown? boolean Whether the machine is asked to shut down before its power is cut. In Buildbot an attribute. Default: `false`.
---@field build_wait_timeout? number|string How long an instance without a build waits for another one before it is stopped. 0: it is stopped after each build; a negative number: it is kept until the master stops. The same for all; in Buildbot 0 for Docker. Default: `600`.
---@field attach_timeout? number|string How long a new instance may take from the order to start it until its worker has attached; then it is stopped, and the build is tried again. In Buildbot this is `missing_timeout`, an hour. Default: `1200`.
---@field check_instance_interval? number|string How often a new instance is looked at until its worker has attached: one that has died is not waited for. Default: `10`.
---@field max_builds? integer|lunabot.None|false How many builds it may run at once; `None` or 0 sets no limit. Default: `None`.
---@field notify_on_missing? string|string[]|lunabot.None|false The mail addresses that are told when it has been missing for `missing_timeout`. Default: `{}`.
---@field missing_timeout? number|string|lunabot.None|false How long it may be away before it counts as missing; `None` or 0: it never does. Default: `3600`.
---@field notify_on_return? boolean Whether the addresses in `notify_on_missing` are told as well when a worker is back that they were told was missing. Default: `false`.
---@field locks? lunabot.LockAccess[] What each build on it holds, from before it begins to its end. A `util.MasterLock` here counts for all workers together. Default: `{}`.
---@field properties? table<string, lunabot.Value> Set on each of its builds with the source `Worker`, over all other properties. Default: `{}`.
---@field defaultProperties? table<string, lunabot.Value> Set on each of its builds where nothing else has set them. Default: `{}`.
---@field keepalive_interval? number|string|lunabot.None|false How often an idle link is asked for a sign of life; `None` turns that off. Default: `3600`.
---@field keepalive_timeout? number|string|lunabot.None|false How long the answer to that may take; a later one ends the link. Default: the smaller of 30 s and three intervals.
---@field resume_grace? number|string|lunabot.None|false How long its builds wait for a `lunabot-worker` that has lost its link, or whose master is started again, before they are tried again; `None` or 0: they do not. A `buildbot-worker` cannot go on. Default: `60`.
---@field [1]? string The same as `name`.
---@field [2]? string|lunabot.Secret|(string|lunabot.Secret)[]|lunabot.None|false The same as `password`.
---@field [3]? string|lunabot.None|false The same as `hd_image`.
---@field [4]? string|lunabot.None|false The same as `base_image`.
---@field [5]? string The same as `uri`.
---@field [6]? string|lunabot.None|false The same as `xml`.
---@field [7]? string|lunabot.None|false The same as `masterFQDN`.

---A disk of a server.
---@class lunabot.options.worker.OpenStackLatentWorker.block_devices: { uuid?: any, source_type?: any, destination_type?: any, device_name?: any, delete_on_termination?: any, boot_index?: any, volume_size?: any, [integer]: lunabot.NoSuchOption, [string]: lunabot.NoSuchOption }
---@field uuid string|lunabot.Renderable What it begins as.
---@field source_type? string|lunabot.Renderable What `uuid` is: `image`, `volume` or `snapshot`. Default: `"image"`.
---@field destination_type? string|lunabot.Renderable What it becomes: `volume`, or `local` for a disk of the host. Default: `"volume"`.
---@field device_name? string|lunabot.Renderable Where the server sees it. Default: `"vda"`.
---@field delete_on_termination? boolean|lunabot.Renderable Whether it goes with its server. Default: `true`.
---@field boot_index? integer|lunabot.Renderable Its place in the order of boot; -1: it is not booted from. Default: `0`.
---@field volume_size? integer|lunabot.Renderable|lunabot.None|false Its size in GiB. Default: that of what it begins as.

---A worker on a server of OpenStack that is started when there is a build for it.
---@class lunabot.options.OpenStackLatentWorker: { name?: any, password?: any, flavor?: any, os_username?: any, os_password?: any, os_tenant_name?: any, os_auth_url?: any, os_user_domain?: any, os_project_domain?: any, os_auth_args?: any, block_devices?: any, region?: any, image?: any, meta?: any, nova_args?: any, client_version?: any, build_wait_timeout?: any, attach_timeout?: any, check_instance_interval?: any, max_builds?: any, notify_on_missing?: any, missing_timeout?: any, notify_on_return?: any, locks?: any, properties?: any, defaultProperties?: any, keepalive_interval?: any, keepalive_timeout?: any, resume_grace?: any, [string]: lunabot.NoSuchOption }
---@field name? string Its name and login, also the property `workername`: letters, digits, `_` and `-`, at most 50 characters.
---@field password? string|lunabot.Secret|(string|lunabot.Secret)[]|lunabot.None|false What an instance must know to log in, for one whose image knows it already. A change applies to the next instance. Default: made anew for each instance.
---@field flavor? string|integer|lunabot.Renderable The size of the server: name or id.
---@field os_username? string|lunabot.Secret|lunabot.None|false Who logs in at Keystone. Needed with `os_password` and `os_auth_url`, unless there is `os_auth_args`. Default: `None`.
---@field os_password? string|lunabot.Secret|lunabot.None|false With which password. Default: `None`.
---@field os_tenant_name? string|lunabot.Secret|lunabot.None|false The project. Default: `None`.
---@field os_auth_url? string|lunabot.Secret|lunabot.None|false Where Keystone is. Default: `None`.
---@field os_user_domain? string|lunabot.Secret|lunabot.None|false The domain of the user. Default: `None`.
---@field os_project_domain? string|lunabot.Secret|lunabot.None|false The domain of the project. Default: `None`.
---@field os_auth_args? table<string, string|lunabot.Secret>|lunabot.None|false All of this in Keystone's words, instead: `auth_url`, and what `auth_type` (`password` unless told otherwise) needs. Default: `None`.
---@field block_devices? lunabot.options.worker.OpenStackLatentWorker.block_devices[]|lunabot.None|false The disks of the server. Either these or `image`, or both. Default: `{}`.
---@field region? string|lunabot.None|false The region. Default: `None`.
---@field image? string|lunabot.Renderable|lunabot.None|false The image: name or id. Default: `None`.
---@field meta? table<string, lunabot.Value>|lunabot.Renderable|lunabot.None|false Names and texts that the server carries. Default: `{}`.
---@field nova_args? table<string, lunabot.Value>|lunabot.Renderable|lunabot.None|false What else Nova is told: `nics`, `availability_zone`, `security_groups`, `config_drive`, …. Never shown in a plan. Default: `{}`.
---@field client_version? string The version of Nova's API: `2` or `2.90`. Default: `"2"`.
---@field build_wait_timeout? number|string How long an instance without a build waits for another one before it is stopped. 0: it is stopped after each build; a negative number: it is kept until the master stops. The same for all; in Buildbot 0 for Docker. Default: `600`.
---@field attach_timeout? number|string How long a new instance may take from the order to start it until its worker has attached; then it is stopped, and the build is tried again. In Buildbot this is `missing_timeout`, an hour. Default: `1200`.
---@field check_instance_interval? number|string How often a new instance is looked at until its worker has attached: one that has died is not waited for. Default: `10`.
---@field max_builds? integer|lunabot.None|false How many builds it may run at once; `None` or 0 sets no limit. Default: `None`.
---@field notify_on_missing? string|string[]|lunabot.None|false The mail addresses that are told when it has been missing for `missing_timeout`. Default: `{}`.
---@field missing_timeout? number|string|lunabot.None|false How long it may be away before it counts as missing; `None` or 0: it never does. Default: `3600`.
---@field notify_on_return? boolean Whether the addresses in `notify_on_missing` are told as well when a worker is back that they were told was missing. Default: `false`.
---@field locks? lunabot.LockAccess[] What each build on it holds, from before it begins to its end. A `util.MasterLock` here counts for all workers together. Default: `{}`.
---@field properties? table<string, lunabot.Value> Set on each of its builds with the source `Worker`, over all other properties. Default: `{}`.
---@field defaultProperties? table<string, lunabot.Value> Set on each of its builds where nothing else has set them. Default: `{}`.
---@field keepalive_interval? number|string|lunabot.None|false How often an idle link is asked for a sign of life; `None` turns that off. Default: `3600`.
---@field keepalive_timeout? number|string|lunabot.None|false How long the answer to that may take; a later one ends the link. Default: the smaller of 30 s and three intervals.
---@field resume_grace? number|string|lunabot.None|false How long its builds wait for a `lunabot-worker` that has lost its link, or whose master is started again, before they are tried again; `None` or 0: they do not. A `buildbot-worker` cannot go on. Default: `60`.
---@field [1]? string The same as `name`.
---@field [2]? string|lunabot.Secret|(string|lunabot.Secret)[]|lunabot.None|false The same as `password`.
---@field [3]? string|integer|lunabot.Renderable The same as `flavor`.
---@field [4]? string|lunabot.Secret|lunabot.None|false The same as `os_username`.
---@field [5]? string|lunabot.Secret|lunabot.None|false The same as `os_password`.
---@field [6]? string|lunabot.Secret|lunabot.None|false The same as `os_tenant_name`.
---@field [7]? string|lunabot.Secret|lunabot.None|false The same as `os_auth_url`.
---@field [8]? string|lunabot.Secret|lunabot.None|false The same as `os_user_domain`.
---@field [9]? string|lunabot.Secret|lunabot.None|false The same as `os_project_domain`.
---@field [10]? table<string, string|lunabot.Secret>|lunabot.None|false The same as `os_auth_args`.
---@field [11]? lunabot.options.worker.OpenStackLatentWorker.block_devices[]|lunabot.None|false The same as `block_devices`.
---@field [12]? string|lunabot.None|false The same as `region`.
---@field [13]? string|lunabot.Renderable|lunabot.None|false The same as `image`.
---@field [14]? table<string, lunabot.Value>|lunabot.Renderable|lunabot.None|false The same as `meta`.
---@field [15]? table<string, lunabot.Value>|lunabot.Renderable|lunabot.None|false The same as `nova_args`.
---@field [16]? string The same as `client_version`.

---How the engine proves who it is, and the master to it: `docker.tls.TLSConfig` in Buildbot.
---@class lunabot.options.worker.DockerLatentWorker.tls: { ca?: any, cert?: any, key?: any, verify?: any, [integer]: lunabot.NoSuchOption, [string]: lunabot.NoSuchOption }
---@field ca? string|lunabot.None|false The file of the authorities that vouch for the engine, in PEM form. Default: the system's authorities.
---@field cert? string|lunabot.None|false The file of the certificate that is shown to the engine. Default: `None`.
---@field key? string|lunabot.None|false The file of its private key. Default: `None`.
---@field verify? boolean Whether the engine's certificate is verified. Default: `true`.

---A worker in a container of Docker that is started when there is a build for it.
---@class lunabot.options.DockerLatentWorker: { name?: any, password?: any, docker_host?: any, image?: any, command?: any, volumes?: any, dockerfile?: any, version?: any, tls?: any, followStartupLogs?: any, masterFQDN?: any, master_protocol?: any, hostconfig?: any, autopull?: any, alwaysPull?: any, custom_context?: any, encoding?: any, target?: any, buildargs?: any, hostname?: any, build_wait_timeout?: any, attach_timeout?: any, check_instance_interval?: any, max_builds?: any, notify_on_missing?: any, missing_timeout?: any, notify_on_return?: any, locks?: any, properties?: any, defaultProperties?: any, keepalive_interval?: any, keepalive_timeout?: any, resume_grace?: any, [string]: lunabot.NoSuchOption }
---@field name? string Its name and login, also the property `workername`: letters, digits, `_` and `-`, at most 50 characters.
---@field password? string|lunabot.Secret|(string|lunabot.Secret)[]|lunabot.None|false What an instance must know to log in, for one whose image knows it already. A change applies to the next instance. Default: made anew for each instance.
---@field docker_host? string|lunabot.Renderable The engine: `unix:///var/run/docker.sock`, `tcp://host:2376`.
---@field image? string|lunabot.Renderable|lunabot.None|false The image; or how the one that is built from `dockerfile` is called. One of the two is needed. Default: `None`.
---@field command? string|string[]|lunabot.None|false Program and arguments, in the place of the image's own. Default: `{}`.
---@field volumes? string|lunabot.Renderable|(string|lunabot.Renderable)[]|lunabot.None|false `source:target` or `source:target:ro`: folders of the engine's machine, or volumes by their names. Default: `{}`.
---@field dockerfile? string|lunabot.Renderable|lunabot.None|false The text of a Dockerfile, from which the image is built if it is not there; with `custom_context`, the path of an archive that holds it. Default: `None`.
---@field version? string|lunabot.None|false The version of its API: `1.45`. Default: what the engine speaks.
---@field tls? boolean|lunabot.options.worker.DockerLatentWorker.tls|lunabot.None|false Whether the engine is spoken to through TLS; `true` trusts the system's authorities. Default: `None`.
---@field followStartupLogs? boolean Whether the output of a new container goes to the master's log until its worker has attached. Default: `false`.
---@field masterFQDN? string|lunabot.None|false Where an instance finds the master: a host, `host:port` or `[address]:port`; without a port, that of `c.protocols`. Default: the full name of the master's machine.
---@field master_protocol? string What its worker speaks: `pb` or `msgpack_experimental_v7`. `c.protocols` needs a port for it. Default: `"pb"`.
---@field hostconfig? table<string, lunabot.Value>|lunabot.Renderable|lunabot.None|false What else the engine is told of the container: `network_mode`, `mem_limit`, `shm_size`, …, or in its own words (`NetworkMode`). `init` is true unless told otherwise. Default: `{}`.
---@field autopull? boolean Whether an image that is not there is pulled. Default: `false`.
---@field alwaysPull? boolean Whether the image is pulled before each container. Needs `autopull`. Default: `false`.
---@field custom_context? boolean|lunabot.Renderable Whether `dockerfile` is the path of an archive: a Dockerfile and the files beside it. Default: `false`.
---@field encoding? string|lunabot.Renderable How that archive is compressed: `gzip`, `bzip2`, `xz` or `identity`. Default: `"gzip"`.
---@field target? string|lunabot.Renderable The stage of the Dockerfile that is built. Default: `""`.
---@field buildargs? table<string, lunabot.Value>|lunabot.Renderable|lunabot.None|false The arguments of the Dockerfile, with `custom_context` and without it; in Buildbot they have no effect without. Default: `{}`.
---@field hostname? string|lunabot.Renderable|lunabot.None|false What the container calls itself. Default: `None`.
---@field build_wait_timeout? number|string How long an instance without a build waits for another one before it is stopped. 0: it is stopped after each build; a negative number: it is kept until the master stops. The same for all; in Buildbot 0 for Docker. Default: `600`.
---@field attach_timeout? number|string How long a new instance may take from the order to start it until its worker has attached; then it is stopped, and the build is tried again. In Buildbot this is `missing_timeout`, an hour. Default: `1200`.
---@field check_instance_interval? number|string How often a new instance is looked at until its worker has attached: one that has died is not waited for. Default: `10`.
---@field max_builds? integer|lunabot.None|false How many builds it may run at once; `None` or 0 sets no limit. Default: `None`.
---@field notify_on_missing? string|string[]|lunabot.None|false The mail addresses that are told when it has been missing for `missing_timeout`. Default: `{}`.
---@field missing_timeout? number|string|lunabot.None|false How long it may be away before it counts as missing; `None` or 0: it never does. Default: `3600`.
---@field notify_on_return? boolean Whether the addresses in `notify_on_missing` are told as well when a worker is back that they were told was missing. Default: `false`.
---@field locks? lunabot.LockAccess[] What each build on it holds, from before it begins to its end. A `util.MasterLock` here counts for all workers together. Default: `{}`.
---@field properties? table<string, lunabot.Value> Set on each of its builds with the source `Worker`, over all other properties. Default: `{}`.
---@field defaultProperties? table<string, lunabot.Value> Set on each of its builds where nothing else has set them. Default: `{}`.
---@field keepalive_interval? number|string|lunabot.None|false How often an idle link is asked for a sign of life; `None` turns that off. Default: `3600`.
---@field keepalive_timeout? number|string|lunabot.None|false How long the answer to that may take; a later one ends the link. Default: the smaller of 30 s and three intervals.
---@field resume_grace? number|string|lunabot.None|false How long its builds wait for a `lunabot-worker` that has lost its link, or whose master is started again, before they are tried again; `None` or 0: they do not. A `buildbot-worker` cannot go on. Default: `60`.
---@field [1]? string The same as `name`.
---@field [2]? string|lunabot.Secret|(string|lunabot.Secret)[]|lunabot.None|false The same as `password`.
---@field [3]? string|lunabot.Renderable The same as `docker_host`.
---@field [4]? string|lunabot.Renderable|lunabot.None|false The same as `image`.
---@field [5]? string|string[]|lunabot.None|false The same as `command`.
---@field [6]? string|lunabot.Renderable|(string|lunabot.Renderable)[]|lunabot.None|false The same as `volumes`.
---@field [7]? string|lunabot.Renderable|lunabot.None|false The same as `dockerfile`.
---@field [8]? string|lunabot.None|false The same as `version`.
---@field [9]? boolean|lunabot.options.worker.DockerLatentWorker.tls|lunabot.None|false The same as `tls`.
---@field [10]? boolean The same as `followStartupLogs`.
---@field [11]? string|lunabot.None|false The same as `masterFQDN`.
---@field [12]? string The same as `master_protocol`.
---@field [13]? table<string, lunabot.Value>|lunabot.Renderable|lunabot.None|false The same as `hostconfig`.
---@field [14]? boolean The same as `autopull`.
---@field [15]? boolean The same as `alwaysPull`.
---@field [16]? boolean|lunabot.Renderable The same as `custom_context`.
---@field [17]? string|lunabot.Renderable The same as `encoding`.
---@field [18]? string|lunabot.Renderable The same as `target`.
---@field [19]? table<string, lunabot.Value>|lunabot.Renderable|lunabot.None|false The same as `buildargs`.
---@field [20]? string|lunabot.Renderable|lunabot.None|false The same as `hostname`.

---A worker on whatever functions of the configuration can start: Buildbot's `AbstractLatentWorker` without a class.
---@class lunabot.options.LatentWorker: { name?: any, password?: any, start_instance?: any, stop_instance?: any, check_instance?: any, build_wait_timeout?: any, attach_timeout?: any, check_instance_interval?: any, max_builds?: any, notify_on_missing?: any, missing_timeout?: any, notify_on_return?: any, locks?: any, properties?: any, defaultProperties?: any, keepalive_interval?: any, keepalive_timeout?: any, resume_grace?: any, [string]: lunabot.NoSuchOption }
---@field name? string Its name and login, also the property `workername`: letters, digits, `_` and `-`, at most 50 characters.
---@field password? string|lunabot.Secret|(string|lunabot.Secret)[]|lunabot.None|false What an instance must know to log in, for one whose image knows it already. A change applies to the next instance. Default: made anew for each instance.
---@field start_instance function Starts an instance.
---@field stop_instance function Stops it.
---@field check_instance? function|lunabot.None|false Says whether a new instance is well, until its worker has attached. Default: `None`.
---@field build_wait_timeout? number|string How long an instance without a build waits for another one before it is stopped. 0: it is stopped after each build; a negative number: it is kept until the master stops. The same for all; in Buildbot 0 for Docker. Default: `600`.
---@field attach_timeout? number|string How long a new instance may take from the order to start it until its worker has attached; then it is stopped, and the build is tried again. In Buildbot this is `missing_timeout`, an hour. Default: `1200`.
---@field check_instance_interval? number|string How often a new instance is looked at until its worker has attached: one that has died is not waited for. Default: `10`.
---@field max_builds? integer|lunabot.None|false How many builds it may run at once; `None` or 0 sets no limit. Default: `None`.
---@field notify_on_missing? string|string[]|lunabot.None|false The mail addresses that are told when it has been missing for `missing_timeout`. Default: `{}`.
---@field missing_timeout? number|string|lunabot.None|false How long it may be away before it counts as missing; `None` or 0: it never does. Default: `3600`.
---@field notify_on_return? boolean Whether the addresses in `notify_on_missing` are told as well when a worker is back that they were told was missing. Default: `false`.
---@field locks? lunabot.LockAccess[] What each build on it holds, from before it begins to its end. A `util.MasterLock` here counts for all workers together. Default: `{}`.
---@field properties? table<string, lunabot.Value> Set on each of its builds with the source `Worker`, over all other properties. Default: `{}`.
---@field defaultProperties? table<string, lunabot.Value> Set on each of its builds where nothing else has set them. Default: `{}`.
---@field keepalive_interval? number|string|lunabot.None|false How often an idle link is asked for a sign of life; `None` turns that off. Default: `3600`.
---@field keepalive_timeout? number|string|lunabot.None|false How long the answer to that may take; a later one ends the link. Default: the smaller of 30 s and three intervals.
---@field resume_grace? number|string|lunabot.None|false How long its builds wait for a `lunabot-worker` that has lost its link, or whose master is started again, before they are tried again; `None` or 0: they do not. A `buildbot-worker` cannot go on. Default: `60`.
---@field [1]? string The same as `name`.
---@field [2]? string|lunabot.Secret|(string|lunabot.Secret)[]|lunabot.None|false The same as `password`.

---A builder: which steps, on which workers.
---@class lunabot.options.BuilderConfig: { name?: any, workername?: any, workernames?: any, worker_match?: any, factory?: any, builddir?: any, workerbuilddir?: any, env?: any, properties?: any, defaultProperties?: any, locks?: any, tags?: any, description?: any, max_builds_per_worker?: any, max_retries?: any, queue_timeout?: any, nextWorker?: any, nextBuild?: any, canStartBuild?: any, collapseRequests?: any, [string]: lunabot.NoSuchOption }
---@field name? string Its name: free text of at most 70 characters.
---@field workername? string|lunabot.None|false The one worker that may run its builds. Default: `None`.
---@field workernames? string|string[] The workers that may run its builds. Default: `{}`.
---@field worker_match? table<string, string|number|boolean|(string|number|boolean)[]> Labels that a worker must have: each a text, a number, true or false, or a list of these, any of which fits. They are looked up among the worker's `properties` and `defaultProperties`, then among the facts that it tells of itself. Without names it runs on all workers that match; with names, on those of them that match. Default: `{}`.
---@field factory lunabot.Factory Its steps.
---@field builddir? string|lunabot.None|false What `workerbuilddir` is unless given; the master itself keeps no folder for a builder. Default: the name, made safe for a file system.
---@field workerbuilddir? string|lunabot.None|false Its folder on a worker, below the worker's own. Two builders of one worker may not share it. Default: `builddir`.
---@field env? table<string, string|lunabot.Renderable|(string|lunabot.Renderable)[]|lunabot.None|false> Environment of all its commands, over the worker's. Default: `{}`.
---@field properties? table<string, lunabot.Value> Set on each of its builds, over those of the request. Default: `{}`.
---@field defaultProperties? table<string, lunabot.Value> Set on each of its builds where nothing else has. Default: `{}`.
---@field locks? lunabot.LockAccess[] What each of its builds holds, from before it begins to its end. Default: `{}`.
---@field tags? string|string[] Words to find it by. Default: `{}`.
---@field description? string|lunabot.None|false A sentence for people. Default: `None`.
---@field max_builds_per_worker? integer How many of its builds one worker may run at once. The second runs in the folder of the first with `-2` behind it, and so on; the worker knows it as builder `NAME #2`. Default: `1`.
---@field max_retries? integer How often a build that is lost with its worker is tried again. 0: never. Default: `3`.
---@field queue_timeout? number|string|lunabot.None|false How long a request may wait for a worker before it is given up. None: without end. Default: `None`.
---@field nextWorker? fun(builder: lunabot.QueuedBuilder, workers: lunabot.FreeWorker[], request: lunabot.QueuedRequest): lunabot.FreeWorker|string|nil|lunabot.None|false A function `(builder, workers, request)` that chooses the worker of a build: it returns one of `workers`, its name, or nil for none of them now. Default: `None`.
---@field nextBuild? fun(builder: lunabot.QueuedBuilder, requests: lunabot.QueuedRequest[]): lunabot.QueuedRequest|integer|nil|lunabot.None|false A function `(builder, requests)` that chooses which request is served next: it returns one of `requests`, its id, or nil for none of them now. Default: `None`.
---@field canStartBuild? fun(builder: lunabot.QueuedBuilder, worker: lunabot.FreeWorker, request: lunabot.QueuedRequest): boolean|lunabot.None|false A function `(builder, worker, request)` that has the last word before a build starts: it returns true or false. Default: `None`.
---@field collapseRequests? boolean|(fun(builder: lunabot.QueuedBuilder, new: lunabot.QueuedRequest, old: lunabot.QueuedRequest): boolean)|lunabot.None|false Whether a request takes the place of an older one that still waits: true, false, or a function, as `c.collapseRequests` says. Default: `c.collapseRequests`.
---@field [1]? string The same as `name`.

---A list of steps, which several builders may share.
---@class lunabot.options.BuildFactory: { steps?: any, [string]: lunabot.NoSuchOption }
---@field steps? lunabot.Step[] The steps, in order; `addStep` and `addSteps` add more. Default: `{}`.
---@field [integer] lunabot.Step The same as `steps`.

---A lock for the whole master. `lock:access("exclusive")` or `lock:access("counting", 2)` stands in `locks` of builders, workers and steps.
---@class lunabot.options.MasterLock: { name?: any, maxCount?: any, [string]: lunabot.NoSuchOption }
---@field name? string Its name: free text of at most 100 characters. Two locks of one name must be alike in all, and are one lock.
---@field maxCount? integer The sum of counts that can be held at once. A lower one takes nothing from those who hold it. Default: `1`.
---@field [1]? string The same as `name`.
---@field [2]? integer The same as `maxCount`.

---A lock that each worker has for itself: builds on different workers do not meet in it.
---@class lunabot.options.WorkerLock: { name?: any, maxCount?: any, maxCountForWorker?: any, [string]: lunabot.NoSuchOption }
---@field name? string Its name: free text of at most 100 characters. Two locks of one name must be alike in all, and are one lock.
---@field maxCount? integer The sum of counts that can be held at once. A lower one takes nothing from those who hold it. Default: `1`.
---@field maxCountForWorker? table<string, integer> The same for single workers, by their names. Default: `{}`.
---@field [1]? string The same as `name`.
---@field [2]? integer The same as `maxCount`.
---@field [3]? table<string, integer> The same as `maxCountForWorker`.

---Runs a command on the worker. Its exit code is the outcome, its output the log `stdio`.
---@class lunabot.options.ShellCommand: { command?: any, workdir?: any, env?: any, timeout?: any, maxTime?: any, sigtermTime?: any, interruptSignal?: any, want_stdout?: any, want_stderr?: any, logEnviron?: any, initialStdin?: any, logfiles?: any, lazylogfiles?: any, max_lines?: any, usePTY?: any, decodeRC?: any, name?: any, description?: any, descriptionDone?: any, descriptionSuffix?: any, haltOnFailure?: any, flunkOnFailure?: any, flunkOnWarnings?: any, warnOnFailure?: any, warnOnWarnings?: any, alwaysRun?: any, doStepIf?: any, hideStepIf?: any, locks?: any, [integer]: lunabot.NoSuchOption, [string]: lunabot.NoSuchOption }
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
---@field decodeRC? table<integer, lunabot.Outcome>|lunabot.None|false Exit codes and their outcomes; all others are failures. Default: { [0] = "success" }.
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
---@field locks? lunabot.LockAccess[] What it holds while it runs. A step that waits for its locks tells who has them. Default: `{}`.

---Runs a command on the worker and makes its output a property of the build, which the steps that follow can use. Output of more than 1 MiB is a failure.
---@class lunabot.options.SetPropertyFromCommand: { property?: any, extract_fn?: any, strip?: any, includeStdout?: any, includeStderr?: any, command?: any, workdir?: any, env?: any, timeout?: any, maxTime?: any, sigtermTime?: any, interruptSignal?: any, want_stdout?: any, want_stderr?: any, logEnviron?: any, initialStdin?: any, logfiles?: any, lazylogfiles?: any, max_lines?: any, usePTY?: any, decodeRC?: any, name?: any, description?: any, descriptionDone?: any, descriptionSuffix?: any, haltOnFailure?: any, flunkOnFailure?: any, flunkOnWarnings?: any, warnOnFailure?: any, warnOnWarnings?: any, alwaysRun?: any, doStepIf?: any, hideStepIf?: any, locks?: any, [string]: lunabot.NoSuchOption }
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
---@field decodeRC? table<integer, lunabot.Outcome>|lunabot.None|false Exit codes and their outcomes; all others are failures. Default: { [0] = "success" }.
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
---@field locks? lunabot.LockAccess[] What it holds while it runs. A step that waits for its locks tells who has them. Default: `{}`.
---@field [1]? string|lunabot.Renderable|lunabot.None|false The same as `property`.

---Sets a property of the build, on the master.
---@class lunabot.options.SetProperty: { property?: any, value?: any, name?: any, description?: any, descriptionDone?: any, descriptionSuffix?: any, haltOnFailure?: any, flunkOnFailure?: any, flunkOnWarnings?: any, warnOnFailure?: any, warnOnWarnings?: any, alwaysRun?: any, doStepIf?: any, hideStepIf?: any, locks?: any, [string]: lunabot.NoSuchOption }
---@field property? string|lunabot.Renderable The property that is set.
---@field value? lunabot.Value Its value. `util.Property` keeps the type of what it stands for.
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
---@field locks? lunabot.LockAccess[] What it holds while it runs. A step that waits for its locks tells who has them. Default: `{}`.
---@field [1]? string|lunabot.Renderable The same as `property`.
---@field [2]? lunabot.Value The same as `value`.

---Brings a file from the worker to the master. The file is replaced when all of it has come, and not before.
---@class lunabot.options.FileUpload: { workersrc?: any, masterdest?: any, workdir?: any, maxsize?: any, blocksize?: any, mode?: any, keepstamp?: any, url?: any, urlText?: any, name?: any, description?: any, descriptionDone?: any, descriptionSuffix?: any, haltOnFailure?: any, flunkOnFailure?: any, flunkOnWarnings?: any, warnOnFailure?: any, warnOnWarnings?: any, alwaysRun?: any, doStepIf?: any, hideStepIf?: any, locks?: any, [string]: lunabot.NoSuchOption }
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
---@field locks? lunabot.LockAccess[] What it holds while it runs. A step that waits for its locks tells who has them. Default: `{}`.
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
---@class lunabot.options.DirectoryUpload: { workersrc?: any, masterdest?: any, workdir?: any, maxsize?: any, blocksize?: any, compress?: any, url?: any, urlText?: any, name?: any, description?: any, descriptionDone?: any, descriptionSuffix?: any, haltOnFailure?: any, flunkOnFailure?: any, flunkOnWarnings?: any, warnOnFailure?: any, warnOnWarnings?: any, alwaysRun?: any, doStepIf?: any, hideStepIf?: any, locks?: any, [string]: lunabot.NoSuchOption }
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
---@field locks? lunabot.LockAccess[] What it holds while it runs. A step that waits for its locks tells who has them. Default: `{}`.
---@field [1]? string|lunabot.Renderable The same as `workersrc`.
---@field [2]? string|lunabot.Renderable The same as `masterdest`.
---@field [3]? string|lunabot.Renderable The same as `workdir`.
---@field [4]? integer|string|lunabot.None|false The same as `maxsize`.
---@field [5]? integer|string The same as `blocksize`.
---@field [6]? string|lunabot.None|false The same as `compress`.
---@field [7]? string|lunabot.Renderable|lunabot.None|false The same as `url`.
---@field [8]? string|lunabot.Renderable|lunabot.None|false The same as `urlText`.

---Brings files and folders from the worker into a folder on the master, one after the other. The first that fails is the last.
---@class lunabot.options.MultipleFileUpload: { workersrcs?: any, masterdest?: any, workdir?: any, maxsize?: any, blocksize?: any, glob?: any, mode?: any, compress?: any, keepstamp?: any, url?: any, urlText?: any, name?: any, description?: any, descriptionDone?: any, descriptionSuffix?: any, haltOnFailure?: any, flunkOnFailure?: any, flunkOnWarnings?: any, warnOnFailure?: any, warnOnWarnings?: any, alwaysRun?: any, doStepIf?: any, hideStepIf?: any, locks?: any, [string]: lunabot.NoSuchOption }
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
---@field locks? lunabot.LockAccess[] What it holds while it runs. A step that waits for its locks tells who has them. Default: `{}`.
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
---@class lunabot.options.FileDownload: { mastersrc?: any, workerdest?: any, workdir?: any, maxsize?: any, blocksize?: any, mode?: any, name?: any, description?: any, descriptionDone?: any, descriptionSuffix?: any, haltOnFailure?: any, flunkOnFailure?: any, flunkOnWarnings?: any, warnOnFailure?: any, warnOnWarnings?: any, alwaysRun?: any, doStepIf?: any, hideStepIf?: any, locks?: any, [string]: lunabot.NoSuchOption }
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
---@field locks? lunabot.LockAccess[] What it holds while it runs. A step that waits for its locks tells who has them. Default: `{}`.
---@field [1]? string|lunabot.Renderable The same as `mastersrc`.
---@field [2]? string|lunabot.Renderable The same as `workerdest`.
---@field [3]? string|lunabot.Renderable The same as `workdir`.
---@field [4]? integer|string|lunabot.None|false The same as `maxsize`.
---@field [5]? integer|string The same as `blocksize`.
---@field [6]? string|lunabot.None|false The same as `mode`.

---Writes a text into a file on the worker.
---@class lunabot.options.StringDownload: { s?: any, workerdest?: any, workdir?: any, maxsize?: any, blocksize?: any, mode?: any, name?: any, description?: any, descriptionDone?: any, descriptionSuffix?: any, haltOnFailure?: any, flunkOnFailure?: any, flunkOnWarnings?: any, warnOnFailure?: any, warnOnWarnings?: any, alwaysRun?: any, doStepIf?: any, hideStepIf?: any, locks?: any, [string]: lunabot.NoSuchOption }
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
---@field locks? lunabot.LockAccess[] What it holds while it runs. A step that waits for its locks tells who has them. Default: `{}`.
---@field [1]? string|lunabot.Renderable The same as `s`.
---@field [2]? string|lunabot.Renderable The same as `workerdest`.
---@field [3]? string|lunabot.Renderable The same as `workdir`.
---@field [4]? integer|string|lunabot.None|false The same as `maxsize`.
---@field [5]? integer|string The same as `blocksize`.
---@field [6]? string|lunabot.None|false The same as `mode`.

---Writes a value as JSON into a file on the worker.
---@class lunabot.options.JSONStringDownload: { o?: any, workerdest?: any, workdir?: any, maxsize?: any, blocksize?: any, mode?: any, name?: any, description?: any, descriptionDone?: any, descriptionSuffix?: any, haltOnFailure?: any, flunkOnFailure?: any, flunkOnWarnings?: any, warnOnFailure?: any, warnOnWarnings?: any, alwaysRun?: any, doStepIf?: any, hideStepIf?: any, locks?: any, [string]: lunabot.NoSuchOption }
---@field o? lunabot.Value What the file holds, as JSON.
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
---@field locks? lunabot.LockAccess[] What it holds while it runs. A step that waits for its locks tells who has them. Default: `{}`.
---@field [1]? lunabot.Value The same as `o`.
---@field [2]? string|lunabot.Renderable The same as `workerdest`.
---@field [3]? string|lunabot.Renderable The same as `workdir`.
---@field [4]? integer|string|lunabot.None|false The same as `maxsize`.
---@field [5]? integer|string The same as `blocksize`.
---@field [6]? string|lunabot.None|false The same as `mode`.

---Makes a folder on the worker, and those above it. One that is there already is a success.
---@class lunabot.options.MakeDirectory: { dir?: any, name?: any, description?: any, descriptionDone?: any, descriptionSuffix?: any, haltOnFailure?: any, flunkOnFailure?: any, flunkOnWarnings?: any, warnOnFailure?: any, warnOnWarnings?: any, alwaysRun?: any, doStepIf?: any, hideStepIf?: any, locks?: any, [string]: lunabot.NoSuchOption }
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
---@field locks? lunabot.LockAccess[] What it holds while it runs. A step that waits for its locks tells who has them. Default: `{}`.
---@field [1]? string|lunabot.Renderable The same as `dir`.

---Removes a folder on the worker and all in it. One that is missing is a success.
---@class lunabot.options.RemoveDirectory: { dir?: any, name?: any, description?: any, descriptionDone?: any, descriptionSuffix?: any, haltOnFailure?: any, flunkOnFailure?: any, flunkOnWarnings?: any, warnOnFailure?: any, warnOnWarnings?: any, alwaysRun?: any, doStepIf?: any, hideStepIf?: any, locks?: any, [string]: lunabot.NoSuchOption }
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
---@field locks? lunabot.LockAccess[] What it holds while it runs. A step that waits for its locks tells who has them. Default: `{}`.
---@field [1]? string|lunabot.Renderable|(string|lunabot.Renderable)[] The same as `dir`.

---Copies a folder on the worker, links kept.
---@class lunabot.options.CopyDirectory: { src?: any, dest?: any, timeout?: any, maxTime?: any, name?: any, description?: any, descriptionDone?: any, descriptionSuffix?: any, haltOnFailure?: any, flunkOnFailure?: any, flunkOnWarnings?: any, warnOnFailure?: any, warnOnWarnings?: any, alwaysRun?: any, doStepIf?: any, hideStepIf?: any, locks?: any, [string]: lunabot.NoSuchOption }
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
---@field locks? lunabot.LockAccess[] What it holds while it runs. A step that waits for its locks tells who has them. Default: `{}`.
---@field [1]? string|lunabot.Renderable The same as `src`.
---@field [2]? string|lunabot.Renderable The same as `dest`.
---@field [3]? number|string|lunabot.None|false The same as `timeout`.
---@field [4]? number|string|lunabot.None|false The same as `maxTime`.

---Asks for builds of other builders, and may wait for them. See [builds that ask for builds](builders.md#builds-that-ask-for-builds).
---@class lunabot.options.Trigger: { schedulerNames?: any, waitForFinish?: any, updateSourceStamp?: any, alwaysUseLatest?: any, set_properties?: any, copy_properties?: any, unimportantSchedulerNames?: any, parent_relationship?: any, name?: any, description?: any, descriptionDone?: any, descriptionSuffix?: any, haltOnFailure?: any, flunkOnFailure?: any, flunkOnWarnings?: any, warnOnFailure?: any, warnOnWarnings?: any, alwaysRun?: any, doStepIf?: any, hideStepIf?: any, locks?: any, [string]: lunabot.NoSuchOption }
---@field schedulerNames? string|lunabot.Renderable|(string|lunabot.Renderable)[] The `schedulers.Triggerable` that are triggered, in this order. A name that is rendered may become a list.
---@field waitForFinish? boolean|lunabot.Renderable Whether the step waits for the builds and takes its outcome from theirs: the gravest. Default: `false`.
---@field updateSourceStamp? boolean|lunabot.Renderable Whether the revision that goes along is the one that was really built, `got_revision`, if that is set. Default: `true`.
---@field alwaysUseLatest? boolean|lunabot.Renderable Whether nothing goes along of what is built: no branch, revision, repository, project and codebase. Default: `false`.
---@field set_properties? table<string, lunabot.Value>|lunabot.Renderable Set on the builds, over the properties of the `Triggerable`, with the source `Trigger`. One named `reason` is also the reason of the builds. Default: `{}`.
---@field copy_properties? string|string[] Properties of this build that are set on the builds as they are; those that are not set are left out. Default: `{}`.
---@field unimportantSchedulerNames? string|lunabot.Renderable|(string|lunabot.Renderable)[] Those of `schedulerNames` whose builds are waited for and do not count for the outcome. Default: `{}`.
---@field parent_relationship? string|lunabot.Renderable What this build is to the builds, for people. Default: `"Triggered from"`.
---@field name? string Its name; a second step of the same name gets a number. Default: `"trigger"`.
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
---@field locks? lunabot.LockAccess[] What it holds while it runs. A step that waits for its locks tells who has them. Default: `{}`.
---@field [1]? string|lunabot.Renderable|(string|lunabot.Renderable)[] The same as `schedulerNames`.

---Asks for builds when a person says so: `lunabot force`, or the button of the web interface.
---@class lunabot.options.ForceScheduler: { name?: any, builderNames?: any, priority?: any, properties?: any, buttonName?: any, label?: any, reason?: any, reasonString?: any, [string]: lunabot.NoSuchOption }
---@field name? string Its name; that of a `ForceScheduler` has letters, digits, `_` and `-`.
---@field builderNames? string|string[] The builders that it asks for builds.
---@field priority? integer Of its requests: those of a higher one come first. Default: `0`.
---@field properties? table<string, lunabot.Value> Set on each of its requests with the source `Scheduler`. Default: `{}`.
---@field buttonName? string|lunabot.None|false What its button says. Default: the name.
---@field label? string|lunabot.None|false What its form is called. Default: the name.
---@field reason? string The reason, if the person gives none. Default: `"force build"`.
---@field reasonString? string The reason of the build; `%(owner)s` and `%(reason)s` are replaced. Default: `"A build was forced by '%(owner)s': %(reason)s"`.
---@field [1]? string The same as `name`.
---@field [2]? string|string[] The same as `builderNames`.

---Asks for builds again and again, at an even pace.
---@class lunabot.options.Periodic: { name?: any, builderNames?: any, priority?: any, periodicBuildTimer?: any, reason?: any, properties?: any, [string]: lunabot.NoSuchOption }
---@field name? string Its name; that of a `ForceScheduler` has letters, digits, `_` and `-`.
---@field builderNames? string|string[] The builders that it asks for builds.
---@field priority? integer Of its requests: those of a higher one come first. Default: `0`.
---@field periodicBuildTimer? number|string From one build to the next. The first comes at once, unless the last one before a restart was nearer than this.
---@field reason? string|lunabot.None|false The reason of its builds. Default: The Periodic scheduler named 'NAME' triggered this build.
---@field properties? table<string, lunabot.Value> Set on each of its requests with the source `Scheduler`. Default: `{}`.
---@field [1]? string The same as `name`.
---@field [2]? string|string[] The same as `builderNames`.
---@field [3]? number|string The same as `periodicBuildTimer`.

---Asks for builds when a build says so: `steps.Trigger`.
---@class lunabot.options.Triggerable: { name?: any, builderNames?: any, priority?: any, reason?: any, properties?: any, [string]: lunabot.NoSuchOption }
---@field name? string Its name; that of a `ForceScheduler` has letters, digits, `_` and `-`.
---@field builderNames? string|string[] The builders that it asks for builds.
---@field priority? integer Of its requests: those of a higher one come first. Default: `0`.
---@field reason? string|lunabot.None|false The reason of its builds, unless the step that triggers it sets the property `reason`. Default: The Triggerable scheduler named 'NAME' triggered this build.
---@field properties? table<string, lunabot.Value> Set on each of its requests with the source `Scheduler`. Default: `{}`.
---@field [1]? string The same as `name`.
---@field [2]? string|string[] The same as `builderNames`.

---Sends mail about builds that have ended, and about missing workers.
---@class lunabot.options.MailNotifier: { fromaddr?: any, relayhost?: any, lookup?: any, extraRecipients?: any, sendToInterestedUsers?: any, extraHeaders?: any, useTls?: any, useSmtps?: any, smtpUser?: any, smtpPassword?: any, smtpPort?: any, dumpMailsToLog?: any, generators?: any, mode?: any, tags?: any, builders?: any, watchedWorkers?: any, messageFormatterMissingWorker?: any, name?: any, [string]: lunabot.NoSuchOption }
---@field fromaddr? string The sender: `buildbot@localhost`, or `Buildbot <ci@example.org>`. Only the address is checked, and `localhost` is a domain like any other.
---@field relayhost? string The host that takes the mail. Default: `"localhost"`.
---@field lookup? string|function|lunabot.None|false How a person's name becomes an address: a domain that is added to names without one, or a function from a name to an address. Default: `None`.
---@field extraRecipients? string|string[] Addresses that are told of builds besides. Of missing workers only those in `notify_on_missing` are told. Default: `{}`.
---@field sendToInterestedUsers? boolean Whether the people behind the changes are told of their builds. Default: `true`.
---@field extraHeaders? table<string, string|lunabot.Renderable> Headers that are added to each mail. Those that a mail has anyhow (`To`, `Subject` and kin) are refused: Buildbot would write them twice. Default: `{}`.
---@field useTls? boolean Whether STARTTLS is demanded. Otherwise it is used if the host offers it. Default: `false`.
---@field useSmtps? boolean Whether TLS is spoken from the first byte. Not together with `useTls`. Default: `false`.
---@field smtpUser? string|lunabot.Secret|lunabot.None|false The login at the host; it needs `smtpPassword`, and that needs it. Default: `None`.
---@field smtpPassword? string|lunabot.Secret|lunabot.None|false The password of `smtpUser`. Default: `None`.
---@field smtpPort? integer|lunabot.None|false The port of the host. In Buildbot it is 25 with `useSmtps` too. Default: 25, or 465 with `useSmtps`.
---@field dumpMailsToLog? boolean Whether each mail is written to the master's log as well. Default: `false`.
---@field generators? lunabot.Generator[]|lunabot.None|false What is mailed. Without it: the results of builds, and all missing workers, both in HTML. Default: builds, and missing workers.
---@field mode? string|string[]|lunabot.None|false Which builds are mailed, as older manuals write it and as in `BuildStatusGenerator`. Not together with `generators`. Default: `{ "failing", "passing", "warnings" }`.
---@field tags? string|string[]|lunabot.None|false Those of builders that have one of these tags, as older manuals write it. Not together with `generators` or `builders`. Default: `None`.
---@field builders? string|string[]|lunabot.None|false Whose builds are mailed, as older manuals write it: `{}` is for mails about workers alone. Not together with `generators`. Default: all builders.
---@field watchedWorkers? string|integer|(string|integer)[]|lunabot.None|false Which missing workers are mailed, as older manuals write it: `"all"` or a list of names. Not together with `generators`. Default: `"all"`.
---@field messageFormatterMissingWorker? lunabot.MessageFormatter|lunabot.None|false The text of those mails, as older manuals write it. Not together with `generators`. Default: `None`.
---@field name? string|lunabot.None|false What it is called in plans and messages; two reporters may not share it. Default: `"ADDRESS via RELAYHOST"`.
---@field [1]? string The same as `fromaddr`.
---@field [2]? string The same as `relayhost`.
---@field [3]? string|function|lunabot.None|false The same as `lookup`.
---@field [4]? string|string[] The same as `extraRecipients`.
---@field [5]? boolean The same as `sendToInterestedUsers`.
---@field [6]? table<string, string|lunabot.Renderable> The same as `extraHeaders`.
---@field [7]? boolean The same as `useTls`.
---@field [8]? boolean The same as `useSmtps`.
---@field [9]? string|lunabot.Secret|lunabot.None|false The same as `smtpUser`.
---@field [10]? string|lunabot.Secret|lunabot.None|false The same as `smtpPassword`.
---@field [11]? integer|lunabot.None|false The same as `smtpPort`.
---@field [12]? boolean The same as `dumpMailsToLog`.
---@field [integer] lunabot.Generator The same as `generators`.

---Tells how builds ended.
---@class lunabot.options.BuildStatusGenerator: { mode?: any, tags?: any, builders?: any, schedulers?: any, branches?: any, add_logs?: any, message_formatter?: any, [string]: lunabot.NoSuchOption }
---@field mode? string|string[]|lunabot.None|false Which ends of a build are told: `failing`, `passing`, `warnings`, `exception`, `cancelled`; `problem` for a failure after a build that did not fail, `change` for an end unlike that of the build before; `all` for each but `problem` and `change`. The word `"warnings"` alone, not in a list, is both `warnings` and `failing`. Default: `{ "failing", "passing", "warnings" }`.
---@field tags? string|string[]|lunabot.None|false Of builders that have one of these tags. Not together with `builders`. Default: `None`.
---@field builders? string|string[]|lunabot.None|false Of these builders; of all if absent. Default: `None`.
---@field schedulers? string|string[]|lunabot.None|false Of builds that one of these schedulers asked for. Default: `None`.
---@field branches? string|string[]|lunabot.None|false Of builds of one of these branches. Default: `None`.
---@field add_logs? boolean|string[]|lunabot.None|false Which logs are attached: `true` for all, or a list of names: `"stdio"` is that of each step, `"compile.stdio"` that of one. Default: `None`.
---@field message_formatter? lunabot.MessageFormatter|lunabot.None|false The text of the mail: a `MessageFormatter`. Default: one of plain text.
---@field [1]? string|string[]|lunabot.None|false The same as `mode`.
---@field [2]? string|string[]|lunabot.None|false The same as `tags`.
---@field [3]? string|string[]|lunabot.None|false The same as `builders`.
---@field [4]? string|string[]|lunabot.None|false The same as `schedulers`.
---@field [5]? string|string[]|lunabot.None|false The same as `branches`.
---@field [6]? boolean|string[]|lunabot.None|false The same as `add_logs`.

---The text of a mail about a build.
---@class lunabot.options.MessageFormatter: { template?: any, subject?: any, template_type?: any, ctx?: any, want_properties?: any, want_steps?: any, want_logs?: any, want_logs_content?: any, [string]: lunabot.NoSuchOption }
---@field template? string|lunabot.None|false The text, as a template; one of our own if absent. Default: `None`.
---@field subject? string|lunabot.None|false The subject, as a template of one line; one of our own if absent. Default: `None`.
---@field template_type? string What the text is: `plain` or `html`. Default: `"plain"`.
---@field ctx? table<string, lunabot.Value> What the templates can use besides what is known of the build. Default: `{}`.
---@field want_properties? boolean Taken, and changes nothing: properties are there whenever a template asks for them. Default: `true`.
---@field want_steps? boolean Taken, and changes nothing: steps are there whenever a template asks for them. Default: `false`.
---@field want_logs? boolean Taken, and changes nothing: logs are there whenever a template asks for them. Default: `false`.
---@field want_logs_content? boolean Taken, and changes nothing: what logs hold is there whenever a template asks for it. Default: `false`.
---@field [1]? string|lunabot.None|false The same as `template`.
---@field [2]? string|lunabot.None|false The same as `subject`.
---@field [3]? string The same as `template_type`.

---Tells the addresses in a worker's `notify_on_missing` that it has been missing for its `missing_timeout`.
---@class lunabot.options.WorkerMissingGenerator: { workers?: any, message_formatter?: any, [string]: lunabot.NoSuchOption }
---@field workers? string|integer|(string|integer)[]|lunabot.None|false `"all"`, or the names of those that count. Default: `"all"`.
---@field message_formatter? lunabot.MessageFormatter|lunabot.None|false The text of the mail: a `MessageFormatterMissingWorker`. Default: one of plain text.
---@field [1]? string|integer|(string|integer)[]|lunabot.None|false The same as `workers`.
---@field [2]? lunabot.MessageFormatter|lunabot.None|false The same as `message_formatter`.

---The text of a mail about a missing worker.
---@class lunabot.options.MessageFormatterMissingWorker: { template?: any, subject?: any, template_type?: any, ctx?: any, [string]: lunabot.NoSuchOption }
---@field template? string|lunabot.None|false The text, as a template; one of our own if absent. Default: `None`.
---@field subject? string|lunabot.None|false The subject, as a template of one line; one of our own if absent. Default: `None`.
---@field template_type? string What the text is: `plain` or `html`. Default: `"plain"`.
---@field ctx? table<string, lunabot.Value> What the templates can use besides `buildbot_title`, `buildbot_url` and `worker`. Default: `{}`.
---@field [1]? string|lunabot.None|false The same as `template`.
---@field [2]? string|lunabot.None|false The same as `subject`.
---@field [3]? string The same as `template_type`.

---Secrets in files: the secret `bsd` is in the file `bsd`, `infra/bsd` in the folder `infra`. Read each time.
---@class lunabot.options.SecretInAFile: { dirname?: any, suffixes?: any, strip?: any, [string]: lunabot.NoSuchOption }
---@field dirname? string The folder, below the master's own unless absolute. It and the files in it belong to the master's user or root, and nobody else may read them (0700, 0600).
---@field suffixes? string|string[]|lunabot.None|false What the names of the files end with after the name of the secret, looked for in this order; nothing, unless given. Default: `{}`.
---@field strip? boolean Whether line ends at the end of a file are left out. Default: `true`.
---@field [1]? string The same as `dirname`.
---@field [2]? string|string[]|lunabot.None|false The same as `suffixes`.
---@field [3]? boolean The same as `strip`.

---Secrets in the master's environment: `infra/bsd` is in `LUNABOT_SECRET_INFRA_BSD`; what is neither letter nor digit becomes `_`.
---@class lunabot.options.SecretInEnvironment: { prefix?: any, [string]: lunabot.NoSuchOption }
---@field prefix? string What the variables begin with. Those that begin with `LUNABOT_` are kept from commands of LocalWorkers. Default: `"LUNABOT_SECRET_"`.
---@field [1]? string The same as `prefix`.

---Secrets in `pass`, the password store: the first line of what `pass show NAME` writes.
---@class lunabot.options.SecretInPass: { gpgPassphrase?: any, dirname?: any, [string]: lunabot.NoSuchOption }
---@field gpgPassphrase? string|lunabot.None|false The pass phrase of the key, if no agent knows it. It is given to `gpg` where the process list does not show it. Default: `None`.
---@field dirname? string|lunabot.None|false The folder of the password store, below the master's own unless absolute. Default: that of `pass`: `~/.password-store`.
---@field [1]? string|lunabot.None|false The same as `gpgPassphrase`.
---@field [2]? string|lunabot.None|false The same as `dirname`.

---Secrets that a program tells: the client of a vault, or a script of yours. Ours, Buildbot has none.
---@class lunabot.options.SecretInCommand: { command?: any, timeout?: any, strip?: any, [string]: lunabot.NoSuchOption }
---@field command? string|string[] Program and arguments, seen by no shell. The name of the secret stands where `%(name)s` is, else it is the last argument. Exit code 0: its output is the secret; another: it does not have it.
---@field timeout? number|string How long it may take. Default: `10`.
---@field strip? boolean Whether line ends at the end of its output are left out. Default: `true`.
---@field [1]? string|string[] The same as `command`.

---@class lunabot.module.reporters
local reporters = {}

---Sends mail about builds that have ended, and about missing workers.
---@overload fun(options: lunabot.options.MailNotifier): lunabot.Reporter
---@overload fun(fromaddr: string, options: lunabot.options.MailNotifier): lunabot.Reporter
---@overload fun(fromaddr: string, relayhost: string, options: lunabot.options.MailNotifier): lunabot.Reporter
---@overload fun(fromaddr: string, relayhost: string, lookup: string|function|lunabot.None|false, options: lunabot.options.MailNotifier): lunabot.Reporter
---@overload fun(fromaddr: string, relayhost: string, lookup: string|function|lunabot.None|false, extraRecipients: string|string[], options: lunabot.options.MailNotifier): lunabot.Reporter
---@overload fun(fromaddr: string, relayhost: string, lookup: string|function|lunabot.None|false, extraRecipients: string|string[], sendToInterestedUsers: boolean, options: lunabot.options.MailNotifier): lunabot.Reporter
---@param fromaddr string The sender: `buildbot@localhost`, or `Buildbot <ci@example.org>`. Only the address is checked, and `localhost` is a domain like any other.
---@param relayhost? string The host that takes the mail.
---@param lookup? string|function|lunabot.None|false How a person's name becomes an address: a domain that is added to names without one, or a function from a name to an address.
---@param extraRecipients? string|string[] Addresses that are told of builds besides. Of missing workers only those in `notify_on_missing` are told.
---@param sendToInterestedUsers? boolean Whether the people behind the changes are told of their builds.
---@param extraHeaders? table<string, string|lunabot.Renderable> Headers that are added to each mail. Those that a mail has anyhow (`To`, `Subject` and kin) are refused: Buildbot would write them twice.
---@param useTls? boolean Whether STARTTLS is demanded. Otherwise it is used if the host offers it.
---@param useSmtps? boolean Whether TLS is spoken from the first byte. Not together with `useTls`.
---@param smtpUser? string|lunabot.Secret|lunabot.None|false The login at the host; it needs `smtpPassword`, and that needs it.
---@param smtpPassword? string|lunabot.Secret|lunabot.None|false The password of `smtpUser`.
---@param smtpPort? integer|lunabot.None|false The port of the host. In Buildbot it is 25 with `useSmtps` too.
---@param dumpMailsToLog? boolean Whether each mail is written to the master's log as well.
---@param generators? lunabot.Generator[]|lunabot.None|false What is mailed. Without it: the results of builds, and all missing workers, both in HTML.
---@return lunabot.Reporter
function reporters.MailNotifier(fromaddr, relayhost, lookup, extraRecipients, sendToInterestedUsers, extraHeaders, useTls, useSmtps, smtpUser, smtpPassword, smtpPort, dumpMailsToLog, generators) end

---Tells how builds ended.
---@overload fun(options: lunabot.options.BuildStatusGenerator): lunabot.Generator
---@overload fun(mode: string|string[]|lunabot.None|false, options: lunabot.options.BuildStatusGenerator): lunabot.Generator
---@overload fun(mode: string|string[]|lunabot.None|false, tags: string|string[]|lunabot.None|false, options: lunabot.options.BuildStatusGenerator): lunabot.Generator
---@overload fun(mode: string|string[]|lunabot.None|false, tags: string|string[]|lunabot.None|false, builders: string|string[]|lunabot.None|false, options: lunabot.options.BuildStatusGenerator): lunabot.Generator
---@overload fun(mode: string|string[]|lunabot.None|false, tags: string|string[]|lunabot.None|false, builders: string|string[]|lunabot.None|false, schedulers: string|string[]|lunabot.None|false, options: lunabot.options.BuildStatusGenerator): lunabot.Generator
---@overload fun(mode: string|string[]|lunabot.None|false, tags: string|string[]|lunabot.None|false, builders: string|string[]|lunabot.None|false, schedulers: string|string[]|lunabot.None|false, branches: string|string[]|lunabot.None|false, options: lunabot.options.BuildStatusGenerator): lunabot.Generator
---@param mode? string|string[]|lunabot.None|false Which ends of a build are told: `failing`, `passing`, `warnings`, `exception`, `cancelled`; `problem` for a failure after a build that did not fail, `change` for an end unlike that of the build before; `all` for each but `problem` and `change`. The word `"warnings"` alone, not in a list, is both `warnings` and `failing`.
---@param tags? string|string[]|lunabot.None|false Of builders that have one of these tags. Not together with `builders`.
---@param builders? string|string[]|lunabot.None|false Of these builders; of all if absent.
---@param schedulers? string|string[]|lunabot.None|false Of builds that one of these schedulers asked for.
---@param branches? string|string[]|lunabot.None|false Of builds of one of these branches.
---@param add_logs? boolean|string[]|lunabot.None|false Which logs are attached: `true` for all, or a list of names: `"stdio"` is that of each step, `"compile.stdio"` that of one.
---@return lunabot.Generator
function reporters.BuildStatusGenerator(mode, tags, builders, schedulers, branches, add_logs) end

---The text of a mail about a build.
---@overload fun(options: lunabot.options.MessageFormatter): lunabot.MessageFormatter
---@overload fun(template: string|lunabot.None|false, options: lunabot.options.MessageFormatter): lunabot.MessageFormatter
---@overload fun(template: string|lunabot.None|false, subject: string|lunabot.None|false, options: lunabot.options.MessageFormatter): lunabot.MessageFormatter
---@overload fun(template: string|lunabot.None|false, subject: string|lunabot.None|false, template_type: string, options: lunabot.options.MessageFormatter): lunabot.MessageFormatter
---@param template? string|lunabot.None|false The text, as a template; one of our own if absent.
---@param subject? string|lunabot.None|false The subject, as a template of one line; one of our own if absent.
---@param template_type? string What the text is: `plain` or `html`.
---@return lunabot.MessageFormatter
function reporters.MessageFormatter(template, subject, template_type) end

---Tells the addresses in a worker's `notify_on_missing` that it has been missing for its `missing_timeout`.
---@overload fun(options: lunabot.options.WorkerMissingGenerator): lunabot.Generator
---@overload fun(workers: string|integer|(string|integer)[]|lunabot.None|false, options: lunabot.options.WorkerMissingGenerator): lunabot.Generator
---@overload fun(workers: string|integer|(string|integer)[]|lunabot.None|false, message_formatter: lunabot.MessageFormatter|lunabot.None|false, options: lunabot.options.WorkerMissingGenerator): lunabot.Generator
---@param workers? string|integer|(string|integer)[]|lunabot.None|false `"all"`, or the names of those that count.
---@param message_formatter? lunabot.MessageFormatter|lunabot.None|false The text of the mail: a `MessageFormatterMissingWorker`.
---@return lunabot.Generator
function reporters.WorkerMissingGenerator(workers, message_formatter) end

---The text of a mail about a missing worker.
---@overload fun(options: lunabot.options.MessageFormatterMissingWorker): lunabot.MessageFormatter
---@overload fun(template: string|lunabot.None|false, options: lunabot.options.MessageFormatterMissingWorker): lunabot.MessageFormatter
---@overload fun(template: string|lunabot.None|false, subject: string|lunabot.None|false, options: lunabot.options.MessageFormatterMissingWorker): lunabot.MessageFormatter
---@overload fun(template: string|lunabot.None|false, subject: string|lunabot.None|false, template_type: string, options: lunabot.options.MessageFormatterMissingWorker): lunabot.MessageFormatter
---@param template? string|lunabot.None|false The text, as a template; one of our own if absent.
---@param subject? string|lunabot.None|false The subject, as a template of one line; one of our own if absent.
---@param template_type? string What the text is: `plain` or `html`.
---@return lunabot.MessageFormatter
function reporters.MessageFormatterMissingWorker(template, subject, template_type) end

---@class lunabot.module.schedulers
local schedulers = {}

---Asks for builds when a person says so: `lunabot force`, or the button of the web interface.
---@overload fun(options: lunabot.options.ForceScheduler): lunabot.Scheduler
---@overload fun(name: string, options: lunabot.options.ForceScheduler): lunabot.Scheduler
---@overload fun(name: string, builderNames: string|string[], options: lunabot.options.ForceScheduler): lunabot.Scheduler
---@param name string Its name; that of a `ForceScheduler` has letters, digits, `_` and `-`.
---@param builderNames string|string[] The builders that it asks for builds.
---@return lunabot.Scheduler
function schedulers.ForceScheduler(name, builderNames) end

---Asks for builds again and again, at an even pace.
---@overload fun(options: lunabot.options.Periodic): lunabot.Scheduler
---@overload fun(name: string, options: lunabot.options.Periodic): lunabot.Scheduler
---@overload fun(name: string, builderNames: string|string[], options: lunabot.options.Periodic): lunabot.Scheduler
---@overload fun(name: string, builderNames: string|string[], periodicBuildTimer: number|string, options: lunabot.options.Periodic): lunabot.Scheduler
---@param name string Its name; that of a `ForceScheduler` has letters, digits, `_` and `-`.
---@param builderNames string|string[] The builders that it asks for builds.
---@param periodicBuildTimer number|string From one build to the next. The first comes at once, unless the last one before a restart was nearer than this.
---@return lunabot.Scheduler
function schedulers.Periodic(name, builderNames, periodicBuildTimer) end

---Asks for builds when a build says so: `steps.Trigger`.
---@overload fun(options: lunabot.options.Triggerable): lunabot.Scheduler
---@overload fun(name: string, options: lunabot.options.Triggerable): lunabot.Scheduler
---@overload fun(name: string, builderNames: string|string[], options: lunabot.options.Triggerable): lunabot.Scheduler
---@param name string Its name; that of a `ForceScheduler` has letters, digits, `_` and `-`.
---@param builderNames string|string[] The builders that it asks for builds.
---@return lunabot.Scheduler
function schedulers.Triggerable(name, builderNames) end

---@class lunabot.module.secrets
local secrets = {}

---Secrets in files: the secret `bsd` is in the file `bsd`, `infra/bsd` in the folder `infra`. Read each time.
---@overload fun(options: lunabot.options.SecretInAFile): lunabot.SecretsProvider
---@overload fun(dirname: string, options: lunabot.options.SecretInAFile): lunabot.SecretsProvider
---@overload fun(dirname: string, suffixes: string|string[]|lunabot.None|false, options: lunabot.options.SecretInAFile): lunabot.SecretsProvider
---@overload fun(dirname: string, suffixes: string|string[]|lunabot.None|false, strip: boolean, options: lunabot.options.SecretInAFile): lunabot.SecretsProvider
---@param dirname string The folder, below the master's own unless absolute. It and the files in it belong to the master's user or root, and nobody else may read them (0700, 0600).
---@param suffixes? string|string[]|lunabot.None|false What the names of the files end with after the name of the secret, looked for in this order; nothing, unless given.
---@param strip? boolean Whether line ends at the end of a file are left out.
---@return lunabot.SecretsProvider
function secrets.SecretInAFile(dirname, suffixes, strip) end

---Secrets in the master's environment: `infra/bsd` is in `LUNABOT_SECRET_INFRA_BSD`; what is neither letter nor digit becomes `_`.
---@overload fun(options: lunabot.options.SecretInEnvironment): lunabot.SecretsProvider
---@overload fun(prefix: string, options: lunabot.options.SecretInEnvironment): lunabot.SecretsProvider
---@param prefix? string What the variables begin with. Those that begin with `LUNABOT_` are kept from commands of LocalWorkers.
---@return lunabot.SecretsProvider
function secrets.SecretInEnvironment(prefix) end

---Secrets in `pass`, the password store: the first line of what `pass show NAME` writes.
---@overload fun(options: lunabot.options.SecretInPass): lunabot.SecretsProvider
---@overload fun(gpgPassphrase: string|lunabot.None|false, options: lunabot.options.SecretInPass): lunabot.SecretsProvider
---@overload fun(gpgPassphrase: string|lunabot.None|false, dirname: string|lunabot.None|false, options: lunabot.options.SecretInPass): lunabot.SecretsProvider
---@param gpgPassphrase? string|lunabot.None|false The pass phrase of the key, if no agent knows it. It is given to `gpg` where the process list does not show it.
---@param dirname? string|lunabot.None|false The folder of the password store, below the master's own unless absolute.
---@return lunabot.SecretsProvider
function secrets.SecretInPass(gpgPassphrase, dirname) end

---Secrets that a program tells: the client of a vault, or a script of yours. Ours, Buildbot has none.
---@overload fun(options: lunabot.options.SecretInCommand): lunabot.SecretsProvider
---@overload fun(command: string|string[], options: lunabot.options.SecretInCommand): lunabot.SecretsProvider
---@param command string|string[] Program and arguments, seen by no shell. The name of the secret stands where `%(name)s` is, else it is the last argument. Exit code 0: its output is the secret; another: it does not have it.
---@return lunabot.SecretsProvider
function secrets.SecretInCommand(command) end

---@class lunabot.module.steps
local steps = {}

---Runs a command on the worker. Its exit code is the outcome, its output the log `stdio`.
---@param options lunabot.options.ShellCommand
---@return lunabot.Step
function steps.ShellCommand(options) end

---Runs a command on the worker and makes its output a property of the build, which the steps that follow can use. Output of more than 1 MiB is a failure.
---@overload fun(options: lunabot.options.SetPropertyFromCommand): lunabot.Step
---@overload fun(property: string|lunabot.Renderable|lunabot.None|false, options: lunabot.options.SetPropertyFromCommand): lunabot.Step
---@param property? string|lunabot.Renderable|lunabot.None|false The property that is set. Either this or `extract_fn` is given.
---@return lunabot.Step
function steps.SetPropertyFromCommand(property) end

---Sets a property of the build, on the master.
---@overload fun(options: lunabot.options.SetProperty): lunabot.Step
---@overload fun(property: string|lunabot.Renderable, options: lunabot.options.SetProperty): lunabot.Step
---@overload fun(property: string|lunabot.Renderable, value: lunabot.Value, options: lunabot.options.SetProperty): lunabot.Step
---@param property string|lunabot.Renderable The property that is set.
---@param value lunabot.Value Its value. `util.Property` keeps the type of what it stands for.
---@return lunabot.Step
function steps.SetProperty(property, value) end

---Brings a file from the worker to the master. The file is replaced when all of it has come, and not before.
---@overload fun(options: lunabot.options.FileUpload): lunabot.Step
---@overload fun(workersrc: string|lunabot.Renderable, options: lunabot.options.FileUpload): lunabot.Step
---@overload fun(workersrc: string|lunabot.Renderable, masterdest: string|lunabot.Renderable, options: lunabot.options.FileUpload): lunabot.Step
---@overload fun(workersrc: string|lunabot.Renderable, masterdest: string|lunabot.Renderable, workdir: string|lunabot.Renderable, options: lunabot.options.FileUpload): lunabot.Step
---@overload fun(workersrc: string|lunabot.Renderable, masterdest: string|lunabot.Renderable, workdir: string|lunabot.Renderable, maxsize: integer|string|lunabot.None|false, options: lunabot.options.FileUpload): lunabot.Step
---@overload fun(workersrc: string|lunabot.Renderable, masterdest: string|lunabot.Renderable, workdir: string|lunabot.Renderable, maxsize: integer|string|lunabot.None|false, blocksize: integer|string, options: lunabot.options.FileUpload): lunabot.Step
---@overload fun(workersrc: string|lunabot.Renderable, masterdest: string|lunabot.Renderable, workdir: string|lunabot.Renderable, maxsize: integer|string|lunabot.None|false, blocksize: integer|string, mode: string|lunabot.None|false, options: lunabot.options.FileUpload): lunabot.Step
---@param workersrc string|lunabot.Renderable The file on the worker, below `workdir`.
---@param masterdest string|lunabot.Renderable The file on the master, below the master's folder unless it is absolute; `~/` is the home of the master's user. Folders above it are made.
---@param workdir? string|lunabot.Renderable Where `workersrc` begins, below the builder's folder.
---@param maxsize? integer|string|lunabot.None|false The most bytes that are sent; more is a failure.
---@param blocksize? integer|string Bytes that are sent at a time. Each block waits for the answer to the last one, so larger ones are faster; more than 655360 counts as that.
---@param mode? string|lunabot.None|false Permissions of the file on the master; for its owner alone if absent, in octal as text: `"0644"`.
---@param keepstamp? boolean Whether the file keeps its times of access and change.
---@param url? string|lunabot.Renderable|lunabot.None|false An address that is shown beside the step.
---@param urlText? string|lunabot.Renderable|lunabot.None|false How it is called; the name of the target if absent.
---@return lunabot.Step
function steps.FileUpload(workersrc, masterdest, workdir, maxsize, blocksize, mode, keepstamp, url, urlText) end

---Brings a folder from the worker to the master, into one that may be there already. Nothing changes there before all of it has come. A folder with devices, or with links that lead out of it, is refused.
---@overload fun(options: lunabot.options.DirectoryUpload): lunabot.Step
---@overload fun(workersrc: string|lunabot.Renderable, options: lunabot.options.DirectoryUpload): lunabot.Step
---@overload fun(workersrc: string|lunabot.Renderable, masterdest: string|lunabot.Renderable, options: lunabot.options.DirectoryUpload): lunabot.Step
---@overload fun(workersrc: string|lunabot.Renderable, masterdest: string|lunabot.Renderable, workdir: string|lunabot.Renderable, options: lunabot.options.DirectoryUpload): lunabot.Step
---@overload fun(workersrc: string|lunabot.Renderable, masterdest: string|lunabot.Renderable, workdir: string|lunabot.Renderable, maxsize: integer|string|lunabot.None|false, options: lunabot.options.DirectoryUpload): lunabot.Step
---@overload fun(workersrc: string|lunabot.Renderable, masterdest: string|lunabot.Renderable, workdir: string|lunabot.Renderable, maxsize: integer|string|lunabot.None|false, blocksize: integer|string, options: lunabot.options.DirectoryUpload): lunabot.Step
---@overload fun(workersrc: string|lunabot.Renderable, masterdest: string|lunabot.Renderable, workdir: string|lunabot.Renderable, maxsize: integer|string|lunabot.None|false, blocksize: integer|string, compress: string|lunabot.None|false, options: lunabot.options.DirectoryUpload): lunabot.Step
---@param workersrc string|lunabot.Renderable The folder on the worker, below `workdir`.
---@param masterdest string|lunabot.Renderable The folder on the master, below the master's folder unless it is absolute; `~/` is the home of the master's user. Folders above it are made.
---@param workdir? string|lunabot.Renderable Where `workersrc` begins, below the builder's folder.
---@param maxsize? integer|string|lunabot.None|false The most bytes that are sent; more is a failure.
---@param blocksize? integer|string Bytes that are sent at a time. Each block waits for the answer to the last one, so larger ones are faster; more than 655360 counts as that.
---@param compress? string|lunabot.None|false How it is compressed on its way: `gz`, `bz2`, or not at all.
---@param url? string|lunabot.Renderable|lunabot.None|false An address that is shown beside the step.
---@param urlText? string|lunabot.Renderable|lunabot.None|false How it is called; the name of the target if absent.
---@return lunabot.Step
function steps.DirectoryUpload(workersrc, masterdest, workdir, maxsize, blocksize, compress, url, urlText) end

---Brings files and folders from the worker into a folder on the master, one after the other. The first that fails is the last.
---@overload fun(options: lunabot.options.MultipleFileUpload): lunabot.Step
---@overload fun(workersrcs: string|lunabot.Renderable|(string|lunabot.Renderable)[], options: lunabot.options.MultipleFileUpload): lunabot.Step
---@overload fun(workersrcs: string|lunabot.Renderable|(string|lunabot.Renderable)[], masterdest: string|lunabot.Renderable, options: lunabot.options.MultipleFileUpload): lunabot.Step
---@overload fun(workersrcs: string|lunabot.Renderable|(string|lunabot.Renderable)[], masterdest: string|lunabot.Renderable, workdir: string|lunabot.Renderable, options: lunabot.options.MultipleFileUpload): lunabot.Step
---@overload fun(workersrcs: string|lunabot.Renderable|(string|lunabot.Renderable)[], masterdest: string|lunabot.Renderable, workdir: string|lunabot.Renderable, maxsize: integer|string|lunabot.None|false, options: lunabot.options.MultipleFileUpload): lunabot.Step
---@overload fun(workersrcs: string|lunabot.Renderable|(string|lunabot.Renderable)[], masterdest: string|lunabot.Renderable, workdir: string|lunabot.Renderable, maxsize: integer|string|lunabot.None|false, blocksize: integer|string, options: lunabot.options.MultipleFileUpload): lunabot.Step
---@overload fun(workersrcs: string|lunabot.Renderable|(string|lunabot.Renderable)[], masterdest: string|lunabot.Renderable, workdir: string|lunabot.Renderable, maxsize: integer|string|lunabot.None|false, blocksize: integer|string, glob: boolean, options: lunabot.options.MultipleFileUpload): lunabot.Step
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
---@return lunabot.Step
function steps.MultipleFileUpload(workersrcs, masterdest, workdir, maxsize, blocksize, glob, mode, compress, keepstamp, url, urlText) end

---Brings a file from the master to the worker.
---@overload fun(options: lunabot.options.FileDownload): lunabot.Step
---@overload fun(mastersrc: string|lunabot.Renderable, options: lunabot.options.FileDownload): lunabot.Step
---@overload fun(mastersrc: string|lunabot.Renderable, workerdest: string|lunabot.Renderable, options: lunabot.options.FileDownload): lunabot.Step
---@overload fun(mastersrc: string|lunabot.Renderable, workerdest: string|lunabot.Renderable, workdir: string|lunabot.Renderable, options: lunabot.options.FileDownload): lunabot.Step
---@overload fun(mastersrc: string|lunabot.Renderable, workerdest: string|lunabot.Renderable, workdir: string|lunabot.Renderable, maxsize: integer|string|lunabot.None|false, options: lunabot.options.FileDownload): lunabot.Step
---@overload fun(mastersrc: string|lunabot.Renderable, workerdest: string|lunabot.Renderable, workdir: string|lunabot.Renderable, maxsize: integer|string|lunabot.None|false, blocksize: integer|string, options: lunabot.options.FileDownload): lunabot.Step
---@overload fun(mastersrc: string|lunabot.Renderable, workerdest: string|lunabot.Renderable, workdir: string|lunabot.Renderable, maxsize: integer|string|lunabot.None|false, blocksize: integer|string, mode: string|lunabot.None|false, options: lunabot.options.FileDownload): lunabot.Step
---@param mastersrc string|lunabot.Renderable The file on the master, below the master's folder unless it is absolute; `~/` is the home of the master's user.
---@param workerdest string|lunabot.Renderable The file on the worker, below `workdir`; it is replaced if it is there.
---@param workdir? string|lunabot.Renderable Where `workerdest` begins, below the builder's folder.
---@param maxsize? integer|string|lunabot.None|false The most bytes that are sent; more is a failure.
---@param blocksize? integer|string Bytes that are sent at a time. Each block waits for the answer to the last one, so larger ones are faster; more than 655360 counts as that.
---@param mode? string|lunabot.None|false Permissions of the file on the worker, in octal as text: `"0644"`.
---@return lunabot.Step
function steps.FileDownload(mastersrc, workerdest, workdir, maxsize, blocksize, mode) end

---Writes a text into a file on the worker.
---@overload fun(options: lunabot.options.StringDownload): lunabot.Step
---@overload fun(s: string|lunabot.Renderable, options: lunabot.options.StringDownload): lunabot.Step
---@overload fun(s: string|lunabot.Renderable, workerdest: string|lunabot.Renderable, options: lunabot.options.StringDownload): lunabot.Step
---@overload fun(s: string|lunabot.Renderable, workerdest: string|lunabot.Renderable, workdir: string|lunabot.Renderable, options: lunabot.options.StringDownload): lunabot.Step
---@overload fun(s: string|lunabot.Renderable, workerdest: string|lunabot.Renderable, workdir: string|lunabot.Renderable, maxsize: integer|string|lunabot.None|false, options: lunabot.options.StringDownload): lunabot.Step
---@overload fun(s: string|lunabot.Renderable, workerdest: string|lunabot.Renderable, workdir: string|lunabot.Renderable, maxsize: integer|string|lunabot.None|false, blocksize: integer|string, options: lunabot.options.StringDownload): lunabot.Step
---@overload fun(s: string|lunabot.Renderable, workerdest: string|lunabot.Renderable, workdir: string|lunabot.Renderable, maxsize: integer|string|lunabot.None|false, blocksize: integer|string, mode: string|lunabot.None|false, options: lunabot.options.StringDownload): lunabot.Step
---@param s string|lunabot.Renderable What the file holds.
---@param workerdest string|lunabot.Renderable The file on the worker, below `workdir`; it is replaced if it is there.
---@param workdir? string|lunabot.Renderable Where `workerdest` begins, below the builder's folder.
---@param maxsize? integer|string|lunabot.None|false The most bytes that are sent; more is a failure.
---@param blocksize? integer|string Bytes that are sent at a time. Each block waits for the answer to the last one, so larger ones are faster; more than 655360 counts as that.
---@param mode? string|lunabot.None|false Permissions of the file on the worker, in octal as text: `"0644"`.
---@return lunabot.Step
function steps.StringDownload(s, workerdest, workdir, maxsize, blocksize, mode) end

---Writes a value as JSON into a file on the worker.
---@overload fun(options: lunabot.options.JSONStringDownload): lunabot.Step
---@overload fun(o: lunabot.Value, options: lunabot.options.JSONStringDownload): lunabot.Step
---@overload fun(o: lunabot.Value, workerdest: string|lunabot.Renderable, options: lunabot.options.JSONStringDownload): lunabot.Step
---@overload fun(o: lunabot.Value, workerdest: string|lunabot.Renderable, workdir: string|lunabot.Renderable, options: lunabot.options.JSONStringDownload): lunabot.Step
---@overload fun(o: lunabot.Value, workerdest: string|lunabot.Renderable, workdir: string|lunabot.Renderable, maxsize: integer|string|lunabot.None|false, options: lunabot.options.JSONStringDownload): lunabot.Step
---@overload fun(o: lunabot.Value, workerdest: string|lunabot.Renderable, workdir: string|lunabot.Renderable, maxsize: integer|string|lunabot.None|false, blocksize: integer|string, options: lunabot.options.JSONStringDownload): lunabot.Step
---@overload fun(o: lunabot.Value, workerdest: string|lunabot.Renderable, workdir: string|lunabot.Renderable, maxsize: integer|string|lunabot.None|false, blocksize: integer|string, mode: string|lunabot.None|false, options: lunabot.options.JSONStringDownload): lunabot.Step
---@param o lunabot.Value What the file holds, as JSON.
---@param workerdest string|lunabot.Renderable The file on the worker, below `workdir`; it is replaced if it is there.
---@param workdir? string|lunabot.Renderable Where `workerdest` begins, below the builder's folder.
---@param maxsize? integer|string|lunabot.None|false The most bytes that are sent; more is a failure.
---@param blocksize? integer|string Bytes that are sent at a time. Each block waits for the answer to the last one, so larger ones are faster; more than 655360 counts as that.
---@param mode? string|lunabot.None|false Permissions of the file on the worker, in octal as text: `"0644"`.
---@return lunabot.Step
function steps.JSONStringDownload(o, workerdest, workdir, maxsize, blocksize, mode) end

---Makes a folder on the worker, and those above it. One that is there already is a success.
---@overload fun(options: lunabot.options.MakeDirectory): lunabot.Step
---@overload fun(dir: string|lunabot.Renderable, options: lunabot.options.MakeDirectory): lunabot.Step
---@param dir string|lunabot.Renderable Which, below the builder's folder: `build/out` is `out` in the folder where commands run.
---@return lunabot.Step
function steps.MakeDirectory(dir) end

---Removes a folder on the worker and all in it. One that is missing is a success.
---@overload fun(options: lunabot.options.RemoveDirectory): lunabot.Step
---@overload fun(dir: string|lunabot.Renderable|(string|lunabot.Renderable)[], options: lunabot.options.RemoveDirectory): lunabot.Step
---@param dir string|lunabot.Renderable|(string|lunabot.Renderable)[] Which, below the builder's folder; or a list of them.
---@return lunabot.Step
function steps.RemoveDirectory(dir) end

---Copies a folder on the worker, links kept.
---@overload fun(options: lunabot.options.CopyDirectory): lunabot.Step
---@overload fun(src: string|lunabot.Renderable, options: lunabot.options.CopyDirectory): lunabot.Step
---@overload fun(src: string|lunabot.Renderable, dest: string|lunabot.Renderable, options: lunabot.options.CopyDirectory): lunabot.Step
---@overload fun(src: string|lunabot.Renderable, dest: string|lunabot.Renderable, timeout: number|string|lunabot.None|false, options: lunabot.options.CopyDirectory): lunabot.Step
---@overload fun(src: string|lunabot.Renderable, dest: string|lunabot.Renderable, timeout: number|string|lunabot.None|false, maxTime: number|string|lunabot.None|false, options: lunabot.options.CopyDirectory): lunabot.Step
---@param src string|lunabot.Renderable What is copied, below the builder's folder.
---@param dest string|lunabot.Renderable Where to, below the builder's folder.
---@param timeout? number|string|lunabot.None|false How long it may be silent before it is killed; `None`: for ever.
---@param maxTime? number|string|lunabot.None|false How long it may run in all before it is killed.
---@return lunabot.Step
function steps.CopyDirectory(src, dest, timeout, maxTime) end

---Asks for builds of other builders, and may wait for them. See [builds that ask for builds](builders.md#builds-that-ask-for-builds).
---@overload fun(options: lunabot.options.Trigger): lunabot.Step
---@overload fun(schedulerNames: string|lunabot.Renderable|(string|lunabot.Renderable)[], options: lunabot.options.Trigger): lunabot.Step
---@param schedulerNames string|lunabot.Renderable|(string|lunabot.Renderable)[] The `schedulers.Triggerable` that are triggered, in this order. A name that is rendered may become a list.
---@return lunabot.Step
function steps.Trigger(schedulerNames) end

---@class lunabot.module.util
local util = {}

---A builder: which steps, on which workers.
---@overload fun(options: lunabot.options.BuilderConfig): lunabot.Builder
---@overload fun(name: string, options: lunabot.options.BuilderConfig): lunabot.Builder
---@param name string Its name: free text of at most 70 characters.
---@return lunabot.Builder
function util.BuilderConfig(name) end

---A list of steps, which several builders may share.
---@overload fun(options: lunabot.options.BuildFactory): lunabot.Factory
---@overload fun(steps: lunabot.Step[], options: lunabot.options.BuildFactory): lunabot.Factory
---@param steps? lunabot.Step[] The steps, in order; `addStep` and `addSteps` add more.
---@return lunabot.Factory
function util.BuildFactory(steps) end

---A lock for the whole master. `lock:access("exclusive")` or `lock:access("counting", 2)` stands in `locks` of builders, workers and steps.
---@overload fun(options: lunabot.options.MasterLock): lunabot.Lock
---@overload fun(name: string, options: lunabot.options.MasterLock): lunabot.Lock
---@overload fun(name: string, maxCount: integer, options: lunabot.options.MasterLock): lunabot.Lock
---@param name string Its name: free text of at most 100 characters. Two locks of one name must be alike in all, and are one lock.
---@param maxCount? integer The sum of counts that can be held at once. A lower one takes nothing from those who hold it.
---@return lunabot.Lock
function util.MasterLock(name, maxCount) end

---A lock that each worker has for itself: builds on different workers do not meet in it.
---@overload fun(options: lunabot.options.WorkerLock): lunabot.Lock
---@overload fun(name: string, options: lunabot.options.WorkerLock): lunabot.Lock
---@overload fun(name: string, maxCount: integer, options: lunabot.options.WorkerLock): lunabot.Lock
---@overload fun(name: string, maxCount: integer, maxCountForWorker: table<string, integer>, options: lunabot.options.WorkerLock): lunabot.Lock
---@param name string Its name: free text of at most 100 characters. Two locks of one name must be alike in all, and are one lock.
---@param maxCount? integer The sum of counts that can be held at once. A lower one takes nothing from those who hold it.
---@param maxCountForWorker? table<string, integer> The same for single workers, by their names.
---@return lunabot.Lock
function util.WorkerLock(name, maxCount, maxCountForWorker) end

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
---@overload fun(name: string, options: lunabot.options.Worker): lunabot.Worker
---@overload fun(name: string, password: string|lunabot.Secret|(string|lunabot.Secret)[], options: lunabot.options.Worker): lunabot.Worker
---@param name string Its name and login, also the property `workername`: letters, digits, `_` and `-`, at most 50 characters.
---@param password string|lunabot.Secret|(string|lunabot.Secret)[] What it must know to log in; a list of up to four while it changes: `{ new, old }`. For msgpack a hash will do: `$argon2id$…`, as `lunabot hash-password` prints it. A change applies to the next login; a live link stays.
---@return lunabot.Worker
function worker.Worker(name, password) end

---A worker inside the master's process, for small set-ups and for trying things out. It needs no password.
---@overload fun(options: lunabot.options.LocalWorker): lunabot.Worker
---@overload fun(name: string, options: lunabot.options.LocalWorker): lunabot.Worker
---@overload fun(name: string, workdir: string|lunabot.None|false, options: lunabot.options.LocalWorker): lunabot.Worker
---@param name string Its name and login, also the property `workername`: letters, digits, `_` and `-`, at most 50 characters.
---@param workdir? string|lunabot.None|false Its folder, below `DIR/workers` unless absolute.
---@return lunabot.Worker
function worker.LocalWorker(name, workdir) end

---A worker on a machine of Amazon's EC2 that is started when there is a build for it. Loading asks nothing of AWS.
---@overload fun(options: lunabot.options.EC2LatentWorker): lunabot.Worker
---@overload fun(name: string, options: lunabot.options.EC2LatentWorker): lunabot.Worker
---@overload fun(name: string, password: string|lunabot.Secret|(string|lunabot.Secret)[]|lunabot.None|false, options: lunabot.options.EC2LatentWorker): lunabot.Worker
---@overload fun(name: string, password: string|lunabot.Secret|(string|lunabot.Secret)[]|lunabot.None|false, instance_type: string, options: lunabot.options.EC2LatentWorker): lunabot.Worker
---@overload fun(name: string, password: string|lunabot.Secret|(string|lunabot.Secret)[]|lunabot.None|false, instance_type: string, ami: string|lunabot.None|false, options: lunabot.options.EC2LatentWorker): lunabot.Worker
---@overload fun(name: string, password: string|lunabot.Secret|(string|lunabot.Secret)[]|lunabot.None|false, instance_type: string, ami: string|lunabot.None|false, valid_ami_owners: string|integer|(string|integer)[]|lunabot.None|false, options: lunabot.options.EC2LatentWorker): lunabot.Worker
---@overload fun(name: string, password: string|lunabot.Secret|(string|lunabot.Secret)[]|lunabot.None|false, instance_type: string, ami: string|lunabot.None|false, valid_ami_owners: string|integer|(string|integer)[]|lunabot.None|false, valid_ami_location_regex: string|lunabot.None|false, options: lunabot.options.EC2LatentWorker): lunabot.Worker
---@overload fun(name: string, password: string|lunabot.Secret|(string|lunabot.Secret)[]|lunabot.None|false, instance_type: string, ami: string|lunabot.None|false, valid_ami_owners: string|integer|(string|integer)[]|lunabot.None|false, valid_ami_location_regex: string|lunabot.None|false, elastic_ip: string|lunabot.None|false, options: lunabot.options.EC2LatentWorker): lunabot.Worker
---@param name string Its name and login, also the property `workername`: letters, digits, `_` and `-`, at most 50 characters.
---@param password? string|lunabot.Secret|(string|lunabot.Secret)[]|lunabot.None|false What an instance must know to log in, for one whose image knows it already. A change applies to the next instance.
---@param instance_type string The size of the machine: `m5.large`.
---@param ami? string|lunabot.None|false The image. Either this, or `valid_ami_owners` and `valid_ami_location_regex`, or one of these two.
---@param valid_ami_owners? string|integer|(string|integer)[]|lunabot.None|false Whose images are looked through for the newest: account numbers, `self`, `amazon`, `aws-marketplace`.
---@param valid_ami_location_regex? string|lunabot.None|false What the location of such an image begins with, as a regular expression (no look-around, no back-references). The last one counts, ordered by the first group (as numbers, if all are), else by location.
---@param elastic_ip? string|lunabot.None|false An address of the account, given to the instance while it runs.
---@param identifier? string|lunabot.Secret|lunabot.None|false The name of the account's key; without it and `session`, the keys are found as all programs for AWS find them: environment, `~/.aws`, the machine's role.
---@param secret_identifier? string|lunabot.Secret|lunabot.None|false The key that goes with `identifier`.
---@param aws_id_file_path? string|lunabot.None|false A file with both, a line each. Buildbot also reads `~/.ec2/aws_id` unasked; name it if you want it.
---@param user_data? string|lunabot.Secret|lunabot.None|false What the instance is told when it boots. Never shown: it often holds a password.
---@param region? string|lunabot.None|false The region.
---@param keypair_name string The key pair by which people log in to the machine. It must exist: loading a configuration makes nothing.
---@param security_name? string|lunabot.None|false The security group by its name; without `subnet_id` it is needed, with it `security_group_ids` is meant. It must exist.
---@param spot_instance? boolean Whether to bid for spare machines.
---@param max_spot_price? number|lunabot.None|false The most that is bid, in dollars an hour. A spot instance needs this or `price_multiplier`.
---@param volumes? string[][]|lunabot.None|false Volumes that are attached while the instance runs: `{ { "vol-1", "/dev/sdf" } }`.
---@param placement? string|lunabot.None|false The zone, without its region: `b` for `us-west-2b`. It needs a region.
---@param price_multiplier? number|lunabot.None|false The bid is the mean price of the last day times this, up to `max_spot_price`; with `None`, `max_spot_price` itself.
---@param tags? table<string, string>|lunabot.None|false Tags of the instance. It has them from its first moment on (in Buildbot only once it runs).
---@param product_description? string For which product the mean price is asked.
---@param subnet_id? string|lunabot.None|false The subnet of a VPC.
---@param security_group_ids? string|string[]|lunabot.None|false Security groups of a VPC.
---@param instance_profile_name? string|lunabot.None|false The IAM profile by which the machine may use other services.
---@param block_device_map? lunabot.options.worker.EC2LatentWorker.block_device_map[]|lunabot.None|false Devices of the instance.
---@param session? lunabot.options.worker.EC2LatentWorker.session|lunabot.None|false Key and region in the words of `boto3.Session`; then no other of these options.
---@return lunabot.Worker
function worker.EC2LatentWorker(name, password, instance_type, ami, valid_ami_owners, valid_ami_location_regex, elastic_ip, identifier, secret_identifier, aws_id_file_path, user_data, region, keypair_name, security_name, spot_instance, max_spot_price, volumes, placement, price_multiplier, tags, product_description, subnet_id, security_group_ids, instance_profile_name, block_device_map, session) end

---A worker on a virtual machine of libvirt that is started when there is a build for it.
---@overload fun(options: lunabot.options.LibVirtWorker): lunabot.Worker
---@overload fun(name: string, options: lunabot.options.LibVirtWorker): lunabot.Worker
---@overload fun(name: string, password: string|lunabot.Secret|(string|lunabot.Secret)[]|lunabot.None|false, options: lunabot.options.LibVirtWorker): lunabot.Worker
---@overload fun(name: string, password: string|lunabot.Secret|(string|lunabot.Secret)[]|lunabot.None|false, hd_image: string|lunabot.None|false, options: lunabot.options.LibVirtWorker): lunabot.Worker
---@overload fun(name: string, password: string|lunabot.Secret|(string|lunabot.Secret)[]|lunabot.None|false, hd_image: string|lunabot.None|false, base_image: string|lunabot.None|false, options: lunabot.options.LibVirtWorker): lunabot.Worker
---@overload fun(name: string, password: string|lunabot.Secret|(string|lunabot.Secret)[]|lunabot.None|false, hd_image: string|lunabot.None|false, base_image: string|lunabot.None|false, uri: string, options: lunabot.options.LibVirtWorker): lunabot.Worker
---@param name string Its name and login, also the property `workername`: letters, digits, `_` and `-`, at most 50 characters.
---@param password? string|lunabot.Secret|(string|lunabot.Secret)[]|lunabot.None|false What an instance must know to log in, for one whose image knows it already. A change applies to the next instance.
---@param hd_image? string|lunabot.None|false The disk of the machine, made from `base_image` at each start.
---@param base_image? string|lunabot.None|false The disk that it begins as. Needs `hd_image`; without it the machine keeps its disk.
---@param uri? string The hypervisor. Buildbot's default, `system:///`, is no URI that libvirt knows.
---@param xml? string|lunabot.None|false The description of a domain that exists only while it runs.
---@param masterFQDN? string|lunabot.None|false Where an instance finds the master: a host, `host:port` or `[address]:port`; without a port, that of `c.protocols`.
---@return lunabot.Worker
function worker.LibVirtWorker(name, password, hd_image, base_image, uri, xml, masterFQDN) end

---A worker on a server of OpenStack that is started when there is a build for it.
---@overload fun(options: lunabot.options.OpenStackLatentWorker): lunabot.Worker
---@overload fun(name: string, options: lunabot.options.OpenStackLatentWorker): lunabot.Worker
---@overload fun(name: string, password: string|lunabot.Secret|(string|lunabot.Secret)[]|lunabot.None|false, options: lunabot.options.OpenStackLatentWorker): lunabot.Worker
---@overload fun(name: string, password: string|lunabot.Secret|(string|lunabot.Secret)[]|lunabot.None|false, flavor: string|integer|lunabot.Renderable, options: lunabot.options.OpenStackLatentWorker): lunabot.Worker
---@overload fun(name: string, password: string|lunabot.Secret|(string|lunabot.Secret)[]|lunabot.None|false, flavor: string|integer|lunabot.Renderable, os_username: string|lunabot.Secret|lunabot.None|false, options: lunabot.options.OpenStackLatentWorker): lunabot.Worker
---@overload fun(name: string, password: string|lunabot.Secret|(string|lunabot.Secret)[]|lunabot.None|false, flavor: string|integer|lunabot.Renderable, os_username: string|lunabot.Secret|lunabot.None|false, os_password: string|lunabot.Secret|lunabot.None|false, options: lunabot.options.OpenStackLatentWorker): lunabot.Worker
---@overload fun(name: string, password: string|lunabot.Secret|(string|lunabot.Secret)[]|lunabot.None|false, flavor: string|integer|lunabot.Renderable, os_username: string|lunabot.Secret|lunabot.None|false, os_password: string|lunabot.Secret|lunabot.None|false, os_tenant_name: string|lunabot.Secret|lunabot.None|false, options: lunabot.options.OpenStackLatentWorker): lunabot.Worker
---@param name string Its name and login, also the property `workername`: letters, digits, `_` and `-`, at most 50 characters.
---@param password? string|lunabot.Secret|(string|lunabot.Secret)[]|lunabot.None|false What an instance must know to log in, for one whose image knows it already. A change applies to the next instance.
---@param flavor string|integer|lunabot.Renderable The size of the server: name or id.
---@param os_username? string|lunabot.Secret|lunabot.None|false Who logs in at Keystone. Needed with `os_password` and `os_auth_url`, unless there is `os_auth_args`.
---@param os_password? string|lunabot.Secret|lunabot.None|false With which password.
---@param os_tenant_name? string|lunabot.Secret|lunabot.None|false The project.
---@param os_auth_url? string|lunabot.Secret|lunabot.None|false Where Keystone is.
---@param os_user_domain? string|lunabot.Secret|lunabot.None|false The domain of the user.
---@param os_project_domain? string|lunabot.Secret|lunabot.None|false The domain of the project.
---@param os_auth_args? table<string, string|lunabot.Secret>|lunabot.None|false All of this in Keystone's words, instead: `auth_url`, and what `auth_type` (`password` unless told otherwise) needs.
---@param block_devices? lunabot.options.worker.OpenStackLatentWorker.block_devices[]|lunabot.None|false The disks of the server. Either these or `image`, or both.
---@param region? string|lunabot.None|false The region.
---@param image? string|lunabot.Renderable|lunabot.None|false The image: name or id.
---@param meta? table<string, lunabot.Value>|lunabot.Renderable|lunabot.None|false Names and texts that the server carries.
---@param nova_args? table<string, lunabot.Value>|lunabot.Renderable|lunabot.None|false What else Nova is told: `nics`, `availability_zone`, `security_groups`, `config_drive`, …. Never shown in a plan.
---@param client_version? string The version of Nova's API: `2` or `2.90`.
---@return lunabot.Worker
function worker.OpenStackLatentWorker(name, password, flavor, os_username, os_password, os_tenant_name, os_auth_url, os_user_domain, os_project_domain, os_auth_args, block_devices, region, image, meta, nova_args, client_version) end

---A worker in a container of Docker that is started when there is a build for it.
---@overload fun(options: lunabot.options.DockerLatentWorker): lunabot.Worker
---@overload fun(name: string, options: lunabot.options.DockerLatentWorker): lunabot.Worker
---@overload fun(name: string, password: string|lunabot.Secret|(string|lunabot.Secret)[]|lunabot.None|false, options: lunabot.options.DockerLatentWorker): lunabot.Worker
---@overload fun(name: string, password: string|lunabot.Secret|(string|lunabot.Secret)[]|lunabot.None|false, docker_host: string|lunabot.Renderable, options: lunabot.options.DockerLatentWorker): lunabot.Worker
---@overload fun(name: string, password: string|lunabot.Secret|(string|lunabot.Secret)[]|lunabot.None|false, docker_host: string|lunabot.Renderable, image: string|lunabot.Renderable|lunabot.None|false, options: lunabot.options.DockerLatentWorker): lunabot.Worker
---@overload fun(name: string, password: string|lunabot.Secret|(string|lunabot.Secret)[]|lunabot.None|false, docker_host: string|lunabot.Renderable, image: string|lunabot.Renderable|lunabot.None|false, command: string|string[]|lunabot.None|false, options: lunabot.options.DockerLatentWorker): lunabot.Worker
---@overload fun(name: string, password: string|lunabot.Secret|(string|lunabot.Secret)[]|lunabot.None|false, docker_host: string|lunabot.Renderable, image: string|lunabot.Renderable|lunabot.None|false, command: string|string[]|lunabot.None|false, volumes: string|lunabot.Renderable|(string|lunabot.Renderable)[]|lunabot.None|false, options: lunabot.options.DockerLatentWorker): lunabot.Worker
---@param name string Its name and login, also the property `workername`: letters, digits, `_` and `-`, at most 50 characters.
---@param password? string|lunabot.Secret|(string|lunabot.Secret)[]|lunabot.None|false What an instance must know to log in, for one whose image knows it already. A change applies to the next instance.
---@param docker_host string|lunabot.Renderable The engine: `unix:///var/run/docker.sock`, `tcp://host:2376`.
---@param image? string|lunabot.Renderable|lunabot.None|false The image; or how the one that is built from `dockerfile` is called. One of the two is needed.
---@param command? string|string[]|lunabot.None|false Program and arguments, in the place of the image's own.
---@param volumes? string|lunabot.Renderable|(string|lunabot.Renderable)[]|lunabot.None|false `source:target` or `source:target:ro`: folders of the engine's machine, or volumes by their names.
---@param dockerfile? string|lunabot.Renderable|lunabot.None|false The text of a Dockerfile, from which the image is built if it is not there; with `custom_context`, the path of an archive that holds it.
---@param version? string|lunabot.None|false The version of its API: `1.45`.
---@param tls? boolean|lunabot.options.worker.DockerLatentWorker.tls|lunabot.None|false Whether the engine is spoken to through TLS; `true` trusts the system's authorities.
---@param followStartupLogs? boolean Whether the output of a new container goes to the master's log until its worker has attached.
---@param masterFQDN? string|lunabot.None|false Where an instance finds the master: a host, `host:port` or `[address]:port`; without a port, that of `c.protocols`.
---@param master_protocol? string What its worker speaks: `pb` or `msgpack_experimental_v7`. `c.protocols` needs a port for it.
---@param hostconfig? table<string, lunabot.Value>|lunabot.Renderable|lunabot.None|false What else the engine is told of the container: `network_mode`, `mem_limit`, `shm_size`, …, or in its own words (`NetworkMode`). `init` is true unless told otherwise.
---@param autopull? boolean Whether an image that is not there is pulled.
---@param alwaysPull? boolean Whether the image is pulled before each container. Needs `autopull`.
---@param custom_context? boolean|lunabot.Renderable Whether `dockerfile` is the path of an archive: a Dockerfile and the files beside it.
---@param encoding? string|lunabot.Renderable How that archive is compressed: `gzip`, `bzip2`, `xz` or `identity`.
---@param target? string|lunabot.Renderable The stage of the Dockerfile that is built.
---@param buildargs? table<string, lunabot.Value>|lunabot.Renderable|lunabot.None|false The arguments of the Dockerfile, with `custom_context` and without it; in Buildbot they have no effect without.
---@param hostname? string|lunabot.Renderable|lunabot.None|false What the container calls itself.
---@return lunabot.Worker
function worker.DockerLatentWorker(name, password, docker_host, image, command, volumes, dockerfile, version, tls, followStartupLogs, masterFQDN, master_protocol, hostconfig, autopull, alwaysPull, custom_context, encoding, target, buildargs, hostname) end

---A worker on whatever functions of the configuration can start: Buildbot's `AbstractLatentWorker` without a class.
---@overload fun(options: lunabot.options.LatentWorker): lunabot.Worker
---@overload fun(name: string, options: lunabot.options.LatentWorker): lunabot.Worker
---@overload fun(name: string, password: string|lunabot.Secret|(string|lunabot.Secret)[]|lunabot.None|false, options: lunabot.options.LatentWorker): lunabot.Worker
---@param name string Its name and login, also the property `workername`: letters, digits, `_` and `-`, at most 50 characters.
---@param password? string|lunabot.Secret|(string|lunabot.Secret)[]|lunabot.None|false What an instance must know to log in, for one whose image knows it already. A change applies to the next instance.
---@return lunabot.Worker
function worker.LatentWorker(name, password) end

---@class lunabot.plugins
---@field status lunabot.module.reporters
---@field reporters lunabot.module.reporters
---@field schedulers lunabot.module.schedulers
---@field secrets lunabot.module.secrets
---@field steps lunabot.module.steps
---@field util lunabot.module.util
---@field worker lunabot.module.worker

---@type lunabot.options.c
c = {}

---Reads a module: `lib.pool` is `lib/pool.lua` or `lib/pool/init.lua` below the folder of the configuration.
---@param name string
---@return any
function require(name) end
