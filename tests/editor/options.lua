-- Names of options: each misspelt one is told at its line, wherever the table stands.

local plugins = require "buildbot.plugins"
local worker, util, steps, schedulers = plugins.worker, plugins.util, plugins.steps, plugins.schedulers

c.workers = {
  worker.Worker("a", "sesame", { max_builds = 2 }),
  worker.Worker("b", "sesame", { max_build = 2 }), --! assign-type-mismatch
  worker.Worker("c", "sesame", {
    missing_timeout = 300,
    notify_on_misssing = "bob@example.com", --! assign-type-mismatch
  }),
  worker.Worker {
    "d",
    "sesame",
    keepalive = None, --! assign-type-mismatch
  },
  worker.Worker { name = "e", passwd = "sesame" }, --! assign-type-mismatch
  worker.LocalWorker { name = "f", password = "sesame" }, --! param-type-mismatch
}

local factory = util.BuildFactory {
  steps.ShellCommand { command = "make", haltOnFailure = true },
  steps.ShellCommand { command = "make", haltOnFail = true }, --! assign-type-mismatch
  steps.ShellCommand { "make", haltOnFailure = true }, --! assign-type-mismatch missing-fields
  steps.ShellCommand { haltOnFailure = true }, --! missing-fields param-type-mismatch
  steps.FileUpload { workersrc = "a", masterdst = "b" }, --! assign-type-mismatch missing-fields
  steps.StringDownload("text", "file", "build", { mode = "0600" }),
}

c.builders = {
  util.BuilderConfig { name = "x", workernames = { "a" }, factory = factory },
  util.BuilderConfig { name = "y", workers = { "a" }, factory = factory }, --! param-type-mismatch
  util.BuilderConfig("z", { workername = "a", factory = factory }),
}

c.schedulers = {
  schedulers.Periodic("p", { "x" }, "1d", { reason = "nightly" }),
  schedulers.Periodic("q", { "x" }, "1d", { reasn = "nightly" }), --! assign-type-mismatch
}

c.protocols = { pb = { port = 9989 } }
c.protocols = { pb = { prot = 9989 } } --! assign-type-mismatch
c.protocols.pb = { port = { port = 9990, tls = { cert = "cert.pem", key = "key.pem" } } }
c.titel = "Farm" --! inject-field
c.db = { url = "sqlite:///x" } --! assign-type-mismatch
