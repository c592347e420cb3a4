local plugins = require "buildbot.plugins"
local worker, util, steps, schedulers = plugins.worker, plugins.util, plugins.steps, plugins.schedulers

c.workers = { worker.LocalWorker "bot1" }
local factory = util.BuildFactory {
  steps.ShellCommand { command = "true", name = util.Interpolate "%(prop:os)s" },
  steps.ShellCommand { command = "true", timeout = -1, maxTime = "1h" },
  steps.ShellCommand { command = "true", env = { "A=1" } },
  steps.ShellCommand { command = "true", env = { A = 1 } },
  steps.ShellCommand { command = "true", env = { ["A=B"] = "1" } },
  steps.ShellCommand { command = "true", decodeRC = { [0] = "sucess" } },
  steps.ShellCommand { command = "true", decodeRC = { ok = "success" } },
  steps.ShellCommand { command = "true", interruptSignal = "SIGTREM" },
  steps.ShellCommand { command = "true", progressMetrics = {} },
  steps.ShellCommand { command = "true", name = "" },
  steps.ShellCommand { command = { } },
}
c.builders = { util.BuilderConfig { name = "b", workername = "bot1", factory = factory } }
