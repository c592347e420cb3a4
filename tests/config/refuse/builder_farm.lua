-- Options of where and when a builder builds, with values they do not take.
local plugins = require "buildbot.plugins"
local worker, util, steps = plugins.worker, plugins.util, plugins.steps

c.workers = { worker.LocalWorker "bot1" }
local f = util.BuildFactory { steps.ShellCommand { command = "true" } }
c.builders = {
  util.BuilderConfig {
    name = "a",
    workername = "bot1",
    factory = f,
    worker_match = "os",
    max_builds_per_worker = 0,
    max_retries = -1,
    queue_timeout = "soon",
    nextWorker = "bot1",
    nextBuild = 1,
    canStartBuild = true,
    collapseRequests = "yes",
  },
  util.BuilderConfig { name = "b", factory = f, worker_match = { "linux" } },
  util.BuilderConfig { name = "c", factory = f, worker_match = {} },
  util.BuilderConfig { name = "d", factory = f, worker_match = { os = { deep = 1 } } },
  util.BuilderConfig { name = "e", factory = f, worker_match = { os = {} } },
  util.BuilderConfig { name = "f", factory = f, worker_match = { os = None } },
  util.BuilderConfig { name = "g", factory = f, worker_match = { os = util.Property "os" } },
  util.BuilderConfig { name = "h", workername = "bot1", factory = f, max_builds_per_worker = 101, max_retries = 1001, queue_timeout = 0.5 },
  util.BuilderConfig { name = "i", workername = "bot1", factory = f, collapseRequests = util.Property "x" },
}
c.collapseRequests = "no"
c.prioritizeBuilders = { "a" }
c.select_next_worker = true
