--- The registry in an etcd: losing any one machine loses nothing. skynet.registry has the contract,
--- docs/etcd.md the manual.
---
--- It has these parts: the client speaks with the cluster (etcd_client.lua), the place is this
--- node's id and its lease (etcd_place.lua), the follower tells all changes (etcd_follower.lua).
--- Here are the names of this node, and the task that keeps the place:
---
---     joined --lease renewed--> joined
---            --etcd out of reach, for half the lease--> lost --reached--> (see below) --> joined
---            --the lease is lost--> place taken again, names registered again --> joined
---                                   place has another node --> evicted
---
--- A registry that was lost is back when the lease has been renewed and all has been read again.
local skynet = require("skynet")
local queue = require("skynet.queue")
local fields = require("skynet.network.fields")
local answers = require("skynet.registry.etcd_answers")
local client = require("skynet.registry.etcd_client")
local follower = require("skynet.registry.etcd_follower")
local keys = require("skynet.registry.etcd_keys")
local place = require("skynet.registry.etcd_place")
local url = require("skynet.registry.etcd_url")
local view = require("skynet.registry.view")

local etcd = {}

local number <const> = keys.number
local CODE <const> = answers.CODE

--- After so long a call that has failed for a reason of its own is tried again.
local RETRY_CS <const> = 100
--- Names that are put in one transaction; etcd takes 128.
local BATCH <const> = 100
--- The lease has no time for that long a pause.
local PAUSE_CS <const> = 20
local ATTEMPT_MIN_CS <const> = 50
local ATTEMPT_MAX_CS <const> = 200

local STRANGE <const> = "its key in etcd has a value that is no handle"

---@class skynet.registry.etcd_backend: skynet.registry.backend
---@field private options skynet.registry.options
---@field private url skynet.registry.etcd_url
---@field private etcd skynet.registry.etcd_client
---@field private keys skynet.registry.etcd_keys
---@field private place skynet.registry.etcd_place
---@field private follower skynet.registry.etcd_follower
---@field private section fun(f: function, ...): ... registering and unregistering, one by one
---@field private own table<string, integer> names of this node that are registered
---@field private is_restoring boolean some of them are missing in etcd
---@field private reported integer? what is to be stored
---@field private is_storing boolean
---@field private is_doubtful boolean the key of the place seems to be gone
---@field private is_kept boolean the lease was renewed, and nothing has failed since
---@field private failing_cs integer? since when etcd is out of reach
---@field private is_lost boolean
---@field private is_over boolean closed or evicted
---@field private pulse table the token of the task that keeps the place
local methods = {}
local class = { __index = methods, __name = "skynet.registry.etcd" }

-- Lost and back ----------------------------------------------------------------------------------

--- Something has failed, but may succeed later.
local function note_failure(self, reason)
	self.failing_cs = self.failing_cs or skynet.now()
	local limit_cs = self.place.ttl_s * 100 // 2
	if not self.is_lost and not self.is_over and skynet.now() - self.failing_cs >= limit_cs then
		self.is_lost = true
		self.follower:read_anew("etcd is lost")
		self.options.on_lost(reason)
	end
end

--- Something has succeeded.
local function note_success(self)
	if not self.is_kept or not self.follower.is_live then
		return
	end
	self.failing_cs = nil
	if self.is_lost and not self.is_over then
		self.is_lost = false
		self.options.on_back()
	end
end

--- Ends all; a lease that is still there is given back.
local function finish(self)
	self.is_over = true
	self.place:close()
	if self.place.lease then
		self.etcd:close("/v3/lease/revoke", ('{"ID":"%s"}'):format(self.place.lease))
	else
		self.etcd:close()
	end
	self.follower:close()
	skynet.wakeup(self.pulse)
end

local function evict(self, reason)
	if not self.is_over then
		finish(self)
		self.options.on_evicted(reason)
	end
end

-- Names ------------------------------------------------------------------------------------------

--- That there is no such key.
local function is_free(key)
	return { key = key, target = "CREATE", result = "EQUAL", create_revision = "0" }
end

--- Puts a name under the conditions; otherwise the answer has what stands there. All pass over the
--- names of a node that is no member (by now, or yet), so there may be none. Waits for etcd.
local function put_name(self, name, handle, ...)
	local key = self.keys:name(name)
	local put = { key = key, value = keys.name_value(handle), lease = self.place.lease }
	return self.etcd:call("/v3/kv/txn", {
		compare = { self.place:is_held(), ... },
		success = { { request_put = put } },
		failure = { { request_range = { key = key } } },
	}, nil, answers.revision)
