local worker = require("buildbot.plugins").worker

c.workers = { worker.Worker("w1", "sesame") }

c.protocols = {
  pb = { port = {} },
  msgpack_experimental_v7 = { port = { 9989, port = 9990 } },
}
