-- bench_echo_watchdog.lua: a gate, and an agent of its own for every connection.
-- Prints READY when the gate listens. Config: bench_port.

local skynet = require "skynet"
local util = require "bench_util"

local CONNECTIONS_MAX <const> = 10000

local gate
local agents = {}

local function on_open(id)
	local agent = skynet.newservice("bench_echo_agent")
	local address = skynet.address(agent)
	agents[id] = agent
	skynet.send(gate, "text", ("forward %d %s %s"):format(id, address, address))
	skynet.send(gate, "text", ("start %d"):format(id))
end

local function on_close(id)
	local agent = agents[id]
	agents[id] = nil
	if agent then
		skynet.kill(agent)
	end
end

skynet.register_protocol {
	name = "text",
	id = skynet.PTYPE_TEXT,
	pack = function(text) return text end,
	unpack = skynet.tostring,
	dispatch = function(_, _, text)
		local id, event = text:match("^(%d+) (%a+)")
		id = math.tointeger(id)
		if event == "open" then
			on_open(id)
		elseif event == "close" then
			on_close(id)
		end
	end,
}

skynet.start(function()
	local address = ("127.0.0.1:%d"):format(util.number("port"))
	gate = skynet.launch("gate", "S", skynet.address(skynet.self()), address,
		skynet.PTYPE_CLIENT, CONNECTIONS_MAX)
	if not gate then
		error("the gate cannot listen on " .. address)
	end
	util.print("READY")
end)
