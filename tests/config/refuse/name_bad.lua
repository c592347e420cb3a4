local plugins = require "buildbot.plugins"
local worker, util, steps, schedulers = plugins.worker, plugins.util, plugins.steps, plugins.schedulers

c.workers = { worker.LocalWorker "bot1" }
c.workers = {
  worker.LocalWorker "1st",
  worker.LocalWorker "a b",
  worker.LocalWorker "",
  worker.LocalWorker "change",
  worker.LocalWorker(("x"):rep(51)),
  worker.LocalWorker(5),
  worker.LocalWorker { name = true },
}
