-- Each provider of secrets with each of its options, and secrets wherever they may stand.
local plugins = require "buildbot.plugins"
local worker, util, steps, schedulers = plugins.worker, plugins.util, plugins.steps, plugins.schedulers
local secrets = plugins.secrets

c.secretsProviders = {
  secrets.SecretInAFile "secrets",
  secrets.SecretInAFile("/run/secrets", { ".txt", "" }, false),
  secrets.SecretInAFile { dirname = "more", suffixes = ".key", strip = true },
  secrets.SecretInEnvironment {},
  secrets.SecretInEnvironment "LUNABOT_CI_",
  secrets.SecretInPass {},
  secrets.SecretInPass { gpgPassphrase = "sesame", dirname = "store" },
  secrets.SecretInCommand { command = { "vault-get", "--field=%(name)s" }, timeout = "30s", strip = false },
  secrets.SecretInCommand "tell-secret",
}
c.protocols = { pb = { port = 9989 } }
c.workers = {
  worker.Worker("bot1", util.Secret "bot1"),
  worker.Worker("bot2", { util.Secret "infra/bot2.new", util.Secret "infra/bot2", "sesame" }),
}
local factory = util.BuildFactory {
  steps.ShellCommand {
    command = { "login", util.Secret "login" },
    env = { TOKEN = util.Secret "token", PATH = { "${PATH}", util.Interpolate "/%(secret:path)s" } },
    initialStdin = util.Interpolate "user\n%(secret:login)s\n",
    descriptionDone = util.Interpolate "as %(secret:login)s",
  },
  steps.StringDownload(util.Secret "key", "key.pem", { mode = "0600" }),
  steps.SetProperty { property = "masked", value = util.Secret "token" },
}
c.builders = { util.BuilderConfig { name = "b", workernames = { "bot1", "bot2" }, factory = factory } }
c.schedulers = { schedulers.ForceScheduler("force", { "b" }) }
