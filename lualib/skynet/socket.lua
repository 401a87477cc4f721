--- Sockets for Lua services: TCP, UDP, descriptors of others. docs/lua-sockets.md is the manual.
---
--- What is received is kept, and reading tasks are suspended and resumed, in C: the module
--- skynet.streams (service-src/snlua/stream.h). Here is what has a callback: new connections,
--- datagrams, warnings, ends. Functions that come from C are declared in meta/skynet/socket.lua.
local skynet = require("skynet")
local driver = require("skynet.socketdriver")
local streams = require("skynet.streams")

local socket = {
	-- Reading, and the state of a socket.
	read = streams.read,
	readline = streams.readline,
	readall = streams.readall,
	block = streams.block,
	timeout = streams.timeout,
	limit = streams.limit,
	pause = streams.pause,
	invalid = streams.invalid,
	disconnected = streams.disconnected,
	shutdown = streams.shutdown,
	-- Writing.
	write = driver.send,
	lwrite = driver.lsend,
	broadcast = driver.broadcast,
	sendto = driver.udp_send,
	-- Small things.
	header = driver.header,
	netstat = driver.info,
	resolve = driver.resolve,
	udp_address = driver.udp_address,
	nodelay = driver.nodelay,
}

--- The types of messages that come here; skynet_socket.h has all.
local TYPE_CLOSE <const> = 3
local TYPE_ACCEPT <const> = 4
local TYPE_UDP <const> = 6
local TYPE_WARNING <const> = 7

--- What a service wants to be told about one of its sockets.
---@class skynet.socket.callbacks
---@field accept fun(id: integer, address: string)?
---@field datagram fun(data: string, from: string)?
---@field warning fun(id: integer, kib: integer)?
---@field onclose fun(id: integer)?

---@type table<integer, skynet.socket.callbacks>
local callbacks = {}

local function callbacks_of(id)
	local entry = callbacks[id]
	if not entry then
		entry = {}
		callbacks[id] = entry
	end
	return entry
end

-- Arguments -------------------------------------------------------------------------------------

--- Raises in the name of whoever has called the library's function.
local function check_type(value, expected, name)
	if type(value) ~= expected then
		local text = "bad argument '%s' (%s expected, got %s)"
		error(text:format(name, expected, type(value)), 3)
	end
end

--- As `f(...)`, but what that raises is raised in the name of the caller's caller.
local function checked(f, ...)
	local ok, result, reason = pcall(f, ...)
	if not ok then
		error(result, 3)
	end
	return result, reason
end

--- The options that the driver understands: all but `timeout`, which is for the library.
---@return table? options, integer? timeout
local function split_options(options)
	if options == nil then
		return nil, nil
	elseif type(options) ~= "table" then
		error(("bad argument 'options' (table expected, got %s)"):format(type(options)), 3)
	end
	local timeout = options.timeout
	if timeout ~= nil and (math.type(timeout) ~= "integer" or timeout < 0) then
		error("bad argument 'options': timeout must be a number of hundredths of a second", 3)
	end
	local rest
	for name, value in pairs(options) do
		if name ~= "timeout" then
			rest = rest or {}
			rest[name] = value
		end
	end
	return rest, timeout
end

--- Raises unless the calling task may wait: a socket that nobody waits for would be lost.
local function check_task()
	checked(streams.check)
end

-- Connections -----------------------------------------------------------------------------------

--- Connects. Waits.
---@param address string a host, "ip:port", "[v6]:port" or "unix:/path"
---@param port? integer|table the port, or the options if the address has it
---@param options? { timeout?: integer, tls?: boolean|table } timeout: how long to wait, in cs
---@return integer? id nil when it fails
---@return string? reason
function socket.open(address, port, options)
	if type(port) == "table" then
		port, options = nil, port
	end
	local driver_options, timeout = split_options(options)
	check_task()
	local id, reason = checked(driver.connect, address, port, driver_options)
	if not id then
		return nil, reason or "cannot connect: the reason is in the log"
	end
	local opened, text = streams.open(id, timeout)
	if not opened then
		return nil, text
	end
	return opened
end

--- Reads and writes a descriptor that something else has opened. It is not closed with the socket.
--- Waits.
---@param descriptor integer
---@return integer? id nil when it fails
---@return string? reason
function socket.bind(descriptor)
	check_task()
	local id = checked(driver.bind, descriptor)
	if not id then
		return nil, "cannot bind the descriptor: the reason is in the log"
	end
	local opened, text = streams.open(id)
	if not opened then
		return nil, text
	end
	return opened
end

--- Reads the standard input of the process. Waits.
---@return integer? id
---@return string? reason
function socket.stdin()
	return socket.bind(0)
end

--- Listens, and accepts nobody before socket.start. Raises when it cannot. Waits.
---@param host string a local address, "ip:port", "[v6]:port" or "unix:/path"
---@param port? integer 0: any free one
---@param backlog? integer connections that nobody has accepted yet; default: what the system allows
---@param options? { shares_port?: boolean, tls?: table }
---@return integer id
---@return string ip
---@return integer port
function socket.listen(host, port, backlog, options)
	local driver_options = split_options(options)
	check_task()
	local id = checked(driver.listen, host, port, backlog, driver_options)
	local opened, ip, bound_port = streams.listen(id)
	if not opened then
		error("Listen error: " .. ip, 2)
	end
	return opened, ip, bound_port
end

