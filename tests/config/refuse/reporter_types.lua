-- Each option of reporters with a value of a wrong type.
local plugins = require "buildbot.plugins"
local worker, util, steps, schedulers, reporters = plugins.worker, plugins.util, plugins.steps, plugins.schedulers, plugins.reporters

c.workers = { worker.LocalWorker "bot1" }
c.reporters = {
  reporters.MailNotifier {
    name = 5,
    fromaddr = { "ci@example.org" },
    relayhost = 5,
    lookup = {},
    extraRecipients = { "a@b", 5 },
    sendToInterestedUsers = "yes",
    extraHeaders = { "X-Farm: ours" },
    useTls = "yes",
    useSmtps = 1,
    smtpUser = 5,
    smtpPassword = { "sesame" },
    smtpPort = "smtp",
    dumpMailsToLog = None,
    generators = { reporters.WorkerMissingGenerator, reporters.MessageFormatterMissingWorker() },
    builders = 5,
    watchedWorkers = true,
    messageFormatterMissingWorker = "text",
    mode = 5,
    tags = { 5 },
  },
  reporters.MailNotifier("ci@example.org", { generators = reporters.WorkerMissingGenerator() }),
  reporters.MailNotifier("ci@example.org", { generators = "missing" }),
  reporters.MailNotifier { relayhost = "smtp.example.org" },
  reporters.WorkerMissingGenerator { workers = print, message_formatter = reporters.MessageFormatterMissingWorker },
  reporters.MessageFormatterMissingWorker { template = 5, subject = {}, template_type = true, ctx = "x" },
}
