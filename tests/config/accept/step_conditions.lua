-- Each step may be left out, and may be hidden.
local plugins = require "buildbot.plugins"
local worker, util, steps, schedulers = plugins.worker, plugins.util, plugins.steps, plugins.schedulers

local function tagged(step) return step:getProperty "tag" ~= nil end
local function succeeded(results) return results == util.SUCCESS end

local factory = util.BuildFactory {
  steps.ShellCommand { command = "true", doStepIf = tagged, hideStepIf = succeeded },
  steps.SetPropertyFromCommand { command = "true", property = "a", doStepIf = true, hideStepIf = false },
  steps.SetProperty { "b", 1, doStepIf = util.Property "tag", hideStepIf = true },
  steps.FileUpload { "a", "b", doStepIf = false, hideStepIf = succeeded },
  steps.DirectoryUpload { "a", "b", doStepIf = tagged, hideStepIf = true },
  steps.MultipleFileUpload { { "a" }, "b", doStepIf = tagged, hideStepIf = true },
  steps.FileDownload { "a", "b", doStepIf = tagged, hideStepIf = true },
  steps.StringDownload { "a", "b", doStepIf = tagged, hideStepIf = true },
  steps.JSONStringDownload { { a = 1 }, "b", doStepIf = tagged, hideStepIf = true },
  steps.MakeDirectory { "a", doStepIf = tagged, hideStepIf = true },
  steps.RemoveDirectory { "a", doStepIf = tagged, hideStepIf = true },
  steps.CopyDirectory { "a", "b", doStepIf = tagged, hideStepIf = true },
}

c.workers = { worker.LocalWorker "bot1" }
c.builders = { util.BuilderConfig { name = "b", workername = "bot1", factory = factory } }
c.schedulers = { schedulers.ForceScheduler("force", { "b" }) }
