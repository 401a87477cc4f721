--- A node's place in the network: the key of its id, under a lease that says that the node lives.
---
--- A node takes its place, also again when its lease was lost, if the key is not there, or is its
--- own (of the same incarnation). The key of another incarnation is looked at until it is clear
--- what has become of that one:
---
--- * It lives: its lease is renewed, again and again, or outlasts its time. It keeps the place.
--- * It is dead: nobody listens at its address any more, because this node does, or because the
---   connection is refused. (An address such as 127.0.0.1 tells nothing on another machine.) Its
---   lease is revoked, which ends its key and its names at once.
--- * Neither can be told: its machine may be gone, or it is suspended. Its lease will run out.
---
--- A new process that finds nobody's key begins a run of the network, and notes that in the same
--- transaction. One that takes its place again, because it was silent for too long, does not.
---
--- A lease that is revoked is the one that stood with the key of the dead one, so whoever has taken
--- the place meanwhile, by another lease, does not lose it. All else is compare-and-set.
local skynet = require("skynet")
local socket = require("skynet.socket")
local registry = require("skynet.registry")
local answers = require("skynet.registry.etcd_answers")
local keys = require("skynet.registry.etcd_keys")

local number <const> = keys.number
local CODE <const> = answers.CODE

--- Local numbers of handles have 24 bits, and begin again behind the last one.
local BASE_MASK <const> = 0xFFFFFF
--- Pause between two looks at another's place.
local LOOK_CS <const> = 25
local CONNECT_CS <const> = 100
local UNKNOWN <const> = "an address that is not known yet"

---@class skynet.registry.etcd_place
---@field id integer
---@field value string of the key
---@field lease string? id of the lease; nil: none, or it is lost
---@field ttl_s integer of the lease: what was wanted, then what etcd gives
---@field base integer? what is stored, as far as known
---@field private etcd skynet.registry.etcd_client
---@field private keys skynet.registry.etcd_keys
---@field private address string? where this node listens
---@field private incarnation string
---@field private machine string
---@field private was_taken boolean
---@field private is_closed boolean
local methods = {}
local class = { __index = methods, __name = "skynet.registry.etcd_place" }

-- The lease --------------------------------------------------------------------------------------

local function is_lease(answer)
	return number(answer.ID) ~= nil and (number(answer.TTL) or 0) > 0
end

--- Gets a lease. Waits.
local function grant(self, deadline_cs)
	local request, path = { TTL = tostring(self.ttl_s) }, "/v3/lease/grant"
	local answer, reason, code = self.etcd:call(path, request, deadline_cs, is_lease)
	if not answer then
		return nil, reason, code
	end
	self.lease, self.ttl_s = answer.ID, number(answer.TTL)
	return true
end

--- Tells etcd that this node lives. False: the lease is lost, and with it the place. Waits.
---@param deadline_cs? integer
---@return boolean? is_held nil: etcd could not be asked
---@return string? reason
function methods:renew(deadline_cs)
	local lease = self.lease
	if not lease then
		return false
	end
	local answer, reason, code = self.etcd:call(
		"/v3/lease/keepalive",
		{ ID = lease },
		deadline_cs,
		function(answer)
			return answer.ID == lease
		end
	)
	if code == CODE.NOT_FOUND or (answer and not number(answer.TTL)) then
		self.lease = nil
		return false
	elseif not answer then
		return nil, reason
	end
	return true
end

-- What stands there ------------------------------------------------------------------------------

local function has_two(answer)
	return type(answer.responses) == "table" and #answer.responses == 2
end

--- Reads the keys of the id: what holds the place, and the base. Waits.
---@return { node: table?, base: table? }? kvs as etcd's JSON has them
local function read(self, deadline_cs)
	local answer, reason, code = self.etcd:call("/v3/kv/txn", {
		success = {
			{ request_range = { key = self.keys:node(self.id) } },
			{ request_range = { key = self.keys:base(self.id) } },
		},
	}, deadline_cs, has_two)
	if not answer then
		return nil, reason, code
	end
	return { node = keys.first_kv(answer, 1), base = keys.first_kv(answer, 2) }
