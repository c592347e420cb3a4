local plugins = require "buildbot.plugins"
local worker, util, steps, schedulers = plugins.worker, plugins.util, plugins.steps, plugins.schedulers

c.workers = { worker.LocalWorker "bot1" }
local factory = util.BuildFactory {
  steps.ShellCommand {
    command = "make",
    logfiles = { test = "test.log", trace = { filename = util.Interpolate "%(prop:x)s.log", follow = true } },
    lazylogfiles = true,
    max_lines = 10000,
    usePTY = true,
    description = { "making", util.Property "what" },
    descriptionDone = "made",
    descriptionSuffix = util.Interpolate "on %(worker:os_id:-an unknown system)s",
  },
  -- By position as in Buildbot: workersrc, masterdest, workdir, maxsize, blocksize, mode.
  steps.FileUpload("a", util.Interpolate "out/%(prop:b)s", "build", 1000, 4096, "0644", { keepstamp = true, url = "https://example.org/" }),
  steps.FileUpload { workersrc = "a", masterdest = "~/b", mode = None, maxsize = None },
  steps.DirectoryUpload("a", "/srv/b", { compress = "bz2", urlText = "b" }),
  steps.MultipleFileUpload { workersrcs = "a", masterdest = "b" },
  steps.MultipleFileUpload { { "a", util.Property "b" }, "c", glob = true, compress = "gz" },
  steps.FileDownload("a", "b"),
  steps.StringDownload { s = util.Property "text", workerdest = "b", mode = "0o600" },
  steps.JSONStringDownload { o = { 1, 2, { a = None } }, workerdest = "b" },
  steps.JSONStringDownload { o = util.Property "table", workerdest = "b" },
  steps.MakeDirectory { dir = "build/x" },
  steps.RemoveDirectory(util.Interpolate "%(prop:x)s"),
  steps.RemoveDirectory { { "a", "b" } },
  steps.CopyDirectory { src = "a", dest = "b", timeout = None, maxTime = 60 },
  steps.SetPropertyFromCommand { command = "date", property = "date", strip = false, includeStderr = true },
  steps.SetProperty { property = "n", value = 3 },
  steps.SetProperty("m", util.Property "n"),
}
c.builders = { util.BuilderConfig { name = "b", workername = "bot1", factory = factory } }
c.schedulers = { schedulers.ForceScheduler("force", { "b" }) }
