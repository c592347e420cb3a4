local plugins = require "buildbot.plugins"
local worker, util, steps, schedulers, reporters = plugins.worker, plugins.util, plugins.steps, plugins.schedulers, plugins.reporters

c.workers = { worker.LocalWorker "bot1", worker.LocalWorker "bot2" }
local factory = util.BuildFactory { steps.ShellCommand { command = "make" } }
c.builders = { util.BuilderConfig { name = "linux", workernames = { "bot1", "bot2" }, factory = factory } }
c.schedulers = { schedulers.ForceScheduler("force", { "linux" }) }
c.reporters = {
  reporters.MailNotifier "buildbot@localhost",
  reporters.MailNotifier(
    "Build Bot <ci@example.org>",
    "smtp.example.org",
    "example.org",
    { "ops@example.org", "me@localhost" },
    false,
    { ["X-Farm"] = "ours", ["Reply-To"] = util.Interpolate "%(prop:owner)s" },
    true,
    false,
    util.Secret "smtp/user",
    util.Secret "smtp/password",
    587,
    true,
    None,
    { name = "by position" }
  ),
  reporters.MailNotifier {
    name = "of older manuals",
    fromaddr = "ci@example.org",
    relayhost = "::1",
    lookup = function(user)
      return user .. "@example.org"
    end,
    extraRecipients = "ops@example.org",
    sendToInterestedUsers = true,
    extraHeaders = {},
    useSmtps = true,
    smtpUser = "ci",
    smtpPassword = "sesame",
    dumpMailsToLog = false,
    builders = { "linux" },
    watchedWorkers = { "bot2", "bot1" },
    messageFormatterMissingWorker = reporters.MessageFormatterMissingWorker { template_type = "html" },
  },
  reporters.MailNotifier {
    name = "with all turned off",
    fromaddr = "ci@example.org",
    lookup = None,
    smtpUser = None,
    smtpPassword = None,
    smtpPort = None,
    useSmtps = true,
    generators = None,
    builders = None,
    watchedWorkers = "all",
    messageFormatterMissingWorker = None,
  },
}
