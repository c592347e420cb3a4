-- A fleet in ten lines: forty workers from a table of machines, and a builder for each kind of them.
-- What makes them alike is in `lib/pool.lua`; README.md beside this file tells more.

local schedulers = require "buildbot.plugins".schedulers
local pool = require "lib.pool"

c.protocols = { pb = { port = 9989 } }
for kind, machines in pairs { linux = 24, freebsd = 10, solaris = 6 } do
  local names = pool.workers(kind, machines, { max_builds = 2, properties = { os = kind } })
  pool.builder(kind, names, "make check")
end
c.schedulers = { schedulers.ForceScheduler("force", { "linux", "freebsd", "solaris" }) }
