-- Generators of mails about builds: values of wrong types, those that cannot be, and names of what is not there.
local plugins = require "buildbot.plugins"
local worker, util, steps, schedulers, reporters = plugins.worker, plugins.util, plugins.steps, plugins.schedulers, plugins.reporters

c.workers = { worker.LocalWorker "bot1" }
local factory = util.BuildFactory { steps.ShellCommand { command = "make" } }
c.builders = { util.BuilderConfig { name = "linux", workername = "bot1", factory = factory } }
c.schedulers = { schedulers.ForceScheduler("force", { "linux" }) }
c.reporters = {
  reporters.MailNotifier {
    name = "values",
    fromaddr = "ci@example.org",
    generators = {
      reporters.BuildStatusGenerator { mode = "failed" },
      reporters.BuildStatusGenerator { mode = { "pasing", "green", "Failing" } },
      reporters.BuildStatusGenerator { mode = {} },
      reporters.BuildStatusGenerator { builders = {}, schedulers = {}, branches = {} },
      reporters.BuildStatusGenerator { builders = { "linux" }, tags = { "release" } },
      reporters.BuildStatusGenerator { builders = { "" } },
      reporters.BuildStatusGenerator { add_patch = true, report_new = true },
      reporters.BuildStatusGenerator { message_formatter = reporters.MessageFormatterMissingWorker() },
      reporters.WorkerMissingGenerator { message_formatter = reporters.MessageFormatter() },
      reporters.BuildStatusGenerator { message_formatter = reporters.MessageFormatter { template_type = "text" } },
      reporters.BuildStatusGenerator { message_formatter = reporters.MessageFormatter { subject = "two\nlines" } },
    },
  },
  reporters.MailNotifier {
    name = "names",
    fromaddr = "ci@example.org",
    generators = {
      reporters.BuildStatusGenerator { builders = { "linus" } },
      reporters.BuildStatusGenerator { schedulers = { "forced", "force" } },
      reporters.BuildStatusGenerator { mode = "all", schedulers = { "nightly" } },
    },
  },
  reporters.MailNotifier { name = "older", fromaddr = "ci@example.org", mode = "fail", builders = { "linux" }, tags = { "x" } },
  reporters.MailNotifier { name = "older-2", fromaddr = "ci@example.org", tags = {} },
  reporters.MailNotifier {
    name = "both",
    fromaddr = "ci@example.org",
    mode = "all",
    tags = { "x" },
    generators = { reporters.BuildStatusGenerator() },
  },
  reporters.MailNotifier {
    name = "formatter",
    fromaddr = "ci@example.org",
    messageFormatterMissingWorker = reporters.MessageFormatter(),
  },
}
reporters.BuildStatusGenerator {
  mode = 5,
  tags = 5,
  builders = { 5 },
  schedulers = true,
  branches = 1.5,
  add_logs = "stdio",
  message_formatter = reporters.MessageFormatter,
}
reporters.BuildStatusGenerator { mode = { "failing", true }, add_logs = { "stdio", 5 }, add_log = true }
reporters.MessageFormatter {
  template = 5,
  subject = {},
  template_type = true,
  ctx = "x",
  want_properties = "yes",
  want_steps = 1,
  want_logs = None,
  want_logs_content = { "stdio" },
  extra_info_cb = print,
}
