local plugins = require "buildbot.plugins"
local worker, util, steps, schedulers = plugins.worker, plugins.util, plugins.steps, plugins.schedulers

c.workers = { worker.LocalWorker "bot1" }
local f = util.BuildFactory { steps.ShellCommand { command = "true" } }
c.builders = {
  util.BuilderConfig { name = "a", workernames = { "bot2" }, factory = f },
  util.BuilderConfig { name = "b", factory = f },
  util.BuilderConfig { name = "c", workernames = { c.workers[1] }, factory = f },
  util.BuilderConfig { name = "d", workername = "arm64", factory = f },
  util.BuilderConfig { name = "e", workername = "bot1", factory = f, builddir = "../x" },
  util.BuilderConfig { name = "f", workername = "bot1", factory = f, builddir = "same" },
  util.BuilderConfig { name = "g", workername = "bot1", factory = f, builddir = "same" },
  util.BuilderConfig { name = "a", workername = "bot1", factory = f, builddir = "other" },
}
