-- Each option of commands with a value of a wrong type, and then out of its range.
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
steps.ShellCommand(wrong {
  command = true,
  workdir = 5,
  env = "A=1",
  timeout = "soon",
  maxTime = true,
  sigtermTime = {},
  interruptSignal = 9,
  want_stdout = "no",
  want_stderr = 0,
  logEnviron = None,
  initialStdin = 5,
  logfiles = "test.log",
  lazylogfiles = "yes",
  max_lines = 1.5,
  usePTY = "slave-config",
  decodeRC = "success",
})
steps.SetPropertyFromCommand(wrong {
  command = 5,
  property = { "x" },
  strip = "yes",
  includeStdout = 1,
  includeStderr = None,
  workdir = 5,
  env = "A=1",
  timeout = "soon",
  maxTime = true,
  sigtermTime = {},
  interruptSignal = 9,
  want_stdout = "no",
  want_stderr = 0,
  logEnviron = None,
  initialStdin = 5,
  logfiles = "test.log",
  lazylogfiles = "yes",
  max_lines = 1.5,
  usePTY = "slave-config",
  decodeRC = "success",
})
steps.ShellCommand { command = "true", timeout = -1, maxTime = -0.5, sigtermTime = "-1s", max_lines = 0 }
steps.ShellCommand { command = "true", timeout = 0 / 0, maxTime = 1 / 0, sigtermTime = "5 lightyears", max_lines = -1 }
steps.ShellCommand { command = "true", decodeRC = { [1.5] = "success" }, logfiles = { a = 5 }, env = { A = { "x", 1 } } }
steps.ShellCommand { command = "true", decodeRC = { [1] = "fine" }, interruptSignal = "" }
