-- Files and folders to the master.
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
  steps.FileUpload("a", "b"),
  steps.FileUpload("a", "b", "src", 1000, 4096, "0644", true, "https://example.org/", "the file"),
  steps.FileUpload(base {
    workersrc = util.Property "from",
    masterdest = util.Interpolate "out/%(prop:to)s",
    workdir = util.Property "dir",
    maxsize = "10 MiB",
    blocksize = "64 KiB",
    mode = "0o600",
    keepstamp = true,
    url = util.Interpolate "https://example.org/%(prop:to)s",
    urlText = util.Property "text",
    halts = true,
  }),
  steps.DirectoryUpload("a", "b"),
  steps.DirectoryUpload("a", "b", "src", 1000, 4096, "gz", "https://example.org/", "the folder"),
  steps.DirectoryUpload(base {
    workersrc = util.Property "from",
    masterdest = util.Interpolate "out/%(prop:to)s",
    workdir = util.Property "dir",
    maxsize = "10 MiB",
    blocksize = 1,
    compress = "bz2",
    url = "u",
    urlText = "t",
    halts = true,
  }),
  steps.MultipleFileUpload { { "a", "b" }, "c" },
  steps.MultipleFileUpload({ "a" }, "c", "src", 1000, 4096, true, "0600", "gz", true, "https://example.org/", "the files"),
  steps.MultipleFileUpload(base {
    workersrcs = { "a", util.Property "b" },
    masterdest = util.Property "to",
    workdir = util.Property "dir",
    maxsize = 0,
    blocksize = "1 KiB",
    glob = true,
    mode = "7",
    compress = "bz2",
    keepstamp = true,
    url = "u",
    urlText = "t",
    halts = true,
  }),
  steps.MultipleFileUpload { workersrcs = "one", masterdest = "c", compress = None, mode = None, maxsize = None },
}
c.builders = { util.BuilderConfig { name = "b", workername = "bot1", factory = factory } }
c.schedulers = { schedulers.ForceScheduler("force", { "b" }) }
