local plugins = require "buildbot.plugins"
local worker, util = plugins.worker, plugins.util

c.workers = {
  worker.LibVirtWorker { "LibVirtWorker-hd_image", hd_image = 5 },
  worker.LibVirtWorker { "LibVirtWorker-base_image", hd_image = "/hd", base_image = 5 },
  worker.LibVirtWorker { "LibVirtWorker-uri", uri = 5 },
  worker.LibVirtWorker { "LibVirtWorker-uri_none", uri = None },
  worker.LibVirtWorker { "LibVirtWorker-xml", xml = {} },
  worker.LibVirtWorker { "LibVirtWorker-masterFQDN", masterFQDN = 5 },
  worker.LibVirtWorker { "LibVirtWorker-cheap_copy", cheap_copy = "yes" },
  worker.LibVirtWorker { "LibVirtWorker-graceful_shutdown", graceful_shutdown = 1 },
  worker.LibVirtWorker { "LibVirtWorker-rendered", uri = util.Property "uri" },
  worker.LibVirtWorker { "LibVirtWorker-empty", hd_image = "", xml = "" },
  -- What the base image is copied to.
  worker.LibVirtWorker { "LibVirtWorker-base_alone", base_image = "/base" },
  -- Buildbot's own default.
  worker.LibVirtWorker { "LibVirtWorker-system", uri = "system:///" },
  worker.LibVirtWorker { "LibVirtWorker-no_uri", uri = "localhost" },
  worker.LibVirtWorker { "LibVirtWorker-file", xml = "/etc/libvirt/qemu/bot.xml" },
  worker.LibVirtWorker { "LibVirtWorker-port", masterFQDN = "ci.example.org:port" },
  -- Buildbot's attribute, and an argument of the past.
  worker.LibVirtWorker { "LibVirtWorker-past", connection = "qemu:///system", graceful = true },
}
