local plugins = require "buildbot.plugins"
local worker, util = plugins.worker, plugins.util

c.protocols = { pb = { port = 9989 }, msgpack_experimental_v7 = { port = 9990 } }
c.workers = {
  -- As in Buildbot's manual.
  worker.DockerLatentWorker("docker", None, {
    docker_host = "tcp://localhost:2375",
    image = "my_project_worker",
    volumes = { "/data/cache:/cache:ro", "ccache:/ccache" },
  }),
  worker.DockerLatentWorker(
    "positions", "sekrit", "tcp://10.0.0.2:2376", "worker", { "buildbot-worker", "start" }, { "/a:/b" },
    "FROM debian:13\nRUN true", "1.45", { ca = "ca.pem", cert = "cert.pem", key = "key.pem" }, true, "ci.example.org:9989",
    "pb", { network_mode = "host" }, true, true, false, "gzip", "worker", { version = "1" }, "builder", {}
  ),
  worker.DockerLatentWorker {
    "rendered",
    docker_host = util.Interpolate "tcp://%(prop:engine)s:2375",
    image = util.Interpolate "worker-%(prop:os)s",
    command = "buildbot-worker",
    volumes = { util.Interpolate "%(prop:source)s:/src", "/cache:/cache:rw,Z" },
    dockerfile = util.Property "dockerfile",
    version = "auto",
    tls = { verify = false },
    followStartupLogs = true,
    masterFQDN = "2001:db8::1",
    master_protocol = "msgpack_experimental_v7",
    hostconfig = { mem_limit = "2g", init = false, NanoCpus = 2, extra_hosts = { registry = util.Property "registry" } },
    autopull = true,
    alwaysPull = true,
    custom_context = util.Property "context",
    encoding = util.Property "encoding",
    target = util.Property "target",
    buildargs = { os = util.Property "os", jobs = 4, fast = true },
    hostname = util.Interpolate "%(prop:os)s",
  },
  worker.DockerLatentWorker {
    "archive",
    docker_host = "unix:///run/docker.sock",
    dockerfile = "contexts/worker.tar.xz",
    custom_context = true,
    encoding = "xz",
    target = "",
    buildargs = util.Property "arguments",
    hostconfig = util.Property "hostconfig",
    volumes = util.Property "volumes",
    tls = None,
    command = None,
    autopull = true,
  },
  worker.DockerLatentWorker {
    "system",
    docker_host = "engine.example.org:2376",
    image = "worker",
    tls = true,
    hostname = "builder-1",
    volumes = "/data:/data",
    -- Nothing is built, which says no more than leaving them out.
    dockerfile = None,
    hostconfig = None,
    buildargs = None,
  },
  -- `_` becomes `-` in the name of a container; these two are on two engines.
  worker.DockerLatentWorker("a_b", None, "tcp://one:2375", "worker"),
  worker.DockerLatentWorker("a-b", None, "tcp://two:2375", "worker"),
}
