-- Which worker, how many builds, and who decides.
local plugins = require "buildbot.plugins"
local worker, util, steps, schedulers = plugins.worker, plugins.util, plugins.steps, plugins.schedulers

c.workers = {
  worker.LocalWorker("bot1", { properties = { os = "linux", cpus = 8 } }),
  worker.LocalWorker("bot2", { properties = { os = "bsd", gpu = true }, defaultProperties = { cpus = util.Property "numcpus" } }),
  worker.LocalWorker("bot3", { defaultProperties = { os = "linux" } }),
}
local factory = util.BuildFactory { steps.ShellCommand { command = "make" } }
c.builders = {
  util.BuilderConfig { name = "a by label", worker_match = { os = "linux" }, factory = factory },
  util.BuilderConfig {
    name = "b with all",
    workernames = { "bot1", "bot2" },
    worker_match = { os = { "linux", "bsd" }, cpus = { 8, 16.5 }, gpu = true, system = "Linux" },
    factory = factory,
    max_builds_per_worker = 2,
    max_retries = 0,
    queue_timeout = "10m",
    nextWorker = function(builder, workers, request) return workers[1] end,
    nextBuild = function(builder, requests) return requests[1].id end,
    canStartBuild = function(builder, w, request) return w.name ~= "bot3" end,
    collapseRequests = function(builder, new, old) return new.reason == old.reason end,
  },
  util.BuilderConfig { name = "c with none", workername = "bot2", worker_match = {}, factory = factory, queue_timeout = None, nextWorker = None, nextBuild = None, canStartBuild = None, collapseRequests = None },
  util.BuilderConfig { name = "d that collapses nothing", workername = "bot2", factory = factory, max_builds_per_worker = 100, max_retries = 1000, queue_timeout = 1, nextWorker = false, collapseRequests = false },
  util.BuilderConfig { name = "e that collapses", workername = "bot2", factory = factory, collapseRequests = true },
}
c.schedulers = { schedulers.ForceScheduler("force", { "a by label", "b with all", "c with none", "d that collapses nothing", "e that collapses" }) }
c.collapseRequests = false
c.prioritizeBuilders = function(builders) return builders end
c.select_next_worker = function(builder, workers, request) return workers[1].name end
