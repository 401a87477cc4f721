--- What a network of nodes keeps in etcd: the form of keys and values, and reading all of it.
---
---     PREFIX/node/ID    "HOST:PORT INCARNATION MACHINE"  under the node's lease; HOST:PORT is "-"
---                       while the id is claimed, but nobody listens yet
---     PREFIX/name/NAME  ":HANDLE", in hex  under the lease of the owner's node
---     PREFIX/base/ID    a number  without a lease: it outlives the node
---     PREFIX/run        the INCARNATION of the node that came when there was no other
---     PREFIX/tree...    the values of the datacenter  (etcd_data.lua)
---
--- Keys and values of another form are passed over.
local fields = require("skynet.network.fields")
local answers = require("skynet.registry.etcd_answers")

local encode <const> = answers.to_base64
local decode <const> = answers.from_base64
local CODE <const> = answers.CODE

local PAGE <const> = 5000
--- A million keys.
local PAGES_MAX <const> = 200
local ID_MAX <const> = 255

local module = {}

--- Values as etcd's JSON has them.

---@param address string? nil: it does not listen yet
---@param incarnation string
---@param machine string a word that only processes of one machine have in common
---@return string
function module.node_value(address, incarnation, machine)
	return encode(("%s %s %s"):format(address or "-", incarnation, machine))
end

---@param handle integer
---@return string
function module.name_value(handle)
	return encode((":%08x"):format(handle))
end

---@param incarnation string
---@return string
function module.run_value(incarnation)
	return encode(incarnation)
end

---@param base integer
---@return string
function module.base_value(base)
	return encode(("%d"):format(base))
end

--- A number of etcd's JSON, where they are texts.
---@param value any
---@return integer? nil when it is none
function module.number(value)
	return math.tointeger(tonumber(value))
end

--- The first key that an answer to a transaction tells with its nth part; nil: there is none.
---@param answer table
---@param index integer
---@return table? kv as etcd's JSON has it
function module.first_kv(answer, index)
	local responses = answer.responses
	local response = type(responses) == "table" and responses[index]
	local range = type(response) == "table" and response.response_range
	local list = type(range) == "table" and range.kvs
	local kv = type(list) == "table" and list[1]
	return type(kv) == "table" and kv or nil
end

--- The condition that nothing has happened to a key since it was read.
---@param key string
---@param kv table? as etcd's JSON has it; nil: there was none
---@return table
function module.unchanged(key, kv)
	local revision = kv and kv.mod_revision or "0"
	return { key = key, target = "MOD", result = "EQUAL", mod_revision = revision }
end

---@class skynet.registry.etcd_keys
---@field prefix string
local methods = {}
local class = { __index = methods, __name = "skynet.registry.etcd_keys" }

---@alias skynet.registry.etcd_entry
---| { kind: "node", id: integer, address: string?, incarnation: string, machine: string }
---| { kind: "name", name: string, handle: integer }
---| { kind: "base", id: integer, base: integer }

--- Keys as etcd's JSON has them.

---@param id integer
---@return string
function methods:node(id)
	return encode(("%s/node/%d"):format(self.prefix, id))
end

---@param id integer
---@return string
function methods:base(id)
	return encode(("%s/base/%d"):format(self.prefix, id))
end

---@param name string
---@return string
function methods:name(name)
	return encode(("%s/name/%s"):format(self.prefix, name))
end

--- The first and the end of the keys of all nodes.
---@return string key
---@return string range_end
function methods:nodes()
	return encode(self.prefix .. "/node/"), encode(self.prefix .. "/node0") -- "0" follows "/"
end

---@return string
function methods:run()
	return encode(self.prefix .. "/run")
end

--- The key of the values of the datacenter, and the begin of theirs; not as etcd's JSON has it.
---@return string
function methods:tree()
	return self.prefix .. "/tree"
end

--- The first and the end of all keys that nodes watch: from "base" to "node".
---@return string key
---@return string range_end
function methods:all()
	local _, range_end = self:nodes()
	return encode(self.prefix .. "/base/"), range_end
end

--- What the last part of a key stands for; false: it is none of ours.
local subject_of = {}

function subject_of.node(text)
	local id = text:match("^[1-9]%d?%d?$") and math.tointeger(tonumber(text))
	return id and id <= ID_MAX and id
end

subject_of.base = subject_of.node

function subject_of.name(text)
	return fields.is_name(text) and text
end

local read = {}

function read.node(id, value)
	local address, incarnation, machine = value:match("^(%S+) (%x+) (%S+)$")
	return address
		and (address == "-" or fields.is_address(address))
		and fields.is_incarnation(incarnation)
		and {
			kind = "node",
			id = id,
			address = address ~= "-" and address or nil,
			incarnation = incarnation,
			machine = machine,
		}
