-- cmaster [ADDRESS [TIMEOUT_CS]]: the registry of a network of nodes, in a node of it: the one
-- whose config has the key `standalone`, the address to listen on. Slaves (skynet.registry.master,
-- in each .cslave) connect to it and prove that they know the secret; skynet.network.master decides
-- about the rest.
--
-- Bounds: so many connections at a time that are no members yet (PENDING_MAX), each with a
-- deadline; where all places are taken, the oldest one that has not proved itself gives way, so
-- strangers keep no slave out. Packets of HANDSHAKE_LIMIT before the proof, of LIMIT behind it. A
-- slave that does not read is cut off when OUTPUT_KIB wait for it, and one that says nothing for
-- the time of config key harbor_timeout. Slaves send several beats in that, and get one for each.
--
--   STAT -> { address, network: what everybody knows, connections: counters, registrations:
--             counters }

local skynet = require("skynet")
local socket = require("skynet.socket")
local fields = require("skynet.network.fields")
local handshake = require("skynet.network.handshake")
local log_once = require("skynet.network.log_once")
local master = require("skynet.network.master")
local settings = require("skynet.network.settings")
local fail_start = require("skynet.network.start_failure")
local wire = require("skynet.network.wire")

local PENDING_MAX <const> = 256
local OUTPUT_KIB <const> = 4096
--- How often to look for those who have not come back, in the time that they have for it.
local LOOKS <const> = 4
--- How long a stranger may take for each packet, if that time is longer.
local STRANGER_CS <const> = 1000

local words = { ... }
local TIMEOUT_CS <const> = math.tointeger(tonumber(words[2])) or settings.timeout_cs()
local SECRET <const> = settings.secret()

local log = log_once.new()
local members = master.new(TIMEOUT_CS)
local pending = {} ---@type cmaster.session[] those that are no members yet, the oldest first

--- What has become of connections so far.
local count = {
	accepted = 0,
	turned_away = 0, -- at once, because all places were taken
	refused = 0, -- later, in words
	crowded_out = 0, -- of these: they had to make room
	joined = 0,
	lost = 0, -- after they had joined
	cut_off = 0, -- of these: they did not read
	gone = 0, -- nodes that have left, by themselves or by not coming back
}

-- Sessions --------------------------------------------------------------------------------------

---@class cmaster.session: skynet.network.session
---@field socket integer
---@field peer string its address
---@field prove fun(claim: string): string what proves a claim; nil: it has not proved itself yet
---@field reason string? why it was closed here
local session_methods = {}
local session_mt = { __index = session_methods }

function session_methods:send(packet)
	socket.write(self.socket, packet)
end

--- Cuts the connection; whoever reads from it sees its end.
function session_methods:close(reason)
	self.reason = self.reason or reason
	socket.shutdown(self.socket)
end

--- Has a slave that does not read cut off before much waits for it.
local function bound_output(session)
	socket.warning(session.socket, function(_, kib)
		if kib >= OUTPUT_KIB and not session.reason then
			count.cut_off = count.cut_off + 1
			session:close(("it does not read: %d KiB wait for it"):format(kib))
		end
	end)
end

local function host_of(address)
	return (address:gsub(":%d+$", ""))
end

--- Once for each host, however often it tries: each time it comes with another port.
local function log_refusal(peer, reason)
	log:error(host_of(peer), ("error: %s is refused: %s"):format(peer, reason), reason)
end

--- Tells both sides why somebody may not come in.
---@param kind "wrong"|"taken"|"failed" what a slave does about it: skynet.registry.master
local function refuse(session, reason, kind)
	count.refused = count.refused + 1
	session:send(wire.packet("refused", reason, kind))
	log_refusal(session.peer, reason)
end

-- From a connection to a member -----------------------------------------------------------------

local function leave_pending(session)
	for i, other in ipairs(pending) do
		if other == session then
			table.remove(pending, i)
			return
		end
	end
end

--- Whether there is a place for one more. The oldest stranger loses his, if need be.
local function make_room()
	if #pending < PENDING_MAX then
		return true
	end
	for i, session in ipairs(pending) do
		if not session.prove then
			table.remove(pending, i)
			count.crowded_out = count.crowded_out + 1
			session:close("there are too many who have not proved themselves")
			return true
		end
	end
	return false
end

--- Reads a packet of somebody who is no member. Waits.
local function read_from_stranger(session, limit)
	local packet, reason, is_garbage = wire.read(session.socket, limit)
	return packet, reason, is_garbage and "wrong" or "failed"
end

--- Has the other side prove that it knows the secret. Waits.
local function shake_hands(session)
	local packet, reason, kind = read_from_stranger(session, wire.HANDSHAKE_LIMIT)
	if not packet then
		return nil, reason, kind
	end
	local slave_nonce, problem = handshake.check_hello(packet)
	if not slave_nonce then
		return nil, problem, "wrong"
	end
	local nonce = handshake.nonce()
	local magic, version = handshake.hello(nonce)
	local proof = handshake.proof(SECRET, "master", slave_nonce, nonce)
	session:send(wire.packet("hello", magic, version, nonce, proof))
	packet, reason, kind = read_from_stranger(session, wire.HANDSHAKE_LIMIT)
	if not packet then
		return nil, reason, kind
	elseif packet[1] == "refused" then
		return nil, "it refuses this master: " .. fields.printable(packet[2]), "wrong"
	elseif packet[1] ~= "proof" then
		return nil, "it does not prove that it knows the secret", "wrong"
	end
	reason = handshake.check_proof(packet[2], SECRET, "slave", slave_nonce, nonce)
	if reason then
		return nil, reason, "wrong"
	end
	session.prove = function(claim)
		return handshake.proof(SECRET, "claim", slave_nonce, nonce, claim)
	end
	return true
