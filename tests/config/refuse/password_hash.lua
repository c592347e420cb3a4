local plugins = require "buildbot.plugins"
local worker, util, steps, schedulers = plugins.worker, plugins.util, plugins.steps, plugins.schedulers

c.workers = {
  worker.Worker("bot1", "$argon2id$v=19$m=1048576,t=1,p=1$c29tZXNhbHQ$wWKIMhR9lyDFvRz9YTZweHKfbftvj+qf+YFY4NeBbtA"),
  worker.Worker("bot2", "$argon2id$v=19$m=65536,t=100,p=1$c29tZXNhbHQ$wWKIMhR9lyDFvRz9YTZweHKfbftvj+qf+YFY4NeBbtA"),
  worker.Worker("bot3", "$argon2-sesame"),
  worker.Worker("bot4", {}),
  worker.Worker("bot5", { "a", "b", "c", "d", "e" }),
  worker.Worker("bot6", { "sesame", 7 }),
  worker.Worker("bot7", { "sesame", "" }),
  worker.Worker("bot8", "sesame", { keepalive_timeout = 0 }),
}
