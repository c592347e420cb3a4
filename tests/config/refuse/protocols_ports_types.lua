-- Each option of a port with a value of a wrong type, and then out of its range.
local worker = require("buildbot.plugins").worker

c.workers = { worker.Worker("bot1", "sesame") }
c.protocols = {
  pb = {
    port = {
      { port = {}, interface = 5, backlog = "many", tls = "cert.pem" },
      { port = 9989, tls = { cert = 5, key = {}, chain = true, client_ca = 5 } },
      { port = 9990, tls = {} },
      { port = 9991, backlog = 0 },
      { port = 9992, backlog = 65536 },
      { interface = "127.0.0.1" },
    },
  },
  msgpack_experimental_v7 = { port = { true } },
}
