-- Each option of a builder and of a factory with a value of a wrong type, and what they may not be together.
local plugins = require "buildbot.plugins"
local worker, util, steps, schedulers = plugins.worker, plugins.util, plugins.steps, plugins.schedulers

c.workers = { worker.LocalWorker "bot1" }
local f = util.BuildFactory { steps.ShellCommand { command = "true" } }
c.builders = {
  util.BuilderConfig {
    name = 5,
    workername = { "bot1" },
    workernames = 5,
    factory = "make",
    builddir = true,
    workerbuilddir = {},
    env = { "CC=gcc" },
    properties = { "a" },
    defaultProperties = "a",
    tags = { 1 },
    description = {},
  },
  util.BuilderConfig { name = "a", workername = "bot1", factory = util.BuildFactory },
  util.BuilderConfig { name = "b", workername = "bot1", factory = { steps.ShellCommand { command = "true" } } },
  util.BuilderConfig { name = "", workername = "bot1", factory = f, builddir = "x" },
  util.BuilderConfig { name = ("x"):rep(71), workername = "bot1", factory = f },
  util.BuilderConfig { name = "line\nbreak", workername = "bot1", factory = f },
  util.BuilderConfig { name = "c", workernames = {}, factory = f },
  util.BuilderConfig { name = "d", workername = "bot 1", factory = f },
  util.BuilderConfig { name = "e", workername = "bot1", factory = f, workerbuilddir = "" },
  util.BuilderConfig { name = "f", workername = "bot1", factory = f, workerbuilddir = "/srv" },
  util.BuilderConfig { name = "g", workername = "bot1", factory = f, builddir = "info" },
  util.BuilderConfig { name = "h", workername = "bot1", factory = f, env = { A = true, [1] = "x" } },
  util.BuilderConfig { name = "i", workername = "bot1", factory = f, env = { A = 5 } },
  util.BuilderConfig { name = "j", workername = "bot1", factory = f, properties = { f = print } },
  util.BuilderConfig { workername = "bot1", factory = f },
  util.BuilderConfig { name = "k", workername = "bot1" },
  util.BuilderConfig("l", "bot1", { factory = f }),
  util.BuilderConfig { name = "m", workernames = c.workers, factory = f },
  util.BuilderConfig { name = "n", workername = worker.LocalWorker "bot2", factory = f },
}
util.BuildFactory { steps = steps.ShellCommand { command = "true" } }
util.BuildFactory { steps = "make" }
util.BuildFactory { steps.ShellCommand }
f:addStep(steps.ShellCommand)
f:addSteps { util.BuildFactory() }
