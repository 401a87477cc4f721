--- The registry backend for config key `master = "host:port"`: the side of a slave. It keeps a
--- connection to the service cmaster of some node. docs/nodes.md tells what that means for users.
---
--- One task runs through the stages of each connection: open, shake hands, claim, then read until
--- the end. While there is none it tries again: at once, then each RETRY_CS, for ever. Whoever
--- waits for an answer keeps waiting; what was asked is asked again.
local skynet = require("skynet")
local socket = require("skynet.socket")
local fields = require("skynet.network.fields")
local handshake = require("skynet.network.handshake")
local log_once = require("skynet.network.log_once")
local view = require("skynet.registry.view")
local wire = require("skynet.network.wire")

--- The last try to join that had less time tells nothing: the one before it tells why.
local TRY_CS <const> = 100
--- However long a master was away: when it is started again it gives those who come back 30 cs
--- before it lets others in (skynet.network.master).
local RETRY_CS <const> = 20
--- In each time after which silence is an end.
local BEATS <const> = 4
--- A claim is answered when it is clear whether the former node of that id lives.
local CLAIM_TIMEOUTS <const> = 4
--- How long a connection may take to come about, and each answer of a handshake.
local ANSWER_CS <const> = 1000

---@class skynet.registry.master: skynet.registry.backend
---@field private options skynet.registry.options
---@field private view skynet.registry.view? nil: it has never been a member
---@field private numbers table<integer, integer> of all nodes, for a master that starts anew
---@field private era string? of the master that has told all this
---@field private number integer the highest local number given here
---@field private deadline_cs integer? of join
---@field private socket integer? of a connection whose claim was accepted
---@field private claiming integer? of one whose claim has no answer yet
---@field private requests table<integer, table> registrations that are not answered yet
---@field private given_back table<string, integer> names, of which the master has not said so yet
---@field private last_request integer
---@field private ended string? why nothing follows
---@field private log skynet.network.log_once
---@field private connection_count integer connections whose claim was accepted
---@field private failure_count integer those that have not come so far
local backend = {}
local mt = { __index = backend }

-- What a connection goes through ----------------------------------------------------------------

--- Why it ended, and whether trying again is worth anything: "failed", or what the master has said.
---@class skynet.registry.master.failure
---@field reason string
---@field kind "failed"|"wrong"|"taken"

local function failed(reason, kind)
	return nil, { reason = reason, kind = kind or "failed" }
end

--- How long to wait for something, while this node joins or later.
local function limited(self, cs)
	return self.deadline_cs and math.max(1, math.min(cs, self.deadline_cs - skynet.now())) or cs
end

--- Reads the next packet, which has to be of that kind. Waits.
local function expect(self, id, kind, limit)
	local packet, reason, is_garbage = wire.read(id, limit)
	if is_garbage then
		local text = "what answers at %s (config key master) is no master: %s"
		return failed(text:format(self.options.url, reason), "wrong")
	elseif not packet then
		return failed(kind == "hello" and reason .. "; its log may say why" or reason)
	elseif packet[1] == "refused" then
		local is_final = packet[3] == "wrong" or packet[3] == "taken"
		local text = "the master refuses this node: " .. fields.printable(packet[2])
		return failed(text, is_final and packet[3] or "failed")
	elseif packet[1] ~= kind then
		local text = "the master says '%s' instead of '%s'"
		return failed(text:format(fields.printable(packet[1], 20), kind), "wrong")
	end
	return packet
end

--- Both sides prove that they know the secret. Waits. Returns what proves a claim.
local function shake_hands(self, id)
	local nonce, secret = handshake.nonce(), self.options.secret or ""
	socket.write(id, wire.packet("hello", handshake.hello(nonce)))
	local packet, failure = expect(self, id, "hello", wire.HANDSHAKE_LIMIT)
	if not packet then
		return nil, failure
	end
	local master_nonce, reason = handshake.check_hello(packet)
	if master_nonce then
		reason = handshake.check_proof(packet[5], secret, "master", nonce, master_nonce)
	end
	if reason then
		socket.write(id, wire.packet("refused", reason))
		return failed("this node refuses the master: " .. reason, "wrong")
	end
	local proof = handshake.proof(secret, "slave", nonce, master_nonce)
	socket.write(id, wire.packet("proof", proof))
	return function(text)
		return handshake.proof(secret, "claim", nonce, master_nonce, text)
	end
end

