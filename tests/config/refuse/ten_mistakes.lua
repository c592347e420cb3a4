local plugins = require "buildbot.plugins"
local worker, util, steps, schedulers = plugins.worker, plugins.util, plugins.steps, plugins.schedulers

c.titel = "Ten mistakes"
c.workers = {
  worker.Worker("arm64-3", "sesame", { max_build = 2 }),
  worker.Worker("arm64-4", "sesame", { max_builds = "two" }),
  worker.Worker("arm64-5"),
  worker.Wroker("arm64-6", "sesame"),
  worker.LocalWorker("x86-1", { missing_timeout = -1 }),
  worker.LocalWorker "x86-1",
}

local factory = util.BuildFactory()
factory:addStep(steps.ShellCommand { command = "make", haltOnFailure = "yes" })
factory:addStep(steps.ShellCommand { command = util.Interpolate "make %(prop:os" })

c.builders = {
  util.BuilderConfig { name = "linux", workernames = { "arm64-3", "arm-9" }, factory = factory, description_format = "markdown" },
}
c.schedulers = { schedulers.Periodic("nightly", { "linux" }, 0.5) }
