-- Latent workers and reporters: their own options, tables within tables, functions.

local plugins = require "buildbot.plugins"
local worker, util, reporters = plugins.worker, plugins.util, plugins.reporters

local start = function(build) return build ~= nil end

c.workers = {
  worker.DockerLatentWorker("a", None, "unix:///run/docker.sock", { image = util.Interpolate "ci-%(prop:os)s" }),
  worker.DockerLatentWorker { "b", None, docker_host = "tcp://host", image = "ci", tls = { ca = "ca.pem" }, build_wait_timeout = -1 },
  worker.DockerLatentWorker("c", None, "tcp://host", { imge = "ci" }), --! param-type-mismatch
  worker.DockerLatentWorker("d", None, "tcp://host", { image = "ci", autopull = "yes" }), --! param-type-mismatch
  worker.DockerLatentWorker("e", None, "tcp://host", { image = "ci", volumes = 5 }), --! param-type-mismatch
  worker.LatentWorker("f", None, { start_instance = start, stop_instance = function(fast) end }),
  worker.LatentWorker("g", None, { start_instance = start, stop_instance = "stop" }), --! assign-type-mismatch
  worker.LibVirtWorker("h", "sesame", "/a.qcow2", "/b.qcow2", { uri = "qemu:///system", build_wait_timeout = "10m" }),
  worker.LibVirtWorker("i", "sesame", "/a.qcow2", "/b.qcow2", { url = "qemu:///system" }), --! param-type-mismatch
}

table.insert(c.status, plugins.status.MailNotifier { fromaddr = "ci@localhost", builders = {} })
c.reporters = {
  reporters.MailNotifier { --! param-type-mismatch
    fromaddr = "ci@localhost",
    smtpPassword = util.Secret "smtp",
    generators = { reporters.WorkerMissingGenerator { workers = "all" } },
    relayHost = "smtp.example.org",
  },
}
