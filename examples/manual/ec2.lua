-- The manual of Buildbot, "Workers", section "Common Options", for a worker on Amazon's EC2.
--
-- `build_wait_timeout`: an instance waits ten minutes for another build before it is stopped. Loading asks nothing of AWS; keys come
-- from where all programs for AWS find them.

local worker = require "buildbot.plugins".worker

c.protocols = { pb = { port = 9989 } }

c.workers = {
  worker.EC2LatentWorker("bot-ec2", "sesame", "m5.large", {
    ami = "ami-12345678",
    keypair_name = "ci",
    security_name = "ci",
    build_wait_timeout = 600,
  }),
}
