-- Three names of one list.
local plugins = require "buildbot.plugins"
local worker, util, steps, schedulers, reporters = plugins.worker, plugins.util, plugins.steps, plugins.schedulers, plugins.reporters

c.workers = { worker.LocalWorker "bot1" }
c.reporters = { reporters.MailNotifier "a@localhost" }
c.services[#c.services + 1] = plugins.status.MailNotifier "b@localhost"
table.insert(c.status, reporters.MailNotifier "c@localhost")
c["status"][2] = reporters.MailNotifier("a@localhost", "smtp.example.org")
