-- Each option of downloads with a value of a wrong type, and then out of its range.
local plugins = require "buildbot.plugins"
local worker, util, steps, schedulers = plugins.worker, plugins.util, plugins.steps, plugins.schedulers

-- The options that all steps have, each of a wrong type.
local function wrong(options)
  options.name = 5
  options.description = 5
  options.descriptionDone = { "done", 1 }
  options.descriptionSuffix = true
  options.haltOnFailure = "yes"
  options.flunkOnFailure = 1
  options.flunkOnWarnings = None
  options.warnOnFailure = {}
  options.warnOnWarnings = util.Property "x"
  options.alwaysRun = print
  return options
end

c.workers = { worker.LocalWorker "bot1" }
steps.FileDownload(wrong {
  mastersrc = { "a" },
  workerdest = 5,
  workdir = 5,
  maxsize = "much",
  blocksize = "little",
  mode = 493,
})
steps.StringDownload(wrong {
  s = 5,
  workerdest = {},
  workdir = true,
  maxsize = {},
  blocksize = {},
  mode = {},
})
steps.JSONStringDownload(wrong {
  o = print,
  workerdest = true,
  workdir = {},
  maxsize = true,
  blocksize = true,
  mode = true,
})
steps.FileDownload("a", "b", { maxsize = -1, blocksize = 0, mode = "" })
steps.StringDownload("a", "b", { maxsize = "-1 KiB", blocksize = "0 KiB", mode = "rwx" })
steps.JSONStringDownload("a", "b", "c", 1, 1, "0644", "7th")
steps.JSONStringDownload { { util.BuildFactory() }, "b" }
