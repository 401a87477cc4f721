--- One connection of a channel: the requests that wait on it, and the task that reads the answers.
---
--- A request belongs to the connection it was sent on, for good. When the connection ends, for
--- whatever reason, all its requests fail with that reason and it is never open again; the channel
--- makes a new one.
---
--- `requests` has what is not answered yet. Its keys are sessions, or, in order mode, the positions
--- first .. last - 1. A request whose task is gone (its time is over, or it was killed) is given
--- up: in session mode it is forgotten, in order mode it stays, and its answer is read and dropped.
---
--- It is never told about its channel, so that a channel nobody holds is collected.
local skynet = require("skynet")
local socket = require("skynet.socket")
local driver = require("skynet.socketdriver")
local failure = require("skynet.socketchannel.failure")

--- So many requests wait on one connection, those that are given up included.
local REQUESTS_MAX <const> = 65536

---@class skynet.socketchannel.request
---@field connection skynet.socketchannel.connection
---@field key any its key in `requests`
---@field read (fun(sock): boolean, any, boolean?)|false order mode: reads its answer
---@field limit_cs integer? how long its task waits
---@field parts any[]? of its answer, when that has more than one
---@field is_done boolean
---@field is_given_up boolean
---@field ok boolean how it ended
---@field data any its answer, or what it raises
local request_class = { __name = "skynet.socketchannel.request" }

---@class skynet.socketchannel.connection
---@field is_open boolean
---@field private id integer the socket
---@field private sock table what response functions read from
---@field failure any why it is not open any more
---@field private response? fun(sock): any, boolean, any, boolean? session mode
---@field private requests table<any, skynet.socketchannel.request>
---@field private first integer
---@field private last integer
---@field private count integer how many are in requests
---@field private waiting integer how many of these a task waits for
---@field private heard_cs integer when something came last, or had not to come
---@field private overload? fun(is_overloaded: boolean)
---@field private is_overloaded boolean
local connection_methods = {}
local connection_class = {
	__index = connection_methods,
	__name = "skynet.socketchannel.connection",
}

-- What response functions read from ------------------------------------------------------------

local function read(sock, f, argument)
	local connection = sock.connection
	local data = connection.is_open and f(sock[1], argument)
	if not data then
		error(connection.failure or failure.new("the connection was closed"), 0)
	end
	connection.heard_cs = skynet.now()
	return data
end

--- Reads n bytes, or what there is. Raises when the connection ends. Waits.
---@param sock table
---@param n? integer
---@return string
local function sock_read(sock, n)
	return read(sock, socket.read, n)
end

--- Reads a line. Raises when the connection ends. Waits.
---@param sock table
---@param separator? string
---@return string
local function sock_readline(sock, separator)
	return read(sock, socket.readline, separator)
end

-- The end of requests --------------------------------------------------------------------------

local function take_out(request)
	local connection = request.connection
	connection.requests[request.key] = nil
	connection.count = connection.count - 1
	if not request.is_given_up then
		connection.waiting = connection.waiting - 1
	end
end

--- Does nothing for a request that has failed with its connection while its answer was read.
local function finish(request, ok, data)
	if request.is_done then
		return
	end
	take_out(request)
	request.is_done = true
	request.ok = ok
	request.data = data
	skynet.wakeup(request)
end

--- A part of its answer has come. Returns whether that was the last one.
local function add_part(request, ok, data, has_more)
	request.connection.heard_cs = skynet.now()
	if ok and (has_more or request.parts) then
		request.parts = request.parts or {}
		table.insert(request.parts, data)
		data = request.parts
	end
	if ok and has_more then
		return false
	end
	finish(request, ok, data)
	return true
end

--- How long the connection may be silent for this request's sake.
local function patience_cs(request)
	if request.limit_cs then
		return request.limit_cs
	end
	return request.is_given_up and 0 or math.huge
end

--- Is a connection of no use, now that the request was given up? In order mode it is when nobody
--- waits any more: the next request would have to wait for the answer that is owed. In both modes
--- it is when it has been silent for as long as even the most patient request allows.
local function is_hopeless(connection, request)
	if not connection.response and connection.waiting == 0 then
		return true
	end
	local silent_cs = skynet.now() - connection.heard_cs
	if not request.limit_cs or request.limit_cs > silent_cs then
		return false
	end
	for _, other in pairs(connection.requests) do
		if patience_cs(other) > silent_cs then
			return false
		end
	end
	return true
end

local function give_up(request)
	local connection = request.connection
	request.is_given_up = true
	connection.waiting = connection.waiting - 1
	if connection.response then
		connection.requests[request.key] = nil
		connection.count = connection.count - 1
	end
	if is_hopeless(connection, request) then
		connection:close(failure.new("the server has left requests without an answer"))
	end
end

--- Whatever ends the wait for an answer.
function request_class.__close(request)
	if not request.is_done and not request.is_given_up then
		give_up(request)
	end
end

-- Reading answers ------------------------------------------------------------------------------

local function read_in_order(connection)
	while connection.is_open do
		local request = connection.requests[connection.first]
		if not request then
			skynet.wait(connection)
		elseif add_part(request, request.read(connection.sock)) then
			connection.first = connection.first + 1
		end
	end
