-- Lists with something wrong in them.
local plugins = require "buildbot.plugins"
local worker, util, steps, schedulers, reporters = plugins.worker, plugins.util, plugins.steps, plugins.schedulers, plugins.reporters

c.workers = { bot1 = worker.LocalWorker "bot1", worker.LocalWorker "bot2" }
c.builders = { [0] = util.BuilderConfig { name = "b", workername = "bot1", factory = util.BuildFactory() } }
c.schedulers = { nil, schedulers.ForceScheduler("f", { "b" }) }
c.reporters = { [true] = reporters.MailNotifier "a@localhost" }
c.services = { mail = reporters.MailNotifier "b@localhost" }
c.status = function() end
c.db = worker.LocalWorker
c.protocols = worker.LocalWorker "bot3"
c.properties = util.Interpolate "x"
