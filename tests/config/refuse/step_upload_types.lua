-- Each option of uploads with a value of a wrong type, and then out of its range.
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
steps.FileUpload(wrong {
  workersrc = 5,
  masterdest = {},
  workdir = true,
  maxsize = "much",
  blocksize = {},
  mode = 644,
  keepstamp = "yes",
  url = 5,
  urlText = {},
})
steps.DirectoryUpload(wrong {
  workersrc = {},
  masterdest = 5,
  workdir = 5,
  maxsize = true,
  blocksize = 1.5,
  compress = true,
  url = {},
  urlText = 5,
})
steps.MultipleFileUpload(wrong {
  workersrcs = 5,
  masterdest = true,
  workdir = {},
  maxsize = "10 MiX",
  blocksize = None,
  glob = "*.deb",
  mode = true,
  compress = 5,
  keepstamp = 1,
  url = true,
  urlText = true,
})
local factory = util.BuildFactory {
  steps.FileUpload { "a", "b", maxsize = -1, blocksize = 0, mode = "08" },
  steps.FileUpload { "a", "b", mode = "00644" },
  steps.DirectoryUpload { "a", "b", maxsize = 2 ^ 60, blocksize = -1, compress = "xz" },
  steps.MultipleFileUpload { { "a" }, "b", compress = "" },
  steps.MultipleFileUpload { { "a", nil, "c" }, "b" },
}
c.builders = { util.BuilderConfig { name = "b", workername = "bot1", factory = factory } }
