local plugins = require "buildbot.plugins"
local worker, secrets = plugins.worker, plugins.secrets

c.workers = { worker.LocalWorker "bot1" }
c.secretsProviders = secrets.SecretInAFile "secrets"
