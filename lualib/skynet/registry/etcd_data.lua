--- What one service of the network keeps in etcd (skynet.registry.data): the service that holds a
--- global name, its office. etcd_paths.lua has the form of the keys.
---
---     PREFIX/tree        "TOKEN COUNT LARGEST RUN", the head
---     PREFIX/tree/PATH   a value
---
--- Only one may write, and nothing may be written late:
---
--- * Who takes the place over draws a new token and puts a new head, in a transaction that compares
---   the key of the office with his own handle, and the head with what he has read.
--- * Each write is a transaction that compares the whole head, and puts one with the next count. So
---   whoever has been replaced, and does not know, fails; so does a request that was sent again,
---   for want of an answer, and arrives twice, however late the first one comes through.
--- * A write whose head is there already was done, and only its answer was lost.
---
--- RUN is that of the network (etcd_place.lua): what an earlier run has left is removed, in the
--- transaction that takes the place over. LARGEST tells how many bytes a value may have, so that
--- those who read take no more keys at once than fit in an answer.
local skynet = require("skynet")
local crypt = require("skynet.crypt")
local fields = require("skynet.network.fields")
local answers = require("skynet.registry.etcd_answers")
local etcd = require("skynet.registry.etcd")
local keys = require("skynet.registry.etcd_keys")
local paths = require("skynet.registry.etcd_paths")

local encode <const> = answers.to_base64
local decode <const> = answers.from_base64
local number <const> = keys.number

--- etcd takes 1.5 MiB in a request, and 128 operations in a transaction, if nobody has said
--- otherwise (--max-request-bytes, --max-txn-ops).
local LIMITS <const> = { bytes = 1024 * 1024, changes = 100 }
--- What an operation has beside keys and value.
local CHANGE_BYTES <const> = 32
--- What an answer has, about, and the keys in it.
local PAGE_BYTES <const> = 8 * 1024 * 1024
local PAGE_KEYS_MAX <const> = 2000
--- So long has a member to answer, whatever the timeout of the network: answers may be large.
local TIMEOUT_MIN_CS <const> = 500
local PAUSE_CS <const> = 10

---@class skynet.registry.etcd_data: skynet.registry.data
---@field private etcd skynet.registry.etcd_client
---@field private keys skynet.registry.etcd_keys
---@field private office string its key, as etcd's JSON has it
---@field private owner string the value of that key while the office is held here
---@field private root string key of the head
---@field private run string its key, as etcd's JSON has it
---@field private head skynet.registry.etcd_head? the present one, if it is ours
---@field private largest integer what the next head says
local methods = {}
local class = { __index = methods, __name = "skynet.registry.etcd_data" }

---@class skynet.registry.etcd_head
---@field token string
---@field count integer how often was written with it
---@field largest integer
---@field run string

-- The head ---------------------------------------------------------------------------------------

--- The value of the head, as etcd's JSON has it.
local function format_head(head)
	return encode(("%s %d %d %s"):format(head.token, head.count, head.largest, head.run))
end

--- What a head says; nil when it is none.
local function read_head(kv)
	local text = kv and decode(kv.value or "") or ""
	local token, count, largest, run = text:match("^(%x+) (%d+) (%d+) (%x+)$")
	if not token then
		return nil
	end
	return { token = token, count = number(count), largest = number(largest), run = run }
end

local function read_key(key)
	return { request_range = { key = key } }
end

--- The first and the end of all keys below one.
local function range_below(key)
	return encode(key .. "/"), encode(key .. "0") -- "0" follows "/"
end

