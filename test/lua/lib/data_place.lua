--- A place for data (skynet.registry.data) in memory, for several that want to write, with all that
--- can go wrong: it is slow, it is away, answers are lost, requests come late.
local skynet = require("skynet")
local paths = require("skynet.registry.etcd_paths")

---@class data_place
---@field values table<string, string> by their paths
---@field office any who may take it
---@field head table? of who has taken it; another one after each write
---@field delay_cs fun(): integer how long a request takes
---@field fault fun(): string? "lost": the answer is lost; "late": it comes through much later
---@field is_away boolean
---@field writes integer
---@field sizes integer[] how many changes each write has made
local place = {}
local place_mt = { __index = place }

local data = {}
local data_mt = { __index = data }

--- Adds what makes it possible to check that the place's rules are kept: no place twice.
local function apply(self, changes)
	local seen = {}
	for _, change in ipairs(changes) do
		local path = paths.format(change.keys, change.count)
		if change.is_below then
			for other in pairs(self.values) do
				if other:sub(1, #path + 1) == path .. "/" then
					assert(not seen[other], "two changes of one place")
					self.values[other] = nil
				end
			end
		else
			assert(not seen[path], "two changes of one place")
			seen[path] = true
			self.values[path] = change.bytes
		end
	end
	self.writes = self.writes + 1
	table.insert(self.sizes, #changes)
end

--- One who may want to write.
function place:open(name)
	local limits = { bytes = self.bytes, changes = self.changes }
	return setmetatable({ place = self, name = name, limits = limits }, data_mt)
end

function data:measure(change) -- luacheck: ignore 212
	return #paths.format(change.keys, change.count) + #(change.bytes or "")
end

function data:is_held()
	skynet.sleep(self.place.delay_cs())
	return not self.place.is_away and self.head ~= nil and self.place.head == self.head
end

local function sleep_until(deadline_cs)
	skynet.sleep(math.max(1, deadline_cs - skynet.now()))
end

function data:take(limit_cs, on_entry)
	local mine, deadline_cs = self.place, skynet.now() + limit_cs
	skynet.sleep(mine.delay_cs())
	while mine.is_away and skynet.now() < deadline_cs do
		skynet.sleep(10)
	end
	if mine.is_away then
		return nil, "away"
	elseif mine.office ~= self.name then
		return nil, tostring(mine.office) .. " has it", mine.office ~= nil
	end
	self.head = {}
	mine.head = self.head
	local list = {}
	for path in pairs(mine.values) do
		list[#list + 1] = path
	end
	table.sort(list)
	local copy = {}
	for _, path in ipairs(list) do
		copy[path] = mine.values[path]
	end
	skynet.sleep(mine.delay_cs())
	for _, path in ipairs(list) do
		local keys, count = paths.parse(path)
		assert(on_entry(keys, count, copy[path]))
	end
	return true
end

--- Does it, if nobody else has written since the head was this one.
local function try(self, former, head, changes)
	if self.head ~= former then
		return false
	end
	apply(self, changes)
	self.head = head
	return true
end

function data:write(changes, deadline_cs)
	local mine, former, head = self.place, self.head, {}
	skynet.sleep(mine.delay_cs())
	local fault = mine.is_away and "away" or mine.fault()
	if fault == "late" then
		skynet.fork(function()
			skynet.sleep(mine.delay_cs() * 20)
			try(mine, former, head, changes)
		end)
	elseif fault == "lost" then
		try(mine, former, head, changes)
	end
	if fault then
		sleep_until(deadline_cs)
		return nil, fault, false
	elseif not try(mine, former, head, changes) then
		return nil, "another one has taken it", true
	end
	self.head = head
	skynet.sleep(mine.delay_cs())
	return true
end

local module = {}

---@return data_place
function module.new()
	return setmetatable({
		values = {},
		writes = 0,
		sizes = {},
		bytes = 1000,
		changes = 20,
		is_away = false,
		delay_cs = function()
			return 1
		end,
		fault = function() end,
	}, place_mt)
end

return module
