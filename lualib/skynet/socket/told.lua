--- What is told about sockets, apart from bytes: new connections, datagrams, warnings, ends. Part
--- of skynet.socket.
local skynet = require("skynet")
local driver = require("skynet.socketdriver")
local streams = require("skynet.streams")

local told = {}

--- The types of messages that come here; skynet_socket.h has all.
local TYPE_CLOSE <const> = 3
local TYPE_ACCEPT <const> = 4
local TYPE_UDP <const> = 6
local TYPE_WARNING <const> = 7
local TYPE_READY <const> = 8
local TYPE_TAKEN <const> = 9

--- What a service wants to be told about one of its sockets.
---@class skynet.socket.callbacks
---@field accept fun(id: integer, address: string)?
---@field datagram fun(data: string, from: string)?
---@field warning fun(id: integer, kib: integer)?
---@field onclose fun(id: integer)?

---@type table<integer, skynet.socket.callbacks>
local callbacks = {}

--- Who is asked about descriptors that C libraries watch.
---@type (fun(id: integer, what: integer): boolean)[]
local watchers = {}

--- What the service wants to be told about a socket; nil: nothing.
---@param id integer
---@return skynet.socket.callbacks?
function told.find(id)
	return callbacks[id]
end

--- The same, made if need be.
---@param id integer
---@return skynet.socket.callbacks
function told.callbacks_of(id)
	local entry = callbacks[id]
	if not entry then
		entry = {}
		callbacks[id] = entry
	end
	return entry
end

---@param id integer
function told.forget(id)
	callbacks[id] = nil
end

---@param f fun(id: integer, what: integer): boolean
function told.add_watcher(f)
	watchers[#watchers + 1] = f
end

local handlers = {}

handlers[TYPE_CLOSE] = function(id)
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

handlers[TYPE_ACCEPT] = function(listener, id, address)
	local entry = callbacks[listener]
	if entry and entry.accept then
		entry.accept(id, address)
	else -- the listener was closed meanwhile
		driver.close(id)
	end
end

handlers[TYPE_UDP] = function(id, size, data, from)
	local text = skynet.tostring(data, size)
	driver.drop(data, size)
	local entry = callbacks[id]
	if entry and entry.datagram then
		entry.datagram(text, from)
	end
end

handlers[TYPE_WARNING] = function(id, kib)
	local entry = callbacks[id]
	if entry and entry.warning then
		entry.warning(id, kib)
	elseif kib > 0 then
		skynet.error(("WARNING: %d K bytes need to send out (fd = %d)"):format(kib, id))
	end
end

handlers[TYPE_READY] = function(id, what)
	for _, f in ipairs(watchers) do
		if f(id, what) then
			return
		end
	end
end

handlers[TYPE_TAKEN] = function(id)
	if streams.invalid(id) then -- it was not started here again meanwhile
		callbacks[id] = nil
	end
end

local function dispatch(_, source, type, ...)
	local f = source == 0 and handlers[type]
	if f then
		f(...)
	end
end

--- Has messages about sockets come here, and bytes to the streams.
function told.begin()
	local ok, reason = pcall(skynet.register_protocol, {
		name = "socket",
		id = skynet.PTYPE_SOCKET,
		unpack = driver.unpack,
		dispatch = dispatch,
	})
	if not ok then
		local text = "skynet.socket can't be used in a service that handles the messages "
			.. "of sockets itself (%s)"
		error(text:format(reason), 0)
	end
	streams.begin()
end

return told
