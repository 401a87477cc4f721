--- Requests over a connection that is made when it is needed: `require "skynet.socketchannel"`;
--- docs/socketchannel.md.
---
--- A channel has at most one connection, and at most one opening, which makes the next one:
---
---     closed --first use--> opening --connected--> open
---        ^                    | failed               | lost, or changehost
---        +--------------------+----------------------+
---
--- Requests wait on the connection they were sent on (connection.lua); tasks without a connection
--- wait on the opening (opening.lua).
local skynet = require("skynet")
local driver = require("skynet.socketdriver")
local failure = require("skynet.socketchannel.failure")
local opening = require("skynet.socketchannel.opening")
local running_task = require("skynet.require").running_task

local PORT_MAX <const> = 65535
local LIMIT_MAX_CS <const> = math.maxinteger // 10

---@alias skynet.socketchannel.address string|{ host: string, port: integer? }

---@class skynet.socketchannel.options
---@field host string a name or an address; also "host:port" and "unix:/path", without port
---@field port? integer
---@field response? fun(sock): any, boolean, any, boolean? reads an answer: the session mode
---@field auth? fun(channel: skynet.socketchannel) runs after each connect
---@field backup? skynet.socketchannel.address[] tried behind host
---@field timeout? integer how long a request waits, in cs; nil: as long as the connection lives
---@field options? table for socket.open: timeout (cs; also the limit of auth), tls
---@field nodelay? boolean
---@field overload? fun(is_overloaded: boolean) more than 1 MiB waits to be sent, or no longer
---@field socket_read? fun(sock, n: integer?): string
---@field socket_readline? fun(sock, separator: string?): string

---@class skynet.socketchannel
---@field package settings skynet.socketchannel.options what it was made with
---@field package host string
---@field package port integer?
---@field package backup skynet.socketchannel.address[]
---@field package connection skynet.socketchannel.connection? the last one
---@field package opening skynet.socketchannel.opening? when there is none
---@field package is_closed boolean?
local channel_methods = {}
local channel_class = { __index = channel_methods, __name = "skynet.socketchannel" }

--- Nobody holds the channel any more. What else belongs to the connection's end follows when the
--- socket tells of it: a finalizer must not touch tasks.
function channel_class.__gc(channel)
	local connection = channel.connection
	if connection and connection.is_open then
		driver.close(connection:socket())
	end
end

-- Arguments ------------------------------------------------------------------------------------

--- Raises at the caller of the function that has called.
local function check(ok, name, expected, value)
	if not ok then
		local text = "bad argument '%s': %s expected, got %s"
		error(text:format(name, expected, tostring(value)), 3)
	end
end

local function is_limit(value)
	return value == nil
		or (math.type(value) == "integer" and value > 0 and value <= LIMIT_MAX_CS)
end

local function is_port(value)
	return value == nil
		or (math.type(value) == "integer" and value > 0 and value <= PORT_MAX)
end

local function is_address(value)
	if type(value) == "table" then
		return type(value.host) == "string" and is_port(value.port)
	end
	return type(value) == "string"
end

local function are_addresses(value)
	if type(value) ~= "table" then
		return value == nil
	end
	for _, address in ipairs(value) do
		if not is_address(address) then
			return false
		end
	end
	return true
end

local OPTION_TYPES <const> = {
	response = "function",
	auth = "function",
	overload = "function",
	socket_read = "function",
	socket_readline = "function",
	options = "table",
}

local function are_texts(list)
	for i = 1, #list do
		if type(list[i]) ~= "string" then
			return false
		end
	end
	return true
end

--- What socket.write takes without a size. It would raise, too, but when a part of a request has
--- been sent already it is too late for that.
local function are_bytes(value)
	local kind = type(value)
	return kind == "string"
		or kind == "table" and are_texts(value)
		or kind == "userdata" and getmetatable(value) ~= nil -- so it is no bare pointer
end

local function are_pieces(list)
	if type(list) ~= "table" then
		return list == nil
	end
	for i = 1, #list do
		if not are_bytes(list[i]) then
			return false
		end
	end
	return true
end

local PORT_TEXT <const> = "a port in 1..65535"
local LIMIT_TEXT <const> = "hundredths of a second, an integer above 0,"
local BACKUP_TEXT <const> = "a list of hosts, or of tables { host =, port = },"

-- Connections ----------------------------------------------------------------------------------

--- The connection that the running task may use at once, if any: while auth runs, its task alone.
local function open_connection(channel)
	local connection = channel.connection
	if connection and connection.is_open then
		return connection
	end
	local present = channel.opening
	if present and present.auth_task and present.auth_task == running_task() then
		if not present.connection.is_open then
			error(failure.new("the connection was closed during auth"), 0)
		end
		return present.connection
	end
end

--- What is left of the time.
local function time_left(limit_cs, begin_cs)
	if not limit_cs then
		return nil
	end
	local left_cs = limit_cs - (skynet.now() - begin_cs)
	if left_cs <= 0 then
		error(failure.timeout(limit_cs, "no connection"), 0)
	end
	return left_cs
end

