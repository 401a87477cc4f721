--- A service that owns a port and gets each frame of its clients as a call of a function.
---
--- A gate in C listens, cuts the stream into frames and sends each as one message, of a type of its
--- own, so that the service may also use skynet.socket. docs/gate-lua.md is the manual.
local skynet = require("skynet")
local core = require("skynet.core")
local gateport = require("snax.gateport")
require("skynet.manager")

local gateserver = {}

--- The messages of the gates: a frame has the connection's id as its session; what has happened to
--- a connection is packed, with session 0. No other program is known to use this number.
local TYPE <const> = 254

---@class snax.gateserver.handler
---@field message fun(fd: integer, message: lightuserdata, size: integer) owns the block
---@field connect fun(fd: integer, address: string)
---@field disconnect fun(fd: integer)?
---@field error fun(fd: integer, text: string)?
---@field warning fun(fd: integer, kib: integer)?
---@field request fun(fd: integer, head: string)? what a websocket begins with, if conf.request
---@field open fun(source: integer, conf: table): any ...?
---@field command fun(command: any, source: integer, ...: any): any ...?
---@field embed boolean? the program calls skynet.start itself

---@type snax.gateserver.handler
local handler

--- The gates in C that listen or have connections: more than one after the port was opened again.
---@type table<integer, boolean>
local gates = {}
--- The one that listens; true while it is being opened.
---@type integer|boolean|nil
local listening
--- The gate of each connection, until its end is told.
---@type table<integer, integer>
local gate_of = {}
--- Those of them that closeclient was said about: nothing is received from them any more.
---@type table<integer, true>
local is_closing = {}

-- What the gates tell ----------------------------------------------------------------------------

local on = {}

function on.open(gate, fd, address)
	gate_of[fd] = gate
	handler.connect(fd, address)
end

function on.close(_, fd)
	gate_of[fd], is_closing[fd] = nil, nil
	if handler.disconnect then
		handler.disconnect(fd)
	end
end

function on.error(_, fd, text)
	if handler.error then
		handler.error(fd, text)
	end
end

function on.warning(_, fd, kib)
	if handler.warning then
		handler.warning(fd, kib)
	end
end

function on.request(_, fd, head)
	if handler.request then
		handler.request(fd, head)
	end
end

local function on_event(gate, message, size)
	local _, event, fd, value = skynet.unpack(message, size)
	skynet.trash(message, size)
	on[event](gate, fd, value)
end

local function on_frame(fd, message, size)
	skynet.ignoreret() -- the session is the connection
	if gate_of[fd] and not is_closing[fd] then
		handler.message(fd, message, size)
	else
		skynet.trash(message, size)
		skynet.error(("Drop message from fd (%d) : %d bytes"):format(fd, size))
	end
end

--- A gate has ended: as a rule because it had nothing to do any more.
local function on_gate_end(gate)
	gates[gate] = nil
	if listening == gate then
		listening = nil
	end
	for fd, its_gate in pairs(gate_of) do
		if its_gate == gate then
			skynet.fork(on.close, gate, fd)
		end
	end
end

-- Commands ---------------------------------------------------------------------------------------

local commands = {}

local function open_port(conf)
	local me = skynet.address(skynet.self())
	local options = ("events=%d broker=%s"):format(TYPE, me)
	local gate, ip, port = gateport.open(conf, skynet.self(), TYPE, options)
	gates[gate] = true
	listening = gate
	skynet.link(gate, on_gate_end)
	conf.address, conf.port = ip, port
	skynet.error(("Listen on %s %d"):format(ip, port))
	return gate
end

local function accept_from_now_on(gate, ...)
	skynet.send(gate, "lua", "start")
	return ...
end

local function close_port()
	skynet.send(listening, "lua", "close")
	listening = nil
end

--- What handler.open has returned. If it has raised, the port is closed, unless that was done while
--- it waited.
local function opened(gate, ok, ...)
	if not ok then
		if listening == gate then
			close_port()
		end
		error((...), 0)
	end
	return ...
end

function commands.open(source, conf)
	if listening then
		error("it is listening already", 0)
	end
	listening = true -- nobody else, while this one waits
	local ok, gate = pcall(open_port, conf)
	if not ok then
		listening = nil
		error(gate, 0)
	end
	if not handler.open then
		return accept_from_now_on(gate)
	end
	return accept_from_now_on(gate, opened(gate, pcall(handler.open, source, conf)))
end

function commands.close()
	if math.type(listening) ~= "integer" then
		error("it does not listen", 0)
	end
	close_port()
end

local function on_command(_, source, command, ...)
	local run = commands[command]
	if run then
		skynet.retpack(run(source, ...))
	elseif handler.command then
		skynet.retpack(handler.command(command, source, ...))
	else
		error(("it has no command %s"):format(tostring(command)), 0)
	end
end

-- The library ------------------------------------------------------------------------------------

local function check_fd(fd)
	if math.type(fd) ~= "integer" or fd <= 0 then
		error("bad argument 'fd': a connection expected, got " .. tostring(fd), 3)
	end
end

--- Begins to receive from a connection. Nothing, if it has ended.
---@param fd integer
function gateserver.openclient(fd)
	check_fd(fd)
	if gate_of[fd] and not is_closing[fd] then
		skynet.send(gate_of[fd], "lua", "start " .. fd)
	end
end

--- Closes a connection, or what is left of one whose client has ended its stream. What was written
--- is sent still.
---@param fd integer
function gateserver.closeclient(fd)
	check_fd(fd)
	if is_closing[fd] then
		return
	elseif gate_of[fd] then
		is_closing[fd] = true
		skynet.send(gate_of[fd], "lua", "kick " .. fd)
	else
		-- Which gate it had is forgotten with its end. No other has this connection.
		for each in pairs(gates) do
			skynet.send(each, "lua", "kick " .. fd)
		end
	end
end

--- Reports a missing function, in the name of who called start.
local function check_function(name, is_needed)
	local f = handler[name]
	if f ~= nil and type(f) ~= "function" or f == nil and is_needed then
		local text = "bad field '%s' of handler: function expected, got %s"
		error(text:format(name, type(f)), 3)
	end
end

local function begin()
	skynet.register_protocol({
		name = "snax.gateserver",
		id = TYPE,
		unpack = core.keep,
		dispatch = function(session, source, message, size)
			if session ~= 0 then
				on_frame(session, message, size)
			else
				on_event(source, message, size)
			end
		end,
	})
	skynet.dispatch("lua", on_command)
end

--- Makes this service a gate. Called once, in the main chunk.
---@param functions snax.gateserver.handler
function gateserver.start(functions)
	if type(functions) ~= "table" then
		error("bad argument 'handler': table expected, got " .. type(functions), 2)
	elseif handler then
		error("gateserver.start was called before", 2)
	end
	handler = functions
	for _, name in ipairs({ "message", "connect" }) do
		check_function(name, true)
	end
	for _, name in ipairs({ "disconnect", "error", "warning", "request", "open", "command" }) do
		check_function(name, false)
	end
	if handler.embed then
		begin()
	else
		skynet.start(begin)
	end
end

return gateserver
