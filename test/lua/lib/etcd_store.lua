--- An etcd in the memory of a test, and clients of it that stand in for those of
--- skynet.registry.etcd_client: what is said is what the JSON gateway says. Answers may be late, or
--- lost when all was done; watches break; everything may be away, forget, or be an older one.
local skynet = require("skynet")
local crypt = require("skynet.crypt")
local test = require("skynet.test")

local decode <const> = crypt.base64decode
local PAGE <const> = 3
local LATE_CS <const> = 5
local RETRY_CS <const> = 10

---@class etcd_store
---@field revision integer
---@field term integer
---@field kvs table<string, table> by key, as JSON has them
---@field leases table<string, { ttl_s: integer, end_cs: integer }>
---@field past table<string, table> kvs of earlier revisions, of which not all was read
---@field is_down boolean
---@field ends_watches boolean as soon as they have begun
---@field faults number the share of calls and messages that something happens to
local store = {}
local store_mt = { __index = store }

local function copy(value)
	if type(value) ~= "table" then
		return value
	end
	local other = {}
	for key, inner in pairs(value) do
		other[key] = copy(inner)
	end
	return other
end

-- What etcd does ---------------------------------------------------------------------------------

local function header(self)
	local revision = tostring(self.revision)
	return {
		cluster_id = tostring(self.age),
		member_id = "2",
		raft_term = tostring(self.term),
		revision = revision,
	}
end

local function note(self, kind, kv)
	table.insert(self.history, { revision = self.revision, event = { type = kind, kv = kv } })
end

