local plugins = require "buildbot.plugins"
local worker, util = plugins.worker, plugins.util

local function stop() end

c.protocols = { pb = { port = 9989 } }
c.workers = {
  worker.LatentWorker("bot1", None, {
    start_instance = function(build) return build end,
    stop_instance = stop,
    check_instance = function() return true end,
  }),
  worker.LatentWorker { "bot2", util.Secret "bot2", start_instance = stop, stop_instance = stop, check_instance = None },
}
