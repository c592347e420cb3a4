-- The manual of Buildbot, "Workers", section "Common Options", for a worker in a container of Docker.
--
-- Without `build_wait_timeout` it is 600, as for all others; in Buildbot a container is stopped after each build, which is 0. The
-- password is made anew for each container: `None`.

local plugins = require "buildbot.plugins"
local worker, util = plugins.worker, plugins.util

c.protocols = { pb = { port = 9989 } }

c.workers = {
  worker.DockerLatentWorker("docker", None, "unix:///var/run/docker.sock", {
    image = util.Interpolate "ci-%(prop:os:-debian)s",
    volumes = { "/srv/cache:/cache:ro" },
    build_wait_timeout = 0,
  }),
}
