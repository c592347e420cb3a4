-- The manual of Buildbot, "Workers", section "Local Workers": two workers in the master's own process.
--
-- They need no password, no port and no package. A call with a single text needs no brackets.

local worker = require "buildbot.plugins".worker

c.workers = {
  worker.LocalWorker "bot1",
  worker.LocalWorker "bot2",
}
