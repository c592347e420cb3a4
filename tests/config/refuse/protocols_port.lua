local plugins = require "buildbot.plugins"
local worker, util, steps, schedulers = plugins.worker, plugins.util, plugins.steps, plugins.schedulers

c.workers = { worker.LocalWorker "bot1" }
c.protocols = { pb = { port = 70000 }, msgpack_experimental_v7 = { port = 9990 }, pbb = {} }
