local results = require "buildbot.process.results"

c.workers = { require "buildbot.plugins".worker.LocalWorker "bot1" }
return results.SUCESS
