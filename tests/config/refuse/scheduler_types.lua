-- Each option of schedulers with a value of a wrong type, and then out of its range.
local plugins = require "buildbot.plugins"
local worker, util, steps, schedulers = plugins.worker, plugins.util, plugins.steps, plugins.schedulers

c.workers = { worker.LocalWorker "bot1" }
local f = util.BuildFactory { steps.ShellCommand { command = "true" } }
c.builders = { util.BuilderConfig { name = "linux", workername = "bot1", factory = f } }
c.schedulers = {
  schedulers.ForceScheduler {
    name = 5,
    builderNames = 5,
    properties = { print },
    buttonName = {},
    label = 5,
    reason = None,
    reasonString = true,
    priority = "high",
  },
  schedulers.Periodic { name = {}, builderNames = { 5 }, periodicBuildTimer = true, properties = "x", reason = 5, priority = 0.5 },
  schedulers.ForceScheduler("", { "linux" }),
  schedulers.ForceScheduler("1st", { "linux" }),
  schedulers.ForceScheduler(("x"):rep(51), { "linux" }),
  schedulers.ForceScheduler("rendered", { "linux" }, { properties = { x = util.Property "x" } }),
  schedulers.ForceScheduler("none", {}),
  schedulers.ForceScheduler("few", { "linux", "lunix" }),
  schedulers.ForceScheduler("alone"),
  schedulers.Periodic(("x"):rep(101), { "linux" }, 60),
  schedulers.Periodic("negative", { "linux" }, -60),
  schedulers.Periodic("short", { "linux" }, "999ms"),
  schedulers.Periodic("long", { "linux" }, "50000w"),
  schedulers.Periodic("builders", c.builders[1], 60),
  schedulers.Periodic("above all", { "linux" }, 60, { priority = 1000001 }),
  schedulers.Periodic("twice", { "linux" }, 60),
  schedulers.Periodic("twice", { "linux" }, 90),
  schedulers.Periodic,
}