end

--- The same, with a lease for what may then be put. Waits.
local function read_with_lease(self, deadline_cs)
	if not self.lease then
		local ok, reason, code = grant(self, deadline_cs)
		if not ok then
			return nil, reason, code
		end
	end
	return read(self, deadline_cs)
end

--- The operation that notes the begin of a run, if nobody has a place by then.
local function begin_run(self)
	local key, range_end = self.keys:nodes()
	local run = { key = self.keys:run(), value = keys.run_value(self.incarnation) }
	return {
		request_txn = {
			compare = {
				{
					key = key,
					range_end = range_end,
					target = "CREATE",
					result = "EQUAL",
					create_revision = "0", -- none of them is there
				},
			},
			success = { { request_put = run } },
		},
	}
end

--- Takes the place, if nothing has changed since it was read. Waits.
---@return boolean? is_taken
local function put(self, kvs, base, deadline_cs)
	local node_key, base_key = self.keys:node(self.id), self.keys:base(self.id)
	local success = {
		{ request_put = { key = node_key, value = self.value, lease = self.lease } },
	}
	if base then
		local value = keys.base_value(base)
		table.insert(success, { request_put = { key = base_key, value = value } })
	end
	if not self.was_taken then
		table.insert(success, begin_run(self))
	end
	local answer, reason, code = self.etcd:call("/v3/kv/txn", {
		compare = {
			keys.unchanged(node_key, kvs.node),
			keys.unchanged(base_key, kvs.base),
		},
		success = success,
	}, deadline_cs)
	if code == CODE.NOT_FOUND then
		self.lease = nil -- it ran out meanwhile
		return false
	elseif not answer then
		return nil, reason, code
	end
	return answer.succeeded == true
end

-- Another's place --------------------------------------------------------------------------------

--- Whether the address means something else on each machine.
local function is_local(address)
	local host = address:match("^(.*):%d+$") or address
	return host == "localhost"
		or host == "0.0.0.0"
		or host == "[::]"
		or host == "[::1]"
		or host:match("^127%.") ~= nil
end

--- Whether nobody listens at the address of another incarnation. Waits.
local function is_deserted(self, entry)
	local address = entry.address
	if not address or (is_local(address) and entry.machine ~= self.machine) then
		return false -- it cannot be known
	elseif address == self.address then
		return true -- this node listens there now
	end
	local id, reason = socket.open(address, { timeout = CONNECT_CS })
	if id then
		socket.close(id)
		return false
	end
	return reason ~= nil and reason:find("refused", 1, true) ~= nil
end

---@class skynet.registry.etcd_place.seen what was seen of a lease so far; empty at first
---@field lease string?
---@field term integer of etcd: a new leader gives all leases their full time once more
---@field renewals integer how often it must have been renewed
---@field since_cs integer at this time it had no more than its full time left
---@field left_s integer at the last look

--- Whether a lease, which is looked at again and again, is renewed. Once is not enough: what the
--- dead have asked for before their end, a slow etcd may do later. Waits.
---@param seen skynet.registry.etcd_place.seen
local function is_renewed(self, lease, seen, deadline_cs)
	local asked_cs = skynet.now()
	local answer = self.etcd:call("/v3/lease/timetolive", { ID = lease }, deadline_cs)
	local left_s = answer and number(answer.TTL)
	local granted_s = answer and number(answer.grantedTTL)
	if not left_s or not granted_s then
		return false -- it has gone, or etcd cannot tell
	end
	local _, term = answers.origin(answer)
	if seen.lease ~= lease or seen.term ~= term then
		seen.lease, seen.term, seen.renewals = lease, term, 0
		seen.since_cs = skynet.now()
	elseif left_s > seen.left_s or asked_cs - seen.since_cs > 100 * (granted_s + 1) then
		seen.renewals = seen.renewals + 1
		seen.since_cs = skynet.now()
	end
	seen.left_s = left_s
	return seen.renewals > 1
