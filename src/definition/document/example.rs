//! The examples of the page: each is a whole configuration, and a test loads it.

/// The example of a constructor, by its path.
pub(super) fn of(path: &str) -> Option<&'static str> {
    EXAMPLES.iter().find(|(name, _)| *name == path).map(|(_, text)| *text)
}

const EXAMPLES: [(&str, &str); 14] = [
    ("worker.Worker", WORKER),
    ("worker.LocalWorker", LOCAL_WORKER),
    ("util.BuilderConfig", BUILDER),
    ("util.BuildFactory", FACTORY),
    ("steps.ShellCommand", SHELL),
    ("steps.SetPropertyFromCommand", PROPERTY),
    ("steps.FileUpload", UPLOAD),
    ("steps.FileDownload", DOWNLOAD),
    ("schedulers.ForceScheduler", FORCE),
    ("schedulers.Periodic", PERIODIC),
    ("secrets.SecretInAFile", SECRETS),
    ("c", MASTER),
    ("c.protocols.pb.port", PORT),
    ("renderables", RENDERABLES),
];

const WORKER: &str = r#"local worker = require "buildbot.plugins".worker

c.protocols = { pb = { port = 9989 } }
c.workers = {
  -- As in Buildbot: arguments by position, then a table of named ones.
  worker.Worker("bot-solaris", os.getenv "SOLARIS_PASSWORD" or "sesame", {
    max_builds = 2,
    properties = { os = "solaris" },
    notify_on_missing = "admin@example.org",
  }),
  -- Or all in one table.
  worker.Worker { "bot-bsd", "sesame", keepalive_interval = None },
}
"#;

const LOCAL_WORKER: &str = r#"local worker = require "buildbot.plugins".worker

c.workers = { worker.LocalWorker "bot1", worker.LocalWorker("bot2", { max_builds = 1 }) }
"#;

const BUILDER: &str = r#"local plugins = require "buildbot.plugins"
local worker, util, steps, schedulers = plugins.worker, plugins.util, plugins.steps, plugins.schedulers

c.workers = {}
local names = {}
for i = 1, 4 do
  names[i] = "linux-" .. i
  table.insert(c.workers, worker.Worker(names[i], "sesame", { max_builds = 1 }))
end
c.protocols = { pb = { port = "tcp:9989:interface=127.0.0.1" } }
c.builders = {
  util.BuilderConfig {
    name = "linux",
    workernames = names,
    factory = util.BuildFactory { steps.ShellCommand { command = "make check" } },
    env = { CC = "gcc", DISPLAY = None },
    tags = { "linux", "fast" },
  },
}
c.schedulers = { schedulers.ForceScheduler("force", { "linux" }) }
"#;

const FACTORY: &str = r#"local plugins = require "buildbot.plugins"
local worker, util, steps, schedulers = plugins.worker, plugins.util, plugins.steps, plugins.schedulers

local factory = util.BuildFactory {
  steps.ShellCommand { name = "configure", command = { "./configure", "--prefix=/usr" } },
}
factory:addStep(steps.ShellCommand { name = "build", command = { "make", "-j4" } })

c.workers = { worker.LocalWorker "bot1" }
c.builders = { util.BuilderConfig { name = "build", workername = "bot1", factory = factory } }
c.schedulers = { schedulers.ForceScheduler("force", { "build" }) }
"#;

const SHELL: &str = r#"local plugins = require "buildbot.plugins"
local worker, util, steps, schedulers = plugins.worker, plugins.util, plugins.steps, plugins.schedulers

local factory = util.BuildFactory {
  -- A list: program and arguments, seen by no shell.
  steps.ShellCommand { name = "fetch", command = { "git", "clone", "--depth=1", "https://example.org/x.git", "." } },
  -- A text: a line for the worker's shell.
  steps.ShellCommand {
    name = "test",
    command = "make check 2>&1 | tee log",
    env = { LANG = "C" },
    timeout = 300,
    haltOnFailure = true,
    decodeRC = { [0] = "success", [77] = "skipped" },
  },
  steps.ShellCommand { name = "clean", command = "make clean", alwaysRun = true, flunkOnFailure = false },
}

c.workers = { worker.LocalWorker "bot1" }
c.builders = { util.BuilderConfig { name = "test", workername = "bot1", factory = factory } }
c.schedulers = { schedulers.ForceScheduler("force", { "test" }) }
"#;

const PROPERTY: &str = r#"local plugins = require "buildbot.plugins"
local worker, util, steps, schedulers = plugins.worker, plugins.util, plugins.steps, plugins.schedulers

local factory = util.BuildFactory {
  steps.SetPropertyFromCommand { command = "git describe", property = "version", haltOnFailure = true },
  steps.ShellCommand { command = { "make", "dist", util.Interpolate "VERSION=%(prop:version)s" } },
}

c.workers = { worker.LocalWorker "bot1" }
c.builders = { util.BuilderConfig { name = "dist", workername = "bot1", factory = factory } }
c.schedulers = { schedulers.ForceScheduler("force", { "dist" }) }
"#;

const UPLOAD: &str = r#"local plugins = require "buildbot.plugins"
local worker, util, steps, schedulers = plugins.worker, plugins.util, plugins.steps, plugins.schedulers

