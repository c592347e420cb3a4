-- Workers that would take one container, or one disk, for their own.
local worker = require "buildbot.plugins".worker

c.workers = {
  worker.DockerLatentWorker("a_b", None, "tcp://engine:2375", "worker"),
  worker.DockerLatentWorker("a-b", None, "tcp://engine:2375", "worker"),
  worker.LibVirtWorker("vm1", None, "/images/vm", "/images/base"),
  worker.LibVirtWorker("vm2", None, "/images/vm", "/images/base"),
}
