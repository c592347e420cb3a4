local plugins = require "buildbot.plugins"
local worker, util = plugins.worker, plugins.util

c.protocols = { msgpack_experimental_v7 = { port = 9990 } }

local hashed = "$argon2id$v=19$m=19456,t=2,p=1$UcBCgYkIhlLD1OsylUE7OQ$IvIkFhLz/azFu3qRWIXg5sdjPg5SOmbAp8aWSug13pY"

c.workers = {
  worker.Worker "Worker-without",
  worker.Worker("Worker-none", None),
  worker.Worker("Worker-number", 5),
  worker.Worker("Worker-empty", ""),
  worker.LocalWorker { "LocalWorker-password", password = "sesame" },
  worker.LocalWorker { "LocalWorker-workdir", workdir = 5 },
  worker.LocalWorker { "LocalWorker-climbs", workdir = "../elsewhere" },
  -- A new container has to be told its password, which a hash does not hold.
  worker.DockerLatentWorker("DockerLatentWorker-hashed", hashed, "unix:///run/docker.sock", "worker"),
  worker.LibVirtWorker("LibVirtWorker-hashed", { hashed }),
}
