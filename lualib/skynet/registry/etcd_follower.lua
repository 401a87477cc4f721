--- Follows what happens in etcd: one watch over all keys of the network, from the revision of a
--- snapshot on, so that nothing is missed and all nodes see the same changes in etcd's order. When
--- the watch ends it goes on at another member, behind the last revision that was seen.
---
--- That revision may not be there any more (compacted, or an etcd that has lost everything), and a
--- registry that was lost may have changed a lot: then all is read again, and what is different
--- is told as changes.
---
--- Changes of one revision come in one message. A node that leaves takes its names along, so these
--- are not told one by one.
local skynet = require("skynet")
local answers = require("skynet.registry.etcd_answers")
local keys = require("skynet.registry.etcd_keys")
local view = require("skynet.registry.view")

local number <const> = keys.number
local CODE <const> = answers.CODE

local PAUSE_CS <const> = 10
local PAUSE_MAX_CS <const> = 100
--- An event that etcd has acknowledged is late after so long: the watch is begun anew.
local EVENT_LATE_CS <const> = 200
--- Reading all that is there, a page at a time.
local READ_CS <const> = 3000
--- A connection that is lost without a sign (what is between has forgotten it) is as silent as one
--- on which nothing happens. So the watch is begun anew when nothing has come for so long.
local SILENCE_CS <const> = 6000

---@class skynet.registry.etcd_follower
---@field revision integer of etcd: all up to there has been told
---@field is_live boolean the watch runs
---@field private cluster string? that has told it (etcd_answers.origin)
---@field private term integer
---@field private etcd skynet.registry.etcd_client
---@field private keys skynet.registry.etcd_keys
---@field private view skynet.registry.view
---@field private on_change fun(change: skynet.registry.change)
---@field private on_failure fun(reason: string)
---@field private on_live fun()
---@field private ahead integer what revisions that are told are ahead of etcd's
---@field private watch skynet.registry.etcd_watch?
---@field private must_read boolean all has to be read before the next watch
---@field private waiting table<table, integer> tasks, by their tokens: the revisions they wait for
---@field private is_closed boolean
local methods = {}
local class = { __index = methods, __name = "skynet.registry.etcd_follower" }

-- Telling ----------------------------------------------------------------------------------------

local function tell(self, change)
	change.revision = change.revision + self.ahead
	self.view:apply(change)
	self.on_change(change)
end

--- Wakes those whose revision has been told, or all.
local function wake(self, all)
	for token, revision in pairs(self.waiting) do
		if all or revision <= self.revision then
			self.waiting[token] = nil
			skynet.wakeup(token)
		end
	end
end

local function tell_leave(self, revision, id, reason)
	local member = self.view.members[id]
	if member then
		local incarnation = member.incarnation
		tell(self, {
			revision = revision,
			kind = "leave",
			id = id,
			incarnation = incarnation,
			reason = reason,
		})
	end
end

local put, delete = {}, {}

function put.node(self, revision, entry)
	local member = self.view.members[entry.id]
	if member and not (entry.address and member.incarnation == entry.incarnation) then
		tell_leave(self, revision, entry.id, "another process has taken its place")
		member = nil
	end
	if entry.address and not (member and member.address == entry.address) then
		tell(self, {
			revision = revision,
			kind = "join",
			id = entry.id,
			incarnation = entry.incarnation,
			address = entry.address,
		})
	end
end

function delete.node(self, revision, id)
	tell_leave(self, revision, id, "it has ended, or was silent for too long")
end

--- leaving: the nodes that leave with the same revision.
function delete.name(self, revision, name, leaving)
	local handle = self.view.names[name]
	if handle and not leaving[handle >> 24] then
		tell(self, {
			revision = revision,
			kind = "unname",
			name = name,
			handle = handle,
		})
	end
end

function put.name(self, revision, entry, leaving)
	if not self.view.members[entry.handle >> 24] then
		delete.name(self, revision, entry.name, leaving) -- a stranger has written over it
	elseif self.view.names[entry.name] ~= entry.handle then
		tell(self, {
			revision = revision,
			kind = "name",
			name = entry.name,
			handle = entry.handle,
		})
	end
