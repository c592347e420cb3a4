-- The manual of Buildbot, "Workers", section "Master-Worker TCP Keepalive": how often an idle link is asked for a sign of life.
--
-- Seconds, or text with a unit. An hour is the default. Buildbot takes the option and ignores it; Lunabot uses it, and an answer that
-- takes longer than `keepalive_timeout` ends the link.

local worker = require "buildbot.plugins".worker

c.protocols = { pb = { port = 9989 } }

c.workers = {
  worker.Worker("bot-linux", "linuxpasswd", { keepalive_interval = 3600 }),
}
