-- simplemonitor: an exit monitor (skynet.monitor), which hears of each service that ends on the
-- nodes that have made it theirs. Who asks ("WATCH", service) gets true, and an error from that
-- service when it ends, so that calls of it fail; or false when it has ended already.
local skynet = require("skynet")

--- So many of those that have ended are remembered.
local DEAD_MAX <const> = 1024

---@type table<integer, table<integer, true>> who watches a service
local watchers = {}
---@type table<integer, table<integer, true>> which services somebody watches
local watched = {}
local dead, dead_ring, dead_next = {}, {}, 1

local function remember(service)
	dead[dead_ring[dead_next] or 0] = nil
	dead[service] = true
	dead_ring[dead_next] = service
	dead_next = dead_next % DEAD_MAX + 1
end

--- Those who watch it, without any of them left behind.
local function take(service)
	for other in pairs(watched[service] or {}) do
		watchers[other][service] = nil -- it watches nobody any more
	end
	watched[service] = nil
	local taken = watchers[service] or {}
	watchers[service] = nil
	for watcher in pairs(taken) do
		watched[watcher][service] = nil
	end
	return taken
end

skynet.register_protocol({
	name = "client", -- this is how a monitor is told
	id = skynet.PTYPE_CLIENT,
	unpack = function() end,
	dispatch = function(_, service)
		remember(service)
		for watcher in pairs(take(service)) do
			skynet.redirect(watcher, service, "error", 0, "")
		end
	end,
})

local command = {}

function command.WATCH(watcher, service)
	if dead[service] then
		return false
	end
	watchers[service] = watchers[service] or {}
	watched[watcher] = watched[watcher] or {}
	watchers[service][watcher] = true
	watched[watcher][service] = true
	return true
end

skynet.start(function()
	skynet.dispatch("lua", function(_, source, name, ...)
		local run = command[name]
		if not run then
			error("Unknown command " .. tostring(name), 0)
		end
		skynet.retpack(run(source, ...))
	end)
end)
