local plugins = require "buildbot.plugins"
local worker, util, steps, schedulers = plugins.worker, plugins.util, plugins.steps, plugins.schedulers

c.workers = { worker.LocalWorker "bot1" }
local f = util.BuildFactory { steps.ShellCommand { command = "true" } }
c.builders = { util.BuilderConfig { name = "linux", workername = "bot1", factory = f } }
c.schedulers = {
  schedulers.ForceScheduler("force", { "linus" }),
  schedulers.ForceScheduler("force it", { "linux" }),
  schedulers.Periodic("p1", { "linux" }),
  schedulers.Periodic("p2", { "linux" }, 0),
  schedulers.Periodic("p3", { "linux" }, "daily"),
  schedulers.Periodic("p4", {}, 60),
  schedulers.Periodic("p5", c.builders, 60),
}
