local plugins = require "buildbot.plugins"
local worker, util = plugins.worker, plugins.util

c.protocols = { pb = { port = 9989 } }
c.workers = {
  -- As in Buildbot's manual.
  worker.OpenStackLatentWorker("bot2", "sekrit", {
    flavor = 1,
    image = "8ac9d4a4-5e03-48b0-acde-77a0345a9ab1",
    os_username = "user",
    os_password = "password",
    os_tenant_name = "tenant",
    os_auth_url = "http://127.0.0.1:35357/v2.0",
  }),
  worker.OpenStackLatentWorker(
    "positions", None, "m1.small", "user", util.Secret "os/password", "project", "https://keystone:5000/v3", "Default",
    "Default", None, { { uuid = "8ac9d4a4" } }, "RegionOne", "debian", { role = "ci" }, { config_drive = true }, "2.90", {}
  ),
  worker.OpenStackLatentWorker {
    "whole",
    flavor = util.Interpolate "m1.%(prop:size:-small)s",
    image = util.Property("image", "debian"),
    os_username = util.Secret "os/user",
    os_password = util.Secret "os/password",
    os_tenant_name = util.Secret "os/project",
    os_auth_url = util.Secret "os/url",
    os_user_domain = "Default",
    os_project_domain = "Default",
    region = "RegionOne",
    meta = { role = "ci", builder = util.Interpolate "%(prop:buildername)s", cores = 4 },
    nova_args = { nics = { { ["net-id"] = "1" } }, availability_zone = util.Property "zone", security_groups = { "ci" } },
    client_version = "2.1",
    block_devices = {
      {
        uuid = util.Property "snapshot",
        source_type = "snapshot",
        destination_type = "volume",
        device_name = "vda",
        delete_on_termination = false,
        boot_index = 0,
        volume_size = util.Property("disk", 20),
      },
      {
        uuid = "6f0c",
        source_type = util.Property "source",
        destination_type = util.Property "destination",
        device_name = util.Property "device",
        delete_on_termination = util.Property "delete",
        boot_index = -1,
        volume_size = 10,
      },
    },
  },
  worker.OpenStackLatentWorker {
    "token",
    flavor = "m1.small",
    image = "debian",
    os_auth_args = { auth_type = "v3token", auth_url = "https://keystone/v3", token = util.Secret "os/token" },
    block_devices = None,
    meta = util.Property "meta",
    nova_args = util.Property "nova",
    client_version = "2",
  },
}
