-- Builders that no worker can ever run, and builds that would run in one folder.
local plugins = require "buildbot.plugins"
local worker, util, steps = plugins.worker, plugins.util, plugins.steps

c.workers = {
  worker.LocalWorker("arm", { properties = { cpu = "arm64", os = "linux" } }),
  worker.LocalWorker("rendered", { properties = { cpu = util.Interpolate "%(prop:cpu)s", os = "linux" } }),
}
for i = 1, 5 do
  c.workers[#c.workers + 1] = worker.LocalWorker("x86-" .. i, { properties = { cpu = "x86", os = "linux" } })
end
local f = util.BuildFactory { steps.ShellCommand { command = "true" } }
c.builders = {
  util.BuilderConfig { name = "named", workernames = { "arm", "x86-1" }, worker_match = { cpu = "riscv" }, factory = f },
  util.BuilderConfig { name = "any", worker_match = { os = { "bsd", "sunos" } }, factory = f },
  util.BuilderConfig { name = "may be", worker_match = { cpu = "riscv" }, factory = f },
  util.BuilderConfig { name = "one", worker_match = { cpu = "arm64" }, factory = f, max_builds_per_worker = 3 },
  util.BuilderConfig { name = "one-2", worker_match = { cpu = "x86" }, factory = f, builddir = "elsewhere" },
  util.BuilderConfig { name = "one-3", workernames = { "arm", "x86-1" }, factory = f },
  util.BuilderConfig { name = "one #2", workernames = { "arm", "x86-1" }, factory = f },
  util.BuilderConfig { name = "one #3", workernames = { "x86-1" }, factory = f },
  util.BuilderConfig { name = "absent", workernames = { "arm", "gone" }, worker_match = { cpu = "riscv" }, factory = f },
}
