-- Steps that set properties.
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
  steps.SetPropertyFromCommand { command = "date", property = "date" },
  steps.SetPropertyFromCommand(base {
    command = { "date", "-u" },
    property = util.Interpolate "%(prop:prefix)s_date",
    strip = false,
    includeStdout = false,
    includeStderr = true,
    workdir = util.Interpolate "build/%(prop:os)s",
    env = { A = "1", PATH = { "/opt/bin", "${PATH}" }, B = None, C = util.Property "c" },
    timeout = 90.5,
    maxTime = "1h30m",
    sigtermTime = 5,
    interruptSignal = "SIGINT",
    want_stdout = false,
    want_stderr = false,
    logEnviron = false,
    initialStdin = util.Interpolate "%(prop:answer)s\n",
    logfiles = { test = "test.log", trace = { filename = util.Property "trace", follow = true } },
    lazylogfiles = true,
    max_lines = 10000,
    usePTY = true,
    decodeRC = { [0] = "success", [1] = "warnings", [77] = 3, [255] = "RETRY" },
  }),
  steps.SetProperty("n", 3),
  steps.SetProperty(base { property = util.Property "which", value = util.Property "n", halts = false }),
  steps.SetProperty { property = "t", value = { list = { 1, 2.5, "x" }, deep = { a = None, b = true } } },
  steps.SetProperty { "f", false },
  steps.SetProperty("i", util.Interpolate "%(prop:n)s"),
}
c.builders = { util.BuilderConfig { name = "b", workername = "bot1", factory = factory } }
c.schedulers = { schedulers.ForceScheduler("force", { "b" }) }
