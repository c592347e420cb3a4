-- The manual's own example: mails about missing workers, and none about builds.
local plugins = require "buildbot.plugins"
local status, worker = plugins.status, plugins.worker

local m = status.MailNotifier { fromaddr = "buildbot@localhost", builders = {}, relayhost = "smtp.example.org" }
table.insert(c["status"], m)

c["workers"] = {
  worker.Worker("bot-solaris", "solarispasswd", { notify_on_missing = "bob@example.com" }),
}
