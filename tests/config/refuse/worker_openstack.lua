local plugins = require "buildbot.plugins"
local worker, util = plugins.worker, plugins.util

local function nova(title, options, without)
  local all = {
    "OpenStackLatentWorker-" .. title,
    flavor = 1, image = "debian",
    os_username = "me", os_password = "hush", os_auth_url = "https://keystone/v3",
  }
  for key, value in pairs(options) do all[key] = value end
  for _, key in ipairs(without or {}) do all[key] = nil end
  return all
end
local Nova = worker.OpenStackLatentWorker
local own = { "os_username", "os_password", "os_auth_url" }

c.workers = {
  -- Kinds.
  Nova(nova("flavor", { flavor = 1.5 })),
  Nova(nova("os_username", { os_username = 5 })),
  Nova(nova("os_password", { os_password = 5 })),
  Nova(nova("os_tenant_name", { os_tenant_name = 5 })),
  Nova(nova("os_auth_url", { os_auth_url = 5 })),
  Nova(nova("os_user_domain", { os_user_domain = 5 })),
  Nova(nova("os_project_domain", { os_project_domain = 5 })),
  Nova(nova("os_auth_args", { os_auth_args = "token" }, own)),
  Nova(nova("os_auth_args-2", { os_auth_args = { auth_url = 5 } }, own)),
  Nova(nova("block_devices", { block_devices = { uuid = "1" } })),
  Nova(nova("region", { region = 5 })),
  Nova(nova("image", { image = 5 })),
  Nova(nova("meta", { meta = { "ci" } })),
  Nova(nova("nova_args", { nova_args = "nics" })),
  Nova(nova("client_version", { client_version = 2 })),
  Nova(nova("rendered", { region = util.Property "region", os_username = util.Property "user" })),
  Nova(nova("empty", { region = "", image = "" })),
  -- What goes together.
  Nova(nova("no_flavor", {}, { "flavor" })),
  Nova(nova("no_image", {}, { "image" })),
  Nova(nova("no_devices", { block_devices = {} }, { "image" })),
  Nova(nova("nobody", {}, own)),
  Nova(nova("no_password", {}, { "os_password" })),
  Nova(nova("url", { os_auth_url = "keystone.hush" })),
  Nova(nova("two_ways", { os_auth_args = { auth_url = "https://keystone" } })),
  Nova(nova("no_url", { os_auth_args = { token = "hush" } }, own)),
  Nova(nova("bad_url", { os_auth_args = { auth_url = "keystone.hush" } }, own)),
  Nova(nova("meta_table", { meta = { role = { "ci" } } })),
  Nova(nova("args_taken", { nova_args = { image = "other", meta = {}, key_name = "ci" } })),
  Nova(nova("version", { client_version = "3.1" })),
  -- A table with options of its own.
  Nova(nova("device_kinds", { block_devices = { {
    uuid = 5, source_type = 5, destination_type = 5, device_name = 5, delete_on_termination = "yes", boot_index = "first", volume_size = 0,
  } } })),
  Nova(nova("device_nothing", { block_devices = { {} } })),
  Nova(nova("device_unknown", { block_devices = { { uuid = "1", size = 5 } } })),
  Nova(nova("device_words", { block_devices = { { uuid = "1", source_type = "snapshoot", destination_type = "lokal" } } })),
  Nova(nova("device_twice", { block_devices = { { uuid = "1" }, { uuid = "2" } } })),
}
