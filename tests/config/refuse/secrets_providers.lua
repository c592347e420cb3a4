local plugins = require "buildbot.plugins"
local worker, secrets = plugins.worker, plugins.secrets

c.workers = { worker.LocalWorker "bot1" }
c.secretsProviders = {
  secrets.SecretInAFile(),
  secrets.SecretInAFile { dirname = "" },
  secrets.SecretInAFile { dirname = "a", suffixes = "/../b" },
  secrets.SecretInAFile { dirname = "a", strip = "no", sufixes = ".txt" },
  secrets.SecretInEnvironment "A=B",
  secrets.SecretInPass { gpgPassphrase = 1, dirname = 2 },
  secrets.SecretInCommand { command = {} },
  secrets.SecretInCommand { command = { "tell" }, timeout = 0, strip = 1 },
  secrets.SecretInCommand { "twice" },
  secrets.SecretInCommand { "twice" },
  secrets.SecretInVault { vaultServer = "https://vault.example.org" },
  secrets.HashiCorpVaultKvSecretProvider { vault_server = "https://vault.example.org" },
  secrets.SecretInFile "x",
  worker.LocalWorker "bot2",
}