end

--- Takes a name from an owner that is none: its node is no member, as a stranger may have written
--- it; or it is that service itself, by a lease that has been lost. Waits for etcd.
---@return integer? owner nil: to be tried again
---@return integer? revision
local function take_over_name(self, name, handle, kv, former)
	local is_dead = former ~= handle and is_free(self.keys:node(fields.node_of(former))) or nil
	local answer = put_name(self, name, handle, keys.unchanged(kv.key, kv), is_dead)
	if answer and answer.succeeded == true then
		return handle, answers.revision(answer)
	end
end

--- One try to register a name. Waits for etcd.
---@return integer? owner
---@return integer? revision that has told of it
---@return string? reason
---@return integer? code
local function claim_name(self, name, handle)
	local lease = self.place.lease
	local answer, reason, code = put_name(self, name, handle, is_free(self.keys:name(name)))
	if not answer then
		return nil, nil, reason, code
	elseif answer.succeeded == true then
		return handle, answers.revision(answer)
	end
	local kv = keys.first_kv(answer, 1)
	local entry = kv and self.keys:entry(kv)
	if not kv then
		return nil -- the place is lost
	elseif not entry then
		return nil, nil, STRANGE
	end
	local revision = number(kv.mod_revision)
	if entry.handle == handle and kv.lease == lease then
		return handle, revision
	end
	self.follower:await(revision or 0)
	if entry.handle ~= handle and self.follower:owner(name) == entry.handle then
		return entry.handle, revision
	end
	return take_over_name(self, name, handle, kv, entry.handle)
end

--- Registers a name. Waits until somebody has it.
local function register(self, name, handle)
	local has_told = false
	while not self.is_over do
		local owner, revision, reason, code
		if self.place.lease then
			owner, revision, reason, code = claim_name(self, name, handle)
		end
		if owner then
			if owner == handle or self.own[name] == handle then
				self.own[name] = owner == handle and handle or nil
			end
			self.follower:await(revision or 0)
			return owner
		elseif reason == STRANGE then
			return nil, reason
		elseif code == CODE.NOT_FOUND or not reason then
			skynet.wakeup(self.pulse) -- it may be lost
		elseif not self.is_over and not has_told then
			has_told = true
			skynet.error(("error: etcd: cannot register '%s': %s"):format(name, reason))
		end
		skynet.sleep(RETRY_CS)
	end
	return nil, "the node has left the network"
end

--- Gives a name back. Waits until it is.
local function unregister(self, name, handle)
	local key, value = self.keys:name(name), keys.name_value(handle)
	if self.own[name] == handle then
		self.own[name] = nil
	end
	local has_told = false
	while not self.is_over do
		local answer, reason = self.etcd:call("/v3/kv/txn", {
			compare = {
				{ key = key, target = "VALUE", result = "EQUAL", value = value },
			},
			success = { { request_delete_range = { key = key } } },
		})
		if answer or self.is_over then
			return
		end
		if not has_told then
			has_told = true
			local text = "error: etcd: cannot unregister '%s': %s"
			skynet.error(text:format(name, reason))
		end
		skynet.sleep(RETRY_CS)
	end
end

--- Whether this node has a name that etcd does not have, as far as known.
local function is_missing(self, name)
	return self.own[name] and self.follower:owner(name) ~= self.own[name]
end

--- Registers a name again that is missing. Waits.
local function restore(self, name)
	if not is_missing(self, name) then
		return
	end
	local owner, reason = register(self, name, self.own[name])
	if not owner and not self.is_over then
		local text = "error: etcd: '%s' is not registered any more: %s"
		skynet.error(text:format(name, reason))
	end
end

--- Registers names again that nobody has, all at once. Waits.
---@return boolean? ok
local function restore_free(self, names)
	local compare, success = { self.place:is_held() }, {}
	for _, name in ipairs(names) do
		local key, value = self.keys:name(name), keys.name_value(self.own[name])
		table.insert(compare, is_free(key))
		table.insert(success, {
			request_put = { key = key, value = value, lease = self.place.lease },
		})
	end
	local request = { compare = compare, success = success }
	local answer = self.etcd:call("/v3/kv/txn", request, nil, answers.revision)
	return answer and answer.succeeded == true
end