--- A connection, and what is left of the time. Raises when there is none. Waits.
local function connect(channel, is_once, limit_cs)
	local begin_cs = skynet.now()
	local connection = open_connection(channel)
	while not connection do
		if channel.is_closed then
			error(failure.new("the channel is closed"), 0)
		end
		channel.opening = channel.opening or opening.new(channel)
		channel.opening:wait(is_once, limit_cs, time_left(limit_cs, begin_cs))
		connection = open_connection(channel)
		-- It was lost at once; or it was dropped, by close or changehost.
		if not connection and is_once and channel.connection then
			error(channel.connection.failure, 0)
		end
	end
	return connection, time_left(limit_cs, begin_cs)
end

--- Raises at the caller of the method.
local function check_answer(channel, answer)
	local expected
	if channel.settings.response then
		expected = answer == nil and "a session"
	elseif type(answer) ~= "function" then
		expected = "a function that reads the answer"
	end
	if expected then
		local text = "bad argument 'answer': %s expected, got %s"
		error(text:format(expected, tostring(answer)), 3)
	end
end

-- Methods --------------------------------------------------------------------------------------

--- Connects, unless it is connected. Waits.
---@param once? boolean true: raises when no address can be reached; otherwise tries for ever
---@return boolean connected true
function channel_methods:connect(once)
	self.is_closed = nil
	connect(self, once and true or false)
	return true
end

--- Sends a request and waits for its answer. Connects first if there is no connection, once. Waits.
---
--- Raises what the answer says, when that is an error; the error `socketchannel.error` when the
--- connection can't be made or is lost, or the time is over.
---@param request skynet.bytes|string[]
---@param answer any order mode: a function that reads the answer, fun(sock): ok, data, has_more;
--- session mode: the session of the answer; nil: only sends
---@param padding? string[] further pieces, behind what others send
---@param timeout? integer how long it may take, in cs; by default what the channel says
---@return any data what the answer has; a list, when it came in several parts
function channel_methods:request(request, answer, padding, timeout)
	check(are_bytes(request), "request", "bytes", request)
	check(are_pieces(padding), "padding", "a list of texts", padding)
	check(is_limit(timeout), "timeout", LIMIT_TEXT, timeout)
	if answer ~= nil then
		check_answer(self, answer)
	end
	local limit_cs = timeout or self.settings.timeout
	local connection, left_cs = connect(self, true, limit_cs)
	local refusal = answer ~= nil and connection:refuses(answer)
	if refusal then
		error(refusal, 2)
	end
	connection:send(request, padding)
	if answer ~= nil then
		return connection:wait(answer, left_cs)
	end
end

--- Waits for an answer to nothing that was sent, such as news that a server sends by itself.
--- Connects for ever, if there is no connection. Waits.
---@param answer any as for request
---@param timeout? integer how long it may take, in cs; by default as long as the connection lives
---@return any data
function channel_methods:response(answer, timeout)
	check_answer(self, answer)
	check(is_limit(timeout), "timeout", LIMIT_TEXT, timeout)
	local connection, left_cs = connect(self, false, timeout)
	local refusal = connection:refuses(answer)
	if refusal then
		error(refusal, 2)
	end
	return connection:wait(answer, left_cs)
end

local function drop(channel, reason)
	if channel.connection then
		channel.connection:close(failure.new(reason))
		channel.connection = nil
	end
end

--- Closes the connection: whoever waits raises. Requests raise from now on, until connect.
function channel_methods:close()
	self.is_closed = true
	drop(self, "the channel was closed")
	if self.opening then
		self.opening:close(failure.new("the channel was closed"))
	end
end

--- Changes the host, and closes the connection: whoever waits raises. What comes next goes there.
---@param host string
---@param port? integer by default the same as before
function channel_methods:changehost(host, port)
	check(type(host) == "string", "host", "a string", host)
	check(is_port(port), "port", PORT_TEXT, port)
	self.host = host
	self.port = port or self.port
	drop(self, "the host was changed")
	if self.opening then
		self.opening:move()
	end
end

--- Changes the addresses that are tried behind the host, from the next connect on.
---@param backup? skynet.socketchannel.address[]
function channel_methods:changebackup(backup)
	check(are_addresses(backup), "backup", BACKUP_TEXT, backup)
	self.backup = backup or {}
end

local socketchannel = {
	--- What all errors of connections are equal to.
	error = failure.new(),
}

--- Makes a channel. It connects when it is first used.
---@param options skynet.socketchannel.options
---@return skynet.socketchannel
function socketchannel.channel(options)
	check(type(options) == "table", "options", "a table", options)
	check(type(options.host) == "string", "host", "a string", options.host)
	check(is_port(options.port), "port", PORT_TEXT, options.port)
	check(are_addresses(options.backup), "backup", BACKUP_TEXT, options.backup)
	check(is_limit(options.timeout), "timeout", LIMIT_TEXT, options.timeout)
	for name, expected in pairs(OPTION_TYPES) do
		local value = options[name]
		check(value == nil or type(value) == expected, name, "a " .. expected, value)
	end
	local nested = options.options or {}
	check(is_limit(nested.timeout), "options.timeout", LIMIT_TEXT, nested.timeout)
	-- A table of its own: methods and options have names in common, and connections get this
	-- one, but not the channel.
	local settings = {
		timeout = options.timeout,
		nodelay = options.nodelay,
	}
	for name in pairs(OPTION_TYPES) do
		settings[name] = options[name]
	end
	return setmetatable({
		settings = settings,
		host = options.host,
		port = options.port,
		backup = options.backup or {},
	}, channel_class)
end

return socketchannel
