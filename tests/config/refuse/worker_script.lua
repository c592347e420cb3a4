local plugins = require "buildbot.plugins"
local worker, util = plugins.worker, plugins.util

local function stop() end

c.workers = {
  worker.LatentWorker "LatentWorker-nothing",
  worker.LatentWorker { "LatentWorker-half", start_instance = stop },
  worker.LatentWorker { "LatentWorker-texts", start_instance = "start", stop_instance = {}, check_instance = true },
  worker.LatentWorker { "LatentWorker-none", start_instance = None, stop_instance = None },
  worker.LatentWorker { "LatentWorker-rendered", start_instance = util.Property "start", stop_instance = stop },
  worker.LatentWorker { "LatentWorker-three", None, stop, stop_instance = stop },
}
