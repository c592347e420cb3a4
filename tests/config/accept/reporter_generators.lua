local plugins = require "buildbot.plugins"
local worker, util, steps, schedulers, reporters = plugins.worker, plugins.util, plugins.steps, plugins.schedulers, plugins.reporters

c.workers = { worker.LocalWorker "bot1", worker.LocalWorker "bot2" }
local formatter = reporters.MessageFormatterMissingWorker("{{ worker.name }} is away", "Away: {{ worker.name }}", "html", {
  ctx = { farm = "ours", list = { 1, 2 } },
})
c.reporters = {
  reporters.MailNotifier {
    fromaddr = "ci@example.org",
    generators = {
      reporters.WorkerMissingGenerator(),
      reporters.WorkerMissingGenerator { workers = "all", message_formatter = None },
      reporters.WorkerMissingGenerator({ "bot2", "bot1" }, formatter),
      reporters.WorkerMissingGenerator { workers = "bot1", message_formatter = reporters.MessageFormatterMissingWorker() },
      reporters.WorkerMissingGenerator {
        message_formatter = reporters.MessageFormatterMissingWorker {
          template = "text",
          subject = "subject",
          template_type = "plain",
          ctx = {},
        },
      },
    },
  },
}
