local plugins = require "buildbot.plugins"
local worker, util, steps, schedulers = plugins.worker, plugins.util, plugins.steps, plugins.schedulers

c.workers = { worker.LocalWorker "bot1" }
local factory = util.BuildFactory { steps.ShellCommand { command = "make" } }
for name in ("ab"):gmatch "." do
  table.insert(c.builders, util.BuilderConfig { name = name, workername = "bot1", factory = factory })
end
c.schedulers = {
  schedulers.ForceScheduler("force-1", { "b", "a", "b" }),
  schedulers.ForceScheduler {
    name = "force_2",
    builderNames = "a",
    properties = { site = "lab", n = 1, list = { 1, 2 } },
    priority = -5,
    buttonName = "Build it",
    label = "By hand",
    reason = "because",
    reasonString = "%(owner)s said: %(reason)s",
  },
  schedulers.ForceScheduler("force3", { "a" }, { label = None, buttonName = None }),
  schedulers.Periodic("each hour", { "a" }, 3600),
  schedulers.Periodic {
    name = "nightly, at an even pace",
    builderNames = { "a", "b" },
    periodicBuildTimer = "1d",
    properties = { nightly = true },
    reason = "the night",
    priority = 10,
  },
  schedulers.Periodic("often", { "b" }, 1.5, { reason = None }),
}