--- What this node says of itself, and, if it comes back, of what it knows.
local function claim_of(self)
	local options = self.options
	local known
	if self.view then
		known = self.view:snapshot()
		known.numbers, known.era = self.numbers, self.era
		for name in pairs(self.given_back) do
			known.names[name] = nil
		end
	end
	return {
		id = options.id,
		incarnation = options.incarnation,
		address = options.address,
		number = self.number,
		known = known,
	}
end

--- Claims the place of this node. Waits. Returns what it was told.
local function claim(self, id, prove)
	local text = skynet.packstring(claim_of(self))
	socket.write(id, wire.packet("claim", text, prove(text)))
	socket.timeout(id, limited(self, CLAIM_TIMEOUTS * self.options.timeout_cs + ANSWER_CS))
	self.claiming = id
	local packet, failure = expect(self, id, "welcome", wire.LIMIT)
	self.claiming = nil
	if not packet then
		return nil, failure
	end
	local base, snapshot, numbers, era = table.unpack(packet, 2, 5)
	if
		not fields.is_local_number(base)
		or not fields.is_snapshot(snapshot)
		or not fields.is_map(numbers, fields.is_id, fields.is_local_number)
		or not fields.is_era(era)
	then
		return failed("the master's welcome is broken", "wrong")
	end
	socket.timeout(id, self.options.timeout_cs)
	return { base = base, snapshot = snapshot, numbers = numbers, era = era }
end

--- Tries to make a connection.
local function try_to_connect(self)
	local options = self.options
	local id, reason = socket.open(options.url, {
		timeout = limited(self, ANSWER_CS),
		tls = options.tls,
		quiet = true, -- whoever joins or waits is told, once
	})
	if not id then
		return failed(reason)
	end
	socket.timeout(id, limited(self, ANSWER_CS))
	local prove, failure = shake_hands(self, id)
	local welcome
	if prove then
		welcome, failure = claim(self, id, prove)
	end
	if not welcome then
		socket.close(id)
		return nil, failure
	end
	return id, welcome
end

--- Makes a connection. Waits. Returns its socket and what the master has told.
local function connect(self)
	local id, result = try_to_connect(self)
	if id then
		self.connection_count = self.connection_count + 1
	else
		self.failure_count = self.failure_count + 1
	end
	return id, result
end

-- What the master says --------------------------------------------------------------------------

local function apply(self, change)
	if change.name then
		self.given_back[change.name] = nil
	end
	self.view:apply(change)
	self.options.on_change(change)
end

local heard = {}

function heard.change(self, change)
	if not fields.is_change(change) then
		return false
	end
	apply(self, change)
end

function heard.answer(self, number, owner, reason)
	local request = self.requests[number]
	if request then
		self.requests[number] = nil
		request.owner = fields.is_handle(owner) and owner or nil
		request.reason = not request.owner and fields.printable(reason) or nil
		request.is_done = true
		skynet.wakeup(request)
	end
end

function heard.base(self, base)
	if not fields.is_local_number(base) then
		return false
	end
	self.number = base
	self.options.on_change({ kind = "base", base = base, revision = self.view.revision })
end

function heard.number(self, id, number)
	if not (fields.is_id(id) and fields.is_local_number(number)) then
		return false
	end
	self.numbers[id] = number
end

function heard.ask(self, question)
	if math.type(question) ~= "integer" then
		return false
	end
	socket.write(self.socket, wire.packet("alive", question))
end

function heard.beat() end

--- Does what the master says until the connection ends. Waits. Returns why it has.
local function listen(self, id)
	while true do
		local packet, reason = wire.read(id, wire.LIMIT)
		if not packet then
			return reason
		end
		local run = heard[packet[1]]
		if not run or run(self, table.unpack(packet, 2, packet.n)) == false then
			return "it says what no master says: " .. fields.printable(packet[1], 20)
		end
	end
end