end

function put.base() end

delete.base = put.base

--- The kv of an event; an empty table in place of what is none.
local function kv_of(event)
	local kv = type(event) == "table" and event.kv
	return type(kv) == "table" and kv or {}
end

--- Which nodes' keys are deleted, by revision.
local function find_leaving(self, events)
	local leaving = setmetatable({}, {
		__index = function(all, revision)
			all[revision] = {}
			return all[revision]
		end,
	})
	for _, event in ipairs(events) do
		local kv = kv_of(event)
		local kind, subject = self.keys:parse(kv.key)
		if kind == "node" and event.type == "DELETE" then
			leaving[kv.mod_revision or ""][subject] = true
		end
	end
	return leaving
end

local function tell_event(self, event, leaving)
	local kv = kv_of(event)
	local revision = number(kv.mod_revision)
	if not revision or revision <= self.revision then
		return revision -- it was told, before the watch was begun anew
	end
	local kind, subject = self.keys:parse(kv.key)
	local entry = event.type ~= "DELETE" and self.keys:entry(kv)
	if entry then
		put[kind](self, revision, entry, leaving[kv.mod_revision])
	elseif kind then -- also when its value is none of ours any more
		delete[kind](self, revision, subject, leaving[kv.mod_revision])
	end
	return revision
end

local function tell_events(self, events)
	local leaving = find_leaving(self, events)
	local last
	for _, event in ipairs(events) do
		last = tell_event(self, event, leaving) or last
	end
	self.revision = math.max(self.revision, last or 0)
	wake(self)
end

-- Following --------------------------------------------------------------------------------------

--- Reads all, and tells what is different. Waits.
---@return boolean? ok
---@return string? reason
local function read_again(self)
	local deadline_cs = skynet.now() + READ_CS
	local snapshot, reason = self.keys:read_all(self.etcd, deadline_cs)
	if not snapshot or self.is_closed then
		return nil, reason
	end
	local revision = snapshot.revision
	local is_behind = revision < self.revision
	if is_behind then -- another etcd, in a way
		self.ahead = self.ahead + self.revision
		skynet.error("warning: etcd: it has lost what it knew, and is told anew")
	end
	for _, change in ipairs(self.view:changes_to(snapshot, "it has left meanwhile")) do
		change.revision = revision
		tell(self, change)
	end
	self.revision = revision
	self.cluster, self.term = snapshot.cluster, snapshot.term
	self.must_read = false
	wake(self, is_behind)
	return true
end

--- Whether only this member has not heard yet of what other members have told before: then it will.
--- Otherwise etcd as a whole is behind: it has lost what it knew. Waits.
local function is_behind(self)
	local deadline_cs = skynet.now() + EVENT_LATE_CS
	local request = { key = (self.keys:all()), limit = 1, keys_only = true }
	local answer = self.etcd:call("/v3/kv/range", request, deadline_cs, answers.revision)
	return not answer or answers.revision(answer) >= self.revision
end

--- Whether it is another etcd that says this, or an earlier one, than what is known is from. Then
--- revisions mean something else.
local function is_another(self, message)
	local cluster, term = answers.origin(message)
	local is_earlier = term < self.term
	self.term = term
	return cluster ~= self.cluster or is_earlier
end

--- The first message of a watch says that it stands. Waits.
local function check_created(self, watch)
	local message, reason, code = watch:next(skynet.now() + EVENT_LATE_CS)
	local revision = message and answers.revision(message)
	if not message then
		return nil, reason, code
	elseif message.canceled == true then -- the token of the user is too old, for one
		watch:refuse("it is refused")
		return nil, "the watch is refused: " .. tostring(message.cancel_reason)
	elseif self.must_read then
		watch:close("all is to be read first")
		return nil, "all is to be read first"
	elseif message.created ~= true or not revision then
		watch:close("it does not begin")
		return nil, "a watch does not begin"
	elseif is_another(self, message)
		or revision < self.revision and not is_behind(self)
	then
		watch:close("etcd has lost what it knew")
		self.must_read = true
		return nil, "etcd has lost what it knew"
	end
	return true
end

