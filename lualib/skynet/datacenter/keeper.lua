--- Keeps the tree of the datacenter where it survives this node (skynet.registry.data). The tree in
--- memory is what is kept there:
---
---     away    another service holds the office, or it is not known who: there is no tree
---             --asked for something, or told to hold the office; taken over and read--> held
---     held    reads are answered from memory; writes when they are made there
---             --a write fails, so that nobody knows what is there--> doubtful
---             --another service has taken the place--> away
---     doubtful    as held, but writes wait until it is taken over and read again
---             --taken over and read--> held
---
--- One task makes the writes, in the order in which they were asked for. Those that have come in
--- while it waited for the last ones are made together, as long as none concerns what another one
--- changes. Each waits LIMIT_CS for its turn at most, then it fails, and nothing is changed.
local skynet = require("skynet")
local entries = require("skynet.datacenter.entries")
local tree = require("skynet.datacenter.tree")
local waiters = require("skynet.waiters")

--- Behind a failure.
local PAUSE_CS <const> = 50
--- To take the place over, and then for each piece of what is there, however much that is.
local TAKE_CS <const> = 6000
local SILENCE <const> = "the registry does not answer"

---@class skynet.datacenter.write
---@field keys any[]
---@field count integer
---@field bytes string? of the value, packed
---@field top integer? see entries.plan
---@field state "waiting"|"begun"|"done"|"failed"
---@field former any when it is done
---@field reason string? when it has failed

---@class skynet.datacenter.keeper
---@field root table? the tree; nil: away
---@field private shelved table? the tree, while it is asked whether it is still the present one
---@field private entries skynet.datacenter.entries
---@field private data skynet.registry.data
---@field private limit_cs integer
---@field private on_set fun(root: table, keys: any[], count: integer, value: any)
---@field private on_read fun(root: table)
---@field private on_away fun(reason: string)
---@field private is_sure boolean what is in memory is kept, too
---@field private is_wanted boolean the place should be taken over
---@field private term integer grows with each news of who holds the office
---@field private problem string why it cannot be taken over by now
---@field private queue skynet.datacenter.write[]
---@field private readers table<table, boolean> tokens of tasks that wait for the tree
---@field private pulse table the token of the task
---@field private is_asleep boolean
local methods = {}
local mt = { __index = methods }

local function stir(self)
	if self.is_asleep then
		skynet.wakeup(self.pulse)
	end
end

-- Taking over ------------------------------------------------------------------------------------

local function wake_readers(self)
	local readers = self.readers
	self.readers = {}
	for token in pairs(readers) do
		skynet.wakeup(token)
	end
end

--- A write is over.
local function finish(write, state, result)
	write.state = state
	if state == "done" then
		write.former = result
	else
		write.reason = result
	end
	skynet.wakeup(write)
end

--- Another service holds the office.
local function go_away(self, reason)
	self.root, self.shelved = nil, nil
	self.is_sure, self.is_wanted = false, false
	self.problem = reason
	local queue = self.queue
	self.queue = {}
	for _, write in ipairs(queue) do
		if write.state == "waiting" then
			finish(write, "failed", reason)
		end
	end
	wake_readers(self)
	self.on_away(reason)
end

--- This is what is kept.
local function accept(self, root, list)
	self.root, self.entries, self.shelved = root, list, nil
	self.is_sure, self.is_wanted = true, false
	self.problem = SILENCE
	wake_readers(self)
end

--- Takes the place over, and reads what is there. Waits.
local function take(self)
	local term = self.term
	if self.is_sure then
		local is_held = self.data:is_held(skynet.now() + self.limit_cs)
		if self.term ~= term then
			return -- there is news about who holds it
		elseif is_held then
			accept(self, self.shelved, self.entries)
			return
		end
		self.is_sure, self.shelved = false, nil
	end
	local root, list = {}, entries.new()
	local is_taken, reason, is_over = self.data:take(TAKE_CS, function(...)
		return pcall(list.apply, list, root, ...)
	end)
	if self.term ~= term then
		return
	elseif is_taken then
		accept(self, root, list)
		self.on_read(root)
	elseif is_over then
		go_away(self, "the datacenter is not here: " .. reason)
	else
		self.problem = "the datacenter cannot be read: " .. reason
		skynet.sleep(PAUSE_CS)
	end
end

-- Writing ----------------------------------------------------------------------------------------

--- Whether a write concerns what one of the others changes.
local function is_entangled(write, others)
	for _, other in ipairs(others) do
		if tree.overlaps(write.keys, write.top, other.keys, other.top) then
			return true
		end
	end
	return false
end

local function measure(self, changes)
	local size = 0
	for _, change in ipairs(changes) do
		size = size + self.data:measure(change)
	end
	return size
end

--- Why changes are too large to be made at all; nil: they are not.
local function find_excess(self, size, number)
	local limits = self.data.limits
	if size > limits.bytes then
		local text = "value and keys have %d bytes, more than the %d that can be kept"
		return text:format(size, limits.bytes)
	elseif number > limits.changes then
		local text = "the value needs %d changes, more than the %d that can be made at once"
		return text:format(number, limits.changes)
	end
end

