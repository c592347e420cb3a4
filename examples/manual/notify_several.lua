-- The manual of Buildbot, "Workers", section "When Workers Go Missing", second example: several addresses, told after five minutes.
--
-- A list of Python is a table in Lua. `missing_timeout = "5m"` says the same.

local worker = require "buildbot.plugins".worker

c.protocols = { pb = { port = 9989 } }

c.workers = {
  worker.Worker("bot-solaris", "solarispasswd", {
    notify_on_missing = { "bob@example.com", "alice@example.org" },
    missing_timeout = 300, -- notify after 5 minutes
  }),
}
