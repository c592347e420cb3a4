local plugins = require "buildbot.plugins"
local worker, util, steps, schedulers = plugins.worker, plugins.util, plugins.steps, plugins.schedulers

c.workers = { worker.LocalWorker "bot1" }
local jobs = util.renderer(function() return 1 end)
local wrong = {
  util.renderer "text",
  util.renderer(),
  util.renderer(print, print),
  util.Transform "upper",
  util.Transform(),
  util.Transform(string.upper, print),
  util.Transform(string.upper, worker),
  util.FlattenList "a",
  util.FlattenList({}, {}),
  util.FlattenList { a = 1 },
  jobs:withArgs(print),
  jobs:withKwArgs { "a" },
  jobs:withKwArgs(1),
  util.Interpolate("%s", print),
  util.Interpolate("%s %s", "a"),
  util.Interpolate("%s", "a", { b = "b" }),
  util.Property("x", 1, 2),
  util.Property("x", { defualt = 1 }),
  util.Property("x", 1, true, 4),
  util.WithProperties "%(os)s",
}
local factory = util.BuildFactory {
  steps.ShellCommand { name = "a", command = "true", doStepIf = "no" },
  steps.ShellCommand { name = "b", command = "true", hideStepIf = 1 },
  steps.ShellCommand { name = "c", command = "true", hideStepIf = None },
  steps.ShellCommand { name = "d", command = print },
  steps.ShellCommand { name = "e", command = { "a", { "b", { print } } } },
  steps.ShellCommand { name = "f", command = { "a", { b = "c" } } },
  steps.ShellCommand { name = "g", command = "true", doStepIf = None },
  steps.SetPropertyFromCommand { name = "h", command = "true", property = "x", extract_fn = print },
  steps.SetPropertyFromCommand { name = "i", command = "true" },
  steps.SetPropertyFromCommand { name = "j", command = "true", extract_fn = "x" },
}
local own = { "a" }
own[2] = own
factory:addStep(steps.ShellCommand { name = "k", command = own })
c.builders = { util.BuilderConfig { name = "b", workername = "bot1", factory = factory } }
c.schedulers = { schedulers.ForceScheduler("force", { "b" }) }
