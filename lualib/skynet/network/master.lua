--- What a master decides: who is a member, who is refused, and who has left. It knows connections
--- only as sessions, so it needs no sockets; service/cmaster.lua brings those.
---
--- A member is **present** while a session speaks for it, and **away** otherwise. It may be away
--- for `timeout_cs`; then it has left. So a connection that breaks costs nothing if it is made
--- again in time, and neither does a new master: what a slave knows of others that comes from
--- another **era**, that is, has been told by a former master, makes them members that are away.
---
--- A name whose owner's node is away is neither free nor taken: who registers it waits until that
--- node is present or has left.
---
--- Somebody with another incarnation claims the place of a member:
---   present    the member is asked whether it lives. It answers: the claim is refused. Its
---              connection breaks: as below. It gives no answer for `timeout_cs`: its place is
---              free. Nothing else that comes is an answer: it may have been said before the end
---   away       its place is free when it has had time to come back; not at once, because a
---              connection may break without any fault of the member
---
--- A master that has just begun knows nobody, so for SETTLE_CS it lets only those in that come
--- back, and hears from them which numbers the others have used.
local skynet = require("skynet")
local crypt = require("skynet.crypt")
local fields = require("skynet.network.fields")
local ledger = require("skynet.network.ledger")
local signal = require("skynet.network.signal")
local wire = require("skynet.network.wire")

local SETTLE_CS <const> = 30
--- A slave tries at once when its connection has broken; one whose master has begun anew has to
--- find it first.
local RETURN_CS <const> = 50
local RETURN_TO_NEW_CS <const> = 200
--- Registrations that wait until it is known whether a name is still taken.
local UNDECIDED_MAX <const> = 65536

---@class skynet.network.session
---@field id? integer the node it speaks for
---@field send fun(self, packet: string)
---@field close fun(self, reason: string)

---@class skynet.network.place
---@field session? skynet.network.session who speaks for the member; nil: it is away
---@field away_cs? integer since when
---@field free_cs? integer from when on somebody else may take the place
---@field answered integer the last question whether it lives that the member has answered
---@field told_revision? integer not seen yet: what somebody knew at that revision
---@field is_first? boolean its numbers began at 0, because no earlier incarnation was known
---@field news skynet.network.signal what those wait for that want the place

---@class skynet.network.claim
---@field id integer
---@field incarnation string
---@field address string
---@field number integer the highest local number it has given
---@field known? skynet.network.knowledge of a slave that comes back

---@class skynet.network.knowledge: skynet.registry.snapshot
---@field era string of the master that has told it
---@field numbers table<integer, integer> by id: the highest local number that was used

---@class skynet.network.master
---@field private era string drawn by each master
---@field private ledger skynet.network.ledger
---@field private places table<integer, skynet.network.place>
---@field private timeout_cs integer
---@field private settled_cs integer
---@field private asked integer how often somebody was asked whether he lives
---@field private undecided table[] registrations of names whose owner's node is away
---@field private refused_count integer registrations that were one too many
local master = {}
local mt = { __index = master }

local function broadcast(self, ...)
	local packet
	for _, place in pairs(self.places) do
		if place.session then
			packet = packet or wire.packet(...)
			place.session:send(packet)
		end
	end
end

local function new_place()
	return { answered = 0, news = signal.new() }
end

--- Makes a member be away.
local function begin_absence(place, return_cs)
	place.session = nil
	place.away_cs = skynet.now()
	place.free_cs = place.away_cs + return_cs
	place.news:raise()
end

-- Names -----------------------------------------------------------------------------------------

--- Whether the owner of a name may be gone without this master knowing.
local function is_away(self, owner)
	local place = self.places[fields.node_of(owner)]
	return place ~= nil and place.away_cs ~= nil
end

--- Answers a registration; not yet, if the name is taken by somebody whose node is away.
local function register(self, session, request, name, handle)
	local owner, reason = self.ledger:register(name, handle)
	local is_taken = owner and owner ~= handle
	local is_undecided = is_taken and is_away(self, owner)
	if is_undecided and #self.undecided < UNDECIDED_MAX then
		table.insert(self.undecided, { session, request, name, handle })
	else
		if is_undecided or not owner then
			self.refused_count = self.refused_count + 1
		end
		session:send(wire.packet("answer", request, owner, reason))
	end
end

