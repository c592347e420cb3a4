local plugins = require "buildbot.plugins"
local worker, util, steps, schedulers = plugins.worker, plugins.util, plugins.steps, plugins.schedulers

c.workers = { worker.LocalWorker "bot1" }
if DEBUG then c.title = "debug" end
c.workers = { worker.LocalWorker { "bot1", keepalive_interval = Nonee } }
c.title = True
print(os.getenv("HOME"), undefined_thing)
print(unpack, loadstring)
