local plugins = require "buildbot.plugins"
local worker, util, steps, schedulers = plugins.worker, plugins.util, plugins.steps, plugins.schedulers

c.workers = { worker.LocalWorker "bot1" }
local factory = util.BuildFactory { steps.ShellCommand { command = { "echo", "hello" } } }
c.builders = { util.BuilderConfig { name = "hello", workernames = { "bot1" }, factory = factory } }
c.schedulers = { schedulers.ForceScheduler("force", { "hello" }) }
