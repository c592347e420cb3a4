local plugins = require "buildbot.plugins"
local worker, util, steps, schedulers = plugins.worker, plugins.util, plugins.steps, plugins.schedulers

local function nothing() end

local classes = {
  { "Worker", { password = "sesame" } },
  { "LocalWorker", {} },
  { "EC2LatentWorker", { instance_type = "m5.large", ami = "ami-1", keypair_name = "ci", security_name = "ci" } },
  { "LibVirtWorker", {} },
  { "OpenStackLatentWorker", { flavor = 1, image = "debian", os_auth_args = { auth_url = "https://keystone" } } },
  { "DockerLatentWorker", { docker_host = "unix:///var/run/docker.sock", image = "worker" } },
  { "LatentWorker", { start_instance = nothing, stop_instance = nothing } },
}

c.workers = {}
local function each(title, options, more)
  for _, class in ipairs(classes) do
    local all = { class[1] .. "-" .. title }
    for key, value in pairs(class[2]) do all[key] = value end
    for key, value in pairs(options) do all[key] = value end
    local is_latent = class[1] ~= "Worker" and class[1] ~= "LocalWorker"
    if is_latent or not more then table.insert(c.workers, worker[class[1]](all)) end
  end
end

each("max_builds", { max_builds = "two" })
each("notify_kind", { notify_on_missing = 5 })
each("notify_return", { notify_on_return = "yes" })
each("notify_address", { notify_on_missing = { "admin@example.org", "admin", "a b@example.org" } })
each("missing_timeout", { missing_timeout = "soon" })
each("missing_negative", { missing_timeout = -1 })
each("properties", { properties = "os" })
each("defaultProperties", { defaultProperties = { nothing } })
each("keepalive_interval", { keepalive_interval = -1 })
each("keepalive_timeout", { keepalive_timeout = 0 })
each("resume_grace", { resume_grace = "soon" })
each("not_there_yet", { machine_name = "m" })
each("locks", { locks = "db" })
each("password", { password = 5 }, true)
each("password_empty", { password = "" }, true)
each("password_five", { password = { "a", "b", "c", "d", "e" } }, true)
each("build_wait_timeout", { build_wait_timeout = "a while" }, true)
each("attach_timeout", { attach_timeout = 0 }, true)
each("attach_never", { attach_timeout = None }, true)
each("check_instance_interval", { check_instance_interval = 0 }, true)
each("bad name", {})
each("name", { [1] = 5 })