end

--- Ends the place of a dead incarnation. What cannot be done now is tried at the next look. Waits.
local function bury(self, kv, deadline_cs)
	if number(kv.lease) and kv.lease ~= "0" then
		self.etcd:call("/v3/lease/revoke", { ID = kv.lease }, deadline_cs)
	else
		local key = self.keys:node(self.id)
		self.etcd:call("/v3/kv/txn", {
			compare = { keys.unchanged(key, kv) },
			success = { { request_delete_range = { key = key } } },
		}, deadline_cs)
	end
end

--- Looks at the place of another incarnation. Returns a reason if that one lives. Waits.
local function look(self, kv, seen, deadline_cs)
	local entry = self.keys:entry(kv) or {}
	local address = entry.address
	if not number(kv.lease) or kv.lease == "0" or is_deserted(self, entry) then
		bury(self, kv, deadline_cs)
		return nil
	elseif is_renewed(self, kv.lease, seen, deadline_cs) then
		local text = "node %d is there already, at %s: "
			.. "give this one another id (config key harbor)"
		return text:format(self.id, address or UNKNOWN)
	end
	skynet.sleep(LOOK_CS)
end

-- Taking it --------------------------------------------------------------------------------------

local function is_own(self, kv)
	local entry = self.keys:entry(kv)
	return entry ~= nil and entry.incarnation == self.incarnation
end

--- The base of an incarnation that follows the one that has stored this; 0 when there was none.
local function next_base(stored)
	return stored and (stored + registry.BASE_STEP) & BASE_MASK or 0
end

local function stored_base(self, kvs)
	local entry = kvs.base and self.keys:entry(kvs.base)
	return entry and entry.base
end

--- The base to store, if any, with the place: that of a new incarnation, or the own one again.
local function choose_base(self, kvs)
	local stored = stored_base(self, kvs)
	if self.base and (stored == self.base or not stored) then
		return not stored and self.base or nil
	end
	return next_base(stored)
end

--- Takes the place, if it is free or the own one. Waits.
---@return boolean? is_taken false: to be read again
local function put_own(self, kvs, has_base, deadline_cs)
	if kvs.node and kvs.node.lease == self.lease and kvs.node.value == self.value then
		-- The answer to an earlier try was lost.
		self.base = has_base and stored_base(self, kvs) or self.base
		return true
	end
	local base = has_base and choose_base(self, kvs)
	local is_taken, reason, code = put(self, kvs, base, deadline_cs)
	if is_taken and base then
		self.base = base
	end
	return is_taken, reason, code
end

--- Takes the place, if nobody has it. Waits.
---@param deadline_cs integer
---@return boolean? is_taken false: somebody has it; nil: etcd cannot be asked
---@return string? reason
function methods:try(deadline_cs)
	local kvs, reason = read_with_lease(self, deadline_cs)
	if not kvs then
		return nil, reason
	elseif kvs.node and not is_own(self, kvs.node) then
		return false
	end
	return put_own(self, kvs, false, deadline_cs)
end

--- Looks whether the place is still this node's. If not, its lease is given up, too. Waits.
---@param deadline_cs integer
---@return boolean? is_held nil: etcd cannot be asked
---@return string? reason
function methods:check(deadline_cs)
	local kvs, reason = read(self, deadline_cs)
	if not kvs then
		return nil, reason
	elseif kvs.node and is_own(self, kvs.node) then
		return true
	end
	self.etcd:call("/v3/lease/revoke", { ID = self.lease }, deadline_cs)
	self.lease = nil
	return false
end

local function late(self, kvs)
	local entry = kvs and kvs.node and self.keys:entry(kvs.node)
	if entry then
		local text = "node %d was at %s, and its lease has not ended: "
			.. "is it suspended or cut off?"
		return nil, text:format(self.id, entry.address or UNKNOWN)
	end
	return nil, "timeout"
end

