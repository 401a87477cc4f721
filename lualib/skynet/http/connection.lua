--- One connection to an HTTP/1.1 server, which carries one request after another. What the answers
--- are made of is read by parser.lua.
---
--- A request is `exchange`: it is sent, and its whole answer awaited. Or it is `send`, then
--- `read_head`, then `read_piece` again and again, for answers that go on for ever. Whatever goes
--- wrong closes the connection. A deadline is a time of skynet.now(); without one they wait as long
--- as it takes. One task uses a connection at a time; another one may close it.
local skynet = require("skynet")
local socket = require("skynet.socket")
local parser = require("skynet.http.parser")

local connection = {}

---@class skynet.http.connection
---@field host string as header Host has it
---@field is_open boolean
---@field is_used boolean it has carried an answer: the server may have closed it since
---@field private id integer the socket
---@field private answer skynet.http.parser?
---@field private failure string? why it is closed
local methods = {}
local class = { __index = methods, __name = "skynet.http.connection" }

local function join_address(host, port)
	local form = host:find(":", 1, true) and "[%s]:%d" or "%s:%d"
	return form:format(host, port)
end

--- Connects. Waits.
---@param host string a name or an address
---@param port integer
---@param options? { tls?: boolean|table, deadline_cs?: integer }
---@return skynet.http.connection? connection
---@return string? reason
function connection.open(host, port, options)
	options = options or {}
	local timeout_cs
	if options.deadline_cs then
		timeout_cs = options.deadline_cs - skynet.now()
		if timeout_cs <= 0 then
			return nil, "timeout"
		end
	end
	local id, reason = socket.open(host, port, {
		tls = options.tls or nil,
		timeout = timeout_cs,
		quiet = true, -- whoever reads is told
	})
	if not id then
		return nil, reason
	end
	socket.nodelay(id)
	return setmetatable({
		host = join_address(host, port),
		id = id,
		is_open = true,
		is_used = false,
	}, class)
end

--- Whether it can carry a request, as far as is known: no end has closed it.
---@return boolean
function methods:is_usable()
	return self.is_open and socket.disconnected(self.id) == false
end

--- Ends the connection. A task that reads from it gets the reason.
---@param reason? string
function methods:close(reason)
	if self.is_open then
		self.is_open = false
		self.failure = reason or "the connection was closed"
		socket.close(self.id)
	end
end

class.__close = function(self)
	self:close()
end

local function fail(self, reason)
	self:close(reason)
	return nil, self.failure
end

local function is_text(value)
	return not value:find("[\r\n\0]")
end

local function format_request(self, method, path, headers, body)
	if not (is_text(method) and is_text(path)) then
		error("bad argument 'path': it has a line end in it", 3)
	end
	local lines = { ("%s %s HTTP/1.1"):format(method, path), "Host: " .. self.host }
	for name, value in pairs(headers or {}) do
		if not (is_text(name) and is_text(value)) then
			error(("bad argument 'headers': %q has a line end in it"):format(name), 3)
		end
		lines[#lines + 1] = name .. ": " .. value
	end
	if body then
		lines[#lines + 1] = "Content-Length: " .. #body
	end
	return table.concat(lines, "\r\n") .. "\r\n\r\n" .. (body or "")
end

--- Sends a request. Does not wait.
---@param method string
---@param path string with the query
---@param headers? table<string, string>
---@param body? string
---@param body_limit? integer bytes of the answer's body that may wait to be taken
---@return boolean? ok
---@return string? reason
function methods:send(method, path, headers, body, body_limit)
	local request = format_request(self, method, path, headers, body)
	if not self.is_open then
		return nil, self.failure
	end
	self.answer = parser.new({ is_bare = method == "HEAD", body_limit = body_limit })
	if not socket.write(self.id, request) then
		return fail(self, "the connection is lost")
	end
	return true
end

--- Feeds the parser with what comes next. Waits.
local function read_more(self, deadline_cs)
	if not self.is_open then
		return nil, self.failure
	end
	local timeout_cs = deadline_cs and deadline_cs - skynet.now()
	if timeout_cs and timeout_cs <= 0 then
		return fail(self, "timeout")
	end
	socket.timeout(self.id, timeout_cs or false)
	local bytes, reason = socket.read(self.id)
	if not self.is_open then
		return nil, self.failure
	end
	local _, failure = socket.disconnected(self.id)
	local ok, problem
	if bytes then
		ok, problem = self.answer:feed(bytes)
	elseif reason == "timeout" or failure then
		return fail(self, failure or "timeout") -- a body up to the end would be cut short
	else
		ok, problem = self.answer:finish()
	end
	if not ok then
		return fail(self, problem)
	end
	return true
end

--- The head of the answer. Waits.
---@param deadline_cs? integer
---@return skynet.http.head? head
---@return string? reason
function methods:read_head(deadline_cs)
	while not self.answer.head do
		local ok, reason = read_more(self, deadline_cs)
		if not ok then
			return nil, reason
		end
	end
	return self.answer.head
end

--- The answer is over.
local function settle(self)
	self.is_used = true
	if not self.answer:keeps_alive() then
		self:close("the server ends the connection")
	end
end

--- What comes next of the body; "" when it is over. Behind read_head. Waits.
---@param deadline_cs? integer
---@return string? piece
---@return string? reason
function methods:read_piece(deadline_cs)
	while self.answer:body_size() == 0 do
		if self.answer.is_complete then
			settle(self)
			return ""
		end
		local ok, reason = read_more(self, deadline_cs)
		if not ok then
			return nil, reason
		end
	end
	return self.answer:take_body()
end

--- The rest of the body. Behind read_head. Waits.
---@param deadline_cs? integer
---@return string? body
---@return string? reason
function methods:read_body(deadline_cs)
	while not self.answer.is_complete do
		local ok, reason = read_more(self, deadline_cs)
		if not ok then
			return nil, reason
		end
	end
	settle(self)
	return self.answer:take_body()
end

--- Sends a request and reads its whole answer. Waits.
---@param method string
---@param path string
---@param headers? table<string, string>
---@param body? string
---@param deadline_cs? integer
---@param body_limit? integer
---@return skynet.http.head? head
---@return string body or the reason
function methods:exchange(method, path, headers, body, deadline_cs, body_limit)
	local ok, reason = self:send(method, path, headers, body, body_limit)
	local head, text
	if ok then
		head, reason = self:read_head(deadline_cs)
	end
	if head then
		text, reason = self:read_body(deadline_cs)
	end
	if not text then
		return nil, reason
	end
	return head, text
end

return connection
