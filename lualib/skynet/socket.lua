--- Sockets for Lua services: TCP, UDP, descriptors of others. docs/lua-sockets.md is the manual.
---
--- What is received is kept, and reading tasks are suspended and resumed, in C: the module
--- skynet.streams (service-src/snlua/stream.h). Functions that come from C are declared in
--- meta/skynet/socket.lua. socket/told.lua hears of new connections, datagrams, warnings and ends.
local driver = require("skynet.socketdriver")
local streams = require("skynet.streams")
local arguments = require("skynet.socket.arguments")
local told = require("skynet.socket.told")
local udp = require("skynet.socket.udp")

---@class skynet.socket
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
	-- Small things.
	header = driver.header,
	netstat = driver.info,
	resolve = driver.resolve,
	nodelay = driver.nodelay,
}

-- Connections -----------------------------------------------------------------------------------

--- Connects. Waits.
---@param address string a host, "ip:port", "[v6]:port" or "unix:/path"
---@param port? integer|table the port, or the options if the address has it
---@param options? { timeout?: integer, quiet?: boolean, tls?: boolean|table } timeout: how long to
--- wait, in cs; quiet: an error that breaks it later is not logged, socket.disconnected tells it
---@return integer? id nil when it fails
---@return string? reason
function socket.open(address, port, options)
	if type(port) == "table" then
		port, options = nil, port
	end
	local driver_options, timeout, is_quiet = arguments.split_options(options)
	arguments.checked(streams.check) -- before there is a socket that nobody would wait for
	local id, reason = arguments.checked(driver.connect, address, port, driver_options)
	if not id then
		return nil, reason or "cannot connect: the reason is in the log"
	end
	local opened, text = streams.open(id, timeout, is_quiet)
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
	arguments.checked(streams.check) -- before there is a socket that nobody would wait for
	local id = arguments.checked(driver.bind, descriptor)
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
---@param backlog? integer means nothing: as many may wait to be accepted as the system allows
---@param options? { shares_port?: boolean, tls?: table }
---@return integer id
---@return string ip
---@return integer port
function socket.listen(host, port, backlog, options)
	local driver_options = arguments.split_options(options)
	arguments.checked(streams.check) -- before there is a socket that nobody would wait for
	local id = arguments.checked(driver.listen, host, port, backlog, driver_options)
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
	arguments.check_id(id)
	arguments.check_callback(f)
	local entry = told.find(id)
	if entry and entry.onclose and streams.invalid(id) then
		error(("socket has onclose callback (%s)"):format(id), 2)
	end
	if f then
		told.callbacks_of(id).accept = f
	end
	local ok, started, reason = pcall(streams.start, id, f ~= nil)
	if not ok then
		if not entry then
			told.forget(id)
		end
		error(started, 2)
	elseif not started then
		told.forget(id)
		return nil, reason
	end
	return started
end

--- Goes on in TLS on a connection that was open without it (STARTTLS). What was written before
--- leaves first. What has come before must have been read: it was not protected. When this fails,
--- the socket is closed. Waits.
---@param id integer
---@param role "client"|"server" in the handshake
---@param tls? boolean|skynet.tls as for socket.open
---@param timeout? integer hundredths of a second
---@return integer? id nil when it fails
---@return string? reason
function socket.secure(id, role, tls, timeout)
	arguments.check_timeout(timeout)
	arguments.checked(streams.check)
	local unread = arguments.checked(streams.unread, id)
	if unread > 0 then
		socket.close(id)
		return nil, ("%d bytes have come before TLS had begun"):format(unread)
	end
	if not arguments.checked(driver.secure, id, role, tls) then
		socket.close(id)
		return nil, "TLS cannot begin: the reason is in the log"
	end
	local opened, text = streams.reopen(id, timeout)
	if not opened then
		socket.close(id)
		return nil, text
	end
	return opened
end

--- Sends what was written, then closes. A task that reads from it runs first, and gets false.
--- Waits at most for that task to run.
---@param id integer unknown: nothing happens
function socket.close(id)
	arguments.check_id(id)
	local entry = told.find(id)
	if entry and not entry.onclose then -- otherwise kept until the core has told
		told.forget(id)
	end
	streams.close(id)
end

--- Closes a socket that this service does not hold, such as one that it has not started yet.
---@param id integer
function socket.close_fd(id)
	arguments.check_id(id)
	if not streams.invalid(id) then
		error("Use socket.close instead", 2)
	end
	driver.close(id)
end

--- Forgets a socket without closing it, so that another service can start it. What has been
--- received here is lost.
---@param id integer
function socket.abandon(id)
	arguments.check_id(id)
	told.forget(id)
	streams.abandon(id)
end

--- Has `f(id)` run once when the peer or this side ends the connection.
---@param id integer
---@param f? fun(id: integer)
function socket.onclose(id, f)
	arguments.check_callback(f)
	arguments.check_held(id)
	told.callbacks_of(id).onclose = f
end

--- Has `f(id, KiB)` run when 1 MiB waits to be sent, at each doubling, and with 0 when all is out.
---@param id integer
---@param f? fun(id: integer, kib: integer) default: a line in the log
function socket.warning(id, f)
	arguments.check_callback(f)
	arguments.check_held(id)
	told.callbacks_of(id).warning = f
end

-- The rest --------------------------------------------------------------------------------------

--- Has `f(id, what)` run when a descriptor that a C library watches (skynet_socket_watch) is ready.
--- For the Lua side of such a library. There may be several in a service, which are asked in turn.
---@param f fun(id: integer, what: integer): boolean what: 1 readable + 2 writable + 4 hung up; to
--- return whether the id is one of its own
function socket.on_ready(f)
	arguments.check_type(f, "function", "f")
	told.add_watcher(f)
end

for name, f in pairs(udp) do
	socket[name] = f
end

told.begin()

return socket