local factory = util.BuildFactory {
  steps.ShellCommand { command = "make dist doc", logfiles = { test = "test.log" } },
  steps.FileUpload {
    "dist.tar.gz",
    util.Interpolate "public/dist-%(prop:buildnumber)s.tar.gz",
    mode = "0644",
    url = util.Interpolate "https://example.org/dist-%(prop:buildnumber)s.tar.gz",
  },
  steps.DirectoryUpload { "doc/html", "public/doc", compress = "gz" },
  steps.MultipleFileUpload { { "*.deb", "*.rpm" }, "public/packages", glob = true, mode = "0644" },
}

c.workers = { worker.LocalWorker "bot1" }
c.builders = { util.BuilderConfig { name = "dist", workername = "bot1", factory = factory } }
c.schedulers = { schedulers.ForceScheduler("force", { "dist" }) }
"#;

const DOWNLOAD: &str = r#"local plugins = require "buildbot.plugins"
local worker, util, steps, schedulers = plugins.worker, plugins.util, plugins.steps, plugins.schedulers

local factory = util.BuildFactory {
  steps.RemoveDirectory "build",
  steps.MakeDirectory "build/conf",
  steps.FileDownload("secrets/signing.key", "conf/signing.key", { mode = "0600" }),
  steps.StringDownload(util.Interpolate "builder = %(prop:buildername)s\n", "conf/site.ini"),
  steps.JSONStringDownload({ jobs = 4, targets = { "all", "check" } }, "conf/build.json"),
  steps.CopyDirectory("build", "last-build"),
}

c.workers = { worker.LocalWorker "bot1" }
c.builders = { util.BuilderConfig { name = "sign", workername = "bot1", factory = factory } }
c.schedulers = { schedulers.ForceScheduler("force", { "sign" }) }
"#;

const FORCE: &str = r#"local plugins = require "buildbot.plugins"
local worker, util, steps, schedulers = plugins.worker, plugins.util, plugins.steps, plugins.schedulers

c.workers = { worker.LocalWorker "bot1" }
local factory = util.BuildFactory { steps.ShellCommand { command = "date" } }
c.builders = { util.BuilderConfig { name = "hello", workername = "bot1", factory = factory } }
c.schedulers = {
  schedulers.ForceScheduler { name = "force", builderNames = { "hello" }, reason = "trying it out" },
}
"#;

const PERIODIC: &str = r#"local plugins = require "buildbot.plugins"
local worker, util, steps, schedulers = plugins.worker, plugins.util, plugins.steps, plugins.schedulers

c.workers = { worker.LocalWorker "bot1" }
local factory = util.BuildFactory { steps.ShellCommand { command = "date" } }
c.builders = { util.BuilderConfig { name = "hourly", workername = "bot1", factory = factory } }
c.schedulers = { schedulers.Periodic("each-hour", { "hourly" }, 60 * 60) }
"#;

const SECRETS: &str = r#"local plugins = require "buildbot.plugins"
local worker, util, secrets = plugins.worker, plugins.util, plugins.secrets

-- Asked in this order. Without any: the folder `secrets`.
c.secretsProviders = {
  secrets.SecretInAFile "secrets",
  secrets.SecretInCommand { command = { "vault", "kv", "get", "-field=value", "ci/%(name)s" } },
}
c.protocols = { pb = { port = 9989 } }
c.workers = { worker.Worker("bot-bsd", util.Secret "bot-bsd") }
"#;

const MASTER: &str = r#"local worker = require "buildbot.plugins".worker

c.title = "Our farm"
c.titleURL = "https://example.org/"
c.db = { db_url = "sqlite:///state.sqlite" }
c.protocols = { pb = { port = 9989 } }
c.workers = { worker.Worker("bot1", "sesame") }
"#;

const PORT: &str = r#"local worker = require "buildbot.plugins".worker

c.protocols = {
  pb = {
    port = {
      -- In the clear, for the machine itself.
      "tcp:9989:interface=127.0.0.1",
      -- Through TLS, for all others: each has a certificate of its own.
      { port = 9990, tls = { cert = "tls/cert.pem", key = "tls/key.pem", client_ca = "tls/workers.pem" } },
    },
  },
  -- As Buildbot writes it.
  msgpack_experimental_v7 = { port = "ssl:port=9991:privateKey=tls/key.pem:certKey=tls/cert.pem" },
}
c.workers = { worker.Worker("bot1", "sesame") }
"#;

const RENDERABLES: &str = r#"local plugins = require "buildbot.plugins"
local worker, util, steps, schedulers = plugins.worker, plugins.util, plugins.steps, plugins.schedulers

c.workers = { worker.LocalWorker("bot1", { properties = { os = "linux" } }) }
local factory = util.BuildFactory {
  steps.ShellCommand {
    command = { "echo", util.Interpolate "%(prop:os)s, build %(prop:buildnumber)s of %(prop:branch:-main)s" },
    workdir = util.Property("workdir", "build"),
    env = { FLAGS = util.Interpolate("%(kw:base)s -DOS=%(prop:os)s", { base = "-O2" }) },
  },
}
c.builders = { util.BuilderConfig { name = "hello", workername = "bot1", factory = factory } }
c.schedulers = { schedulers.ForceScheduler("force", { "hello" }) }
"#;