--- Begins to read from a socket that was accepted here or abandoned elsewhere; or to accept, with
--- `f(id, address)` for each new connection, in a task of its own. Waits.
---@param id integer
---@param f? fun(id: integer, address: string)
---@return integer? id nil when it fails
---@return string? reason
function socket.start(id, f)
	if f ~= nil then
		check_type(f, "function", "f")
	end
	local entry = callbacks[id]
	if entry and entry.onclose and streams.invalid(id) then
		error(("socket has onclose callback (%s)"):format(id), 2)
	end
	if f then
		callbacks_of(id).accept = f
	end
	local ok, started, reason = pcall(streams.start, id, f ~= nil)
	if not ok then
		error(started, 2)
	elseif not started then
		callbacks[id] = nil
		return nil, reason
	end
	return started
end

--- Sends what was written, then closes. A task that reads from it runs first, and gets false.
--- Waits at most for that task to run.
---@param id integer unknown: nothing happens
function socket.close(id)
	local entry = callbacks[id]
	if entry and not entry.onclose then -- otherwise kept until the core has told
		callbacks[id] = nil
	end
	streams.close(id)
end

--- Closes a socket that this service does not hold, such as one that it has not started yet.
---@param id integer
function socket.close_fd(id)
	if not streams.invalid(id) then
		error("Use socket.close instead", 2)
	end
	driver.close(id)
end

--- Forgets a socket without closing it, so that another service can start it. What has been
--- received here is lost.
---@param id integer
function socket.abandon(id)
	callbacks[id] = nil
	streams.abandon(id)
end

--- Has `f(id)` run once when the peer or this side ends the connection.
---@param id integer
---@param f? fun(id: integer)
function socket.onclose(id, f)
	if f ~= nil then
		check_type(f, "function", "f")
	end
	if streams.invalid(id) then
		error(("this service does not hold socket %s"):format(id), 2)
	end
	callbacks_of(id).onclose = f
end

--- Has `f(id, KiB)` run when 1 MiB waits to be sent, at each doubling, and with 0 when all is out.
---@param id integer
---@param f? fun(id: integer, kib: integer) default: a line in the log
function socket.warning(id, f)
	if f ~= nil then
		check_type(f, "function", "f")
	end
	if streams.invalid(id) then
		error(("this service does not hold socket %s"):format(id), 2)
	end
	callbacks_of(id).warning = f
end

-- UDP -------------------------------------------------------------------------------------------

local function hold_datagrams(id, f, failure)
	if not id then
		error(failure, 3)
	end
	streams.hold(id)
	callbacks_of(id).datagram = f
	return id
end

--- Opens a UDP socket.
---@param f fun(data: string, from: string) for each datagram, in a task of its own
---@param host? string a local address to bind it to
---@param port? integer
---@return integer id
function socket.udp(f, host, port)
	check_type(f, "function", "f")
	return hold_datagrams(checked(driver.udp, host, port), f, "udp init failed")
end

--- Opens a UDP socket that is bound to an address.
---@param host string
---@param port integer not 0
---@param f fun(data: string, from: string)
---@return integer id
function socket.udp_listen(host, port, f)
	check_type(f, "function", "f")
	return hold_datagrams(checked(driver.udp_listen, host, port), f, "udp listen host failed")
end

--- Opens a UDP socket with a default peer.
---@param host string
---@param port integer
---@param f fun(data: string, from: string)
---@return integer id
function socket.udp_dial(host, port, f)
	check_type(f, "function", "f")
	return hold_datagrams(checked(driver.udp_dial, host, port), f, "udp dial host failed")
end

--- Sets the default peer of a UDP socket.
---@param id integer
---@param host string
---@param port integer
---@param f? fun(data: string, from: string) replaces the socket's function
function socket.udp_connect(id, host, port, f)
	if f ~= nil then
		check_type(f, "function", "f")
	end
	if streams.invalid(id) then
		error(("this service does not hold socket %s"):format(id), 2)
	end
	checked(driver.udp_connect, id, host, port)
	if f then
		callbacks_of(id).datagram = f
	end
end

-- What is told ----------------------------------------------------------------------------------

local told = {}

told[TYPE_CLOSE] = function(id)
	local entry = callbacks[id]
	if not entry then
		return
	end
	local f = entry.onclose
	entry.onclose = nil
	if streams.invalid(id) then
		callbacks[id] = nil
	end
	if f then
		f(id)
	end
end

told[TYPE_ACCEPT] = function(listener, id, address)
	local entry = callbacks[listener]
	if entry and entry.accept then
		entry.accept(id, address)
	else -- the listener was closed meanwhile
		driver.close(id)
	end
end

told[TYPE_UDP] = function(id, size, data, from)
	local text = skynet.tostring(data, size)
	driver.drop(data, size)
	local entry = callbacks[id]
	if entry and entry.datagram then
		entry.datagram(text, from)
	end
end

told[TYPE_WARNING] = function(id, kib)
	local entry = callbacks[id]
	if entry and entry.warning then
		entry.warning(id, kib)
	elseif kib > 0 then
		skynet.error(("WARNING: %d K bytes need to send out (fd = %d)"):format(kib, id))
	end
end

local function dispatch(_, source, type, ...)
	local f = source == 0 and told[type]
	if f then
		f(...)
	end
end

local ok, reason = pcall(skynet.register_protocol, {
	name = "socket",
	id = skynet.PTYPE_SOCKET,
	unpack = driver.unpack,
	dispatch = dispatch,
})
if not ok then
	error("skynet.socket can't be used in a service that handles the messages of sockets itself ("
		.. reason .. ")")
end
streams.begin()

return socket
