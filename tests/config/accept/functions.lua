local plugins = require "buildbot.plugins"
local worker, util, steps, schedulers = plugins.worker, plugins.util, plugins.steps, plugins.schedulers
local results = require "buildbot.process.results"

assert(util.SUCCESS == 0 and util.WARNINGS == 1 and util.FAILURE == 2 and util.SKIPPED == 3)
assert(util.EXCEPTION == 4 and util.RETRY == 5 and util.CANCELLED == 6 and results.FAILURE == util.FAILURE)
assert(util.Results[util.FAILURE] == "failure" and results.Results[0] == "success")

local jobs = util.renderer(function(props, most, named) return math.min(props:getProperty("cpus", 1), most) end)
local upper = util.Transform(string.upper, util.Property "os")
local function is_release(step) return step:getProperty "branch" == "release" end

c.workers = {
  worker.LocalWorker("bot1", {
    properties = { folder = util.renderer(function(props) return "of-" .. props.workername end), list = { upper } },
    defaultProperties = { os = util.Property("system", "linux") },
  }),
}
-- Each has its own.
local each = {}
for i = 1, 3 do
  each[i] = steps.ShellCommand { name = "part " .. i, command = util.renderer(function() return { "make", "part" .. i } end) }
end
local factory = util.BuildFactory {
  steps.ShellCommand {
    command = { "make", { "-j", jobs:withArgs(8) }, { { util.Property("targets", { "all" }) } } },
    env = { OS = upper, PATHS = util.renderer(function() return { "/a", "/b" } end), HOME = { jobs, upper } },
    workdir = upper,
    initialStdin = jobs.withArgs(4):withKwArgs { named = util.Property "x" },
    logfiles = { log = util.Interpolate("%s.%s", upper, "log") },
    description = util.FlattenList { "making", { upper, { "now" } } },
    decodeRC = { [0] = util.SUCCESS, [1] = util.WARNINGS },
    doStepIf = is_release,
    hideStepIf = function(outcome, step) return outcome == util.SKIPPED end,
  },
  steps.ShellCommand { command = util.Property("command", { "make", "all" }), doStepIf = util.Property "wanted", hideStepIf = true },
  steps.ShellCommand { command = util.FlattenList(util.Property "command"), doStepIf = false, hideStepIf = util.Property "quiet" },
  steps.ShellCommand { command = util.Transform { function(a, named) return a end, "make", named = 1 }, doStepIf = jobs },
  steps.SetPropertyFromCommand {
    command = "git describe",
    extract_fn = function(rc, stdout, stderr) return { version = stdout, clean = rc == 0 } end,
  },
  steps.SetProperty("x", util.Property("y", { a = 1 }, false)),
  steps.SetProperty("x", util.Property { key = "y", default = util.Interpolate "%(prop:z)s", defaultWhenFalse = false }),
  steps.SetProperty("x", util.Property("y", { default = 1, defaultWhenFalse = true })),
  steps.SetProperty("x", util.Property("y", {})),
  steps.SetProperty("x", util.Interpolate("%(kw:jobs)s of %(kw:n)s %(kw:list:?|some|no)s", { jobs = jobs, n = 1.5, list = { "a" } })),
  steps.StringDownload(jobs, "jobs"),
  steps.MakeDirectory { dir = upper, doStepIf = true },
  steps.RemoveDirectory { util.renderer(function() return { "a", "b" } end), doStepIf = is_release },
}
factory:addSteps(each)
c.builders = {
  util.BuilderConfig {
    name = "b",
    workername = "bot1",
    factory = factory,
    env = { OS = upper },
    properties = { jobs = jobs },
    defaultProperties = { shown = upper },
  },
}
c.schedulers = { schedulers.ForceScheduler("force", { "b" }) }
