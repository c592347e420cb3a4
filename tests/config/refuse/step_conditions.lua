-- What decides about a step is true, false, a function, or rendered; a word is none of these.
local plugins = require "buildbot.plugins"
local worker, util, steps = plugins.worker, plugins.util, plugins.steps

local factory = util.BuildFactory {
  steps.ShellCommand { command = "true", doStepIf = "yes", hideStepIf = "no" },
  steps.SetPropertyFromCommand { command = "true", property = "a", doStepIf = 1, hideStepIf = 0 },
  steps.SetProperty { "b", 1, doStepIf = {}, hideStepIf = { true } },
  steps.FileUpload { "a", "b", doStepIf = "yes", hideStepIf = "no" },
  steps.DirectoryUpload { "a", "b", doStepIf = "yes", hideStepIf = "no" },
  steps.MultipleFileUpload { { "a" }, "b", doStepIf = "yes", hideStepIf = "no" },
  steps.FileDownload { "a", "b", doStepIf = "yes", hideStepIf = "no" },
  steps.StringDownload { "a", "b", doStepIf = "yes", hideStepIf = "no" },
  steps.JSONStringDownload { { a = 1 }, "b", doStepIf = "yes", hideStepIf = "no" },
  steps.MakeDirectory { "a", doStepIf = "yes", hideStepIf = "no" },
  steps.RemoveDirectory { "a", doStepIf = "yes", hideStepIf = "no" },
  steps.CopyDirectory { "a", "b", doStepIf = "yes", hideStepIf = "no" },
}

c.workers = { worker.LocalWorker "bot1" }
c.builders = { util.BuilderConfig { name = "b", workername = "bot1", factory = factory } }
