local worker = require("buildbot.plugins").worker

c.workers = { worker.Worker("w1", "sesame") }

c.protocols = {
  pb = { port = {
    9989,
    "ssl:9990:privatekey=key.pem",
    { port = 9991, interfaces = "::1", tls = { cert = "cert.pem", kay = "key.pem" } },
    { port = 9992, interface = "ci.example.org" },
    { port = "ssl:9993:k.pem:c.pem", tls = { cert = "cert.pem", key = "key.pem" } },
    "tcp:9989:interface=127.0.0.1",
    "ssl:9994:k.pem:c.pem:sslmethod=SSLv23_METHOD",
  } },
  msgpack_experimental_v7 = { port = { 9995, { port = 0 }, 9995, "tcp:9989:interface=::1", "unix:/run/lunabot" } },
}
