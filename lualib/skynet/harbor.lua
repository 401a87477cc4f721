--- The network of nodes: global names, and which nodes are there. On a node without a network
--- (config key harbor = 0) all names are its own, and no other node is ever there.
local skynet = require("skynet")
require("skynet.manager")
local core = require("skynet.core")

local harbor = {}

local function ask(...)
	if skynet.getenv("harbor") ~= "0" then
		error("the network of nodes is not there yet: it needs harbor = 0", 3)
	end
	if not skynet.localname(".cslave") then
		skynet.uniqueservice("cdummy")
	end
	local ok, answer = pcall(skynet.call, ".cslave", "lua", ...)
	if not ok then
		error(answer, 3)
	end
	return answer
end

local function check_name(name)
	if type(name) ~= "string" then
		error(("bad argument 'name': string expected, got %s"):format(type(name)), 3)
	end
end

local function check_id(id)
	if math.type(id) ~= "integer" or id < 1 or id > 255 then
		local text = "bad argument 'id': a node, 1 to 255, expected, got %s"
		error(text:format(tostring(id)), 3)
	end
end

--- Registers a global name.
---@param name string
---@param address? integer this service, unless given
function harbor.globalname(name, address)
	check_name(name)
	if name:sub(1, 1) == "." then
		error(("bad argument 'name': %s is a local name"):format(name), 2)
	end
	skynet.name(name, address or skynet.self())
end

--- The address behind a global name; waits until it is registered. Of a local name (".name"): the
--- address, or nil.
---@param name string
---@return integer? address
function harbor.queryname(name)
	check_name(name)
	if name:sub(1, 1) == "." then
		return skynet.localname(name)
	end
	return core.addresscommand("GLOBALNAME", name) or ask("QUERYNAME", name)
end

--- Waits until the node is connected. Raises on a node without a network, where it never will be.
---@param id integer
function harbor.connect(id)
	check_id(id)
	ask("CONNECT", id)
end

--- Waits until the node is not connected any more. On a node without a network it is not.
---@param id integer
function harbor.link(id)
	check_id(id)
	ask("LINK", id)
end

--- Waits until the connection to the master is lost. Raises on a node without a network.
function harbor.linkmaster()
	ask("LINKMASTER")
end

return harbor