--- Takes the place. Waits for the end of another incarnation that may be dead. Waits.
---@param deadline_cs integer
---@param has_base boolean a new base, too: this node will give handles from now on
---@return integer? base nil: it can't
---@return string? reason
function methods:take(deadline_cs, has_base)
	local seen = {}
	local kvs, reason, code
	while skynet.now() < deadline_cs and not self.is_closed do
		kvs, reason, code = read_with_lease(self, deadline_cs)
		if kvs and (not kvs.node or is_own(self, kvs.node)) then
			local is_taken
			is_taken, reason, code = put_own(self, kvs, has_base, deadline_cs)
			if is_taken then
				self.was_taken = true
				return self.base or 0
			end
		elseif kvs then
			reason = look(self, kvs.node, seen, deadline_cs)
			if reason then
				return nil, reason
			end
		end
		if code then
			return nil, reason
		elseif reason then
			skynet.sleep(LOOK_CS)
		end
	end
	if reason then
		return nil, reason
	end
	return late(self, kvs)
end

--- Takes the place again, after the lease was lost. What stands there may be dead, as an earlier
--- incarnation is that an etcd knows which was restored from a backup. Waits.
---@param seen table empty at the first try, then the same one
---@param deadline_cs integer
---@return boolean? is_taken false: another node has it; nil: to be tried again
---@return string? reason
function methods:retake(seen, deadline_cs)
	local kvs, reason = read_with_lease(self, deadline_cs)
	if not kvs then
		return nil, reason
	elseif kvs.node and not is_own(self, kvs.node) then
		local entry = self.keys:entry(kvs.node) or {}
		if look(self, kvs.node, seen, deadline_cs) then
			local text = "node %d is another one now, at %s: "
				.. "this one was silent for more than %d s"
			return false, text:format(self.id, entry.address or UNKNOWN, self.ttl_s)
		end
		return nil, "it is not known whether another node has the place"
	end
	local is_taken, problem = put_own(self, kvs, true, deadline_cs)
	if is_taken then
		return true
	end
	return nil, problem or "the place has changed meanwhile"
end

--- Has those that wait give up.
function methods:close()
	self.is_closed = true
end

--- The condition, for a transaction, that the place is this node's.
---@return table
function methods:is_held()
	local key = self.keys:node(self.id)
	return { key = key, target = "VALUE", result = "EQUAL", value = self.value }
end

--- Stores how far the numbers of handles are used up, while the place is held. Waits.
---@param base integer
---@param deadline_cs? integer
---@return boolean? is_stored
---@return string? reason
function methods:store_base(base, deadline_cs)
	local request = { key = self.keys:base(self.id), value = keys.base_value(base) }
	local answer, reason = self.etcd:call("/v3/kv/txn", {
		compare = { self:is_held() },
		success = { { request_put = request } },
	}, deadline_cs)
	if answer and answer.succeeded == true then
		self.base = base
		return true
	end
	return nil, reason or "the place is lost"
end

--- What only the processes of this machine know, until it is started again; elsewhere than on Linux
--- something that nobody has in common.
local function find_machine(incarnation)
	local file = io.open("/proc/sys/kernel/random/boot_id")
	local text = file and file:read("l")
	if file then
		file:close()
	end
	return text and text:match("^[%x-]+$") or incarnation
end

local module = {}

---@class skynet.registry.etcd_place.options
---@field etcd skynet.registry.etcd_client
---@field keys skynet.registry.etcd_keys
---@field id integer
---@field address? string where the node listens; nil: nowhere yet
---@field incarnation string
---@field ttl_s integer of the lease that is wanted
---@field lease? string one that there is

---@param options skynet.registry.etcd_place.options
---@return skynet.registry.etcd_place
function module.new(options)
	local machine = find_machine(options.incarnation)
	return setmetatable({
		etcd = options.etcd,
		keys = options.keys,
		id = options.id,
		address = options.address,
		incarnation = options.incarnation,
		ttl_s = options.ttl_s,
		lease = options.lease,
		value = keys.node_value(options.address, options.incarnation, machine),
		machine = machine,
		was_taken = false,
		is_closed = false,
	}, class)
end

return module
