--- An etcd cluster, version 3.4 or later, through its JSON gateway: calls and watches.
---
--- One member of the cluster is the present one: all goes there, until something shows that it is
--- no use, such as a refused connection, an answer that is no etcd's or comes too late, or a member
--- that has lost the others. Then all that goes on with it is ended, and the next one is tried, and
--- so on in a circle, with pauses. So whoever notices, a call or a watch, has all of them move.
---
--- A call may be sent twice, when the answer to the first one was lost: callers must be able to
--- tell that from a stranger's doing.
local skynet = require("skynet")
local connection = require("skynet.http.connection")
local answers = require("skynet.registry.etcd_answers")

local CODE <const> = answers.CODE
local FINAL <const> = answers.FINAL

local ATTEMPT_CS <const> = 200
--- A long request or answer has more time, as it takes a slow line or a busy machine long: so many
--- bytes of a request for each centisecond more, and an answer as long as more of it comes.
local BYTES_PER_CS <const> = 1024
local ANSWER_CS <const> = 6000
--- To check a password takes etcd much computing, on purpose; a busy one may need so long.
local PASSWORD_MAX_CS <const> = 3000
--- Between two rounds over all members.
local PAUSE_CS <const> = 10
local PAUSE_MAX_CS <const> = 100
local IDLE_MAX <const> = 4
--- Of these no call takes the last one: it is for the last call, which may be made at any moment.
local RESERVE <const> = 1
--- Twice as long as the buffer of etcd's connections.
local PADDING <const> = ("-"):rep(8192)
--- The log has a member's troubles once in so long.
local WARN_CS <const> = 1000
--- Bytes of one answer, and of one message of a watch.
local ANSWER_MAX <const> = 64 * 1024 * 1024

---@class skynet.registry.etcd_client
---@field private hosts skynet.registry.etcd_host[]
---@field private url skynet.registry.etcd_url
---@field private tls table|boolean
---@field private current integer index of the present member
---@field private idle skynet.http.connection[] connections to it without a request
---@field private busy table<skynet.http.connection, "call"|"watch"> those with one
---@field private token string? of the user
---@field private showing table? the password is being shown; those that wait for that
---@field private password_cs integer how long etcd has for it
---@field private warned_cs table<integer, integer> when the log last had why a member was left
---@field private is_closed boolean
local methods = {}
local class = { __index = methods, __name = "skynet.registry.etcd_client" }

local etcd_client = {}

-- Members ----------------------------------------------------------------------------------------

--- Ends all connections. Tasks that read from them run meanwhile, and may open others.
local function end_connections(self, reason)
	local busy, idle = self.busy, self.idle
	self.busy, self.idle = {}, {}
	for other in pairs(busy) do
		other:close(reason)
	end
	for _, other in ipairs(idle) do
		other:close(reason)
	end
end

--- The member is no use now: all goes on with the next one.
local function leave_host(self, index, reason)
	if index ~= self.current or self.is_closed then
		return -- it was left before
	end
	self.current = index % #self.hosts + 1
	end_connections(self, reason)
	local warned_cs = self.warned_cs[index]
	if not warned_cs or skynet.now() - warned_cs >= WARN_CS then
		self.warned_cs[index] = skynet.now()
		skynet.error(("warning: etcd: %s: %s"):format(self.hosts[index].name, reason))
	end
end

--- An idle connection, if there are more than `reserve`: the one that was used longest ago, so that
--- none of them is silent for long.
local function take_idle(self, reserve)
	local usable = {}
	for _, other in ipairs(self.idle) do
		if other:is_usable() then
			table.insert(usable, other)
		else
			other:close()
		end
	end
	self.idle = usable
	return #usable > reserve and table.remove(usable, 1) or nil
end

local function give_back(self, other, index)
	self.busy[other] = nil
	if not other.is_open then
		return
	elseif index ~= self.current or #self.idle >= IDLE_MAX or self.is_closed then
		other:close()
	else
		table.insert(self.idle, other)
	end
end

--- A connection to the present member. Waits.
local function connect(self, deadline_cs)
	local host = self.hosts[self.current]
	local other, reason = connection.open(host.host, host.port, {
		tls = self.tls,
		deadline_cs = deadline_cs,
	})
	if other and self.is_closed then
		other:close()
		return nil, "closed"
	elseif not other then
		return nil, reason
	end
	return other
end

-- Calls ------------------------------------------------------------------------------------------

