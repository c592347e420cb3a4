local plugins = require "buildbot.plugins"
local worker, util, steps = plugins.worker, plugins.util, plugins.steps

-- By position, by name, and what is left out is 1.
local db = util.MasterLock("db", 3)
local port = util.MasterLock { name = "port", maxCount = 2 }
local disk = util.WorkerLock("disk", 1, { big = 4 })
local gpu = util.WorkerLock { "gpu", maxCountForWorker = { big = 2, small = 1 } }
local alone = util.MasterLock "alone"
-- Made again with the same limits it is the same lock.
local db_again = util.MasterLock { name = "db", maxCount = 3 }

c.workers = {
  worker.LocalWorker("big", { locks = { port:access("counting"), gpu:access { mode = "counting", count = 0 } } }),
  worker.LocalWorker("small", { locks = {} }),
}
c.builders = {
  util.BuilderConfig {
    name = "build",
    workernames = { "big", "small" },
    -- With a dot, as in Buildbot.
    locks = { db.access("counting", 2), alone.access("exclusive") },
    factory = util.BuildFactory {
      steps.ShellCommand { command = "make", locks = { disk:access("counting", 4) } },
      steps.SetProperty { "a", "b", locks = { gpu:access("exclusive", 1) } },
      steps.MakeDirectory { "a", locks = {} },
      steps.FileUpload { "a", "b", locks = { disk:access { "exclusive" } } },
      steps.SetPropertyFromCommand { "a", command = "a", locks = { disk:access("exclusive") } },
      steps.DirectoryUpload { "a", "b", locks = { disk:access("exclusive") } },
      steps.MultipleFileUpload { { "a" }, "b", locks = { disk:access("exclusive") } },
      steps.FileDownload { "a", "b", locks = { disk:access("exclusive") } },
      steps.StringDownload { "a", "b", locks = { disk:access("exclusive") } },
      steps.JSONStringDownload { { a = 1 }, "b", locks = { disk:access("exclusive") } },
      steps.Trigger { "tests", waitForFinish = true, locks = { disk:access("exclusive") } },
      steps.RemoveDirectory { "a", locks = { disk:access("exclusive") } },
      steps.CopyDirectory { "a", "b", locks = { disk:access("exclusive") } },
    },
  },
  util.BuilderConfig {
    name = "other",
    workername = "small",
    locks = { db_again:access("exclusive") },
    factory = util.BuildFactory { steps.ShellCommand { command = "make", locks = { db:access("counting", 0) } } },
  },
}
c.schedulers = {
  plugins.schedulers.ForceScheduler("force", { "build", "other" }),
  plugins.schedulers.Triggerable("tests", { "other" }),
}
