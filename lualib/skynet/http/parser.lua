--- Answers of HTTP/1.1 servers, read from bytes however they are cut. Does no I/O; connection.lua
--- does.
---
--- What has come is fed; then `head` is there as soon as all of it has come, take_body gives what
--- has come of the body, and is_complete says that the answer is over:
---
---     line --"HTTP/1.1 200 OK"--> fields --""--> length | chunk size <-> chunk | until the end
---                                   ^ 1xx: another head follows      trailers --""--> complete
---
--- Every part has a bound: the lines of an answer, all of its head (1xx answers and trailers
--- counted), and of its body what nobody has taken yet. What is not HTTP is refused, for good.
local parser = {}

--- Bytes of one line.
local LINE_MAX <const> = 8192
--- Bytes of head, of informational answers and of trailers, together.
local HEAD_MAX <const> = 65536
local BODY_MAX <const> = 16 * 1024 * 1024
--- Hex digits of a chunk's size: far more than BODY_MAX.
local SIZE_DIGITS_MAX <const> = 12

--- Answers that never have a body (1xx are not even told).
local BARE <const> = { [204] = true, [304] = true }

---@class skynet.http.head
---@field status integer
---@field reason string
---@field headers table<string, string> by names in lower case; those of one name joined by ", "
---@field version string "1.0" or "1.1"

---@class skynet.http.parser
---@field head skynet.http.head? when all of it has come
---@field is_complete boolean the answer is over
---@field private state fun(self: skynet.http.parser, bytes: string, at: integer): any, string?
---@field private rest string the begin of a line
---@field private next_head skynet.http.head?
---@field private head_bytes integer so far
---@field private body string[] what has come of it and was not taken
---@field private body_bytes integer in there
---@field private left integer bytes of the body, or the chunk, that are to come
---@field private body_limit integer
---@field private is_bare boolean
---@field private failure string?
local methods = {}
local class = { __index = methods, __name = "skynet.http.parser" }

-- Each state takes bytes from `at` on. It returns where it has stopped; nil, when it wants more;
-- or false and what is wrong.
local read_status, read_field, read_trailer, read_size, read_chunk_end

-- The body ---------------------------------------------------------------------------------------

local function add_body(self, bytes, from, to)
	local size = to - from + 1
	if self.body_bytes + size > self.body_limit then
		return false, ("the body is larger than %d bytes"):format(self.body_limit)
	end
	if size > 0 then
		table.insert(self.body, bytes:sub(from, to))
		self.body_bytes = self.body_bytes + size
	end
	return to + 1
end

local function complete(self, at)
	self.is_complete = true
	self.state = nil
	return at
end

