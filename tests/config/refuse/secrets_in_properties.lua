local plugins = require "buildbot.plugins"
local worker, util, steps, schedulers = plugins.worker, plugins.util, plugins.steps, plugins.schedulers

c.workers = {
  worker.LocalWorker("bot1", {
    properties = { token = util.Secret "token" },
    defaultProperties = { deep = { 1, { a = util.Interpolate "%(secret:deep)s" } } },
  }),
}
c.builders = {
  util.BuilderConfig {
    name = "b",
    workername = "bot1",
    factory = util.BuildFactory { steps.ShellCommand { command = "x", name = util.Secret "name" } },
    properties = { kw = util.Interpolate("%(kw:x)s", { x = util.Secret "keyword" }) },
    defaultProperties = { late = util.Property("p", util.Secret "late") },
  },
}
c.schedulers = { schedulers.Periodic("p", { "b" }, 60, { properties = { token = util.Secret "token" } }) }
