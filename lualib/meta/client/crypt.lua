---@meta client.crypt
-- skynet.crypt under the name that programs use which are no services.

return require("skynet.crypt")
