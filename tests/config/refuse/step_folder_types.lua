-- Each option of steps for folders with a value of a wrong type, and then out of its range.
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
steps.MakeDirectory(wrong { dir = { "a", "b" } })
steps.RemoveDirectory(wrong { dir = 5 })
steps.CopyDirectory(wrong { src = 5, dest = {}, timeout = "soon", maxTime = true })
steps.CopyDirectory { "a", "b", timeout = -1, maxTime = "-1h" }
steps.CopyDirectory { "a" }
steps.MakeDirectory()
