-- Steps that ask for builds.
local plugins = require "buildbot.plugins"
local worker, util, steps, schedulers = plugins.worker, plugins.util, plugins.steps, plugins.schedulers

c.workers = { worker.LocalWorker "bot1" }
local shell = util.BuildFactory { steps.ShellCommand { command = "true" } }
local factory = util.BuildFactory {
  steps.Trigger { schedulerNames = { "tests" } },
  steps.Trigger {
    schedulerNames = { "tests", util.Interpolate "%(prop:os)s-docs", util.Property "more" },
    waitForFinish = true,
    updateSourceStamp = false,
    set_properties = { os = util.Property "os", depth = 3, list = { 1, util.Interpolate "%(prop:n)s" } },
    copy_properties = { "owner", "size" },
    unimportantSchedulerNames = "docs",
    parent_relationship = util.Interpolate "Asked for by %(prop:buildername)s",
    name = "all",
    haltOnFailure = true,
    description = { "asking for", util.Property "os" },
    descriptionDone = "asked",
    descriptionSuffix = util.Interpolate "on %(prop:os)s",
    flunkOnWarnings = true,
    warnOnFailure = true,
    warnOnWarnings = false,
    alwaysRun = true,
    hideStepIf = true,
    flunkOnFailure = false,
    doStepIf = util.Property "thorough",
  },
  steps.Trigger("docs", {
    waitForFinish = util.Property "patient",
    alwaysUseLatest = util.Property "newest",
    set_properties = util.renderer(function(props)
      return { os = props.os }
    end),
  }),
  steps.Trigger { "docs", alwaysUseLatest = true, unimportantSchedulerNames = { "docs" } },
}
c.builders = {
  util.BuilderConfig { name = "all", workername = "bot1", factory = factory },
  util.BuilderConfig { name = "tests", workername = "bot1", factory = shell },
  util.BuilderConfig { name = "docs", workername = "bot1", factory = shell },
}
c.schedulers = {
  schedulers.ForceScheduler("force", { "all" }),
  schedulers.Triggerable("tests", { "tests" }),
  schedulers.Triggerable { name = "docs", builderNames = "docs" },
}
