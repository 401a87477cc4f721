--- A tree of values that all services of the network share; it lives in the service "DATACENTER".
--- Keys are strings, numbers or booleans; values are whatever a message can carry, and tables
--- become branches.
local skynet = require("skynet")
local deliver = require("skynet.deliver")

local datacenter = {}

local function check_key(key)
	if key == nil then
		error("bad argument 'key': string, number or boolean expected, got nil", 3)
	end
end

--- Sets the value at the keys, and makes the branches that are missing. The last argument is the
--- value; nil deletes. Waits.
---@param key any
---@param ... any further keys, and the value
---@return any former
function datacenter.set(key, ...)
	check_key(key)
	if select("#", ...) == 0 then
		error("bad argument 'value': the last argument is the value to set", 2)
	end
	return deliver(pcall(skynet.call, "DATACENTER", "lua", "UPDATE", key, ...))
end

--- The value at the keys; a copy, as a table, of a branch. Waits for the service, not for a value.
---@param key any
---@param ... any further keys
---@return any value nil: there is none
function datacenter.get(key, ...)
	check_key(key)
	return deliver(pcall(skynet.call, "DATACENTER", "lua", "QUERY", key, ...))
end

--- The value at the keys, as soon as there is one. Raises when something is set below them
--- meanwhile. Waits.
---@param key any
---@param ... any further keys
---@return any value
function datacenter.wait(key, ...)
	check_key(key)
	return deliver(pcall(skynet.call, "DATACENTER", "lua", "WAIT", key, ...))
end

return datacenter
