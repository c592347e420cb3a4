-- The manual of Buildbot, "Workers", section "When Workers Go Missing", first example: one address is told when this worker has been
-- away for an hour.

local worker = require "buildbot.plugins".worker

c.protocols = { pb = { port = 9989 } }

c.workers = {
  worker.Worker("bot-solaris", "solarispasswd", { notify_on_missing = "bob@example.com" }),
}
