-- Wrong shapes: text where a list is wanted, a list where a table is, one that is not in braces, a constructor that was not called.
local plugins = require "buildbot.plugins"
local worker, util, steps, schedulers, reporters = plugins.worker, plugins.util, plugins.steps, plugins.schedulers, plugins.reporters

c.workers = worker.Worker
c.builders = util.BuilderConfig { name = "b", workername = "bot1", factory = util.BuildFactory() }
c.schedulers = { schedulers.Periodic, 5, { schedulers.ForceScheduler("f", { "b" }) } }
c.reporters = reporters.MailNotifier "a@localhost"
c.services = { reporters.MailNotifier, worker.LocalWorker "bot2" }
c.status = "mail"
c.properties = { "site" }
c.protocols = { 9989 }
c.db = { "sqlite:///x" }
c.db_url = 5
c.title = function() end
c.titleURL = { "https://example.org/" }
c.buildbotURL = false
