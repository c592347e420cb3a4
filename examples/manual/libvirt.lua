-- The manual of Buildbot, "Workers", section "Common Options", for a worker on a virtual machine of libvirt.
--
-- `build_wait_timeout = 0`: the machine is stopped right after each build, and the next build gets a fresh copy of `base_image`.

local worker = require "buildbot.plugins".worker

c.protocols = { pb = { port = 9989 } }

c.workers = {
  worker.LibVirtWorker("minion1", "sesame", {
    uri = "qemu:///system",
    hd_image = "/home/ci/images/minion1.qcow2",
    base_image = "/home/ci/images/base.qcow2",
    build_wait_timeout = 0,
  }),
}
