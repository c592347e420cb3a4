-- Names of modules, constructors, methods and variables; both names of the module of all.

local plugins = require "buildbot.plugins"
local lunabot = require "lunabot.plugins"
local worker = plugins.worker

c.workers = { worker.LocalWorker "a", lunabot.worker.LocalWorker "b" }
print(c.workers[1].name, None)
print(plugins.wroker) --! undefined-field
print(worker.LocalWroker) --! undefined-field
print(plugins.util.Interpolat) --! undefined-field
print(c.wrokers) --! undefined-field
print(c.workers[1].nmae) --! undefined-field
plugins.util.BuildFactory():addStpe() --! undefined-field
print(True) --! undefined-global
print(wrong) --! undefined-global
