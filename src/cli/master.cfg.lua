-- The configuration of a Lunabot master. It is a Lua program: `c` is given, this file fills it.
-- All options: docs/config.md. Check it with `lunabot checkconfig`.

local plugins = require "buildbot.plugins"
local worker, util, steps, schedulers = plugins.worker, plugins.util, plugins.steps, plugins.schedulers

c.title = "My Lunabot"

-- Who builds. A LocalWorker lives inside the master; others connect from elsewhere:
--   worker.Worker("bot-linux", "its password", { max_builds = 2 }),
--   c.protocols = { pb = { port = 9989 } }
c.workers = {
  worker.LocalWorker("local", { max_builds = 2 }),
}

-- What is built: steps in order, on one of the workers named.
local factory = util.BuildFactory {
  steps.ShellCommand { name = "greet", command = "echo Hello from $(uname -n)", haltOnFailure = true, logEnviron = false },
  -- A list is seen by no shell: each text is one argument.
  steps.ShellCommand {
    name = "arguments",
    command = { "printf", "%s\n", util.Interpolate "built on %(prop:workername)s" },
    logEnviron = false,
  },
}

c.builders = {
  util.BuilderConfig { name = "hello", workernames = { "local" }, factory = factory },
}

-- When it is built: by hand (`lunabot force DIR hello`), or again and again.
c.schedulers = {
  schedulers.ForceScheduler { name = "force", builderNames = { "hello" } },
  -- schedulers.Periodic { name = "nightly", builderNames = { "hello" }, periodicBuildTimer = 24 * 60 * 60 },
}
