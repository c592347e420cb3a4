local plugins = require "buildbot.plugins"
local worker, util, steps, schedulers = plugins.worker, plugins.util, plugins.steps, plugins.schedulers

-- As Buildbot's own sample begins.
c = {}
c.workers = { worker.LocalWorker "bot1" }
