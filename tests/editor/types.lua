-- Types of options: numbers, texts, lists, `None`, what is rendered, what constructors make.

local plugins = require "buildbot.plugins"
local worker, util, steps, schedulers = plugins.worker, plugins.util, plugins.steps, plugins.schedulers

c.workers = {
  worker.Worker("a", "b", { max_builds = 2, missing_timeout = "1h", keepalive_interval = None }),
  worker.Worker("a", "b", { max_builds = None, missing_timeout = false, properties = { os = "bsd", n = 1, l = { 1, 2 } } }),
  worker.Worker("a", { "new", util.Secret "old" }, { notify_on_missing = { "bob@example.com" } }),
  worker.Worker { "a", util.Secret "b", notify_on_missing = "bob@example.com", properties = { p = util.Property "x", q = None } },
  worker.Worker("a", "b", { max_builds = "2" }), --! assign-type-mismatch
  worker.Worker("a", "b", { max_builds = 1.5 }), --! assign-type-mismatch
  worker.Worker("a", "b", { max_builds = {} }), --! assign-type-mismatch missing-fields
  worker.Worker("a", "b", { max_builds = util.Property "x" }), --! assign-type-mismatch
  worker.Worker("a", "b", { missing_timeout = true }), --! assign-type-mismatch
  worker.Worker("a", "b", { notify_on_missing = 5 }), --! assign-type-mismatch
  worker.Worker("a", "b", { properties = "os" }), --! assign-type-mismatch
  worker.Worker("a", 5), --! param-type-mismatch
  worker.Worker { "a", 5 }, --! assign-type-mismatch
  worker.Worker("a"), --! param-type-mismatch
  worker.Worker("a", os.getenv "A" or "sesame"),
  worker.LocalWorker "a",
  worker.LocalWorker("a", None, { max_builds = 1 }),
  worker.LocalWorker(5), --! param-type-mismatch
  worker.LocalWorker(), --! missing-parameter
}
table.insert(c.workers, worker.LocalWorker "b")
c.workers[#c.workers + 1] = worker.LocalWorker "c"
c["workers"] = { worker.LocalWorker "d" }
c.workers = worker.LocalWorker "e" --! assign-type-mismatch
c.workers = "e" --! assign-type-mismatch
c.title = 5 --! assign-type-mismatch
c.builders = { worker.LocalWorker "f" } --! assign-type-mismatch assign-type-mismatch

local make = steps.ShellCommand {
  command = { "make", util.Property("target", "all"), util.Interpolate("J=%(kw:j)s", { j = 4 }), util.Secret "key" },
  env = { CC = "gcc", DISPLAY = None, PATH = { "/bin", util.Property "path" } },
  logfiles = { test = "test.log", all = { filename = "all.log", follow = true } },
  decodeRC = { [0] = "success", [1] = "WARNINGS", [77] = 3 },
  timeout = None,
  maxTime = "1h30m",
}
local factory = util.BuildFactory { make }
factory:addStep(make)
factory.addStep(make)
factory:addSteps { make, make }
factory:addStep "make" --! param-type-mismatch
factory:addStep(worker.LocalWorker "g") --! param-type-mismatch
factory:addSteps { make, "make" } --! param-type-mismatch
factory = util.BuildFactory { make, "make" } --! param-type-mismatch
factory = util.BuildFactory()

local wrong = {
  steps.ShellCommand { command = 5 }, --! assign-type-mismatch
  steps.ShellCommand { command = "make", haltOnFailure = "true" }, --! assign-type-mismatch
  steps.ShellCommand { command = "make", env = { A = 5 } }, --! assign-type-mismatch
  steps.ShellCommand { command = "make", env = "A=5" }, --! assign-type-mismatch
  steps.ShellCommand { command = "make", decodeRC = { [0] = "good" } }, --! assign-type-mismatch
  steps.ShellCommand { command = function() end }, --! assign-type-mismatch
  util.BuilderConfig { name = "x", workernames = { "a" }, factory = {} }, --! param-type-mismatch
  util.BuilderConfig { name = "x", workername = worker.LocalWorker "a", factory = factory }, --! param-type-mismatch
  util.Interpolate(5), --! param-type-mismatch
}
print(wrong)
