local plugins = require "buildbot.plugins"
local worker, util, steps, schedulers = plugins.worker, plugins.util, plugins.steps, plugins.schedulers

c.workers = { worker.LocalWorker "bot1" }
worker.PodmanWorker("d", None, { image = "x" })
worker.AbstractLatentWorker("e", None)
plugins.wroker.Worker("a", "b")
plugins.reporters.MailNotifier { fromaddr = "a@example.org" }
plugins.changes.GitPoller("https://example.org/x.git")
steps.Git { repourl = "https://example.org/x.git" }
util.Interpolat("x")
util.BuildFactory():addSteps(steps.Shellcommand { command = "x" })