--- Tells what the watch says, until it ends. Waits.
---@return string? reason
local function follow(self, watch)
	while true do
		local message, reason, code = watch:next(skynet.now() + SILENCE_CS, true)
		if not message then
			self.must_read = self.must_read or code == CODE.OUT_OF_RANGE
			return reason
		elseif message.canceled == true then
			watch:close("it was canceled")
			self.must_read = true
			local why = message.cancel_reason or "its revision is compacted"
			return "etcd has ended the watch: " .. tostring(why)
		elseif type(message.events) == "table" then
			tell_events(self, message.events)
		end
	end
end

--- One watch, from its begin to its end. Waits.
---@return string reason
---@return boolean has_worked
local function run_watch(self)
	if self.must_read then
		local ok, reason = read_again(self)
		if not ok then
			return reason or "closed", false
		end
	end
	local key, range_end = self.keys:all()
	local watch, reason = self.etcd:watch({
		key = key,
		range_end = range_end,
		start_revision = tostring(self.revision + 1),
	})
	if not watch then
		return reason, false
	end
	self.watch = watch
	local ok
	ok, reason = check_created(self, watch)
	if ok then
		self.is_live = true
		self.on_live()
		reason = follow(self, watch)
		self.is_live = false
	end
	self.watch = nil
	return reason or "the watch has ended", ok or false
end

local function run(self)
	local pause_cs = 0
	while not self.is_closed do
		local begin_cs = skynet.now()
		local reason, has_worked = run_watch(self)
		if self.is_closed then
			return
		elseif not has_worked then
			self.on_failure(reason)
		end
		if has_worked and skynet.now() - begin_cs >= PAUSE_MAX_CS then
			pause_cs = 0
		else -- also where each watch begins, but ends at once
			pause_cs = math.min(math.max(2 * pause_cs, PAUSE_CS), PAUSE_MAX_CS)
			skynet.sleep(pause_cs)
		end
	end
end

-- Methods ----------------------------------------------------------------------------------------

--- Begins behind a snapshot.
---@param snapshot skynet.registry.snapshot
function methods:begin(snapshot)
	self.revision = snapshot.revision
	self.cluster, self.term = snapshot.cluster, snapshot.term
	self.view = view.new(snapshot)
	skynet.fork(run, self)
end

--- Has all be read again before anything else is told.
---@param reason string
function methods:read_anew(reason)
	self.must_read = true
	self.is_live = false
	if self.watch then
		self.watch:close(reason)
	end
end

--- A copy of what is known now.
---@return { revision: integer, members: table, names: table }
function methods:copy()
	return self.view:snapshot()
end

--- Who is the node, as far as that was told.
---@param id integer
---@return skynet.registry.member?
function methods:member(id)
	return self.view.members[id]
end

--- Who has the name, as far as that was told.
---@param name string
---@return integer? handle
function methods:owner(name)
	return self.view.names[name]
end

--- Waits until all up to a revision of etcd has been told, or the follower is closed.
---@param revision integer
function methods:await(revision)
	if self.revision >= revision or self.is_closed then
		return
	end
	local token = {}
	self.waiting[token] = revision
	while skynet.sleep(EVENT_LATE_CS, token) ~= "BREAK" do
		if self.watch then
			self.watch:fail("it is late")
		end
	end
end

--- Ends it, and lets those go that wait.
function methods:close()
	self.is_closed = true
	if self.watch then
		self.watch:close("closed")
	end
	wake(self, true)
end

local module = {}

---@class skynet.registry.etcd_follower.options
---@field etcd skynet.registry.etcd_client
---@field keys skynet.registry.etcd_keys
---@field on_change fun(change: skynet.registry.change)
---@field on_live fun() a watch stands
---@field on_failure fun(reason: string) none did

---@param options skynet.registry.etcd_follower.options
---@return skynet.registry.etcd_follower
function module.new(options)
	return setmetatable({
		etcd = options.etcd,
		keys = options.keys,
		on_change = options.on_change,
		on_failure = options.on_failure,
		on_live = options.on_live,
		revision = 0,
		ahead = 0,
		is_live = false,
		must_read = false,
		waiting = {},
		is_closed = false,
	}, class)
end

return module
