-- Values of the right shape that cannot be.
local plugins = require "buildbot.plugins"
local worker, util, steps, schedulers = plugins.worker, plugins.util, plugins.steps, plugins.schedulers

c.workers = { worker.LocalWorker "bot1" }
c.properties = { site = print }
c.db = { db_url = { "sqlite:///x" }, db_ulr = "sqlite:///x", engine_kwargs = {} }
c.protocols = { pb = { prot = 9989 }, msgpack_experimental_v7 = 9990, msgpack = {} }
