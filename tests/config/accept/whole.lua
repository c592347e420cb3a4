-- One of each, in the manner of a Buildbot user.
local plugins = require "buildbot.plugins"
local worker, util, steps, schedulers = plugins.worker, plugins.util, plugins.steps, plugins.schedulers

c = {}
c.title = "Whole"
c.titleURL = "https://example.org/"
c.buildbotURL = "https://ci.example.org/"
c.db = { db_url = "postgresql+psycopg2://bot:sesame@db/ci" }
c.protocols = { pb = { port = "tcp:9989:interface=127.0.0.1" } }

c.workers = {
  worker.Worker("arm64-1", "sesame", {
    max_builds = 2,
    notify_on_missing = { "admin@example.org", "ops@example.org" },
    missing_timeout = 600.5,
    properties = { os = "linux", cores = 8, tags = { "fast", "arm" } },
    defaultProperties = { branch = "main" },
  }),
  worker.LocalWorker("bot1", "bot1-folder", { keepalive_interval = None, max_builds = None }),
}

local factory = util.BuildFactory()
factory:addStep(steps.ShellCommand {
  name = "fetch",
  command = { "git", "clone", util.Property("repository", "https://example.org/x.git"), "." },
  env = { PATH = { "/opt/bin", "${PATH}" }, DISPLAY = None, BRANCH = util.Interpolate "%(prop:branch)s" },
  haltOnFailure = true,
})
factory:addStep(steps.ShellCommand {
  command = util.Interpolate("make -j%(prop:cores:-1)s %(kw:target)s", { target = "check" }),
  workdir = util.Interpolate "build/%(prop:os)s",
  timeout = None,
  maxTime = 3600,
  sigtermTime = 5,
  interruptSignal = "INT",
  logEnviron = false,
  initialStdin = "yes\n",
  decodeRC = { [0] = "success", [1] = "warnings", [77] = 3 },
})

c.builders = {
  util.BuilderConfig {
    name = "arm (gcc)",
    workernames = { "arm64-1", "bot1" },
    factory = factory,
    builddir = "arm",
    env = { CC = "gcc" },
    properties = { cc = "gcc" },
    tags = { "arm" },
    description = "All of it",
  },
}
c.schedulers = {
  schedulers.ForceScheduler { name = "force", builderNames = { "arm (gcc)" }, reason = "by hand", label = "Force" },
  schedulers.Periodic("nightly", { "arm (gcc)" }, 24 * 60 * 60, { properties = { nightly = true } }),
}
