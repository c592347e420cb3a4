local util = require "buildbot.plugins".util

c.workers = { require "buildbot.plugins".worker.LocalWorker "bot1" }
local jobs = util.renderer(function() return 1 end)
return jobs.value
