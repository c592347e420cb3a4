local p = require "buildbot.plugins"
local worker, util = p.worker, p.util
local W, L = worker.Worker, worker.LocalWorker
local again, classes = W, { worker.Worker, remote = worker.Worker }
local function make(name) return W(name, "pw", { max_build = 1 }) end

c.workers = {
  W("call", "pw", { max_build = 1 }),
  W { "table", "pw", max_build = 1 },
  again("again", "pw", { max_build = 1 }),
  W("first", "pw", { max_builds = 1 }), W("second", "pw", { max_build = 1 }),
  make "made", make "made-again",
  L("above", {
    max_build = 1,
  }),
  (worker.Worker)("brackets", "pw", { max_build = 1 }),
  worker["Worker"]("key", "pw", { max_build = 1 }),
  classes[1]("number", "pw", { max_build = 1 }),
  classes.remote("field", "pw", { max_build = 1 }),
  select(2, pcall(W, "given-away", "pw", { max_build = 1 })),
  require "buildbot.plugins".worker.Worker("required", "pw", { max_build = 1 }),
}
for _, name in ipairs { "one", "two" } do
  table.insert(c.workers, W(name, util.Secret(5), { max_build = 1 }))
end
