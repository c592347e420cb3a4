local plugins = require "buildbot.plugins"
local worker, util, steps, schedulers = plugins.worker, plugins.util, plugins.steps, plugins.schedulers

c.workers = { worker.LocalWorker "bot1" }
c.db_url = "sqlite:////srv/lunabot/state.sqlite"
c.db = None
c.protocols = None
