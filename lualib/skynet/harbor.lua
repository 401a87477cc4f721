--- The network of nodes: global names, and which nodes are there. On a node without a network
--- (config key harbor = 0) all names are its own, and no other node is ever there.
local skynet = require("skynet")
require("skynet.manager")
local core = require("skynet.core")

local harbor = {}

local HAS_NETWORK <const> = skynet.getenv("harbor") ~= "0"
--- After so long events are asked for again.
local RETRY_CS <const> = 100

local function ask(...)
	if not HAS_NETWORK and not skynet.localname(".cslave") then
		skynet.uniqueservice("cdummy")
	end
	local ok, answer, more = pcall(skynet.call, ".cslave", "lua", ...)
	if not ok then
		error(answer, 3)
	end
	return answer, more
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

-- Names -----------------------------------------------------------------------------------------

--- Registers a global name. In a network it is known when the registry has said so; what is sent to
--- it meanwhile waits for that. If another service has the name, it keeps it; the log has a line.
---@param name string
---@param address? integer a service of any node; default: this service
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
	return core.addresscommand("GLOBALNAME", name) or (ask("QUERYNAME", name))
end

-- Nodes -----------------------------------------------------------------------------------------

--- Waits until the node is up. Raises on a node without a network, where it never will be.
---@param id integer
function harbor.connect(id)
	check_id(id)
	ask("CONNECT", id)
end

--- Waits until the node is not up any more. On a node without a network it is not.
---@param id integer
function harbor.link(id)
	check_id(id)
	ask("LINK", id)
end

--- Waits until the connection to the master, or whatever the registry is, is lost. Raises on a node
--- without a network.
function harbor.linkmaster()
	ask("LINKMASTER")
end

---@class skynet.harbor.member
---@field address string where its harbor is reached, "host:port"
---@field incarnation string of its process: another one when it has been started again
---@field up boolean whether messages can be sent to it

--- The other nodes of the network, by their ids. Waits.
---@return table<integer, skynet.harbor.member>
function harbor.members()
	return HAS_NETWORK and ask("MEMBERS") or {}
end

-- Events ----------------------------------------------------------------------------------------

--- Those who watch, in their order; one task asks for the events of all.
---@type fun(kind: string, id: integer, reason: string?)[]
local watchers = {}
local is_asking = false

local function tell_watchers(event)
	for _, f in ipairs({ table.unpack(watchers) }) do
		local ok, problem = pcall(f, event.kind, event.id, event.reason)
		if not ok then
			skynet.error("error: skynet.harbor.watch: " .. tostring(problem))
		end
	end
end

local function next_events(number)
	return skynet.call_within(false, ".cslave", "lua", "EVENTS", number)
end

--- Asks for events until nobody watches. Where .cslave refuses, because too many others wait, it is
--- asked again: it keeps the last events. Waits.
local function ask_for_events(number)
	local has_complained = false
	while #watchers > 0 do
		local ok, events, last = pcall(next_events, number)
		if ok then
			number = last
			for _, event in ipairs(events) do
				tell_watchers(event)
			end
		elseif not has_complained then
			has_complained = true
			skynet.error("error: skynet.harbor.watch: no events by now: " .. events)
		end
		if not ok then
			skynet.sleep(RETRY_CS)
		end
	end
	is_asking = false
end

--- Calls f for each node that goes up or down from now on: "up" when messages can be sent to it,
--- "down" when not any more, with the reason. It may wait; the next event is told when it has
--- returned. On a node without a network that never happens. Waits.
---@param f fun(kind: "up"|"down", id: integer, reason: string?)
---@return fun() unwatch f is not called any more
function harbor.watch(f)
	if type(f) ~= "function" then
		error(("bad argument 'f': function expected, got %s"):format(type(f)), 2)
	end
	if HAS_NETWORK and not is_asking then
		local number = ask("EVENTS")
		if not is_asking then -- nobody else has begun meanwhile
			is_asking = true
			skynet.fork(ask_for_events, number)
		end
	end
	local function watcher(...) -- f may watch more than once
		f(...)
	end
	watchers[#watchers + 1] = watcher
	return function()
		for i, other in ipairs(watchers) do
			if other == watcher then
				table.remove(watchers, i)
				return
			end
		end
	end
end

return harbor