local function headers_of(self)
	return {
		["Content-Type"] = "application/json",
		["Authorization"] = self.token ~= "" and self.token or nil,
		-- A watch ends when its member has lost the others, instead of being silent.
		["Grpc-Metadata-Hasleader"] = "true",
	}
end

--- Reads the body of an answer. Waits until `end_cs`, as long as more of it comes.
local function read_body(self, other, end_cs)
	local pieces, size = {}, 0
	repeat
		local deadline_cs = math.min(skynet.now() + self.attempt_cs, end_cs)
		local piece, reason = other:read_piece(deadline_cs)
		if not piece then
			return nil, reason
		end
		pieces[#pieces + 1] = piece
		size = size + #piece
		if size > ANSWER_MAX then
			other:close()
			return nil, "an answer is too large"
		end
	until piece == ""
	return table.concat(pieces)
end

--- Sends a request and reads its answer. Waits.
local function ask(self, other, path, body, deadline_cs, end_cs)
	local ok, reason = other:send("POST", path, headers_of(self), body, ANSWER_MAX)
	local head, text
	if ok then
		head, reason = other:read_head(deadline_cs)
	end
	if head then
		text, reason = read_body(self, other, math.min(skynet.now() + ANSWER_CS, end_cs))
	end
	if not text then
		return nil, reason
	end
	return head, text
end

--- One exchange with the present member. An idle connection may have been closed by it meanwhile:
--- then there is a second try with a new one. Waits.
---@param deadline_cs integer for the begin of the answer
---@param end_cs integer for all of it
local function exchange(self, path, body, deadline_cs, end_cs, is_sound)
	local index = self.current
	local other, reason = take_idle(self, RESERVE), nil
	if not other then
		other, reason = connect(self, deadline_cs)
	end
	local head, text
	if other then
		local was_used = other.is_used
		self.busy[other] = "call"
		head, text = ask(self, other, path, body, deadline_cs, end_cs)
		give_back(self, other, index)
		if not head and was_used and text ~= "timeout" and index == self.current then
			return exchange(self, path, body, deadline_cs, end_cs, is_sound)
		end
		reason = text
	end
	if not head then
		leave_host(self, index, reason)
		return nil, reason
	end
	local answer, problem, code = answers.read(head, text, is_sound)
	if not answer and not FINAL[code] then
		leave_host(self, index, problem)
	end
	return answer, problem, code
end

local function has_token(answer)
	return type(answer.token) == "string" and not answer.token:find("%c")
end

--- Gets a token for the user of the URL, and tells those that wait what has come of it. Where etcd
--- had too little time for that it has twice as much at the next try. Waits.
local function show_password(self, showing)
	local limit_cs = self.password_cs
	local body = answers.encode({ name = self.url.user, password = self.url.password })
	local path, end_cs = "/v3/auth/authenticate", skynet.now() + limit_cs
	local answer, reason, code = exchange(self, path, body, end_cs, end_cs, has_token)
	if answer then
		self.token = answer.token
	elseif code == CODE.PRECONDITION then
		self.token = "" -- it asks nobody who he is
	end
	local is_late = not (answer or code)
	self.password_cs = is_late and math.min(2 * limit_cs, PASSWORD_MAX_CS) or self.attempt_cs
	self.showing = nil
	showing.reason, showing.code = reason, code
	for token in pairs(showing.waiting) do
		skynet.wakeup(token)
	end
end

--- Waits for a token. One task shows the password for all: etcd would check it for each of them,
--- also for those that have given up, and on a busy machine would answer none of them in time.
local function authenticate(self, deadline_cs)
	local showing = self.showing
	if not showing then
		showing = { waiting = {} }
		self.showing = showing
		skynet.fork(show_password, self, showing)
	end
	local token = {}
	showing.waiting[token] = true
	skynet.sleep(math.max(0, deadline_cs - skynet.now()), token)
	showing.waiting[token] = nil
	if self.token then
		return true
	end
	return nil, showing.reason or "timeout", showing.code
end

--- Whether an error says that the token is not good any more, or that one is wanted by now.
local function is_about_token(self, reason, code)
	local text = reason or ""
	if self.token == "" then
		return text:find("user name is empty", 1, true)
	end
	local is_old = text:find("revision of auth store", 1, true)
	return self.token and (is_old or code == CODE.UNAUTHENTICATED)
end

--- A token that etcd has refused is not used any more. There may be a newer one by now.
local function forget_token(self, token)
	if self.token == token then
		self.token = nil
	end
end

--- One try with the present member. Waits.
---@param limit_cs integer for the token, if there is none yet, and for the begin of the answer
---@param end_cs integer for all
local function attempt(self, path, body, limit_cs, end_cs, is_sound)
	if self.url.user and not self.token then
		local ok, reason, code =
			authenticate(self, math.min(skynet.now() + limit_cs, end_cs))
		if not ok then
			return nil, reason, code
		end
	end
	local token = self.token
	local deadline_cs = math.min(skynet.now() + limit_cs, end_cs)
	local answer, reason, code = exchange(self, path, body, deadline_cs, end_cs, is_sound)
	if not answer and is_about_token(self, reason, code) then
		forget_token(self, token)
		return nil, reason -- without the code: it is worth another try
	end
	return answer, reason, code
end

--- Calls etcd. While no member can be reached it tries again and again until the deadline; an error
--- that etcd tells ends it. Waits.
---@param path string such as "/v3/kv/put"
---@param request table
---@param deadline_cs? integer of skynet.now(); nil: for ever
---@param is_sound? fun(answer: table): boolean a server whose answer is not is no etcd
---@return table? answer
---@return string? reason
---@return integer? code of etcd's error; nil: no member could be reached in time
function methods:call(path, request, deadline_cs, is_sound)
	local body = answers.encode(request)
	local limit_cs = self.attempt_cs + #body // BYTES_PER_CS
	local tries, pause_cs, why = 0, PAUSE_CS, "timeout"
	deadline_cs = deadline_cs or math.maxinteger
	while true do
		if skynet.now() >= deadline_cs then
			return nil, why
		end
		local answer, reason, code =
			attempt(self, path, body, limit_cs, deadline_cs, is_sound)
		if self.is_closed then
			return nil, "closed"
		elseif answer or FINAL[code] then
			return answer, reason, code
		end
		why = reason ~= "timeout" and reason or why -- the last one may have had no time
		tries = tries + 1
		if tries % #self.hosts == 0 then
			skynet.sleep(pause_cs)
			pause_cs = math.min(2 * pause_cs, PAUSE_MAX_CS)
		end
	end
end

-- Watches ----------------------------------------------------------------------------------------

---@class skynet.registry.etcd_watch
---@field private client skynet.registry.etcd_client
---@field private connection skynet.http.connection
---@field private index integer the member
---@field private token string? of the user
---@field private rest string the begin of a message
---@field private is_given_up boolean by who uses it: its member is not to blame
local watch_methods = {}
local watch_class = { __index = watch_methods, __name = "skynet.registry.etcd_watch" }

--- Tells why the watch has failed; a member that is no use is left.
local function fail_watch(watch, reason, code)
	watch.connection:close(reason)
	watch.client.busy[watch.connection] = nil
	if not FINAL[code] and not watch.is_given_up then
		leave_host(watch.client, watch.index, reason)
	end
	return nil, reason, code
end

--- The next message: a table, or nil, a reason and a code. Waits.
---@param deadline_cs integer
---@param may_be_silent? boolean a member that has said nothing by then is not left
---@return table? message
---@return string? reason
---@return integer? code
function watch_methods:next(deadline_cs, may_be_silent)
	local pieces = { self.rest }
	local size = #self.rest
	local stop = self.rest:find("\n", 1, true)
	while not stop do
		local piece, reason = self.connection:read_piece(deadline_cs)
		if not piece or piece == "" then
			self.is_given_up = self.is_given_up or may_be_silent and reason == "timeout"
			return fail_watch(self, reason or "the watch has ended")
		end
		pieces[#pieces + 1] = piece
		local at = piece:find("\n", 1, true)
		stop = at and size + at
		size = size + #piece
		if size > ANSWER_MAX then
			return fail_watch(self, "a message of the watch is too large")
		end
	end
	local text = table.concat(pieces)
	self.rest = text:sub(stop + 1)
	local value = answers.decode(text:sub(1, stop - 1))
	if not value then
		return fail_watch(self, "the watch says something that is not JSON")
	elseif value.error then
		return fail_watch(self, select(2, answers.read_error(value)))
	elseif type(value.result) ~= "table" then
		return fail_watch(self, "the watch has a message without a result")
	end
	return value.result
end

--- Ends the watch. A task that waits for its next message gets the reason.
---@param reason string
function watch_methods:close(reason)
	self.is_given_up = true
	self.client.busy[self.connection] = nil
	self.connection:close(reason)
end

--- Ends the watch, and has the user show his password again before the next one.
---@param reason string
function watch_methods:refuse(reason)
	forget_token(self.client, self.token)
	self:close(reason)
end

--- Ends the watch, because its member is no use.
---@param reason string
function watch_methods:fail(reason)
	fail_watch(self, reason)
end

--- Begins a watch at the present member: one try. Waits.
---@param request table what create_request has
---@return skynet.registry.etcd_watch? watch
---@return string? reason
---@return integer? code
function methods:watch(request)
	if self.url.user and not self.token then
		local ok, reason, code = authenticate(self, skynet.now() + self.attempt_cs)
		if not ok then
			return nil, reason, code
		end
	end
	local deadline_cs = skynet.now() + self.attempt_cs
	local index = self.current
	local other, reason = connect(self, deadline_cs)
	if not other then
		leave_host(self, index, reason)
		return nil, reason
	end
	self.busy[other] = "watch"
	local watch = setmetatable({
		client = self,
		connection = other,
		index = index,
		token = self.token,
		rest = "",
		is_given_up = false,
	}, watch_class)
	local body = answers.encode({ create_request = request })
	local head, problem, code
	if other:send("POST", "/v3/watch", headers_of(self), body, ANSWER_MAX) then
		head, problem = other:read_head(deadline_cs)
	end
	if head and head.status ~= 200 then
		local text = other:read_body(deadline_cs)
		head, problem, code = answers.read(head, text or "")
		if is_about_token(self, problem, code) then
			forget_token(self, watch.token)
		end
	end
	if not head then
		return fail_watch(watch, problem or "the connection is lost", code)
	end
	return watch
end

-- The end ----------------------------------------------------------------------------------------

--- Sends a call without waiting for its answer. etcd drops a request when it sees that its sender
--- has gone, and looks for that behind what it has read; so more follows than it reads at once.
local function send_last(self, other, path, body)
	other:send("POST", path, headers_of(self), body)
	other:send("GET", "/version", { ["X-Padding"] = PADDING })
	other:close() -- what was written leaves first
end

--- A connection that waits for the answer to a call, and can take one more request.
local function find_busy(self)
	for other, kind in pairs(self.busy) do
		if kind == "call" and other:is_usable() then
			return other
		end
	end
end

--- Tries each member once, until one has answered. Waits.
local function call_last(self, path, body)
	for _ = 1, #self.hosts do
		local host = self.hosts[self.current]
		local options = { tls = self.tls, deadline_cs = skynet.now() + self.attempt_cs }
		local other <close> = connection.open(host.host, host.port, options)
		local headers = headers_of(self)
		if other and other:exchange("POST", path, headers, body, options.deadline_cs) then
			return
		end
		self.current = self.current % #self.hosts + 1
	end
end

--- Closes: what goes on ends with the reason "closed". Before, there may be a last call, whose
--- answer nobody waits for; it is sent at once if there is a connection for it. This may be called
--- by a finalizer in the last turn of the service, when no task runs and cjson is no more.
---
--- Where all connections are busy the call is sent behind another one. That is the best that can be
--- done in the last turn, but etcd does not read it if it cannot send the whole answer to the other
--- one before it sees that nobody wants it. So the call is made once more where tasks run.
---@param path? string
---@param body? string JSON
function methods:close(path, body)
	if self.is_closed then
		return
	end
	self.is_closed = true
	local idle = path and take_idle(self, 0)
	local other = idle or path and find_busy(self)
	if other then
		send_last(self, other, path, body)
	end
	end_connections(self, "closed")
	if path and not idle then
		skynet.fork(call_last, self, path, body)
	end
end

--- The member that is used now.
---@return string name "host:port"
function methods:present_host()
	return self.hosts[self.current].name
end

--- Makes a client. It connects when it is first used. Raises when cjson is missing.
---@param url skynet.registry.etcd_url
---@param options? { tls?: table, attempt_cs?: integer, first?: integer } tls: options of the
--- sockets, if the URL wants TLS; attempt_cs: how long one member has for an answer; first: the
--- number of the member to begin with
---@return skynet.registry.etcd_client
function etcd_client.new(url, options)
	options = options or {}
	return setmetatable({
		url = url,
		hosts = url.hosts,
		tls = url.is_secure and (options.tls or true),
		attempt_cs = options.attempt_cs or ATTEMPT_CS,
		password_cs = options.attempt_cs or ATTEMPT_CS,
		current = (options.first or 0) % #url.hosts + 1,
		idle = {},
		busy = {},
		warned_cs = {},
		is_closed = false,
	}, class)
end

return etcd_client
