-- The manual of Buildbot, "Workers", section "Master-Worker TCP Keepalive", its last sentence: `None` turns the question off.
--
-- `None` is given. `nil` would not do: an option that is set to `nil` is not given, so it has its default. A dead link is still
-- found, by TCP itself, within 90 s.

local worker = require "buildbot.plugins".worker

c.protocols = { pb = { port = 9989 } }

c.workers = {
  worker.Worker("bot-linux", "linuxpasswd", { keepalive_interval = None }),
}
