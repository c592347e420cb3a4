-- Files to the worker.
local plugins = require "buildbot.plugins"
local worker, util, steps, schedulers = plugins.worker, plugins.util, plugins.steps, plugins.schedulers

-- The options that all steps have, each away from its default.
local function base(options)
  local all = {
    name = "named",
    description = { "doing", util.Property "what" },
    descriptionDone = "done",
    descriptionSuffix = util.Interpolate "on %(prop:workername)s",
    haltOnFailure = not options.halts,
    flunkOnFailure = false,
    flunkOnWarnings = true,
    warnOnFailure = true,
    warnOnWarnings = false,
    alwaysRun = true,
  }
  options.halts = nil
  for name, value in pairs(options) do
    all[name] = value
  end
  return all
end

c.workers = { worker.LocalWorker "bot1" }
local factory = util.BuildFactory {
  steps.FileDownload("~/a", "dest"),
  steps.FileDownload("~/a", "dest", "src", 1000, 4096, "0644"),
  steps.FileDownload(base {
    mastersrc = util.Interpolate "%(prop:a)s",
    workerdest = util.Property "to",
    workdir = util.Property "dir",
    maxsize = "10 MiB",
    blocksize = "64 KiB",
    mode = "0755",
    halts = true,
  }),
  steps.StringDownload("text\n", "dest"),
  steps.StringDownload("text\n", "dest", "src", 1000, 4096, "0644"),
  steps.StringDownload(base {
    s = util.Property "text",
    workerdest = util.Property "to",
    workdir = util.Property "dir",
    maxsize = "10 MiB",
    blocksize = "64 KiB",
    mode = "0755",
    halts = true,
  }),
  steps.JSONStringDownload({ 1, { a = None } }, "dest"),
  steps.JSONStringDownload({ 1, { a = None } }, "dest", "src", 1000, 4096, "0644"),
  steps.JSONStringDownload(base {
    o = { x = util.Property "x", y = 1 },
    workerdest = util.Property "to",
    workdir = util.Property "dir",
    maxsize = "10 MiB",
    blocksize = "64 KiB",
    mode = "0755",
    halts = true,
  }),
}
c.builders = { util.BuilderConfig { name = "b", workername = "bot1", factory = factory } }
c.schedulers = { schedulers.ForceScheduler("force", { "b" }) }
