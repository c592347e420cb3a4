local plugins = require "buildbot.plugins"
local worker, util, steps, schedulers = plugins.worker, plugins.util, plugins.steps, plugins.schedulers

c.workers = { worker.LocalWorker "bot1" }
c.titel = "x"
c.www = { port = 8010 }
c.buildbotURl = "x"
c.services = { plugins.reporters.MailNotifier { fromaddr = "a" } }
c.workrs[1] = worker.LocalWorker "bot2"
c[1] = "x"
