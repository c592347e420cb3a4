-- The manual of Buildbot, "Workers", section "Defining Workers": two workers, each with its name and its password.
--
--   from buildbot.plugins import worker
--   c['workers'] = [worker.Worker('bot-solaris', …), worker.Worker('bot-bsd', …)]
--
-- The same two values are given to the one who sets up the worker: `buildbot-worker create-worker bot ci.example.org:9989
-- bot-solaris solarispasswd`.

local worker = require "buildbot.plugins".worker

-- Where they connect. The manual has this in another chapter.
c.protocols = { pb = { port = 9989 } }

c.workers = {
  worker.Worker("bot-solaris", "solarispasswd"),
  worker.Worker("bot-bsd", "bsdpasswd"),
}
