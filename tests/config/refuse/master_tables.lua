-- Tables of `c` that hold what they cannot.
local plugins = require "buildbot.plugins"
local worker, util, steps, schedulers = plugins.worker, plugins.util, plugins.steps, plugins.schedulers

c.workers = { worker.LocalWorker "bot1" }
c.protocols.pb = 9989
c.protocols.pb_ = { port = 9989 }
c.protocols[1] = 9989
c.db.db_url = worker.LocalWorker "x"
c.services[1] = "mail"
table.insert(c.schedulers, schedulers.Periodic)
c.builders[#c.builders + 1] = { util.BuildFactory() }
c.builders[#c.builders + 1] = util.BuilderConfig { name = "b" }
