local plugins = require "buildbot.plugins"
local worker, util, steps, schedulers = plugins.worker, plugins.util, plugins.steps, plugins.schedulers

c.workers = { worker.LocalWorker "bot1" }
c.workers[2] = worker.Worker("bot1", "sesame")
c.workers[3] = worker.LocalWorker("bot3", "bot1")