--- A node that was away is there again, or has left.
local function decide(self)
	local undecided = self.undecided
	self.undecided = {}
	for _, registration in ipairs(undecided) do
		local session = registration[1]
		local place = self.places[session.id]
		if place and place.session == session then -- else it asks again when it comes back
			register(self, table.unpack(registration))
		end
	end
end

-- Claims ----------------------------------------------------------------------------------------

--- Asks a member that is present whether it lives. Waits. Returns true when it has answered; false
--- when it is not present any more, for which this sees if it says nothing.
local function is_living(self, place)
	local session, question = place.session, self.asked + 1
	local deadline = skynet.now() + self.timeout_cs
	self.asked = question
	session:send(wire.packet("ask", question))
	while place.session == session and place.answered < question do
		local rest = deadline - skynet.now()
		if rest <= 0 then
			session:close("it does not answer")
			begin_absence(place, 0)
			return false
		end
		place.news:wait(rest)
	end
	return place.session ~= nil
end

--- Waits until the place is free for the claim. Returns false when somebody else is there.
local function await_place(self, claim)
	while true do
		local member = self.ledger.view.members[claim.id]
		local place = self.places[claim.id]
		if not member or member.incarnation == claim.incarnation then
			return true
		elseif place.session then
			if is_living(self, place) then
				return false
			end
		else
			local rest = place.free_cs - skynet.now()
			if rest <= 0 then
				return true
			end
			place.news:wait(rest)
		end
	end
end

--- Whether the node is there, has begun with the first number because nobody knew of an earlier
--- incarnation, and is not the one that was told of: then it uses numbers for the second time.
local function begins_anew(self, id, told)
	local place, member = self.places[id], self.ledger.view.members[id]
	return place ~= nil
		and place.session ~= nil
		and place.is_first == true
		and not (told and told.incarnation == member.incarnation)
end

--- An earlier incarnation of a node is heard of only now. If the node is there already, its next
--- handles come behind those.
---@param told? skynet.registry.member the node when the number was told
local function learn_number(self, id, number, told)
	if self.ledger:report(id, number) or begins_anew(self, id, told) then
		local place = self.places[id]
		if place and place.session then
			place.is_first = nil
			number = self.ledger:next_base(id)
			place.session:send(wire.packet("base", number))
		end
		broadcast(self, "number", id, number)
	end
end

--- Whether what a slave knows of a member is to be believed: nobody has seen that node since this
--- master began, and nobody has told anything newer.
local function is_news(self, id, revision)
	local place = self.places[id]
	return not place
		or (not place.session and place.told_revision and place.told_revision < revision)
end

--- Makes those members of which a slave knows.
local function learn_members(self, claim)
	local revision = claim.known.revision
	for id, member in pairs(claim.known.members) do
		if id ~= claim.id and is_news(self, id, revision) then
			local place = self.places[id] or new_place()
			self.places[id] = place
			place.told_revision = revision
			begin_absence(place, RETURN_TO_NEW_CS)
			self.ledger:join(id, member.incarnation, member.address)
		end
	end
end

--- Takes over what a slave knows of others, as far as nobody has said it better.
local function learn(self, claim)
	local known, members = claim.known, self.ledger.view.members
	learn_members(self, claim)
	for name, handle in pairs(known.names) do
		local id = fields.node_of(handle)
		local told, member = known.members[id], members[id]
		local is_same = told and member and told.incarnation == member.incarnation
		if id ~= claim.id and is_same and not self.places[id].session then
			self.ledger:register(name, handle)
		end
	end
	for id, number in pairs(known.numbers) do
		if id ~= claim.id then
			learn_number(self, id, number, known.members[id])
		end
	end
end

--- Names that the node has itself; those of other nodes are told as known.
local function own_names(claim)
	local own = {}
	for name, handle in pairs(claim.known and claim.known.names or {}) do
		if fields.node_of(handle) == claim.id then
			own[name] = handle
		end
	end
	return own
end

