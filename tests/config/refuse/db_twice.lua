local plugins = require "buildbot.plugins"
local worker, util, steps, schedulers = plugins.worker, plugins.util, plugins.steps, plugins.schedulers

c.workers = { worker.LocalWorker "bot1" }
c.db_url = "sqlite:///a.sqlite"
c.db = { db_url = "sqlite:///b.sqlite", engine_kwargs = {} }