end

--- What somebody claims who knows the secret; nil if that is broken.
local function check_claim(session, packet)
	local kind, text, proof = table.unpack(packet, 1, 3)
	if kind ~= "claim" or type(text) ~= "string" then
		return nil
	elseif not handshake.is_right(proof, session.prove(text)) then
		return nil
	end
	local ok, claim = pcall(skynet.unpack, text)
	return ok and fields.is_claim(claim) and claim or nil
end

--- Makes a member of a connection. Waits.
local function let_in(session)
	local ok, why, sort = shake_hands(session)
	if not ok then
		return nil, why, sort
	end
	local packet, reason, kind = read_from_stranger(session, wire.LIMIT)
	if not packet then
		return nil, reason, kind
	end
	local claim = check_claim(session, packet)
	if not claim then
		return nil, "its claim is broken", "wrong"
	end
	local is_member, problem, is_taken = members:claim(session, claim, function()
		return socket.disconnected(session.socket) == false
	end)
	if not is_member then
		return nil, problem, is_taken and "taken" or "failed"
	end
	count.joined = count.joined + 1
	local text = "Harbor %d (fd=%d) report %s"
	skynet.error(text:format(claim.id, session.socket, claim.address))
	return true
end

-- Members ---------------------------------------------------------------------------------------

local is_right = {}

function is_right.register(session, request, name, handle)
	return math.type(request) == "integer"
		and fields.is_name(name)
		and fields.is_handle(handle)
		and fields.node_of(handle) == session.id
end

function is_right.unregister(session, name, handle)
	return is_right.register(session, 0, name, handle)
end

function is_right.report(_, number)
	return fields.is_local_number(number)
end

function is_right.beat()
	return true
end

function is_right.alive(_, question)
	return math.type(question) == "integer"
end

function is_right.bye()
	return true
end

--- Does what a member says, until it says no more. Waits. Returns why.
local function serve(session)
	while true do
		local packet, reason = wire.read(session.socket, wire.LIMIT)
		if not packet then
			return reason
		end
		local check = is_right[packet[1]]
		if not check or not check(session, table.unpack(packet, 2, packet.n)) then
			return "it has said what no slave says: " .. fields.printable(packet[1], 20)
		end
		members:handle(session, packet[1], table.unpack(packet, 2, packet.n))
		if packet[1] == "bye" then
			count.gone = count.gone + 1
			skynet.error(("Harbor %d is gone: it has ended"):format(session.id))
		end
	end
end

local function converse(session)
	socket.timeout(session.socket, math.min(TIMEOUT_CS, STRANGER_CS))
	bound_output(session)
	local is_member, problem, kind = let_in(session)
	socket.timeout(session.socket, TIMEOUT_CS)
	leave_pending(session)
	if not is_member then
		refuse(session, session.reason or problem, kind)
		return
	end
	log:forget(host_of(session.peer))
	local reason = serve(session)
	count.lost = count.lost + 1
	if members:lost(session) then
		skynet.error(("Harbor %d is away: %s"):format(session.id, session.reason or reason))
	end
end

local function accept(id, peer)
	count.accepted = count.accepted + 1
	if not make_room() then
		count.turned_away = count.turned_away + 1
		socket.close_fd(id)
		local text = "error: %d nodes wait for an answer, no more may connect"
		log:error("", text:format(PENDING_MAX))
		return
	end
	local session = setmetatable({ socket = id, peer = peer }, session_mt)
	table.insert(pending, session)
	if not log:has_said(host_of(peer)) then -- who was refused tries again and again
		skynet.error(("connect from %s %d"):format(peer, id))
	end
	local ok, reason = socket.start(id)
	if ok then
		ok, reason = pcall(converse, session)
		members:lost(session) -- if it was an error that has ended it
		socket.close(id)
	end
	if not ok then
		leave_pending(session)
		count.refused = count.refused + 1
		log_refusal(peer, reason)
	end
end

local function look_for_the_lost()
	while true do
		skynet.sleep(math.max(1, TIMEOUT_CS // LOOKS))
		for _, id in ipairs(members:tick()) do
			count.gone = count.gone + 1
			skynet.error(("Harbor %d is gone: it has not come back"):format(id))
		end
	end
end

local function listen(address)
	local ok, id, ip, port = pcall(socket.listen, address, nil, nil, { tls = settings.tls() })
	if not ok then
		local text = "cannot listen as master on %s (config key standalone): %s"
		fail_start("cmaster", text:format(address, id))
	end
	local bound = (ip:find(":", 1, true) and "[%s]:%d" or "%s:%d"):format(ip, port)
	skynet.error("master listen socket " .. bound)
	socket.start(id, accept)
	return bound
end

local function stat(address)
	local connections = { pending = #pending }
	for what, times in pairs(count) do
		connections[what] = times
	end
	return {
		address = address,
		network = members:snapshot(),
		connections = connections,
		registrations = members:registrations(),
	}
end

skynet.start(function()
	local address = listen(words[1] or skynet.getenv("standalone"))
	skynet.fork(look_for_the_lost)
	skynet.dispatch("lua", function(_, _, command)
		if command ~= "STAT" then
			error("Unknown command " .. tostring(command), 0)
		end
		skynet.retpack(stat(address))
	end)
end)
