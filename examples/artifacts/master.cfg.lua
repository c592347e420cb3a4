-- What a build makes comes to the master: a file, a folder, packages found by a pattern. What it needs comes from there.
-- All of it lies in `public/` below the folder of this file afterwards; a web server can show that to people.

local plugins = require "buildbot.plugins"
local worker, util, steps, schedulers = plugins.worker, plugins.util, plugins.steps, plugins.schedulers

c.title = "Artifacts"

c.workers = { worker.LocalWorker "bot1" }

local factory = util.BuildFactory {
  -- Paths of these two begin at the builder's folder; commands run in `build` below it.
  steps.RemoveDirectory "build",
  steps.MakeDirectory "build/doc",
  steps.StringDownload(util.Interpolate "built by %(prop:workername)s (%(worker:system)s)\n", "doc/index.html"),
  steps.ShellCommand {
    name = "make",
    command = "echo start > make.log; date -u +%Y%m%d > stamp; tar cf dist.tar stamp; cp stamp a.pkg; cp stamp b.pkg; echo end >> make.log",
    -- A log of its own beside `stdio`.
    logfiles = { make = "make.log" },
    haltOnFailure = true,
    logEnviron = false,
  },
  -- What a command writes becomes a property, which the steps that follow can use.
  steps.SetPropertyFromCommand { command = "cat stamp", property = "stamp", haltOnFailure = true, logEnviron = false },
  steps.FileUpload("dist.tar", util.Interpolate "public/dist-%(prop:stamp)s-%(prop:buildnumber)s.tar", {
    mode = "0644",
    keepstamp = true,
  }),
  steps.DirectoryUpload("doc", "public/doc", { compress = "gz" }),
  steps.MultipleFileUpload("*.pkg", "public/packages", { glob = true, mode = "0644" }),
}

c.builders = {
  util.BuilderConfig { name = "dist", workernames = { "bot1" }, factory = factory },
}

c.schedulers = {
  schedulers.ForceScheduler("force", { "dist" }),
}