--- Registers those of some names again that are missing. Waits.
local function restore_some(self, names)
	local missing = {}
	for _, name in ipairs(names) do
		missing[#missing + 1] = is_missing(self, name) and name or nil
	end
	if #missing > 0 and not restore_free(self, missing) then
		for _, name in ipairs(missing) do
			restore(self, name)
		end
	end
end

--- Registers what is missing again: the lease was lost, or etcd has lost what it knew. Waits.
local function restore_missing(self)
	if self.is_restoring then
		return
	end
	self.is_restoring = true
	local lease
	repeat
		lease = self.place.lease
		local names = view.sorted_keys(self.own)
		for first = 1, #names, BATCH do
			local some = table.move(names, first, first + BATCH - 1, 1, {})
			self.section(restore_some, self, some)
		end
	until self.place.lease == lease or self.is_over
	self.is_restoring = false
end

-- Keeping the place ------------------------------------------------------------------------------

--- The lease was lost: takes the place again. Waits until this is so, or another node has it.
--- A node that was away for so long may have missed that etcd is another one by now, so all that is
--- there is compared with what it knows; then names follow.
local function come_back(self)
	skynet.error("warning: etcd: this node has lost its place, and joins again")
	self.is_kept = false
	local base, seen = self.place.base, {}
	local is_taken, reason
	repeat
		local deadline_cs = skynet.now() + self.place.ttl_s * 100
		is_taken, reason = self.place:retake(seen, deadline_cs)
		if is_taken == nil and not self.is_over then
			note_failure(self, reason)
			skynet.sleep(PAUSE_CS)
		end
	until is_taken ~= nil or self.is_over
	if is_taken == false then
		evict(self, reason)
	end
	if self.is_over then
		return
	end
	self.follower:read_anew("the place was lost")
	if self.place.base ~= base then
		self.options.on_change({
			kind = "base",
			base = self.place.base,
			revision = self.follower.revision,
		})
	end
end

--- Renews the lease, and looks whether the place is still there if that is doubtful. Waits.
---@return boolean? is_held nil: etcd cannot be asked
local function renew(self, deadline_cs)
	local is_held, reason = self.place:renew(deadline_cs)
	if is_held and self.is_doubtful then
		self.is_doubtful = false
		is_held, reason = self.place:check(deadline_cs)
		self.is_doubtful = self.is_doubtful or is_held == nil
	end
	return is_held, reason
end

--- Renews the lease again and again.
local function keep(self)
	while not self.is_over do
		local begin_cs = skynet.now()
		local period_cs = self.place.ttl_s * 100 // 3
		local is_held, reason = renew(self, begin_cs + period_cs)
		if is_held == false and not self.is_over then
			come_back(self)
			is_held = true
		end
		if self.is_over then
			return
		elseif is_held then
			self.is_kept = true
			note_success(self)
			skynet.sleep(math.max(1, begin_cs + period_cs - skynet.now()), self.pulse)
		else
			self.is_kept = false
			note_failure(self, reason)
			skynet.sleep(PAUSE_CS) -- what etcd refuses it refuses at once
		end
	end
end

--- What is known is what etcd has by now. One that was restored from a backup may have less. The
--- lease is renewed at once: then there is a connection that can take the last call, too, where all
--- were lost with the last watch.
local function note_live(self)
	note_success(self)
	local member = self.follower:member(self.options.id)
	if not member or member.incarnation ~= self.options.incarnation then
		self.is_doubtful = true
	end
	skynet.wakeup(self.pulse)
	skynet.fork(restore_missing, self)
end

--- Passes a change on. That this node leaves may be news from before it has come back, or somebody
--- has deleted its key. Likewise with a name that it has not given back.
local function note_change(self, change)
	if change.kind == "leave" and change.id == self.options.id then
		self.is_doubtful = true
		skynet.wakeup(self.pulse)
	elseif change.kind == "unname" and self.own[change.name] == change.handle then
		skynet.fork(self.section, restore, self, change.name)
	end
	self.options.on_change(change)
end

--- Stores what was reported last. Waits.
local function store(self)
	while self.reported and not self.is_over do
		local base = self.reported
		if self.place:store_base(base) and self.reported == base then
			self.reported = nil
		elseif self.reported == base then
			skynet.sleep(RETRY_CS)
		end
	end
	self.is_storing = false
end

-- Methods ----------------------------------------------------------------------------------------

local function explain(self, reason)
	return nil, ("config key master: %s: %s"):format(self.url.shown, reason)
end

--- Takes the place, and reads all. The place may be lost between the two, since its lease was there
--- before the wait for the end of an earlier incarnation. Then it is taken once more. Waits.
---@return integer? base nil: it can't
---@return skynet.registry.snapshot|string snapshot or reason
local function take_place(self, deadline_cs)
	repeat
		local base, reason = self.place:take(deadline_cs, true)
		local snapshot
		if base then
			snapshot, reason = self.keys:read_all(self.etcd, deadline_cs)
		end
		if not snapshot then
			return nil, reason or "closed"
		end
		local member = snapshot.members[self.options.id]
		if member and member.incarnation == self.options.incarnation then
			return base, snapshot
		end
		skynet.sleep(PAUSE_CS)
	until self.is_over or skynet.now() >= deadline_cs
	return nil, "the place was lost at once"
end

---@return skynet.registry.snapshot? snapshot
---@return string? reason
function methods:join()
	local deadline_cs = skynet.now() + self.options.join_timeout_cs
	local base, snapshot = take_place(self, deadline_cs)
	if not base or self.is_over then
		self:close()
		return explain(self, base and "closed" or snapshot)
	end
	self.is_kept = true
	self.follower:begin(snapshot)
	skynet.fork(keep, self)
	local told = self.follower:copy()
	told.base = base
	return told
end

---@param name string
---@param handle integer
---@return integer? owner
---@return string? reason
function methods:register(name, handle)
	return self.section(register, self, name, handle)
end

---@param name string
---@param handle integer
function methods:unregister(name, handle)
	skynet.fork(self.section, unregister, self, name, handle)
end

---@param last_handle integer
function methods:report(last_handle)
	self.reported = last_handle
	if not self.is_storing and not self.is_over then
		self.is_storing = true
		skynet.fork(store, self)
	end
end

---@return table<string, any>
function methods:status()
	return {
		url = self.url.shown,
		connected = not self.is_lost and not self.is_over,
		revision = self.follower.revision,
		member = self.etcd:present_host(),
		lease = self.place.lease,
		lease_seconds = self.place.ttl_s,
	}
end

function methods:close()
	if not self.is_over then
		finish(self)
	end
end

-- Opening ----------------------------------------------------------------------------------------

--- Options of TLS, from the config.
local function read_tls()
	return {
		authorities = skynet.getenv("etcd_authorities"),
		certificate = skynet.getenv("etcd_certificate"),
		key = skynet.getenv("etcd_key"),
	}
end

---@class skynet.registry.etcd_parts
---@field url skynet.registry.etcd_url
---@field etcd skynet.registry.etcd_client
---@field keys skynet.registry.etcd_keys
---@field ttl_s integer

--- What a lease of a node is like, and a client that suits it. Raises when the URL is wrong.
---@param text string the URL
---@param timeout_cs integer harbor_timeout
---@param first integer which member to begin with
---@return skynet.registry.etcd_parts
function etcd.prepare(text, timeout_cs, first)
	local parsed, problem = url.parse(text)
	if not parsed then
		error("config key master: " .. problem, 0)
	end
	-- A node that is silent for one and a half of the limit of its links has left.
	local ttl_s = (3 * timeout_cs + 199) // 200
	local attempt_cs = math.min(math.max(ttl_s * 100 // 4, ATTEMPT_MIN_CS), ATTEMPT_MAX_CS)
	return {
		url = parsed,
		etcd = client.new(parsed, {
			tls = read_tls(),
			attempt_cs = attempt_cs,
			first = first,
		}),
		keys = keys.new(parsed.prefix),
		ttl_s = ttl_s,
	}
end

--- Opens the registry. Raises when the URL is wrong or cjson is missing. Does not wait.
---@param options skynet.registry.options
---@return skynet.registry.backend
function etcd.open(options)
	local parts = etcd.prepare(options.url, options.timeout_cs, options.id)
	local backend = setmetatable({
		options = options,
		url = parts.url,
		etcd = parts.etcd,
		keys = parts.keys,
		section = queue(),
		own = {},
		is_restoring = false,
		is_storing = false,
		is_doubtful = false,
		is_kept = false,
		is_lost = false,
		is_over = false,
		pulse = {},
	}, class)
	backend.place = place.new({
		etcd = parts.etcd,
		keys = parts.keys,
		id = options.id,
		address = options.address,
		incarnation = options.incarnation,
		ttl_s = parts.ttl_s,
	})
	backend.follower = follower.new({
		etcd = parts.etcd,
		keys = parts.keys,
		on_change = function(change)
			note_change(backend, change)
		end,
		on_failure = function(reason)
			note_failure(backend, reason)
		end,
		on_live = function()
			note_live(backend)
		end,
	})
	return backend
end

return etcd
