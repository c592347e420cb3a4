-- Fleets in Lua's own ways. The order in which `pairs` gives them is another in each load, and never matters.
local plugins = require "buildbot.plugins"
local worker, util, steps, schedulers = plugins.worker, plugins.util, plugins.steps, plugins.schedulers

local function concat(...)
  local all = {}
  for _, list in ipairs { ... } do
    for _, element in ipairs(list) do
      all[#all + 1] = element
    end
  end
  return all
end

local function pool(prefix, count)
  local list = {}
  for i = 1, count do
    list[i] = worker.Worker(prefix .. "-" .. i, "sesame", { max_builds = 1 })
  end
  return list
end

local function names(list)
  local all = {}
  for i, one in ipairs(list) do
    all[i] = one.name
  end
  return all
end

local arm, x86 = pool("arm", 3), pool("x86", 2)
c.workers = concat(arm, x86)
for name, password in pairs { sun = "sesame-1", moon = "sesame-2", mars = "sesame-3" } do
  c.workers[#c.workers + 1] = worker.Worker(name, password)
end
-- A longer list that holds the first one's: nothing is dropped.
c.workers = concat(c.workers, pool("riscv", 1))

local factory = util.BuildFactory { steps.ShellCommand { command = "make" } }
local all = {}
for name, list in pairs { arm = arm, x86 = x86 } do
  table.insert(c.builders, util.BuilderConfig { name = name, workernames = names(list), factory = factory })
  table.insert(all, name)
end
table.insert(c.builders, util.BuilderConfig { name = "rest", workernames = { "sun", "moon", "mars", "riscv-1" }, factory = factory })
c.schedulers = { schedulers.ForceScheduler("force", concat(all, { "rest" })) }
c.protocols.pb = { port = 9989 }
