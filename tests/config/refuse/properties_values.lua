local plugins = require "buildbot.plugins"
local worker, util, steps, schedulers = plugins.worker, plugins.util, plugins.steps, plugins.schedulers

c.workers = { worker.LocalWorker "bot1" }
local round = {}
round.again = round
c.workers = {
  worker.LocalWorker { "bot1", properties = { "a", "b" } },
  worker.LocalWorker { "bot2", properties = { f = print } },
  worker.LocalWorker { "bot3", properties = { deep = { list = { 1, worker } } } },
  worker.LocalWorker { "bot4", properties = round },
  worker.LocalWorker { "bot5", properties = { x = 0 / 0 } },
  worker.LocalWorker { "bot6", properties = { x = "\xff" } },
  worker.LocalWorker { "bot7", properties = { x = { 1, name = 2 } } },
  worker.LocalWorker { "bot8", properties = "os=linux" },
  worker.LocalWorker { "bot9", properties = { x = { [1] = 1, [3] = 3 } } },
}
