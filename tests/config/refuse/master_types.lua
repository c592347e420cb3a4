local plugins = require "buildbot.plugins"
local worker, util, steps, schedulers = plugins.worker, plugins.util, plugins.steps, plugins.schedulers

c.workers = { worker.LocalWorker "bot1" }
c.title = 5
c.titleURL = {}
c.buildbotURL = util.Interpolate "x"
c.builders = "x"
c.schedulers = { ["force"] = schedulers.ForceScheduler("force", { "x" }) }
c.db = "sqlite:///x"
c.protocols = { pb = 9989 }