end

function read.name(name, value)
	local digits = value:match("^:(%x%x?%x?%x?%x?%x?%x?%x?)$")
	local handle = digits and tonumber(digits, 16)
	return fields.is_handle(handle) and { kind = "name", name = name, handle = handle }
end

function read.base(id, value)
	local digits = value:match("^%d+$")
	local base = digits and #digits <= 9 and math.tointeger(tonumber(digits))
	return base and { kind = "base", id = id, base = base }
end

--- What a key stands for: "node", "name" or "base", and its id or name; nil: none of ours.
---@param key any as etcd's JSON has it
---@return string? kind
---@return integer|string|nil subject
function methods:parse(key)
	local text = decode(key) or ""
	local prefix = self.prefix .. "/"
	if text:sub(1, #prefix) ~= prefix then
		return nil
	end
	local kind, rest = text:sub(#prefix + 1):match("^(%l+)/(.+)$")
	local subject = subject_of[kind] and subject_of[kind](rest)
	if subject then
		return kind, subject
	end
end

--- What a key and its value say; nil: nothing that we know.
---@param kv any as etcd's JSON has it
---@return skynet.registry.etcd_entry?
function methods:entry(kv)
	if type(kv) ~= "table" then
		return nil
	end
	local kind, subject = self:parse(kv.key)
	local value = decode(kv.value or "")
	return kind and value and read[kind](subject, value) or nil
end

--- Adds what a key says to a snapshot. The id of a node whose value is none of ours is not free.
local function add(keys, snapshot, kv)
	local entry = keys:entry(kv)
	local kind, subject = keys:parse(type(kv) == "table" and kv.key)
	if kind == "node" and not (entry and entry.address) then
		snapshot.claims[subject] = true
	elseif entry and kind == "node" then
		snapshot.members[entry.id] = {
			incarnation = entry.incarnation,
			address = entry.address,
		}
	elseif entry and kind == "name" then
		snapshot.names[entry.name] = entry.handle
	end
end

---@class skynet.registry.etcd_snapshot
---@field revision integer
---@field cluster string? that has told all this (etcd_answers.origin)
---@field term integer
---@field members table<integer, skynet.registry.member>
---@field names table<string, integer>
---@field claims table<integer, true> ids that are in use, but have no address that we know

--- Names whose node is no member, as a stranger may have written them, are none.
local function drop_orphans(snapshot)
	for name, handle in pairs(snapshot.names) do
		if not snapshot.members[handle >> 24] then
			snapshot.names[name] = nil
		end
	end
end

--- Reads all that is there, in pages of one revision. Waits.
---@param etcd skynet.registry.etcd_client
---@param deadline_cs integer
---@return skynet.registry.etcd_snapshot? snapshot
---@return string? reason
---@return integer? code
function methods:read_all(etcd, deadline_cs)
	local snapshot = { members = {}, names = {}, claims = {} }
	local key, range_end = self:all()
	local pages, has_more = 0, true
	while has_more do
		pages = pages + 1
		if pages > PAGES_MAX then
			return nil, "holds more keys than any network of nodes"
		end
		local answer, reason, code = etcd:call("/v3/kv/range", {
			key = key,
			range_end = range_end,
			limit = PAGE,
			revision = snapshot.revision and tostring(snapshot.revision),
		}, deadline_cs, answers.revision)
		local is_first = not snapshot.revision
		if not answer and not is_first and code == CODE.OUT_OF_RANGE then
			-- That revision was compacted meanwhile.
			return self:read_all(etcd, deadline_cs)
		elseif not answer then
			return nil, reason, code
		end
		local cluster, term = answers.origin(answer)
		if is_first then
			snapshot.revision = answers.revision(answer)
			snapshot.cluster, snapshot.term = cluster, term
		elseif cluster ~= snapshot.cluster then
			return self:read_all(etcd, deadline_cs)
		end
		local list = type(answer.kvs) == "table" and answer.kvs or {}
		for _, kv in ipairs(list) do
			add(self, snapshot, kv)
		end
		local last = list[#list]
		has_more = answer.more == true and type(last) == "table" and decode(last.key) ~= nil
		key = has_more and encode(decode(last.key) .. "\0") or key
	end
	drop_orphans(snapshot)
	return snapshot
end

---@param prefix string as the URL has it
---@return skynet.registry.etcd_keys
function module.new(prefix)
	return setmetatable({ prefix = prefix }, class)
end

return module
