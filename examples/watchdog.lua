-- watchdog.lua BINDING MAX: owns the gate, and gives every connection what it needs: a client
-- service that writes to it, and an agent that answers its frames.
--
-- The gate tells of connections in text, and is told in text (docs/gate.md):
--
--     gate -> watchdog     7 open 7 127.0.0.1:40122:0
--     watchdog -> gate     forward 7 :0000000c :0000000b       frames go to the agent, as if from
--                                                              the client service
--     watchdog -> gate     start 7                             read it
--     gate -> watchdog     7 close                             the client sends nothing more
--     watchdog -> gate     kick 7                              nothing more goes out either
--
-- Starting an agent takes time, and clients come and go while it does. So a connection is known
-- here from its "open" until both services have ended, and whatever came first is waited for.
local skynet = require("skynet")
require("skynet.manager")

local binding, max_clients = ...

local gate
-- id of the connection -> { client = address, agent = address or nil, is_ready, is_closed }
local connections = {}

skynet.register_protocol({
	name = "text",
	id = skynet.PTYPE_TEXT,
	pack = function(text)
		return text
	end,
	unpack = skynet.tostring,
})

-- Ends a connection that is ready: the agent answers what it has begun, then the gate sends what
-- the client service was told, then nothing is left to do.
local function finish(id, connection)
	if connection.agent then
		-- If it fails, the agent is gone already.
		pcall(skynet.call, connection.agent, "lua", "finish")
	end
	-- A request, so that the client service has written everything when the answer is here.
	pcall(skynet.call, gate, "text", "kick " .. id)
	if connection.client then
		skynet.kill(connection.client)
	end
	connections[id] = nil
	skynet.error("Client " .. id .. " left")
end

-- Starts what a connection needs. Returns whether it could.
local function start_services(id, connection)
	connection.client = skynet.launch("client", id)
	if not connection.client then
		return false
	end
	local ok, agent = pcall(
		skynet.newservice,
		"agent",
		skynet.address(connection.client),
		skynet.address(gate),
		id
	)
	if not ok or not agent then
		skynet.error("Cannot start an agent for client " .. id .. ": " .. tostring(agent))
		return false
	end
	connection.agent = agent
	return true
end

local on = {}

function on.open(id, rest)
	local connection = { is_ready = false, is_closed = false }
	connections[id] = connection
	skynet.error("Client " .. id .. " connected from " .. rest:match("^%d+ (.-):0$"))
	local is_served = start_services(id, connection)
	connection.is_ready = true
	if connection.is_closed or not is_served then
		finish(id, connection)
		return
	end
	local agent, client = skynet.address(connection.agent), skynet.address(connection.client)
	skynet.send(gate, "text", "forward " .. id .. " " .. agent .. " " .. client)
	skynet.send(gate, "text", "start " .. id)
end

function on.close(id)
	local connection = connections[id]
	-- Not known any more: this is the gate's word about what finish did.
	if not connection or connection.is_closed then
		return
	end
	connection.is_closed = true
	if connection.is_ready then
		finish(id, connection)
	end
end

skynet.start(function()
	local me = skynet.address(skynet.self())
	-- S: frames with a 2-byte length; they come to the agents as PTYPE_CLIENT.
	gate = skynet.launch("gate", "S", me, binding, skynet.PTYPE_CLIENT, max_clients)
	if not gate then
		error("no gate on " .. tostring(binding) .. " (config key gate_port): see above", 0)
	end
	skynet.dispatch("text", function(_, source, text)
		local id, event, rest = text:match("^(%d+) (%a+) ?(.*)$")
		if source == gate and on[event] then
			on[event](id, rest)
		end
	end)
end)