local function send_beats(self, id)
	while self.socket == id do
		socket.write(id, wire.packet("beat"))
		skynet.sleep(math.max(1, self.options.timeout_cs // BEATS))
	end
end

--- Asks once more for what a master has not answered.
local function ask_again(self)
	local numbers = {}
	for number in pairs(self.requests) do
		numbers[#numbers + 1] = number
	end
	table.sort(numbers)
	for _, number in ipairs(numbers) do
		local request = self.requests[number]
		local packet = wire.packet("register", number, request.name, request.handle)
		socket.write(self.socket, packet)
	end
end

-- One connection after another ------------------------------------------------------------------

--- Nothing follows; those that wait are told.
local function finish(self, reason)
	self.ended = self.ended or reason
	for _, request in pairs(self.requests) do
		request.reason, request.is_done = self.ended, true
		skynet.wakeup(request)
	end
	self.requests = {}
end

--- Takes over what a master has told a node that has come back to it.
local function take_over(self, welcome)
	local reason = "the master does not know it any more"
	local changes = self.view:changes_to(welcome.snapshot, reason)
	for _, change in ipairs(changes) do
		apply(self, change)
	end
	self.view.revision = welcome.snapshot.revision
	self.given_back = {}
	self.numbers, self.era = welcome.numbers, welcome.era
end

--- Serves a connection until it ends. Waits. Returns why.
local function attend(self, id)
	self.socket = id
	skynet.fork(send_beats, self, id)
	ask_again(self)
	local reason = listen(self, id)
	self.socket = nil
	socket.close(id)
	return reason
end

--- Makes a connection again, however long it takes. Waits. Returns nil when it has ended.
local function reconnect(self)
	while not self.ended do
		local id, result = connect(self)
		if id then
			self.log:forget("")
			return id, result
		elseif result.kind == "taken" then
			finish(self, result.reason)
			self.options.on_evicted(result.reason)
			return nil
		end
		local text = "error: no connection to the master %s: %s"
		self.log:error("", text:format(self.options.url, result.reason))
		skynet.sleep(RETRY_CS)
	end
end

local function run(self, id)
	while id do
		local reason = attend(self, id)
		if self.ended then
			return
		end
		self.options.on_lost(reason)
		local welcome
		id, welcome = reconnect(self)
		if id and self.ended then -- closed meanwhile
			socket.write(id, wire.packet("bye"))
			socket.close(id)
			return
		elseif id then
			take_over(self, welcome)
			self.options.on_back()
		end
	end
end

-- The interface ---------------------------------------------------------------------------------

function backend:join()
	self.deadline_cs = skynet.now() + self.options.join_timeout_cs
	local reason
	while true do
		local begin_cs = skynet.now()
		local id, result = connect(self)
		if id then
			self.log:forget("")
			self.deadline_cs = nil
			self.view = view.new(result.snapshot)
			self.numbers, self.era = result.numbers, result.era
			self.number = result.base
			local snapshot = self.view:snapshot()
			snapshot.base = result.base
			skynet.fork(run, self, id)
			return snapshot
		elseif result.kind ~= "failed" then
			finish(self, result.reason)
			return nil, result.reason
		end
		local is_over = skynet.now() >= self.deadline_cs
		if not (reason and is_over and self.deadline_cs - begin_cs < TRY_CS) then
			reason = result.reason
		end
		if is_over then
			local text = "the master %s (config key master) cannot be reached: %s"
			finish(self, text:format(self.options.url, reason))
			return nil, self.ended
		end
		local text = "warning: the master %s cannot be reached by now: %s"
		self.log:error("", text:format(self.options.url, result.reason))
		skynet.sleep(RETRY_CS)
	end
end

function backend:register(name, handle)
	if self.ended then
		return nil, self.ended
	end
	self.last_request = self.last_request + 1
	local request = { name = name, handle = handle }
	self.requests[self.last_request] = request
	if self.socket then
		socket.write(self.socket, wire.packet("register", self.last_request, name, handle))
	end
	while not request.is_done do
		skynet.wait(request)
	end
	return request.owner, request.reason
end

--- What a slave does not know when it comes back, it does not have. So it is all the same whether
--- this reaches the master.
function backend:unregister(name, handle)
	if self.view.names[name] ~= handle then
		return
	elseif self.socket then
		self.given_back[name] = handle
		socket.write(self.socket, wire.packet("unregister", name, handle))
	else
		apply(self, {
			kind = "unname",
			name = name,
			handle = handle,
			revision = self.view.revision,
		})
	end
end

function backend:report(last_handle)
	self.number = last_handle
	if self.socket then
		socket.write(self.socket, wire.packet("report", last_handle))
	end
end

function backend:status()
	return {
		url = self.options.url,
		connected = self.socket ~= nil,
		revision = self.view and self.view.revision or 0,
		connections = self.connection_count,
		failures = self.failure_count,
	}
end

--- This may be called by a finalizer in the last turn of the service. A claim whose answer is on
--- the way makes this node a member, too.
function backend:close()
	finish(self, "the registry is closed")
	local id = self.socket or self.claiming
	if id then
		socket.write(id, wire.packet("bye"))
		socket.close(id)
	end
end

local module = {}

---@param options skynet.registry.options
---@return skynet.registry.backend
function module.open(options)
	return setmetatable({
		options = options,
		numbers = {},
		number = 0,
		requests = {},
		given_back = {},
		last_request = 0,
		connection_count = 0,
		failure_count = 0,
		log = log_once.new(),
	}, mt)
end

return module
