-- Providers of secrets take what they take.
local plugins = require "buildbot.plugins"
local worker, secrets = plugins.worker, plugins.secrets

c.secretsProviders = {
  secrets.SecretInAFile { dirname = 5 },
  secrets.SecretInAFile { "secrets", suffixes = { 1 }, strip = "yes" },
  secrets.SecretInEnvironment { prefix = {} },
  secrets.SecretInPass { gpgPassphrase = 5, dirname = {} },
  secrets.SecretInCommand { command = 5, timeout = "soon", strip = 1 },
}
c.workers = { worker.LocalWorker "bot1" }
