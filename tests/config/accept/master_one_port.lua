local plugins = require "buildbot.plugins"
local worker, util, steps, schedulers = plugins.worker, plugins.util, plugins.steps, plugins.schedulers

c.workers = { worker.Worker("bot1", "sesame") }
c.protocols.pb = { port = "tcp:9989" }
c.protocols.msgpack_experimental_v7 = { port = { port = 9990, tls = None } }