end

local function read_sessions(connection)
	while connection.is_open do
		local session, ok, data, has_more = connection.response(connection.sock)
		local request = session ~= nil and connection.requests[session]
		if request then
			add_part(request, ok, data, has_more)
		elseif connection.is_open then
			skynet.error("socket: unknown session :", session)
		end
	end
end

--- The connection's task ends: with it, or because somebody has killed it.
function connection_class.__close(connection)
	connection:close(failure.new("the task that read the answers was killed"))
end

local function run(connection)
	local _connection <close> = connection
	local ok, reason = pcall(connection.response and read_sessions or read_in_order, connection)
	if not ok then
		connection:close(reason)
	end
end

-- Requests -------------------------------------------------------------------------------------

local function add_request(self, answer, limit_cs)
	local in_order = not self.response
	local request = setmetatable({
		connection = self,
		key = in_order and self.last or answer,
		read = in_order and answer,
		limit_cs = limit_cs,
		-- Room for what comes later: a table that grows costs more than the rest.
		is_done = false,
		is_given_up = false,
		ok = false,
		data = false,
	}, request_class)
	if self.count == 0 then
		self.heard_cs = skynet.now()
	end
	self.requests[request.key] = request
	self.count = self.count + 1
	self.waiting = self.waiting + 1
	if in_order then
		self.last = self.last + 1
		skynet.wakeup(self)
	end
	return request
end

-- For the channel ------------------------------------------------------------------------------

--- Ends the connection; what waits on it raises the reason.
---@param reason any
function connection_methods:close(reason)
	if not self.is_open then
		return
	end
	self.is_open = false
	self.failure = reason
	for _, request in pairs(self.requests) do
		finish(request, false, reason)
	end
	if self.is_overloaded then
		self.is_overloaded = false
		skynet.fork(self.overload, false)
	end
	skynet.wakeup(self) -- its task, when that waits for a request
	skynet.fork(socket.close, self.id)
end

--- Sends a request, and further pieces. Raises when it can't.
---@param bytes skynet.bytes|string[]
---@param padding? (skynet.bytes)[]
function connection_methods:send(bytes, padding)
	-- Pieces go behind what others send; but what has an order must keep it.
	local write_piece = self.response and socket.lwrite or socket.write
	local is_sent = socket.write(self.id, bytes)
	for _, piece in ipairs(padding or {}) do
		is_sent = is_sent and write_piece(self.id, piece)
	end
	if not is_sent then
		local reason = failure.new("the connection takes no more output")
		if padding then -- a part may have gone out
			self:close(reason)
		end
		error(reason, 0)
	end
end

--- Waits for an answer, which belongs to what was sent last. Raises what the answer wants raised,
--- or the reason why there is none. Waits.
---@param answer any its session, or, in order mode, the function that reads it
---@param limit_cs? integer how long
---@return any
function connection_methods:wait(answer, limit_cs)
	local request <close> = add_request(self, answer, limit_cs)
	if limit_cs then
		skynet.sleep(limit_cs, request)
	else
		skynet.wait(request)
	end
	if not request.is_done then
		error(failure.timeout(limit_cs, "no answer"), 0)
	elseif not request.ok then
		error(request.data, 0)
	end
	return request.data
end

--- Why nobody may wait for this answer now; nil: nothing is wrong.
---@param answer any
---@return string?
function connection_methods:refuses(answer)
	if self.count >= REQUESTS_MAX then
		return ("%d requests wait for an answer already"):format(self.count)
	elseif self.response and self.requests[answer] then
		return ("session %s waits for an answer already"):format(tostring(answer))
	end
end

--- The socket's number, for who has to close it without this table.
---@return integer
function connection_methods:socket()
	return self.id
end

local function watch_output(self)
	socket.warning(self.id, function(_, waiting_kb)
		local is_overloaded = self.is_open and waiting_kb > 0
		if is_overloaded ~= self.is_overloaded then
			self.is_overloaded = is_overloaded
			self.overload(is_overloaded)
		end
	end)
end

local connection = {}

--- Makes a connection of an open socket, which it owns from now on.
---@param id integer
---@param options skynet.socketchannel.options
---@return skynet.socketchannel.connection
function connection.new(id, options)
	local self = setmetatable({
		is_open = true,
		id = id,
		response = options.response,
		requests = {},
		first = 1,
		last = 1,
		count = 0,
		waiting = 0,
		heard_cs = skynet.now(),
		overload = options.overload,
		is_overloaded = false,
	}, connection_class)
	self.sock = {
		id,
		connection = self,
		read = options.socket_read or sock_read,
		readline = options.socket_readline or sock_readline,
	}
	-- While answers are read, the end is found behind the last of them.
	socket.onclose(id, function()
		if self.count == 0 then
			self:close(failure.new("the connection was closed"))
		end
	end)
	if options.overload then
		watch_output(self)
	end
	if options.nodelay then
		driver.nodelay(id)
	end
	skynet.fork(run, self)
	return self
end

return connection
