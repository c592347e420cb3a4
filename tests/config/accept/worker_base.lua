-- The options that all workers share, on each of them.
local plugins = require "buildbot.plugins"
local worker, util = plugins.worker, plugins.util

c.protocols = { pb = { port = 9989 } }

local function nothing() end

local db, disk = util.MasterLock("db", 3), util.WorkerLock "disk"

-- What each needs besides.
local classes = {
  Worker = { password = "sesame" },
  LocalWorker = {},
  EC2LatentWorker = { instance_type = "m5.large", ami = "ami-1", keypair_name = "ci", security_name = "ci" },
  LibVirtWorker = {},
  OpenStackLatentWorker = { flavor = 1, image = "debian", os_auth_args = { auth_url = "https://keystone" } },
  DockerLatentWorker = { docker_host = "unix:///var/run/docker.sock", image = "worker" },
  LatentWorker = { start_instance = nothing, stop_instance = nothing },
}

local function make(class, number, options)
  local all = { class .. "-" .. number }
  for key, value in pairs(classes[class]) do all[key] = value end
  for key, value in pairs(options) do all[key] = value end
  table.insert(c.workers, worker[class](all))
end

for class in pairs(classes) do
  make(class, 1, {
    max_builds = 2,
    notify_on_missing = "me@localhost",
    missing_timeout = "1h30m",
    properties = { os = "linux", tags = { "fast" }, home = util.Interpolate "/home/%(prop:user)s" },
    defaultProperties = { branch = util.Property("branch", "main") },
    keepalive_interval = 60.5,
    keepalive_timeout = "5s",
    locks = { db:access("counting"), disk:access("exclusive") },
  })
  make(class, 2, {
    max_builds = None,
    notify_on_missing = { "Admin <admin@example.org>", "ops@example.org" },
    notify_on_return = true,
    missing_timeout = None,
    keepalive_interval = None,
    keepalive_timeout = None,
  })
  make(class, 3, { max_builds = 0, notify_on_missing = None, missing_timeout = 0, keepalive_interval = 0 })
  if class ~= "LocalWorker" then
    make(class, 7, { resume_grace = "2m" })
    make(class, 8, { resume_grace = None })
  end
  if class ~= "Worker" and class ~= "LocalWorker" then
    make(class, 4, {
      password = util.Secret "bot",
      build_wait_timeout = "10m",
      attach_timeout = 90,
      check_instance_interval = 0.5,
    })
    make(class, 5, { password = { "new", util.Secret "old" }, build_wait_timeout = 0, attach_timeout = "20m" })
    make(class, 6, { password = None, build_wait_timeout = -1, check_instance_interval = "1m" })
  end
end
