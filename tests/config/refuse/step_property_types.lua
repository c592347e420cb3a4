-- Each option of `SetProperty` with a value of a wrong type.
local plugins = require "buildbot.plugins"
local worker, util, steps, schedulers = plugins.worker, plugins.util, plugins.steps, plugins.schedulers

-- The options that all steps have, each of a wrong type.
local function wrong(options)
  options.name = 5
  options.description = 5
  options.descriptionDone = { "done", 1 }
  options.descriptionSuffix = true
  options.haltOnFailure = "yes"
  options.flunkOnFailure = 1
  options.flunkOnWarnings = None
  options.warnOnFailure = {}
  options.warnOnWarnings = util.Property "x"
  options.alwaysRun = print
  return options
end

c.workers = { worker.LocalWorker "bot1" }
steps.SetProperty(wrong { property = 5, value = print })
steps.SetProperty { property = "x" }
steps.SetProperty { "x", { 1, y = 2 } }
steps.SetProperty { "x", worker.LocalWorker "bot2" }
steps.SetProperty("x", 0 / 0)