--- Lets a node in. Does not wait, so what it is told is the state behind which its changes come.
local function admit(self, session, claim)
	local id, books = claim.id, self.ledger
	local place = self.places[id] or new_place()
	local base = 0 -- of one that comes back: its numbers go on
	if claim.known then
		books:advance(claim.known.revision)
		books:report(id, claim.number)
	else
		base = books:next_base(id)
	end
	if place.session then
		place.session:close("it has made another connection")
	end
	place.session, place.away_cs, place.told_revision = nil, nil, nil
	place.is_first = not claim.known and base == 0 or claim.known and place.is_first
	self.places[id] = place
	books:join(id, claim.incarnation, claim.address)
	if claim.known and claim.known.era ~= self.era then
		learn(self, claim)
	end
	books:replace_names(id, own_names(claim))
	decide(self)
	broadcast(self, "number", id, books.numbers[id] or 0)
	place.session, session.id = session, id
	place.news:raise()
	return wire.packet("welcome", base, books.view:snapshot(), books.numbers, self.era)
end

--- Decides about a claim, and welcomes the session. Waits.
---@param session skynet.network.session has proved that it knows the secret
---@param claim skynet.network.claim
---@param is_open fun(): boolean whether the session's connection still stands
---@return boolean is_member
---@return string? reason
---@return boolean? is_taken another node has the place
function master:claim(session, claim, is_open)
	if not claim.known and skynet.now() < self.settled_cs then
		skynet.sleep(self.settled_cs - skynet.now())
	end
	local is_free = await_place(self, claim)
	if not is_open() then
		return false, "the connection has ended"
	elseif not is_free then
		local there = self.ledger.view.members[claim.id].address
		local text = "node %d is there already, and lives; other nodes reach it at %s"
		return false, text:format(claim.id, there), true
	end
	session:send(admit(self, session, claim))
	return true
end

-- Members ---------------------------------------------------------------------------------------

local handlers = {}

handlers.register = register

function handlers.unregister(self, _, name, handle)
	self.ledger:unregister(name, handle)
end

function handlers.report(self, session, number)
	if self.ledger:report(session.id, number) then
		broadcast(self, "number", session.id, number)
	end
end

--- A sign of life for a sign of life.
function handlers.beat(_, session)
	session:send(wire.packet("beat"))
end

--- Whoever claims its place is waiting for this.
function handlers.alive(self, session, question)
	local place = self.places[session.id]
	place.answered = math.max(place.answered, math.min(question, self.asked))
	place.news:raise()
end

function handlers.bye(self, session)
	self:leave(session.id, "it has ended")
	session:close("it has said so")
end

--- Does what the slave asks for.
---@param session skynet.network.session whose claim was accepted
---@param kind string
---@param ... any checked
function master:handle(session, kind, ...)
	local place = self.places[session.id]
	if place and place.session == session then
		handlers[kind](self, session, ...)
	end
end

--- A session has ended by itself.
---@param session skynet.network.session
---@return boolean is_away whether it spoke for a member
function master:lost(session)
	local place = session.id and self.places[session.id]
	if not place or place.session ~= session then
		return false
	end
	begin_absence(place, RETURN_CS)
	return true
end

--- Ends a membership.
---@param id integer
---@param reason string
function master:leave(id, reason)
	local place = self.places[id]
	self.places[id] = nil
	self.ledger:leave(id, reason)
	decide(self)
	if place then
		place.session = nil -- so that nobody who wants the place takes it for living
		place.news:raise()
	end
end

--- To be called some times in each timeout_cs: those leave that have been away too long.
---@return integer[] left ids
function master:tick()
	local left = {}
	for id, place in pairs(self.places) do
		if not place.session and skynet.now() - place.away_cs >= self.timeout_cs then
			left[#left + 1] = id
		end
	end
	table.sort(left)
	for _, id in ipairs(left) do
		self:leave(id, "its connection to the master has broken, and it has not come back")
	end
	return left
end

---@return { revision: integer, members: table, names: table }
function master:snapshot()
	return self.ledger.view:snapshot()
end

--- Registrations: how many wait until it is known whether the name is taken, and how many were
--- refused because there are too many names, or too many that wait.
---@return { waiting: integer, refused: integer }
function master:registrations()
	return { waiting = #self.undecided, refused = self.refused_count }
end

local module = {}

--- A master that knows nobody.
---@param timeout_cs integer
---@return skynet.network.master
function module.new(timeout_cs)
	local self = setmetatable({
		era = crypt.hexencode(crypt.randomkey()),
		places = {},
		timeout_cs = timeout_cs,
		settled_cs = skynet.now() + SETTLE_CS,
		asked = 0,
		undecided = {},
		refused_count = 0,
	}, mt)
	self.ledger = ledger.new(function(change)
		broadcast(self, "change", change)
	end)
	return self
end

return module
