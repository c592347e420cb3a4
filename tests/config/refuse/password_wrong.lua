local plugins = require "buildbot.plugins"
local worker, util, steps, schedulers = plugins.worker, plugins.util, plugins.steps, plugins.schedulers

c.workers = { worker.LocalWorker "bot1" }
c.workers = {
  worker.Worker("bot1", 12345),
  worker.Worker("bot2", None),
  worker.Worker("bot3", ""),
  worker.LocalWorker { "bot4", password = "sesame" },
  worker.Worker("bot5", util.Interpolate "%(prop:password)s"),
}
