local plugins = require "buildbot.plugins"
local worker, util, steps, schedulers = plugins.worker, plugins.util, plugins.steps, plugins.schedulers

c.workers = { worker.LocalWorker "bot1" }
local function make(name)
  return worker.LocalWorker(name .. suffix)
end
c.workers = { make "bot1" }
