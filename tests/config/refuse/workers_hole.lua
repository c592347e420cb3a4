local plugins = require "buildbot.plugins"
local worker, util, steps, schedulers = plugins.worker, plugins.util, plugins.steps, plugins.schedulers

c.workers = { worker.LocalWorker "bot1" }
local bot2 = nil
c.workers = { worker.LocalWorker "bot3", bot2, worker.LocalWorker "bot4" }
