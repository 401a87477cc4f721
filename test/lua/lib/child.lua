--- Services for tests, written as functions in the test itself.
---
--- The function becomes the script of a new service: its body is the main chunk, and it gets the
--- arguments as strings. Of the test's locals it sees `skynet` and `test`, and no other.
local skynet = require("skynet")
local service = require("skynet.test.service")
require("skynet.manager")

local child = {}

--- Puts the function where the service `script` finds it. Returns its key.
---@param f function
---@return string
function child.key(f)
	return service.key(f)
end

--- Starts a service and waits until its start function has returned. Waits.
---@param f function
---@param ... string|number
---@return integer address
function child.start(f, ...)
	return skynet.newservice("script", service.key(f), ...)
end

--- Launches a service without waiting, and without the launcher.
---@param f function
---@param ... string|number
---@return integer address
function child.launch(f, ...)
	return skynet.launch("snlua", "script", service.key(f), ...)
end

return child
