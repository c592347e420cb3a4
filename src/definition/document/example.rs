//! The examples of the page: each is a whole configuration, and a test loads it.

/// The example of a constructor, by its path.
pub(super) fn of(path: &str) -> Option<&'static str> {
    EXAMPLES.iter().find(|(name, _)| *name == path).map(|(_, text)| *text)
}

const EXAMPLES: [(&str, &str); 23] = [
    ("worker.Worker", WORKER),
    ("worker.LocalWorker", LOCAL_WORKER),
    ("worker.EC2LatentWorker", EC2),
    ("worker.LibVirtWorker", LIBVIRT),
    ("worker.OpenStackLatentWorker", OPENSTACK),
    ("worker.DockerLatentWorker", DOCKER),
    ("worker.LatentWorker", LATENT),
    ("util.BuilderConfig", BUILDER),
    ("util.BuildFactory", FACTORY),
    ("lock.access", LOCKS),
    ("steps.ShellCommand", SHELL),
    ("steps.SetPropertyFromCommand", PROPERTY),
    ("steps.FileUpload", UPLOAD),
    ("steps.FileDownload", DOWNLOAD),
    ("schedulers.ForceScheduler", FORCE),
    ("schedulers.Periodic", PERIODIC),
    ("reporters.MailNotifier", MAIL),
    ("reporters.BuildStatusGenerator", BUILDS),
    ("reporters.WorkerMissingGenerator", MISSING),
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

const EC2: &str = r#"local plugins = require "buildbot.plugins"
local worker, util = plugins.worker, plugins.util

c.protocols = { pb = { port = 9989 } }
c.workers = {
  worker.EC2LatentWorker("ec2-1", None, "m5.large", {
    region = "us-west-2",
    placement = "b",
    -- The newest image that fits.
    valid_ami_owners = { "self" },
    valid_ami_location_regex = "buildbot-worker/(\\d+)",
    keypair_name = "ci",
    subnet_id = "subnet-12345",
    security_group_ids = { "sg-12345" },
    user_data = util.Secret "ec2/user-data",
    block_device_map = { { DeviceName = "/dev/sda1", Ebs = { VolumeSize = 100, VolumeType = "gp3" } } },
  }),
  -- A bid for spare machines: the mean price of the last day and a half of it, at most 0.09 dollars an hour.
  worker.EC2LatentWorker("ec2-2", None, "m5.large", {
    ami = "ami-12345",
    identifier = util.Secret "ec2/identifier",
    secret_identifier = util.Secret "ec2/secret",
    keypair_name = "ci",
    security_name = "ci",
    spot_instance = true,
    max_spot_price = 0.09,
    price_multiplier = 1.5,
  }),
}
"#;

const LIBVIRT: &str = r#"local worker = require "buildbot.plugins".worker

c.protocols = { pb = { port = 9989 } }
c.workers = {
  -- The domain `minion1` is defined; its disk is made anew from the base image at each start.
  worker.LibVirtWorker("minion1", "sekrit", "/var/lib/ci/minion1.qcow2", "/var/lib/ci/base.qcow2"),
  worker.LibVirtWorker("minion2", "sekrit", { uri = "qemu+ssh://ci@vm.example.org/system", graceful_shutdown = true }),
}
"#;

const OPENSTACK: &str = r#"local plugins = require "buildbot.plugins"
local worker, util = plugins.worker, plugins.util

c.protocols = { pb = { port = 9989 } }
c.workers = {
  worker.OpenStackLatentWorker("nova-1", None, {
    flavor = "m1.large",
    image = util.Interpolate "worker-%(prop:os:-debian)s",
    os_auth_url = "https://keystone.example.org/v3",
    os_username = "ci",
    os_password = util.Secret "openstack",
    os_tenant_name = "ci",
    os_user_domain = "Default",
    os_project_domain = "Default",
    meta = { role = "worker" },
    nova_args = { key_name = "ci", security_groups = { "ci" } },
  }),
  worker.OpenStackLatentWorker("nova-2", None, {
    flavor = "m1.large",
    block_devices = { { uuid = "8ac9d4a4-5e03-48b0-acde-77a0345a9ab1", volume_size = 40 } },
    os_auth_args = { auth_type = "v3token", auth_url = "https://keystone.example.org/v3", token = util.Secret "token" },
  }),
}
"#;

const DOCKER: &str = r#"local plugins = require "buildbot.plugins"
local worker, util = plugins.worker, plugins.util

c.protocols = { pb = { port = 9989 } }
c.workers = {
  worker.DockerLatentWorker("docker-1", None, "unix:///var/run/docker.sock", "buildbot/buildbot-worker:v4.3.0", {
    autopull = true,
    volumes = { "/var/cache/ccache:/ccache", "/etc/ci:/etc/ci:ro" },
    hostconfig = { mem_limit = "4g", network_mode = "ci" },
    -- One build, one container.
    build_wait_timeout = 0,
  }),
  worker.DockerLatentWorker("docker-2", None, {
    docker_host = "tcp://engine.example.org:2376",
    tls = { ca = "docker/ca.pem", cert = "docker/cert.pem", key = "docker/key.pem" },
    image = util.Interpolate "worker-%(prop:os)s",
    dockerfile = "FROM debian:13\\nRUN apt-get update && apt-get install -y buildbot-worker",
    masterFQDN = "ci.example.org",
  }),
}
"#;

const LATENT: &str = r#"local worker = require "buildbot.plugins".worker

c.protocols = { pb = { port = 9989 } }
c.workers = {
  worker.LatentWorker("board", "sesame", {
    start_instance = function(build) return build end,
    stop_instance = function() end,
    build_wait_timeout = "30m",
    attach_timeout = "5m",
  }),
}
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

const LOCKS: &str = r#"local plugins = require "buildbot.plugins"
local worker, util, steps = plugins.worker, plugins.util, plugins.steps

-- One database, on which four builds may work at a time; and of each machine the disk, twice on the big one.
local db = util.MasterLock("db", 4)
local disk = util.WorkerLock("disk", { maxCountForWorker = { big = 2 } })

c.workers = { worker.LocalWorker "big", worker.LocalWorker "small" }
c.builders = {
  util.BuilderConfig {
    name = "check",
    workernames = { "big", "small" },
    locks = { db:access("counting") },
    factory = util.BuildFactory {
      steps.ShellCommand { command = "make" },
      steps.ShellCommand { command = "make package", locks = { disk:access("counting") } },
    },
  },
  util.BuilderConfig {
    name = "migrate",
    workername = "big",
    -- Alone, and it is not starved: who comes later waits behind it.
    locks = { db:access("exclusive") },
    factory = util.BuildFactory { steps.ShellCommand { command = "make migrate" } },
  },
}
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
  -- Or several at once, by a function.
  steps.SetPropertyFromCommand {
    name = "disk",
    command = "df -P . | tail -1",
    extract_fn = function(rc, stdout, stderr)
      local size, used = stdout:match "%s(%d+)%s+(%d+)"
      return { disk_size = tonumber(size), disk_used = tonumber(used) }
    end,
  },
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

const MAIL: &str = r#"local plugins = require "buildbot.plugins"
local worker, status = plugins.worker, plugins.status

-- As older manuals write it: mails about missing workers, and none about builds.
local m = status.MailNotifier { fromaddr = "buildbot@localhost", builders = {}, relayhost = "smtp.example.org" }
table.insert(c.status, m)

c.workers = { worker.Worker("bot-solaris", "solarispasswd", { notify_on_missing = "bob@example.com" }) }
"#;

const BUILDS: &str = r#"local plugins = require "buildbot.plugins"
local worker, util, steps, schedulers = plugins.worker, plugins.util, plugins.steps, plugins.schedulers
local reporters = plugins.reporters

c.workers = { worker.LocalWorker "bot1" }
local factory = util.BuildFactory { steps.ShellCommand { command = { "make", "check" } } }
c.builders = { util.BuilderConfig { name = "linux", workername = "bot1", factory = factory, tags = { "release" } } }
c.schedulers = { schedulers.Periodic("each-hour", { "linux" }, 60 * 60) }
c.reporters = {
  reporters.MailNotifier {
    fromaddr = "ci@example.org",
    extraRecipients = { "dev@example.org" },
    generators = {
      -- When it breaks, and when it cannot be carried out.
      reporters.BuildStatusGenerator { mode = { "problem", "exception" }, tags = { "release" }, add_logs = { "stdio" } },
      reporters.BuildStatusGenerator {
        mode = "all",
        schedulers = { "each-hour" },
        message_formatter = reporters.MessageFormatter { subject = "{{ buildername }}: {{ build.state_string }}" },
      },
    },
  },
}
"#;

const MISSING: &str = r#"local plugins = require "buildbot.plugins"
local worker, reporters, util = plugins.worker, plugins.reporters, plugins.util

c.workers = {
  worker.Worker("arm64-1", "sesame", { notify_on_missing = "arm@example.org", missing_timeout = "10m" }),
  worker.Worker("x86-1", "sesame"),
}
c.reporters = {
  reporters.MailNotifier {
    fromaddr = "Our farm <ci@example.org>",
    relayhost = "smtp.example.org",
    useSmtps = true,
    smtpUser = "ci",
    smtpPassword = util.Secret "smtp",
    generators = {
      reporters.WorkerMissingGenerator {
        workers = { "arm64-1" },
        message_formatter = reporters.MessageFormatterMissingWorker { subject = "{{ worker.name }} is away" },
      },
    },
  },
}
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
-- On each build, under what the request, the builder and the worker say.
c.properties = { site = "lab" }
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
  steps.ShellCommand {
    name = "compile",
    command = {
      "make",
      "-j",
      util.renderer(function(props) return math.min(tonumber(props:getProperty("jobs")) or 4, 16) end),
      util.FlattenList { "all", util.Property("targets", {}) },
    },
    doStepIf = function(step) return step:getProperty "os" ~= "windows" end,
    hideStepIf = function(results, step) return results == util.SKIPPED end,
  },
}
c.builders = { util.BuilderConfig { name = "hello", workername = "bot1", factory = factory } }
c.schedulers = { schedulers.ForceScheduler("force", { "hello" }) }
"#;
