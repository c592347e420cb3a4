local plugins = require "buildbot.plugins"
local worker, util, steps, schedulers = plugins.worker, plugins.util, plugins.steps, plugins.schedulers

c.workers = { worker.LocalWorker "bot1" }
util.BuildFactory {
  steps.ShellCommand {},
  steps.ShellCommand { command = 5 },
  steps.ShellCommand { command = { "echo", 5 } },
  steps.ShellCommand { command = { "echo", { "nested", false } } },
  steps.ShellCommand { command = { program = "echo" } },
  steps.ShellCommand "make",
  steps.ShellCommand { "make", command = "make" },
  steps.ShellCommand { command = { "echo", nil, "x" } },
  steps.ShellCommand { command = None },
}