--- What the next write changes; nil: nothing, it is over.
local function plan(self, write)
	local keys, count, bytes = write.keys, write.count, write.bytes
	local ok, changes, top =
		pcall(self.entries.plan, self.entries, self.root, keys, count, bytes)
	if not ok then
		finish(write, "failed", changes)
		return nil
	end
	local size = measure(self, changes)
	local excess = find_excess(self, size, #changes)
	if excess then
		finish(write, "failed", excess)
		return nil
	elseif #changes == 0 then
		finish(write, "done", nil)
		return nil
	end
	write.top = top
	return changes, size
end

--- The writes to make next, and their changes together.
local function collect(self)
	local limits = self.data.limits
	local batch, all, bytes, seen = {}, {}, 0, 0
	for _, write in ipairs(self.queue) do
		local changes, size
		write.top = write.count
		if is_entangled(write, batch) then
			break
		elseif write.state == "waiting" then
			changes, size = plan(self, write)
		end
		if changes then
			local is_full = bytes + size > limits.bytes
				or #all + #changes > limits.changes
			if is_full or is_entangled(write, batch) then
				break
			end
			write.state = "begun"
			batch[#batch + 1] = write
			table.move(changes, 1, #changes, #all + 1, all)
			bytes = bytes + size
		end
		seen = seen + 1
	end
	self.queue = table.move(self.queue, seen + 1, #self.queue, 1, {})
	return batch, all
end

--- Makes the writes that can be made now. Waits.
local function write_some(self)
	local batch, changes = collect(self)
	if #batch == 0 then
		return
	end
	local root, term = self.root, self.term
	local is_done, reason, is_over = self.data:write(changes, skynet.now() + self.limit_cs)
	for _, write in ipairs(batch) do
		if is_done then
			local keys, count, bytes = write.keys, write.count, write.bytes
			local former, value = self.entries:apply(root, keys, count, bytes)
			finish(write, "done", former)
			self.on_set(root, write.keys, write.count, value)
		elseif is_over then
			finish(write, "failed", "it may not be set: " .. reason)
		else
			finish(write, "failed", "it is not known whether it is set: " .. reason)
		end
	end
	if not is_done then
		self.is_sure = false
		if self.term == term then
			self.is_wanted = true
			self.problem = is_over and SILENCE or SILENCE .. ": " .. reason
			self.root = not is_over and root or nil
		end
	end
end

-- The task ---------------------------------------------------------------------------------------

local function run(self)
	while true do
		if self.is_wanted then
			take(self)
		elseif self.is_sure and #self.queue > 0 then
			write_some(self)
		else
			self.is_asleep = true
			skynet.wait(self.pulse)
			self.is_asleep = false
		end
	end
end

-- Methods ----------------------------------------------------------------------------------------

--- There is news about who holds the office.
---@param is_held boolean this service
---@param reason string? why not
function methods:note_holder(is_held, reason)
	self.term = self.term + 1
	if not is_held then
		go_away(self, "the datacenter is not here: " .. reason)
		return
	end
	-- Somebody else may have held it meanwhile.
	self.shelved = self.is_sure and (self.root or self.shelved) or nil
	self.root, self.is_wanted = nil, true
	stir(self)
end

--- The tree. Waits for it, at most limit_cs; raises when it is not there.
---@return table root
function methods:read()
	if not self.root then
		local _place <close> = waiters.enter()
		self.is_wanted = true
		stir(self)
		local token = {}
		self.readers[token] = true
		skynet.sleep(self.limit_cs, token)
		self.readers[token] = nil
	end
	return self.root or error(self.problem, 0)
end

--- Sets the value at the keys. Waits until it is kept; raises when it cannot be.
---@param keys any[]
---@param count integer
---@param value any nil deletes
---@return any former
function methods:set(keys, count, value)
	local bytes
	if value ~= nil then
		bytes = skynet.packstring(value)
	end
	local _place <close> = waiters.enter()
	self.is_wanted = self.is_wanted or not self.is_sure
	stir(self)
	local write = { keys = keys, count = count, bytes = bytes, state = "waiting" }
	table.insert(self.queue, write)
	skynet.sleep(self.limit_cs, write)
	if write.state == "begun" then
		skynet.wait(write)
	elseif write.state == "waiting" then
		write.state, write.reason = "failed", "it is not set: " .. self.problem
	end
	if write.state == "failed" then
		error(write.reason, 0)
	end
	return write.former
end

local module = {}

---@class skynet.datacenter.keeper.options
---@field data skynet.registry.data
---@field limit_cs integer how long requests wait
---@field on_set fun(root: table, keys: any[], count: integer, value: any) does not wait
---@field on_read fun(root: table) the tree may be another one
---@field on_away fun(reason: string) there is none any more

---@param options skynet.datacenter.keeper.options
---@return skynet.datacenter.keeper
function module.new(options)
	local self = setmetatable({
		data = options.data,
		limit_cs = options.limit_cs,
		on_set = options.on_set,
		on_read = options.on_read,
		on_away = options.on_away,
		is_sure = false,
		is_wanted = false,
		term = 0,
		problem = SILENCE,
		queue = {},
		readers = {},
		pulse = {},
		is_asleep = false,
	}, mt)
	skynet.fork(run, self)
	return self
end

return module
