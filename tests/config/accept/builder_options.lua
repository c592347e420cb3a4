local plugins = require "buildbot.plugins"
local worker, util, steps, schedulers = plugins.worker, plugins.util, plugins.steps, plugins.schedulers

c.workers = { worker.LocalWorker "bot1", worker.LocalWorker "bot2", worker.LocalWorker "bot3" }
local db = util.MasterLock("db", 2)
local factory = util.BuildFactory { steps = { steps.ShellCommand { command = "make" } } }
c.builders = {
  util.BuilderConfig { name = "a plain one", workername = "bot1", factory = factory },
  util.BuilderConfig {
    name = "b with all",
    workername = "bot3",
    -- The order means nothing, and one that is named twice is there once.
    workernames = { "bot2", "bot1", "bot2" },
    factory = factory,
    builddir = "here",
    workerbuilddir = "there",
    env = { CC = "gcc", PATH = { "/opt/bin", util.Property "path" }, DISPLAY = None, A = false, B = util.Interpolate "%(prop:b)s" },
    properties = { n = 1, x = 1.5, t = true, none = None, list = { 1, "a" }, rendered = util.Property "n", deep = { a = util.Property "b" } },
    defaultProperties = { branch = "main", rendered = util.Interpolate "%(prop:branch)s" },
    locks = { db:access("counting", 2) },
    tags = { "fast", "arm" },
    description = "All of it",
  },
  util.BuilderConfig("c by position (gcc)", { workernames = "bot1", factory = factory, tags = "one", description = None, env = {} }),
  util.BuilderConfig { "d with its folder", workername = "bot1", workernames = {}, factory = factory, builddir = "d/build" },
}
c.schedulers = {
  schedulers.ForceScheduler("force", { "a plain one", "b with all", "c by position (gcc)", "d with its folder" }),
}
