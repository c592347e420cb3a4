local plugins = require "buildbot.plugins"
local worker, util, steps, schedulers = plugins.worker, plugins.util, plugins.steps, plugins.schedulers

c.title = "Our farm"
c["titleURL"] = "https://example.org/"
c.buildbotURL = "https://ci.example.org/"
c.db = { db_url = "postgresql+psycopg2://bot:sesame@db/ci" }
c.properties = { site = "lab", n = 2, list = { 1, { a = "b" } }, why = util.Property("reason", "none") }
c["workers"] = { worker.LocalWorker "bot1" }
c.workers = c.workers
c.builders = {}
c.schedulers = {}
c.reporters, c.status, c.services = {}, {}, {}
