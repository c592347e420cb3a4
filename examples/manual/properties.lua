-- The manual of Buildbot, "Workers", section "Properties": what each build on this worker knows.
--
-- A dict in Python is a table in Lua: `{ 'os': 'solaris' }` is `{ os = "solaris" }`.

local worker = require "buildbot.plugins".worker

c.protocols = { pb = { port = 9989 } }

c.workers = {
  worker.Worker("bot-solaris", "solarispasswd", { properties = { os = "solaris" } }),
}
