local plugins = require "buildbot.plugins"
local worker, util, steps = plugins.worker, plugins.util, plugins.steps

local db = util.MasterLock("db", 2)
local disk = util.WorkerLock("disk", 1, { big = 4 })
local alone = util.MasterLock("alone")

-- Calls that cannot be.
util.MasterLock()
util.MasterLock(5)
util.MasterLock("a", 0)
util.MasterLock("a", "two")
util.MasterLock { "a", maxCountForWorker = { big = 2 } }
util.WorkerLock(5)
util.WorkerLock("b", 0)
util.WorkerLock("b", 1, { big = 0 })
util.WorkerLock("b", 1, { big = "two" })
util.WorkerLock("b", 1, { "big" })
util.WorkerLock("b", 1, 2)
util.SlaveLock("b")
db:access()
db:access(5)
db:access("counting", -1)
db:access("counting", "two")
db:access { "counting", cuont = 2 }
db:acess("counting")
db.access(db, "counting", 1, 2)
util.MasterLock(5):access("counting")

-- What they cannot hold.
local function build(name, options, step)
  options.name, options.workernames = name, { "big", "small" }
  options.factory = util.BuildFactory { steps.ShellCommand { command = "make", locks = step } }
  return util.BuilderConfig(options)
end

c.workers = {
  worker.LocalWorker("big", { locks = { alone:access("counting") } }),
  worker.LocalWorker("small", { locks = { util.WorkerLock("near", 1, { bgi = 2 }):access("counting") } }),
}
c.builders = {
  build("bare", { locks = { db } }),
  build("bare, not in a list", { locks = db }),
  build("not in a list", { locks = db:access("counting") }),
  build("a text", { locks = { "db" } }),
  build("rendered", { locks = util.renderer(function() return {} end) }),
  build("in a step", {}, { db }),
  build("mode", { locks = { db:access("shared"), db:access("exclusiv") } }),
  build("exclusive", { locks = { db:access("exclusive", 2) } }),
  build("never", { locks = { db:access("counting", 3) } }),
  build("never on any", { locks = { disk:access("counting", 5) } }),
  build("never together", { locks = { db:access("counting", 2), db:access("counting") } }),
  build("another of the name", { locks = { util.MasterLock("db", 3):access("counting") } }),
  build("of another kind", { locks = { util.WorkerLock("db", 2):access("counting") } }),
  build("nameless", { locks = { util.MasterLock(""):access("counting"), util.WorkerLock("w", 1, { ["1x"] = 2 }):access("exclusive") } }),
  build("for itself", { locks = { db:access("counting") } }, { db:access("counting") }),
  build("for its worker", {}, { alone:access("exclusive") }),
}
c.builders[17] = util.BuilderConfig {
  name = "never there",
  workername = "small",
  factory = util.BuildFactory {
    steps.ShellCommand { command = "make", locks = { disk:access("counting", 2) } },
  },
}

-- In each kind of step.
for _, kind in ipairs {
  "ShellCommand", "SetPropertyFromCommand", "SetProperty", "FileUpload", "DirectoryUpload", "MultipleFileUpload", "FileDownload",
  "StringDownload", "JSONStringDownload", "MakeDirectory", "RemoveDirectory", "CopyDirectory",
} do
  steps[kind] { locks = { kind } }
  steps[kind] { locks = kind }
end
