---@meta

---@type lunabot.plugins
local plugins

return plugins
