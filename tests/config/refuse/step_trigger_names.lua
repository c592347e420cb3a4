-- Names of schedulers that are not there, or cannot be triggered.
local plugins = require "buildbot.plugins"
local worker, util, steps, schedulers = plugins.worker, plugins.util, plugins.steps, plugins.schedulers

c.workers = { worker.LocalWorker "bot1" }
local shared = util.BuildFactory {
  steps.Trigger { schedulerNames = { "test", "force" } },
  steps.Trigger { schedulerNames = { "nothing like it", "often", util.Property "any", "tests" } },
}
c.builders = {
  util.BuilderConfig { name = "a", workername = "bot1", factory = shared },
  util.BuilderConfig { name = "b", workername = "bot1", factory = shared },
}
c.schedulers = {
  schedulers.ForceScheduler("force", { "a" }),
  schedulers.Periodic("often", { "b" }, 60),
  schedulers.Triggerable("tests", { "b" }),
}