local function read_to_end(self, bytes, at)
	local stop, problem = add_body(self, bytes, at, #bytes)
	if not stop then
		return false, problem
	end
end

--- Takes what has come of `left` bytes; calls go_on when all have.
local function read_counted(self, bytes, at, go_on)
	local to = math.min(#bytes, at + self.left - 1)
	local stop, problem = add_body(self, bytes, at, to)
	if not stop then
		return false, problem
	end
	self.left = self.left - (stop - at)
	if self.left == 0 then
		return go_on(self, stop)
	end
end

local function read_body(self, bytes, at)
	return read_counted(self, bytes, at, complete)
end

local function end_chunk(self, at)
	self.state = read_chunk_end
	return at
end

local function read_chunk(self, bytes, at)
	return read_counted(self, bytes, at, end_chunk)
end

-- Lines ------------------------------------------------------------------------------------------

--- The line at `at` without its end, and where the next begins. Without one: nil, the rest kept;
--- or false and what is wrong.
local function take_line(self, bytes, at)
	local stop = bytes:find("\n", at, true)
	if (stop or #bytes) - at >= LINE_MAX then
		return false, ("a line is longer than %d bytes"):format(LINE_MAX)
	end
	if not stop then
		self.rest = bytes:sub(at)
		return nil
	end
	local to = bytes:byte(stop - 1) == 13 and stop > at and stop - 2 or stop - 1
	return bytes:sub(at, to), stop + 1
end

--- The same for lines that count as head.
local function take_head_line(self, bytes, at)
	local line, next_at = take_line(self, bytes, at)
	if line then
		self.head_bytes = self.head_bytes + next_at - at
		if self.head_bytes > HEAD_MAX then
			return false, ("the head is larger than %d bytes"):format(HEAD_MAX)
		end
	end
	return line, next_at
end

local function quote(text)
	return ("%q"):format(text:sub(1, 40)):gsub("\\\n", "\\n")
end

function read_chunk_end(self, bytes, at)
	local line, next_at = take_line(self, bytes, at)
	if not line then
		return line, next_at
	elseif line ~= "" then
		return false, "a chunk is longer than it says"
	end
	self.state = read_size
	return next_at
end

function read_size(self, bytes, at)
	local line, next_at = take_line(self, bytes, at)
	if not line then
		return line, next_at
	end
	local digits, behind = line:match("^(%x+)[ \t]*(.?)")
	if not digits or #digits > SIZE_DIGITS_MAX or (behind ~= "" and behind ~= ";") then
		return false, ("%s is no size of a chunk"):format(quote(line))
	end
	self.left = tonumber(digits, 16)
	self.state = self.left == 0 and read_trailer or read_chunk
	return next_at
end

function read_trailer(self, bytes, at)
	local line, next_at = take_head_line(self, bytes, at)
	if not line then
		return line, next_at
	end
	return line == "" and complete(self, next_at) or next_at
end

-- The head ---------------------------------------------------------------------------------------

--- Sets the state for what comes behind the head. Returns false and what is wrong.
local function choose_body(self, head)
	local coding = head.headers["transfer-encoding"]
	local length = head.headers["content-length"]
	if self.is_bare or BARE[head.status] then
		self.left = 0
		self.state = nil
	elseif coding and length then
		return false, "the body has both a length and a transfer coding"
	elseif coding then
		if coding:lower() ~= "chunked" then
			return false, ("the transfer coding %s is unknown"):format(quote(coding))
		end
		self.state = read_size
	elseif length then
		if not length:match("^%d+$") or #length > SIZE_DIGITS_MAX then
			return false, ("%s is no length of a body"):format(quote(length))
		end
		self.left = tonumber(length)
		self.state = self.left > 0 and read_body or nil
	else
		self.state = read_to_end
	end
	return true
end

local function end_head(self, at)
	local head = self.next_head
	self.next_head = nil
	if head.status < 200 then
		self.state = read_status
		return at
	end
	local ok, problem = choose_body(self, head)
	if not ok then
		return false, problem
	end
	self.head = head
	return self.state and at or complete(self, at)
end

function read_field(self, bytes, at)
	local line, next_at = take_head_line(self, bytes, at)
	if not line then
		return line, next_at
	elseif line == "" then
		return end_head(self, next_at)
	end
	local name, value = line:match("^([%w!#$%%&'*+%-.^_`|~]+):[ \t]*(.-)[ \t]*$")
	if not name then
		return false, ("%s is no header field"):format(quote(line))
	end
	name = name:lower()
	local headers = self.next_head.headers
	local former = headers[name]
	if former and name == "content-length" then
		if former ~= value then
			return false, "the body has two lengths"
		end
	else
		headers[name] = former and former .. ", " .. value or value
	end
	return next_at
end

function read_status(self, bytes, at)
	local line, next_at = take_head_line(self, bytes, at)
	if not line then
		return line, next_at
	end
	local version, status, reason = line:match("^HTTP/(1%.[01]) ([1-9]%d%d) ?(.*)$")
	if not version then
		return false, ("%s is no answer of HTTP/1.1"):format(quote(line))
	end
	self.next_head = {
		version = version,
		status = tonumber(status),
		reason = reason,
		headers = {},
	}
	self.state = read_field
	return next_at
end

-- Methods ----------------------------------------------------------------------------------------

--- Takes what has come. False when that is no HTTP, or more than the limits allow.
---@param bytes string
---@return boolean ok
---@return string? problem
function methods:feed(bytes)
	local at, problem
	if self.rest ~= "" then
		bytes, self.rest = self.rest .. bytes, ""
	end
	at = 1
	while at and at <= #bytes and self.state do
		at, problem = self.state(self, bytes, at)
	end
	if self.is_complete and at and at <= #bytes then
		problem = "something follows the answer"
	end
	self.failure = self.failure or problem
	return not self.failure, self.failure
end

--- Nothing more will come. False when that is too early.
---@return boolean ok
---@return string? problem
function methods:finish()
	if self.state == read_to_end and not self.failure then
		complete(self, 1)
	end
	if not self.is_complete and not self.failure then
		local part = self.head and "within the body of"
			or self.state == read_status and self.rest == "" and "before"
			or "within the head of"
		self.failure = ("the stream has ended %s an answer"):format(part)
	end
	return not self.failure, self.failure
end

--- What has come of the body since the last time.
---@return string
function methods:take_body()
	local body = table.concat(self.body)
	self.body, self.body_bytes = {}, 0
	return body
end

--- How many bytes take_body would give.
---@return integer
function methods:body_size()
	return self.body_bytes
end

--- Whether the connection can carry another request behind this answer, which is complete.
---@return boolean
function methods:keeps_alive()
	local head = self.head
	if not head or not self.is_complete or self.failure then
		return false
	end
	local wish = (head.headers.connection or ""):lower()
	local has_end = self.is_bare
		or BARE[head.status]
		or head.headers["content-length"] ~= nil
		or head.headers["transfer-encoding"] ~= nil
	return has_end and head.version == "1.1" and not wish:find("close", 1, true)
end

--- Makes a parser for one answer.
---@param options? { is_bare?: boolean, body_limit?: integer } is_bare: no body follows the head (to
--- a request HEAD); body_limit: how many bytes of it may wait to be taken
---@return skynet.http.parser
function parser.new(options)
	options = options or {}
	return setmetatable({
		is_complete = false,
		is_bare = options.is_bare or false,
		body_limit = options.body_limit or BODY_MAX,
		state = read_status,
		rest = "",
		head_bytes = 0,
		body = {},
		body_bytes = 0,
		left = 0,
	}, class)
end

return parser
