--- Services of which a node has one of a kind; `.service` (service/service_mgr.lua) knows them.
local skynet = require("skynet")

local module = {}

local function ask(command, name, ...)
	local ok, address, reason = pcall(skynet.call, ".service", "lua", command, name, ...)
	if not (ok and address) then
		error(ok and reason or address, 4)
	end
	return address
end

local function check_name(name)
	if type(name) ~= "string" then
		error(("bad argument 'name': string expected, got %s"):format(type(name)), 4)
	elseif not name:find("^%S+$") then
		local text = "bad argument 'name': a name without blanks expected, got %q"
		error(text:format(name), 4)
	end
end

local function launch(command, name, ...)
	check_name(name)
	for i = 1, select("#", ...) do
		local word = (select(i, ...))
		if type(word) ~= "string" and type(word) ~= "number" and word ~= nil then
			local text = "bad argument '%s' of '%s': string or number expected, got %s"
			error(text:format(i, name, type(word)), 3)
		end
	end
	return (ask(command, name, ...))
end

local function query(command, name)
	check_name(name)
	return (ask(command, name))
end

--- The service of this name of which the node has only one: starts it, or gives the one that is
--- there. The first caller's arguments count; who asks while it starts waits too. Waits. Raises
--- when it could not be started, now or at any earlier time.
---
--- With `true` in front: one in the whole network of nodes.
---@param name string|true replaces the ? in the config's luaservice; "@name" is another of the kind
---@param ... string|number words for the script
---@return integer address
function module.uniqueservice(name, ...)
	if name == true then
		return (launch("GLAUNCH", ...))
	end
	return (launch("LAUNCH", name, ...))
end

--- The same, but waits until somebody else starts it.
---@param name string|true
---@param ... string the name behind `true`
---@return integer address
function module.queryservice(name, ...)
	if name == true then
		return (query("GQUERY", (...)))
	end
	return (query("QUERY", name))
end

--- Makes a service the node's exit monitor: for each service that ends it gets a message of type
--- "client", from the address that is gone. The service is one of its kind in the whole network of
--- nodes. Waits.
---@param name string
---@param is_query? boolean waits until somebody else starts it
---@return integer address
function module.monitor(name, is_query)
	local address
	if is_query then
		address = query("GQUERY", name)
	else
		address = launch("GLAUNCH", name)
	end
	require("skynet.core").command("MONITOR", skynet.address(address))
	return address
end

return module
