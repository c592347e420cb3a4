-- One worker inside the master, one builder with three steps. `examples/hello/run` starts it and runs a build.

local plugins = require "buildbot.plugins"
local worker, util, steps, schedulers = plugins.worker, plugins.util, plugins.steps, plugins.schedulers

c.title = "Hello"

c.workers = {
  worker.LocalWorker("bot1", { properties = { greeting = "Hello" } }),
}

local factory = util.BuildFactory {
  steps.ShellCommand {
    name = "write",
    command = "echo 'int main(void) { return 0; }' > hello.c && ls -l hello.c",
    haltOnFailure = true,
    logEnviron = false,
  },
  -- A list is seen by no shell: each text is one argument.
  steps.ShellCommand {
    name = "greet",
    command = { "printf", "%s from %s, build %s\n",
      util.Interpolate "%(prop:greeting)s", util.Interpolate "%(prop:workername)s", util.Property "buildnumber" },
    logEnviron = false,
  },
  steps.ShellCommand {
    name = "count",
    command = "for i in 1 2 3; do echo $i; sleep 0.2; done",
    logEnviron = false,
  },
}

c.builders = {
  util.BuilderConfig { name = "hello", workernames = { "bot1" }, factory = factory },
}

c.schedulers = {
  schedulers.ForceScheduler("force", { "hello" }),
}
