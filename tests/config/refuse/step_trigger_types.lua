-- Each option of `Trigger` and `Triggerable` with a value of a wrong type, and what they cannot be together.
local plugins = require "buildbot.plugins"
local worker, util, steps, schedulers = plugins.worker, plugins.util, plugins.steps, plugins.schedulers

c.workers = { worker.LocalWorker "bot1" }
local f = util.BuildFactory {
  steps.Trigger {
    schedulerNames = 5,
    waitForFinish = "yes",
    updateSourceStamp = None,
    alwaysUseLatest = 1,
    set_properties = { 1, 2 },
    copy_properties = { util.Property "x" },
    unimportantSchedulerNames = { print },
    parent_relationship = {},
    name = 5,
    description = 5,
    descriptionDone = { "done", 1 },
    descriptionSuffix = true,
    haltOnFailure = "yes",
    flunkOnFailure = 1,
    flunkOnWarnings = None,
    warnOnFailure = {},
    warnOnWarnings = util.Property "x",
    alwaysRun = print,
    doStepIf = 1,
    hideStepIf = "no",
    locks = "db",
  },
  steps.Trigger(),
  steps.Trigger { schedulerNames = {} },
  steps.Trigger { "tests", sourceStamp = {}, sourceStamps = {} },
  steps.Trigger { "tests", waitForFinished = true },
  steps.Trigger { "tests", alwaysUseLatest = true, updateSourceStamp = true },
  steps.Trigger { "tests", alwaysUseLatest = util.Property "x", updateSourceStamp = false },
  steps.Trigger { "tests", unimportantSchedulerNames = { "tests", "docs" } },
  steps.Trigger { "tests", set_properties = { password = util.Secret "p" } },
}
c.builders = { util.BuilderConfig { name = "linux", workername = "bot1", factory = f } }
c.schedulers = {
  schedulers.Triggerable("tests", { "linux" }),
  schedulers.Triggerable { name = {}, builderNames = { 5 }, properties = "x", reason = 5 },
  schedulers.Triggerable("none", {}),
  schedulers.Triggerable("lost", { "lunix" }),
  schedulers.Triggerable("urgent", { "linux" }, { priority = {}, codebases = {} }),
  schedulers.Triggerable(("x"):rep(101), { "linux" }),
}
