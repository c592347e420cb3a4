-- Pools of workers that are alike: a module of the operator's own. `require "lib.pool"` finds it below the folder of
-- `master.cfg.lua`, and gives what it returns.

local plugins = require "buildbot.plugins"
local worker, util, steps = plugins.worker, plugins.util, plugins.steps

local pool = {}

---Adds workers that are alike to the configuration: `KIND-1` to `KIND-COUNT`.
---@param kind string
---@param count integer
---@param options lunabot.options.Worker What all of them have.
---@return string[] names The names of the new ones, for a builder.
function pool.workers(kind, count, options)
  local names = {}
  for i = 1, count do
    names[i] = kind .. "-" .. i
    -- Each has a password of its own, from the environment: `LINUX_1_PASSWORD`.
    local variable = names[i]:upper():gsub("%-", "_") .. "_PASSWORD"
    table.insert(c.workers, worker.Worker(names[i], os.getenv(variable) or "sesame", options))
  end
  return names
end

---Adds a builder that runs one command on any of these workers.
---@param name string
---@param workernames string[]
---@param command string
function pool.builder(name, workernames, command)
  local factory = util.BuildFactory { steps.ShellCommand { command = command, haltOnFailure = true } }
  table.insert(c.builders, util.BuilderConfig { name = name, workernames = workernames, factory = factory })
end

return pool
