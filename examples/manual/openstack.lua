-- The manual of Buildbot, "Workers", section "Common Options", for a worker on a server of OpenStack.
--
-- `build_wait_timeout = -1`: the server is kept until the master stops. Spans may be text, as in `"1h"`.

local worker = require "buildbot.plugins".worker

c.protocols = { pb = { port = 9989 } }

c.workers = {
  worker.OpenStackLatentWorker {
    name = "bot-stack",
    password = "sesame",
    flavor = "m1.small",
    image = "debian-12",
    os_username = "ci",
    os_password = os.getenv "OS_PASSWORD" or "sesame",
    os_tenant_name = "farm",
    os_auth_url = "https://stack.example.org:5000/v3",
    build_wait_timeout = -1,
  },
}
