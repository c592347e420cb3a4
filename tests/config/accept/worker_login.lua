-- Passwords as they are, by name, hashed; two while one is changed.
local plugins = require "buildbot.plugins"
local worker, util = plugins.worker, plugins.util

c.protocols = { pb = { port = 9989 }, msgpack_experimental_v7 = { port = 9990 } }

local hashed = "$argon2id$v=19$m=19456,t=2,p=1$UcBCgYkIhlLD1OsylUE7OQ$IvIkFhLz/azFu3qRWIXg5sdjPg5SOmbAp8aWSug13pY"

c.workers = {
  worker.Worker("plain", "sesame"),
  worker.Worker("named", util.Secret "workers/named"),
  worker.Worker { name = "hashed", password = hashed },
  worker.Worker { "two", { "new", util.Secret "old" } },
  worker.LocalWorker "local",
  worker.LocalWorker("in-a-folder", "some/folder"),
  worker.LocalWorker { "absolute", workdir = "/var/lib/ci" },
  -- The image knows the password.
  worker.EC2LatentWorker("ec2", hashed, "m5.large", { ami = "ami-1", keypair_name = "ci", subnet_id = "subnet-1" }),
}
