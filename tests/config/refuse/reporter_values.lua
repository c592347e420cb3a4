-- Values of the right type that cannot be, and what cannot be together.
local plugins = require "buildbot.plugins"
local worker, util, steps, schedulers, reporters = plugins.worker, plugins.util, plugins.steps, plugins.schedulers, plugins.reporters

c.workers = { worker.LocalWorker "bot1" }
local function mail(options)
  options.fromaddr = options.fromaddr or "ci@example.org"
  return options
end

c.reporters = {
  reporters.MailNotifier(mail { name = "from-1", fromaddr = "ci" }),
  reporters.MailNotifier(mail { name = "from-2", fromaddr = "ci@example.org\r\nBcc: all@example.org" }),
  reporters.MailNotifier(mail { name = "from-3", fromaddr = "Build Bot ci@example.org>" }),
  reporters.MailNotifier(mail { name = "host-1", relayhost = "" }),
  reporters.MailNotifier(mail { name = "host-2", relayhost = "smtp.example.org:25" }),
  reporters.MailNotifier(mail { name = "host-3", relayhost = "smtp example" }),
  reporters.MailNotifier(mail { name = "to", extraRecipients = { "a@b@c", "a, b@c", "me@localhost", "@", "" } }),
  reporters.MailNotifier(mail { name = "tls", useTls = true, useSmtps = true }),
  reporters.MailNotifier(mail { name = "login-1", smtpUser = "ci" }),
  reporters.MailNotifier(mail { name = "login-2", smtpPassword = util.Secret "smtp" }),
  reporters.MailNotifier(mail { name = "login-3", smtpUser = util.Secret "../smtp", smtpPassword = "sesame" }),
  reporters.MailNotifier(mail { name = "port-1", smtpPort = 0 }),
  reporters.MailNotifier(mail { name = "port-2", smtpPort = 65536 }),
  reporters.MailNotifier(mail { name = "lookup", lookup = "@example.org" }),
  reporters.MailNotifier(mail { name = "header-1", extraHeaders = { subject = "x", To = "a@b", ["Content-Type"] = "x" } }),
  reporters.MailNotifier(mail { name = "header-2", extraHeaders = { ["X Farm"] = "ours", ["X:"] = "y", [""] = "z" } }),
  reporters.MailNotifier(mail { name = "header-3", extraHeaders = { ["X-A"] = "a\nBcc: all@example.org", ["X-B"] = "b", ["x-b"] = "b" } }),
  reporters.MailNotifier(mail { name = "" }),
  reporters.MailNotifier(mail { name = "builders-1", builders = { "linux", "" } }),
  reporters.MailNotifier(mail { name = "workers-1", watchedWorkers = { "bot2", "bot 1" } }),
  reporters.MailNotifier(mail { name = "workers-2", watchedWorkers = {} }),
  reporters.MailNotifier(mail { name = "generators-1", generators = {} }),
  reporters.MailNotifier(mail {
    name = "generators-2",
    builders = {},
    watchedWorkers = "all",
    messageFormatterMissingWorker = reporters.MessageFormatterMissingWorker(),
    generators = { reporters.WorkerMissingGenerator { "bot3" }, reporters.WorkerMissingGenerator { workers = {} } },
  }),
  reporters.MailNotifier(mail {
    name = "generators-3",
    generators = {
      reporters.WorkerMissingGenerator("all", reporters.MessageFormatterMissingWorker { template_type = "htm" }),
      reporters.WorkerMissingGenerator("all", reporters.MessageFormatterMissingWorker { template = "x", template_type = "json" }),
      reporters.WorkerMissingGenerator("all", reporters.MessageFormatterMissingWorker { subject = "two\nlines" }),
      reporters.WorkerMissingGenerator("1st"),
    },
  }),
  reporters.MailNotifier(mail { name = "old", subject = "x", schedulers = { "x" }, mode = { "failin" }, watchedWorker = "all" }),
}
