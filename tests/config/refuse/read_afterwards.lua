local plugins = require "buildbot.plugins"
local worker, util, steps, schedulers = plugins.worker, plugins.util, plugins.steps, plugins.schedulers

c.workers = { worker.LocalWorker "bot1" }
local bot = c.workers[1]
bot.max_builds = 5
local x = bot.naem
local y = bot.name == "bot1" or error "the name can be read"
