local plugins = require "buildbot.plugins"

c.workers = {
  plugins.worker.LocalWorker "bot1"
c.title = "x"
