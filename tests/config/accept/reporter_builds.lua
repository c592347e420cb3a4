local plugins = require "buildbot.plugins"
local worker, util, steps, schedulers, reporters = plugins.worker, plugins.util, plugins.steps, plugins.schedulers, plugins.reporters

c.workers = { worker.LocalWorker "bot1" }
local factory = util.BuildFactory { steps.ShellCommand { command = "make" } }
c.builders = {
  util.BuilderConfig { name = "linux", workername = "bot1", factory = factory, tags = { "release" } },
  util.BuilderConfig { name = "bsd", workername = "bot1", factory = factory },
}
c.schedulers = { schedulers.ForceScheduler("force", { "linux" }), schedulers.Periodic("hourly", { "bsd" }, 3600) }
local formatter = reporters.MessageFormatter("{{ build.state_string }}", "{{ buildername }}", "html", {
  ctx = { farm = "ours" },
  want_properties = false,
  want_steps = true,
  want_logs = true,
  want_logs_content = true,
})
c.reporters = {
  reporters.MailNotifier {
    name = "generators",
    fromaddr = "ci@example.org",
    generators = {
      reporters.BuildStatusGenerator(),
      reporters.BuildStatusGenerator("all", None, { "linux", "bsd", "linux" }, { "hourly", "force" }, { "main", "dev" }, true),
      reporters.BuildStatusGenerator { mode = "warnings", tags = { "release" }, add_logs = { "stdio", "compile.stdio" } },
      reporters.BuildStatusGenerator { mode = { "warnings" }, add_logs = {}, message_formatter = formatter },
      reporters.BuildStatusGenerator { mode = "failing", builders = "linux", add_logs = false },
      reporters.BuildStatusGenerator {
        mode = { "change", "problem", "exception", "cancelled", "passing" },
        message_formatter = reporters.MessageFormatter { template_type = "html" },
      },
      reporters.BuildStatusGenerator { mode = { "all", "problem" } },
      reporters.BuildStatusGenerator {
        mode = None,
        tags = None,
        builders = None,
        schedulers = None,
        branches = None,
        add_logs = None,
        message_formatter = None,
      },
      reporters.WorkerMissingGenerator(),
    },
  },
  reporters.MailNotifier { name = "older", fromaddr = "ci@example.org", mode = "problem", tags = { "release", "nightly" } },
  reporters.MailNotifier { name = "of one", fromaddr = "ci@example.org", mode = { "failing", "change" }, builders = { "bsd" } },
  reporters.MailNotifier { name = "of none", fromaddr = "ci@example.org", mode = "all", builders = {} },
}