--- Makes changes, and puts a new head with them, all under the conditions. Waits.
---@return table? answer nil: it is not known what has become of it
---@return string? reason
---@return boolean is_done the head is there: by this request, or by one whose answer was lost
local function put_head(self, head, compare, operations, deadline_cs)
	local key, value = encode(self.root), format_head(head)
	operations[#operations + 1] = { request_put = { key = key, value = value } }
	local answer, reason = self.etcd:call("/v3/kv/txn", {
		compare = compare,
		success = operations,
		failure = { read_key(key) },
	}, deadline_cs, answers.revision)
	if not answer then
		return nil, reason, false
	end
	local present = answer.succeeded ~= true and keys.first_kv(answer, 1) or {}
	local is_done = answer.succeeded == true or present.value == value
	if is_done then
		self.head = head
	end
	return answer, nil, is_done
end

-- Taking over ------------------------------------------------------------------------------------

--- Whose the office is, for people.
local function describe(self, kv)
	local entry = self.keys:entry(kv)
	return entry and ("node %d has it now"):format(fields.node_of(entry.handle))
		or "somebody has it now"
end

--- Reads the office, the head, and which run it is. Waits.
---@return { office: table, head: table?, run: string? }? seen
---@return string? reason
---@return boolean? is_over another one has the office
local function look(self, deadline_cs)
	local answer, reason = self.etcd:call("/v3/kv/txn", {
		success = {
			read_key(self.office),
			read_key(encode(self.root)),
			read_key(self.run),
		},
	}, deadline_cs, answers.revision)
	local office = answer and keys.first_kv(answer, 1)
	if not answer then
		return nil, reason, false
	elseif not office then
		return nil, "nobody has it now", false
	elseif office.value ~= self.owner then
		return nil, describe(self, office), true
	end
	local run = keys.first_kv(answer, 3)
	local text = run and decode(run.value) or ""
	return { office = office, head = keys.first_kv(answer, 2), run = text:match("^%x+$") }
end

--- That nothing has changed since it was looked at.
local function unchanged(self, seen)
	local office = self.office
	local created = seen.office.create_revision
	return {
		{ key = office, target = "VALUE", result = "EQUAL", value = self.owner },
		{ key = office, target = "CREATE", result = "EQUAL", create_revision = created },
		keys.unchanged(encode(self.root), seen.head),
	}
end

local function remove_below(key)
	local first, range_end = range_below(key)
	return { request_delete_range = { key = first, range_end = range_end } }
end

--- Puts a new head in place of the one that was seen. Waits.
---@return integer? revision nil: it can't, or something has changed meanwhile
---@return string? reason
local function put_first_head(self, seen, deadline_cs)
	local former = read_head(seen.head)
	local head = {
		token = crypt.hexencode(crypt.randomkey()),
		count = 0,
		largest = former and former.largest or seen.head and LIMITS.bytes or 0,
		run = seen.run or former and former.run or "0",
	}
	local operations = {}
	if former and former.run ~= head.run then
		operations[1] = remove_below(self.root)
	end
	local answer, reason, is_done =
		put_head(self, head, unchanged(self, seen), operations, deadline_cs)
	return is_done and answers.revision(answer) or nil, reason
end

-- Reading ----------------------------------------------------------------------------------------

--- Tells of one key. What is none of ours is passed over.
local function tell(self, kv, on_entry)
	local key = type(kv) == "table" and decode(kv.key) or ""
	local bytes = type(kv) == "table" and decode(kv.value or "")
	local parts, count = paths.parse(key:sub(#self.root + 1))
	if parts and count and bytes and on_entry(parts, count, bytes) then
		self.largest = math.max(self.largest, #key + #bytes)
	else
		skynet.error(("warning: etcd: '%s' is passed over"):format(key))
	end
end

--- Where the page behind this one begins, which began at a key; nil: it was the last one, or does
--- not go on in order.
---@return string? next_key
---@return string? reason
local function next_page(answer, list, key)
	if answer.more ~= true then
		return nil
	end
	local last = list[#list]
	local last_key = type(last) == "table" and decode(last.key)
	if not last_key or last_key < key then
		return nil, "the keys come without an order"
	end
	return last_key .. "\0"
end

--- Reads all values as they were at a revision, page by page. Waits, for each page so long.
local function read_all(self, revision, limit_cs, on_entry)
	local largest = math.max(self.head.largest, 1)
	local limit = math.min(math.max(PAGE_BYTES // largest, 1), PAGE_KEYS_MAX)
	local first, range_end = range_below(self.root)
	local key = decode(first)
	self.largest = 0
	while key do
		local answer, reason = self.etcd:call("/v3/kv/range", {
			key = encode(key),
			range_end = range_end,
			limit = limit,
			revision = tostring(revision),
		}, skynet.now() + limit_cs, answers.revision)
		if not answer then
			return nil, reason
		end
		local list = type(answer.kvs) == "table" and answer.kvs or {}
		for _, kv in ipairs(list) do
			tell(self, kv, on_entry)
		end
		key, reason = next_page(answer, list, key)
		if reason then
			return nil, reason
		end
	end
	return true
end

--- Whether the place is as this one has left it. Waits.
---@param deadline_cs integer
---@return boolean is_held
function methods:is_held(deadline_cs)
	local seen = look(self, deadline_cs)
	local head = seen and self.head and seen.head
	return head ~= nil and head.value == format_head(self.head)
end

--- Takes the place over, and tells all that is in it. Waits.
---@param limit_cs integer to take it over, and for each piece of what is in it
---@param on_entry fun(keys: any[], count: integer, bytes: string): boolean
---@return boolean? is_taken
---@return string? reason
---@return boolean? is_over another one has the office
function methods:take(limit_cs, on_entry)
	local deadline_cs = skynet.now() + limit_cs
	self.head = nil
	while true do
		local seen, reason, is_over = look(self, deadline_cs)
		if not seen then
			return nil, reason, is_over
		end
		local revision
		revision, reason = put_first_head(self, seen, deadline_cs)
		if revision then
			return read_all(self, revision, limit_cs, on_entry)
		elseif reason or skynet.now() >= deadline_cs then
			return nil, reason or "timeout"
		end
		skynet.sleep(PAUSE_CS) -- it has changed meanwhile
	end
end

-- Writing ----------------------------------------------------------------------------------------

--- How many bytes of LIMITS a change takes.
---@param change skynet.registry.data.change
---@return integer
function methods:measure(change)
	local size = #self.root + #paths.format(change.keys, change.count)
	return CHANGE_BYTES + (change.is_below and 2 or 1) * size + #(change.bytes or "")
end

local function format_change(self, change)
	local key = self.root .. paths.format(change.keys, change.count)
	if change.is_below then
		return remove_below(key)
	elseif change.bytes then
		return { request_put = { key = encode(key), value = encode(change.bytes) } }
	end
	return { request_delete_range = { key = encode(key) } }
end

--- Makes changes, all of them or none. Waits.
---@param changes skynet.registry.data.change[]
---@param deadline_cs integer
---@return boolean? is_done
---@return string? reason
---@return boolean? is_over another one has taken the place
function methods:write(changes, deadline_cs)
	local former = self.head
	local operations = {}
	for i, change in ipairs(changes) do
		self.largest = math.max(self.largest, self:measure(change))
		operations[i] = format_change(self, change)
	end
	local head = {
		token = former.token,
		count = former.count + 1,
		largest = self.largest,
		run = former.run,
	}
	local compare = {
		{
			key = encode(self.root),
			target = "VALUE",
			result = "EQUAL",
			value = format_head(former),
		},
	}
	local answer, reason, is_done = put_head(self, head, compare, operations, deadline_cs)
	if is_done then
		return true
	end
	return nil, reason or "another node has taken it over", answer ~= nil
end

-- Opening ----------------------------------------------------------------------------------------

local etcd_data = {}

--- Opens the place. Does not wait. Raises when the URL is wrong or cjson is missing.
---@param options skynet.registry.data.options
---@return skynet.registry.data
function etcd_data.open(options)
	local timeout_cs = math.max(options.timeout_cs, TIMEOUT_MIN_CS)
	local parts = etcd.prepare(options.url, timeout_cs, options.handle >> 24)
	return setmetatable({
		etcd = parts.etcd,
		keys = parts.keys,
		office = parts.keys:name(options.office),
		owner = keys.name_value(options.handle),
		root = parts.keys:tree(),
		run = parts.keys:run(),
		limits = LIMITS,
		largest = 0,
	}, class)
end

return etcd_data
