local plugins = require "buildbot.plugins"
local worker, util, steps, schedulers = plugins.worker, plugins.util, plugins.steps, plugins.schedulers

c.workers = { worker.LocalWorker "bot1" }
local formats = {
  util.Interpolate "%(prop:os",
  util.Interpolate "100%",
  util.Interpolate "%(os)s",
  util.Interpolate "%(prop)s",
  util.Interpolate "%(property:os)s",
  util.Interpolate "%(src::branch)s",
  util.Interpolate "%(kw:x)s",
  util.Interpolate(5),
  util.Interpolate("%(kw:x)s", { x = print }),
  util.Interpolate("%(kw:x)s", "x"),
  util.Property(),
  util.Property("x", print),
  util.Property { "x", defualt = 1 },
}
