-- One that stands in two of the three lists, and two of one name.
local plugins = require "buildbot.plugins"
local worker, util, steps, schedulers, reporters = plugins.worker, plugins.util, plugins.steps, plugins.schedulers, plugins.reporters

c.workers = { worker.LocalWorker "bot1" }
local m = reporters.MailNotifier "a@localhost"
c.reporters = { m }
c.status = { m }
c.services = { reporters.MailNotifier("b@localhost", { name = "mail" }), reporters.MailNotifier("c@localhost", { name = "mail" }) }
