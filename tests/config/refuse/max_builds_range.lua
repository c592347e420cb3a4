local plugins = require "buildbot.plugins"
local worker, util, steps, schedulers = plugins.worker, plugins.util, plugins.steps, plugins.schedulers

c.workers = { worker.LocalWorker "bot1" }
c.workers = {
  worker.LocalWorker { "bot1", max_builds = -1 },
  worker.LocalWorker { "bot2", max_builds = 1.5 },
  worker.LocalWorker { "bot3", max_builds = 5000000000 },
  worker.LocalWorker { "bot4", max_builds = true },
  worker.LocalWorker { "bot5", max_builds = { 1 } },
  worker.LocalWorker { "bot6", max_builds = print },
}
