--- Services for tests, written as functions in the test itself.
---
--- The function becomes the script of a new service: its body is the main chunk, and it gets the
--- arguments as strings. Of the test's locals it sees `skynet`, and no other.
local skynet = require("skynet")
require("skynet.manager")

local child = {}

local keys = {}
local count = 0

--- Puts the function where the service `script` finds it. Returns its key.
---@param f function
---@return string
function child.key(f)
	if keys[f] then
		return keys[f]
	end
	for i = 1, 255 do
		local name = debug.getupvalue(f, i)
		if not name then
			break
		elseif name ~= "_ENV" and name ~= "skynet" then
			error(
				("the function of a child uses the local '%s' of the test"):format(
					name
				),
				3
			)
		end
	end
	count = count + 1
	local key = ("test_script_%s_%d"):format(skynet.self(), count)
	local hex = string.dump(f):gsub(".", function(byte)
		return ("%02x"):format(byte:byte())
	end)
	skynet.setenv(key, hex)
	keys[f] = key
	return key
end

--- Starts a service and waits until its start function has returned. Waits.
---@param f function
---@param ... string|number
---@return integer address
function child.start(f, ...)
	return skynet.newservice("script", child.key(f), ...)
end

--- Launches a service without waiting, and without the launcher.
---@param f function
---@param ... string|number
---@return integer address
function child.launch(f, ...)
	return skynet.launch("snlua", "script", child.key(f), ...)
end

return child
