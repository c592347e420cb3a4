local plugins = require "buildbot.plugins"
local worker, util, steps, schedulers = plugins.worker, plugins.util, plugins.steps, plugins.schedulers

c.workers = { worker.Worker("bot1", "sesame") }
c.protocols = {
  pb = {
    port = {
      9989,
      "9990",
      "tcp:9991:interface=127.0.0.1",
      "ssl:9992:privateKey=key.pem:certKey=cert.pem",
      { port = 9993, interface = "::1", backlog = 50 },
      { port = "9994", interface = "0.0.0.0", tls = { cert = "tls/cert.pem", key = "/srv/key.pem", chain = "chain.pem", client_ca = "ca.pem" } },
      { port = 9995, interface = None, backlog = None, tls = { cert = "cert.pem", key = "key.pem", chain = None, client_ca = None } },
    },
  },
  msgpack_experimental_v7 = { port = 9996 },
}
