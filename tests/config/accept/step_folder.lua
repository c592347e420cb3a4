-- Folders on the worker.
local plugins = require "buildbot.plugins"
local worker, util, steps, schedulers = plugins.worker, plugins.util, plugins.steps, plugins.schedulers

-- The options that all steps have, each away from its default.
local function base(options)
  local all = {
    name = "named",
    description = { "doing", util.Property "what" },
    descriptionDone = "done",
    descriptionSuffix = util.Interpolate "on %(prop:workername)s",
    haltOnFailure = not options.halts,
    flunkOnFailure = false,
    flunkOnWarnings = true,
    warnOnFailure = true,
    warnOnWarnings = false,
    alwaysRun = true,
  }
  options.halts = nil
  for name, value in pairs(options) do
    all[name] = value
  end
  return all
end

c.workers = { worker.LocalWorker "bot1" }
local factory = util.BuildFactory {
  steps.MakeDirectory "build/x",
  steps.MakeDirectory(base { dir = util.Interpolate "build/%(prop:x)s", halts = true }),
  steps.RemoveDirectory "build/x",
  steps.RemoveDirectory(base { dir = { "a", util.Property "b" }, halts = true }),
  steps.RemoveDirectory { dir = util.Property "b" },
  steps.CopyDirectory("a", "b"),
  steps.CopyDirectory("a", "b", 60, "1h"),
  steps.CopyDirectory(base { src = util.Property "a", dest = util.Property "b", timeout = "5m", maxTime = 0.5, halts = true }),
  steps.CopyDirectory { "a", "b", timeout = None, maxTime = None },
}
c.builders = { util.BuilderConfig { name = "b", workername = "bot1", factory = factory } }
c.schedulers = { schedulers.ForceScheduler("force", { "b" }) }
