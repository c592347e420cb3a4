-- The manual of Buildbot, "Workers", section "When Workers Go Missing", third example: mails about missing workers, and none about
-- builds.
--
-- `builders = {}` is how manuals before 3.0 write it; today's Buildbot knows `generators` only, which is taken as well. `status` is the
-- older name of `reporters`. `c['status'].append(m)` is `table.insert(c.status, m)`.

local plugins = require "buildbot.plugins"
local status, worker = plugins.status, plugins.worker

c.protocols = { pb = { port = 9989 } }

local m = status.MailNotifier {
  fromaddr = "buildbot@localhost",
  builders = {},
  relayhost = "smtp.example.org",
}
table.insert(c.status, m)

c.workers = {
  worker.Worker("bot-solaris", "solarispasswd", { notify_on_missing = "bob@example.com" }),
}
