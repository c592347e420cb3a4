local worker = require "buildbot.plugins".worker

c.protocols = { pb = { port = 9989 } }
c.workers = {
  -- As in Buildbot's manual; two workers on one hypervisor, each with a disk of its own.
  worker.LibVirtWorker("minion1", "sekrit", "/home/buildbot/images/minion1", "/home/buildbot/images/base_image"),
  worker.LibVirtWorker(
    "minion2", None, "/home/buildbot/images/minion2", "/home/buildbot/images/base_image", "qemu:///session",
    "<domain type='kvm'><name>minion2</name></domain>", "[2001:db8::1]:9989"
  ),
  -- The defined domain `minion3`, with its own disk.
  worker.LibVirtWorker "minion3",
  -- The same path, on another machine.
  worker.LibVirtWorker {
    name = "minion4",
    hd_image = "/home/buildbot/images/minion1",
    base_image = "/home/buildbot/images/base_image",
    uri = "qemu+ssh://ci@vm.example.org/system",
    xml = "\n<domain type='kvm'/>",
    masterFQDN = "ci.example.org",
    cheap_copy = false,
    graceful_shutdown = true,
  },
}