local function sorted(kvs, key, range_end)
	local found = {}
	local first, last = decode(key), range_end and decode(range_end)
	for encoded, kv in pairs(kvs) do
		local text = decode(encoded)
		if text == first or last and text >= first and text < last then
			found[#found + 1] = { text, kv }
		end
	end
	table.sort(found, function(a, b)
		return a[1] < b[1]
	end)
	return found
end

local function delete(self, key)
	self.kvs[key] = nil
	note(self, "DELETE", { key = key, mod_revision = tostring(self.revision) })
end

local function put(self, request)
	local revision, former = tostring(self.revision), self.kvs[request.key]
	local kv = {
		key = request.key,
		value = request.value,
		lease = request.lease,
		mod_revision = revision,
		create_revision = former and former.create_revision or revision,
	}
	self.kvs[request.key] = kv
	note(self, nil, kv)
end

local operations = {}

function operations.request_put(self, request)
	put(self, request)
	return {}
end

function operations.request_range(self, request)
	local found = sorted(self.kvs, request.key)
	return { response_range = { kvs = found[1] and { copy(found[1][2]) } } }
end

function operations.request_delete_range(self, request)
	if self.kvs[request.key] then
		delete(self, request.key)
	end
	return {}
end

local FIELDS <const> = { CREATE = "create_revision", MOD = "mod_revision", VALUE = "value" }

local function holds(self, condition)
	local field = FIELDS[condition.target]
	local found = sorted(self.kvs, condition.key, condition.range_end)
	for _, pair in ipairs(found) do
		if pair[2][field] ~= condition[field] then
			return false
		end
	end
	return #found > 0 or condition[field] == "0"
end

local function hold(self, conditions)
	for _, condition in ipairs(conditions or {}) do
		if not holds(self, condition) then
			return false
		end
	end
	return true
end

--- The steps of a transaction, with those of transactions within it in their place.
local function choose(self, request, steps)
	local succeeded = hold(self, request.compare)
	for _, step in ipairs(succeeded and request.success or request.failure or {}) do
		if step.request_txn then
			choose(self, step.request_txn, steps)
		else
			steps[#steps + 1] = step
		end
	end
	return succeeded, steps
end

local calls = {}

calls["/v3/kv/range"] = function(self, request)
	local past = self.past[request.revision] or {}
	if request.revision and tonumber(request.revision) < self.compacted then
		return nil, "required revision has been compacted", 11
	end
	local all, kvs = request.revision and past or self.kvs, {}
	local found = sorted(all, request.key, request.range_end)
	for i = 1, math.min(PAGE, #found) do
		kvs[i] = copy(found[i][2])
	end
	if not request.revision and #found > PAGE then
		self.past[tostring(self.revision)] = copy(self.kvs)
	end
	return { kvs = kvs, more = #found > PAGE }
end

calls["/v3/kv/txn"] = function(self, request)
	local succeeded, steps = choose(self, request, {})
	for _, step in ipairs(steps) do
		local lease = step.request_put and step.request_put.lease
		if lease and not self.leases[lease] then
			return nil, "requested lease not found", 5
		end
	end
	local before = #self.history
	self.revision = self.revision + 1
	local responses = {}
	for i, step in ipairs(steps) do
		local kind, inner = next(step)
		responses[i] = operations[kind](self, inner)
	end
	if #self.history == before then
		self.revision = self.revision - 1
	end
	return { succeeded = succeeded or nil, responses = responses }
end

calls["/v3/lease/grant"] = function(self, request)
	self.last_lease = self.last_lease + 1
	local id, ttl_s = tostring(self.last_lease), tonumber(request.TTL)
	self.leases[id] = { ttl_s = ttl_s, end_cs = skynet.now() + 100 * ttl_s }
	return { ID = id, TTL = request.TTL }
end

calls["/v3/lease/keepalive"] = function(self, request)
	local lease = self.leases[request.ID]
	if lease then
		lease.end_cs = skynet.now() + 100 * lease.ttl_s
	end
	return { ID = request.ID, TTL = lease and tostring(lease.ttl_s) }
end

calls["/v3/lease/timetolive"] = function(self, request)
	local lease = self.leases[request.ID]
	local left_s = lease and (lease.end_cs - skynet.now()) // 100
	return { ID = request.ID, TTL = tostring(left_s or -1), grantedTTL = lease and lease.ttl_s }
end

calls["/v3/lease/revoke"] = function(self, request)
	if not self.leases[request.ID] then
		return nil, "requested lease not found", 5
	end
	self:revoke(request.ID)
	return {}
end

-- What tests do with it --------------------------------------------------------------------------

--- Ends a lease, and all keys under it with one revision.
---@param id string
function store:revoke(id)
	self.leases[id] = nil
	local has_begun = false
	local first, last = crypt.base64encode("\0"), crypt.base64encode("\255")
	for _, found in ipairs(sorted(self.kvs, first, last)) do
		if found[2].lease == id then
			self.revision = self.revision + (has_begun and 0 or 1)
			has_begun = true
			delete(self, found[2].key)
		end
	end
end

--- Puts a key, or deletes it.
---@param key string
---@param value? string
---@param lease? string
function store:set(key, value, lease)
	key = crypt.base64encode(key)
	self.revision = self.revision + 1
	if value then
		put(self, { key = key, value = crypt.base64encode(value), lease = lease })
	elseif self.kvs[key] then
		delete(self, key)
	end
end

--- All keys and values.
---@return table<string, string>
function store:all()
	local all = {}
	for key, kv in pairs(self.kvs) do
		all[decode(key)] = decode(kv.value)
	end
	return all
end

--- Forgets all but the present.
function store:compact()
	self.compacted = self.revision
end

---@return table
function store:backup()
	return copy({ revision = self.revision, kvs = self.kvs, leases = self.leases })
end

--- Is what it was, and all watches end.
---@param backup table
function store:restore(backup)
	backup = copy(backup)
	self.revision, self.kvs, self.leases = backup.revision, backup.kvs, backup.leases
	self.history, self.past, self.compacted = {}, {}, backup.revision
	self.age = self.age + 1
	for _, lease in pairs(self.leases) do
		lease.end_cs = skynet.now() + 100 * lease.ttl_s
	end
end

--- Elects a new leader, who gives all leases their full time.
function store:elect()
	self.term = self.term + 1
	for _, lease in pairs(self.leases) do
		lease.end_cs = skynet.now() + 100 * lease.ttl_s
	end
end

--- The watches that stand tell nothing any more.
function store:deafen()
	self.deaf_count = self.watch_count
end

--- Ends the leases that have run out. While nobody answers none does.
function store:tick()
	for id, lease in pairs(self.leases) do
		if self.is_down then
			lease.end_cs = skynet.now() + 100 * lease.ttl_s
		elseif lease.end_cs <= skynet.now() then
			self:revoke(id)
		end
	end
end

-- Clients ----------------------------------------------------------------------------------------

---@class etcd_store.client
---@field is_cut boolean it reaches nobody
local client = {}
local client_mt = { __index = client }

local function has_trouble(self)
	return test.random(1, 1000) <= self.store.faults * 1000
end

local function is_reachable(self)
	return not self.is_cut and not self.store.is_down
end

--- One try. Waits.
local function try(self, path, request)
	skynet.sleep(test.random(0, LATE_CS))
	if not is_reachable(self) or has_trouble(self) then
		return nil, "refused"
	end
	local answer, reason, code = calls[path](self.store, copy(request))
	if answer then
		answer.header = header(self.store)
	end
	skynet.sleep(test.random(0, LATE_CS))
	if not is_reachable(self) or has_trouble(self) then
		return nil, "the answer is lost"
	end
	return answer, reason, code
end

function client:call(path, request, deadline_cs)
	while true do
		local answer, reason, code = try(self, path, request)
		if self.is_closed then
			return nil, "closed"
		elseif answer or code then
			return answer, reason, code
		end
		skynet.sleep(RETRY_CS)
		if deadline_cs and skynet.now() >= deadline_cs then
			return nil, reason
		end
	end
end

local watch = {}
local watch_mt = { __index = watch }

function client:watch(request)
	skynet.sleep(test.random(0, LATE_CS))
	if not is_reachable(self) or has_trouble(self) then
		return nil, "refused"
	end
	self.store.watch_count = self.store.watch_count + 1
	return setmetatable({
		client = self,
		number = self.store.watch_count,
		age = self.store.age,
		revision = tonumber(request.start_revision) - 1,
	}, watch_mt)
end

--- The events of some of the next revisions.
local function next_events(self)
	local events, last = {}, self.revision + test.random(1, 4)
	for _, entry in ipairs(self.client.store.history) do
		if entry.revision > self.revision and (entry.revision <= last or not events[1]) then
			last = math.max(last, entry.revision)
			events[#events + 1] = copy(entry.event)
		end
	end
	self.revision = math.min(last, self.client.store.revision)
	return events
end

function watch:next(deadline_cs)
	local etcd = self.client.store
	skynet.sleep(test.random(0, LATE_CS))
	while not self.reason do
		local is_whole = etcd.age == self.age and is_reachable(self.client)
		if not is_whole or has_trouble(self.client) then
			return nil, "cut"
		elseif not self.is_created then
			self.is_created = true
			return { created = true, header = header(etcd) }
		elseif etcd.ends_watches then
			return nil, "the member ends it at once"
		elseif self.revision < etcd.compacted and self.revision < etcd.revision then
			return { canceled = true, compact_revision = tostring(etcd.compacted) }
		end
		local events = self.number > etcd.deaf_count and next_events(self) or {}
		if events[1] then
			return { events = events, header = header(etcd) }
		elseif skynet.now() >= deadline_cs then
			return nil, "timeout"
		end
		self.token = {}
		skynet.sleep(LATE_CS, self.token)
	end
	return nil, self.reason
end

function watch:close(reason)
	self.reason = reason
	skynet.wakeup(self.token or {})
end

watch.fail = watch.close

function client:forget_token() end -- luacheck: ignore 212

function client:present_host() -- luacheck: ignore 212
	return "etcd:1"
end

function client:close(path, request)
	if not self.is_closed and path and is_reachable(self) then
		calls[path](self.store, { ID = request:match("%d+") })
	end
	self.is_closed = true
end

local module = {}

---@return etcd_store
function module.new()
	local self = setmetatable({
		revision = 1,
		kvs = {},
		leases = {},
		last_lease = 1000,
		history = {},
		past = {},
		compacted = 0,
		age = 0,
		term = 1,
		watch_count = 0,
		deaf_count = 0,
		is_down = false,
		ends_watches = false,
		faults = 0,
	}, store_mt)
	skynet.fork(function()
		while true do
			skynet.sleep(10)
			self:tick()
		end
	end)
	return self
end

--- A client, in place of one of skynet.registry.etcd_client.
---@param etcd etcd_store
---@return etcd_store.client
function module.client(etcd)
	return setmetatable({ store = etcd, is_closed = false, is_cut = false }, client_mt)
end

return module
