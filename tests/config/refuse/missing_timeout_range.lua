local plugins = require "buildbot.plugins"
local worker, util, steps, schedulers = plugins.worker, plugins.util, plugins.steps, plugins.schedulers

c.workers = { worker.LocalWorker "bot1" }
c.workers = {
  worker.LocalWorker { "bot1", missing_timeout = "soon" },
  worker.LocalWorker { "bot2", missing_timeout = -0.5 },
  worker.LocalWorker { "bot3", missing_timeout = 0 / 0 },
  worker.LocalWorker { "bot4", missing_timeout = math.huge },
  worker.LocalWorker { "bot5", keepalive_interval = 1e12 },
}
