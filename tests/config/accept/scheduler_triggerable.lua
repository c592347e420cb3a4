local plugins = require "buildbot.plugins"
local worker, util, steps, schedulers = plugins.worker, plugins.util, plugins.steps, plugins.schedulers

c.workers = { worker.LocalWorker "bot1" }
local shell = util.BuildFactory { steps.ShellCommand { command = "true" } }
local all = util.BuildFactory { steps.Trigger { { "plain", "named", "silent", "with a space" } } }
c.builders = {
  util.BuilderConfig { name = "all", workername = "bot1", factory = all },
  util.BuilderConfig { name = "a", workername = "bot1", factory = shell },
  util.BuilderConfig { name = "b", workername = "bot1", factory = shell },
}
c.schedulers = {
  schedulers.ForceScheduler("force", { "all" }),
  schedulers.Triggerable("plain", { "b", "a", "b" }),
  schedulers.Triggerable {
    name = "named",
    builderNames = "a",
    properties = { site = "lab", list = { 1, 2 } },
    reason = "all was well",
    priority = 1,
  },
  schedulers.Triggerable("silent", { "a" }, { reason = None }),
  schedulers.Triggerable("with a space", { "b" }),
}
