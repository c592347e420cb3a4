local plugins = require "buildbot.plugins"
local worker, util = plugins.worker, plugins.util

local function docker(title, options, without)
  local all = { "DockerLatentWorker-" .. title, docker_host = "tcp://engine:2375", image = "worker" }
  for key, value in pairs(options) do all[key] = value end
  for _, key in ipairs(without or {}) do all[key] = nil end
  return all
end
local Docker = worker.DockerLatentWorker

c.workers = {
  -- Kinds.
  Docker(docker("docker_host", { docker_host = 5 })),
  Docker(docker("image", { image = 5 })),
  Docker(docker("command", { command = 5 })),
  Docker(docker("volumes", { volumes = { 5 } })),
  Docker(docker("dockerfile", { dockerfile = {} })),
  Docker(docker("version", { version = 1.45 })),
  Docker(docker("tls", { tls = "ca.pem" })),
  Docker(docker("tls_list", { tls = { "ca.pem" } })),
  Docker(docker("followStartupLogs", { followStartupLogs = 1 })),
  Docker(docker("masterFQDN", { masterFQDN = 5 })),
  Docker(docker("master_protocol", { master_protocol = 5 })),
  Docker(docker("hostconfig", { hostconfig = { "host" } })),
  Docker(docker("autopull", { autopull = "yes" })),
  Docker(docker("alwaysPull", { alwaysPull = "yes" })),
  Docker(docker("custom_context", { dockerfile = "FROM x", custom_context = "yes" })),
  Docker(docker("encoding", { dockerfile = "FROM x", encoding = 5 })),
  Docker(docker("target", { dockerfile = "FROM x", target = 5 })),
  Docker(docker("buildargs", { dockerfile = "FROM x", buildargs = 5 })),
  Docker(docker("hostname", { hostname = 5 })),
  Docker(docker("rendered", { version = util.Property "version", command = { util.Property "command" } })),
  Docker(docker("empty", { image = "", volumes = { "" } })),
  -- What goes together.
  Docker(docker("no_host", {}, { "docker_host" })),
  Docker(docker("no_image", {}, { "image" })),
  Docker(docker("no_recipe", { custom_context = true, encoding = "xz", target = "worker", buildargs = { a = "b" } })),
  Docker(docker("host", { docker_host = "docker" })),
  Docker(docker("tls_socket", { docker_host = "unix:///run/docker.sock", tls = true })),
  Docker(docker("tls_half", { tls = { cert = "cert.pem" } })),
  Docker(docker("tls_kinds", { tls = { ca = 5, cert = 5, key = 5, verify = "no" } })),
  Docker(docker("tls_unknown", { tls = { ca_cert = "ca.pem" } })),
  Docker(docker("api", { version = "latest" })),
  Docker(docker("shell", { command = "buildbot-worker start" })),
  Docker(docker("volume", { volumes = { "/data" } })),
  Docker(docker("volume_mode", { volumes = { "/a:/b:readonly" } })),
  Docker(docker("volume_target", { volumes = { "/a:b" } })),
  Docker(docker("volume_twice", { volumes = { "/a:/b", "/c:/b" } })),
  Docker(docker("always", { alwaysPull = true })),
  Docker(docker("protocol", { master_protocol = "msgpack" })),
  Docker(docker("word", { dockerfile = "FROM x", encoding = "gz" })),
  Docker(docker("arguments", { dockerfile = "FROM x", buildargs = { a = { "b" } } })),
  Docker(docker("binds", { hostconfig = { binds = { "/a:/b" } } })),
  Docker(docker("hostconfig_word", { hostconfig = { networkmode = "host", memory = 5 } })),
  Docker(docker("master", { masterFQDN = "https://ci.example.org" })),
  Docker(docker("host_name", { hostname = "my builder" })),
}
