local plugins = require "buildbot.plugins"
local worker, util, steps, schedulers = plugins.worker, plugins.util, plugins.steps, plugins.schedulers

c.workers = { worker.LocalWorker "bot1" }
c.workers = {
  worker.LocalWorker { "bot1", maxBuilds = 1 },
  worker.LocalWorker { "bot2", colour = "red" },
  worker.LocalWorker { "bot3", machine_name = "m" },
  worker.LocalWorker { "bot4", machine_nam = "m" },
  worker.LocalWorker("bot5", "dir", { max_builds = 1 }, 5),
  worker.LocalWorker("bot6", { max_builds = 1, "dir" }),
  worker.LocalWorker { "bot7", "dir", workdir = "other" },
}
