-- bootstrap: the first Lua service of a node. Starts the launcher and the services that every node
-- has, then the service that config key `start` names, and ends.

local skynet = require("skynet")
require("skynet.manager")

local function start_launcher()
	local launcher = skynet.launch("snlua", "launcher")
	if not launcher then
		error("can't launch the service 'launcher' (config key luaservice)", 0)
	end
	skynet.name(".launcher", launcher)
end

--- Raises why it fails, without a place in this file: that is what people read who start the node.
local function start_service(name)
	local ok, answer = pcall(skynet.newservice, name)
	return ok and answer or error(answer or name .. " has ended by itself", 0)
end

--- This node is a whole network by itself.
local function start_alone()
	skynet.setenv("standalone", "true")
	skynet.name("DATACENTER", start_service("datacenterd"))
end

--- Makes this node part of a network of nodes. Waits until it is.
local function start_network()
	local office = require("skynet.network.office")
	local has_master = not skynet.getenv("master"):find("://", 1, true)
	if has_master and skynet.getenv("standalone") then
		start_service("cmaster")
	end
	start_service("cslave")
	if office.has_candidates() then
		start_service("datacenterd")
	end
end

--- Raises when one of the services fails that every node needs.
local function start_framework()
	start_launcher()
	if tonumber(skynet.getenv("harbor")) == 0 then
		start_alone()
	else
		start_network()
	end
	start_service("service_mgr")
end

local function count_services()
	local count = 0
	for _ in pairs(skynet.call(".launcher", "lua", "LIST")) do
		count = count + 1
	end
	return count
end

skynet.start(function()
	skynet.call_timeout(false) -- a deadline for the node's services is none for its boot
	local is_ready, problem = pcall(start_framework)
	if not is_ready then
		skynet.error("error: the node can't start: " .. problem)
		skynet.abort(1)
		return
	end

	local start = skynet.getenv("start") or "main"
	local service_count = count_services()
	local ok, reason = pcall(skynet.newservice, start)
	if not ok then
		local text = "error: the start service '%s' failed (config key start): %s"
		skynet.error(text:format(start, reason))
		-- What it had started before it failed may be all that somebody needs.
		if count_services() == service_count then
			skynet.abort(1)
			return
		end
	end
	skynet.exit()
end)
