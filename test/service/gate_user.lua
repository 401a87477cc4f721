-- gate_user.lua: a watchdog for tests of the gate: it is the agent of all connections, and sends
-- every frame back. Config keys: gate_style (a framing), gate_framing (its options), gate_port,
-- gate_max, gate_options (more of them, of the gate); gate_fifo: the first connection gets the
-- agent `stuck`, with that FIFO. Frames that mean more than their bytes:
--   !stat     is answered with the gate's counters
--   !bye N    is answered with N frames, then the connection is closed from here
--   !die      the connection's client service is ended before its watchdog knows
local skynet = require("skynet")
require("skynet.manager")

local gate
local style = skynet.getenv("gate_style") or "S"
local framing = skynet.getenv("gate_framing") or ""
local clients = {} -- id -> address of the client service
local stuck

local function as_it_is(text)
	return text
end

skynet.register_protocol({
	name = "text",
	id = skynet.PTYPE_TEXT,
	pack = as_it_is,
	unpack = skynet.tostring,
})
skynet.register_protocol({
	name = "client",
	id = skynet.PTYPE_CLIENT,
	pack = as_it_is,
	unpack = skynet.tostring,
})

local function close(id)
	local client = clients[id]
	if not client then
		return
	end
	clients[id] = nil
	skynet.call(gate, "text", "kick " .. id)
	skynet.kill(client)
	skynet.error("closed " .. id)
end

local function on_text(_, source, text)
	local id, event = text:match("^(%d+) (%a+)")
	if source ~= gate then
		return
	elseif event == "close" then
		close(id)
		return
	end
	local agent = skynet.self()
	if skynet.getenv("gate_fifo") and not stuck then
		stuck = skynet.launch("stuck", skynet.getenv("gate_fifo"))
		agent = stuck
	end
	local client = skynet.launch("client", id, style, framing)
	clients[id] = client
	local addresses = skynet.address(agent) .. " " .. skynet.address(client)
	skynet.send(gate, "text", "forward " .. id .. " " .. addresses)
	skynet.send(gate, "text", "start " .. id)
end

local function on_client(session, client, frame)
	skynet.ignoreret()
	local count = frame:match("^!bye (%d+)$")
	if frame == "!stat" then
		frame = skynet.call(gate, "text", "stat")
	elseif frame == "!die" then
		skynet.kill(client)
		return
	elseif count then
		for number = 1, count do
			skynet.send(client, "client", "frame " .. number)
		end
		close(tostring(session))
		return
	end
	skynet.send(client, "client", frame)
end

skynet.start(function()
	skynet.dispatch("text", on_text)
	skynet.dispatch("client", on_client)
	gate = skynet.launch(
		"gate",
		style,
		skynet.address(skynet.self()),
		skynet.getenv("gate_port"),
		0,
		skynet.getenv("gate_max") or 10000,
		framing,
		skynet.getenv("gate_options") or ""
	)
	skynet.error(gate and "ready" or "no gate")
end)
