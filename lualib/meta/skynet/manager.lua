---@meta skynet.manager
-- `require "skynet.manager"` is the table of `skynet`; meta/skynet.lua declares its functions.

return require("skynet")
