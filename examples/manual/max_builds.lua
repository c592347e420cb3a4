-- The manual of Buildbot, "Workers", section "Limiting Concurrency": at most two builds at once on this worker.
--
-- Keyword arguments of Python are a table at the end of the call. One builder runs one build on a worker at a time all the
-- same: both would work in one folder.

local worker = require "buildbot.plugins".worker

c.protocols = { pb = { port = 9989 } }

c.workers = {
  worker.Worker("bot-linux", "linuxpassword", { max_builds = 2 }),
}
