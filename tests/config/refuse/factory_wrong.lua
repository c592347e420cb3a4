local plugins = require "buildbot.plugins"
local worker, util, steps, schedulers = plugins.worker, plugins.util, plugins.steps, plugins.schedulers

c.workers = { worker.LocalWorker "bot1" }
local factory = util.BuildFactory { steps.ShellCommand { command = "true" }, "make" }
factory:addStep "make"
factory:addStep()
factory:addSteps { steps.ShellCommand { command = "true" }, 5 }
factory:addSteep(steps.ShellCommand { command = "true" })
factory.name = "x"
util.BuildFactory { stepps = {} }
c.builders = { util.BuilderConfig { name = "b", workername = "bot1", factory = steps.ShellCommand { command = "x" } } }
