--- How the tree of the datacenter is written down, so that a set takes a few small changes of what
--- is kept elsewhere (skynet.registry.data), however large the tree is:
---
--- * An entry is a place of the tree and the value that was set there, packed; a table as a whole.
---   A branch that a set has made is an entry, too, an empty table.
--- * A later set below a table adds an entry there: who reads the entries sets one after another,
---   those above before those below.
--- * To set a value removes all entries below it. So whatever is below came later.
--- * To delete removes the entry. Where a table above was set as a whole with something there, that
---   would come to light again; then the entry says nil, a hole.
---
--- Which tables were set as a whole is remembered here, as they were then, so that there are no
--- more holes than those tables had values.
local skynet = require("skynet")
local tree = require("skynet.datacenter.tree")

---@class skynet.datacenter.whole
---@field value table? as it was set; nil: there is none
---@field below table<any, skynet.datacenter.whole>

---@class skynet.datacenter.entries
---@field private top skynet.datacenter.whole
local methods = {}
local mt = { __index = methods }

--- Remembers what was set as a whole at the keys, and forgets all below.
local function note(self, keys, count, value)
	local is_whole = type(value) == "table" and next(value) ~= nil
	local place = self.top
	for i = 1, count - 1 do
		local inner = place.below[keys[i]]
		if not inner then
			if not is_whole then
				return
			end
			inner = { below = {} }
			place.below[keys[i]] = inner
		end
		place = inner
	end
	place.below[keys[count]] = is_whole and { value = value, below = {} } or nil
end

--- Whether a table above has something there.
local function is_covered(self, keys, count)
	local place = self.top
	for i = 1, count - 1 do
		place = place.below[keys[i]]
		if not place then
			return false
		elseif place.value and tree.find(place.value, keys, count, i + 1) ~= nil then
			return true
		end
	end
	return false
end

--- The changes that a set takes. Raises when a value stands where a branch should be.
---@param root table the tree, before
---@param keys any[]
---@param count integer
---@param bytes string? the value, packed; nil deletes
---@return skynet.registry.data.change[] changes none: nothing will be different
---@return integer top so many of the keys lead to the place above which nothing changes
function methods:plan(root, keys, count, bytes)
	local there = tree.branches(root, keys, count)
	local changes = {}
	for i = there + 1, count - 1 do
		table.insert(changes, { keys = keys, count = i, bytes = skynet.packstring({}) })
	end
	local former = tree.find(root, keys, count)
	if bytes then
		table.insert(changes, { keys = keys, count = count, bytes = bytes })
	elseif former ~= nil then
		local hole = is_covered(self, keys, count) and skynet.packstring(nil) or nil
		table.insert(changes, { keys = keys, count = count, bytes = hole })
	end
	if type(former) == "table" then
		table.insert(changes, { keys = keys, count = count, is_below = true })
	end
	return changes, there + 1
end

--- An entry has come to be.
---@param root table the tree, which it changes
---@param keys any[]
---@param count integer
---@param bytes string? nil: it has gone
---@return any former
---@return any value
function methods:apply(root, keys, count, bytes)
	local value
	if bytes then
		value = skynet.unpack(bytes)
	end
	local former = tree.set(root, keys, count, value)
	-- The tree will change what it was given.
	note(self, keys, count, type(value) == "table" and skynet.unpack(bytes) or nil)
	return former, value
end

local module = {}

---@return skynet.datacenter.entries
function module.new()
	return setmetatable({ top = { below = {} } }, mt)
end

return module
