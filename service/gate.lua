-- gate.lua: owns a port, and has a gate in C at it, which tells the watchdog of connections and
-- sends frames to the agents, in the name of this service. No byte of a client comes through here:
-- this is the one who is told what to do. docs/gate-lua.md has the dialogue.
local skynet = require("skynet")
local gateport = require("snax.gateport")
require("skynet.manager")

-- The gates that listen or have connections, the newest first: more than one only after the port
-- was opened again while connections were left.
local gates = {}
-- The one that listens; true while it is being opened.
local listening

local function forget_gate(gate)
	for i, each in ipairs(gates) do
		if each == gate then
			table.remove(gates, i)
			break
		end
	end
	if listening == gate then
		listening = nil
	end
end

-- Has the gate with this connection run a command, and a second one. Raises if no gate has it.
local function tell_gate_of(fd, command, next_command)
	local reason = "the gate has never been open"
	for _, gate in ipairs({ table.unpack(gates) }) do
		local ok, text = pcall(skynet.call, gate, "lua", command)
		if ok then
			if next_command then
				skynet.send(gate, "lua", next_command)
			end
			return
		end
		reason = text
	end
	error(("connection %d: %s"):format(fd, reason), 0)
end

local function check_fd(fd)
	if math.type(fd) ~= "integer" or fd <= 0 then
		error("bad argument 'fd': a connection expected, got " .. tostring(fd), 0)
	end
end

-- An address as the gate reads it; of nil and 0, the default's.
local function address_of(address, default, name)
	if address == nil or address == 0 then
		address = default
	end
	if math.type(address) ~= "integer" then
		local text = "bad argument '%s': an address expected, got %s"
		error(text:format(name, type(address)), 0)
	end
	return skynet.address(address)
end

local command = {}

function command.open(source, conf)
	if listening then
		error("the gate is open already", 0)
	end
	listening = true -- nobody else, while this one waits
	local watchdog = type(conf) == "table" and conf.watchdog or source
	local tag, options = skynet.PTYPE_CLIENT, "source=" .. skynet.address(skynet.self())
	local ok, gate, ip, port = pcall(gateport.open, conf, watchdog, tag, options)
	listening = ok and gate or nil
	if not ok then
		error(gate, 0)
	end
	table.insert(gates, 1, gate)
	skynet.link(gate, forget_gate)
	skynet.error(("Listen on %s %d"):format(ip, port))
	skynet.send(gate, "lua", "start")
	return ip, port
end

function command.close()
	if math.type(listening) ~= "integer" then
		error("the gate is not open", 0)
	end
	skynet.send(listening, "lua", "close")
	listening = nil
end

function command.forward(source, fd, client, agent)
	check_fd(fd)
	agent = address_of(agent, source, "agent")
	client = address_of(client, skynet.self(), "client")
	tell_gate_of(fd, ("forward %d %s %s"):format(fd, agent, client), "start " .. fd)
end

function command.accept(_, fd)
	check_fd(fd)
	tell_gate_of(fd, "accept " .. fd)
end

function command.kick(_, fd)
	check_fd(fd)
	for _, gate in ipairs(gates) do
		skynet.send(gate, "lua", "kick " .. fd)
	end
end

skynet.start(function()
	skynet.call_timeout(false) -- a gate in C always answers, and whoever asks has a deadline
	skynet.dispatch("lua", function(_, source, name, ...)
		local run = command[name]
		if not run then
			error(("the gate has no command %s"):format(tostring(name)), 0)
		end
		skynet.retpack(run(source, ...))
	end)
end)
