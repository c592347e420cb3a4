local plugins = require "buildbot.plugins"
local worker, util, steps, schedulers = plugins.worker, plugins.util, plugins.steps, plugins.schedulers

c.workers = { worker.LocalWorker "bot1" }
local factory = util.BuildFactory {
  steps.FileUpload { "a" },
  steps.FileUpload { "a", "b", mode = 644 },
  steps.FileUpload { "a", "b", mode = "0999", blocksize = 0 },
  steps.DirectoryUpload { "a", "b", compress = "bz" },
  steps.FileDownload { "a", "b", maxsize = -1, keepstamp = true },
  steps.JSONStringDownload { { f = print }, "b" },
  steps.RemoveDirectory { {} },
  steps.SetPropertyFromCommand { command = "date", extract_fn = { "version" } },
  steps.ShellCommand { command = "true", logfiles = { "a.log" } },
  steps.ShellCommand { command = "true", logfiles = { a = { file = "a.log" } } },
  steps.ShellCommand { command = "true", logfiles = { a = { filename = "a.log", follow = 1 } } },
  steps.ShellCommand { command = "true", logfiles = { stdio = "a.log" } },
  steps.ShellCommand { command = util.Interpolate "%(slave:x)s" },
}
c.builders = { util.BuilderConfig { name = "b", workername = "bot1", factory = factory } }
