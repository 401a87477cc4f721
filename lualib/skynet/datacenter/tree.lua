--- The tree of the datacenter in memory: nested tables. Pure. A place in it is given as a list of
--- keys and their number.
local tree = {}

local KEY_TYPES <const> = { string = true, number = true, boolean = true }

--- Raises when a key is none.
---@param keys any[]
---@param count integer
function tree.check_keys(keys, count)
	for i = 1, count do
		local kind = type(keys[i])
		if not KEY_TYPES[kind] or keys[i] ~= keys[i] then
			local text = "bad key number %d: string, number or boolean expected, got %s"
			error(text:format(i, kind == "number" and "nan" or kind), 0)
		end
	end
end

--- The value at the keys from number `first` on; nil where there is none.
---@param root table
---@param keys any[]
---@param count integer
---@param first? integer default: 1
---@return any value
function tree.find(root, keys, count, first)
	local value = root
	for i = first or 1, count do
		if type(value) ~= "table" then
			return nil
		end
		value = value[keys[i]]
	end
	return value
end

--- How many of the branches that hold the last key are there. Raises when a value stands where
--- one should be.
---@param root table
---@param keys any[]
---@param count integer
---@return integer there count - 1: all
function tree.branches(root, keys, count)
	local branch = root
	for i = 1, count - 1 do
		local inner = branch[keys[i]]
		if inner == nil then
			return i - 1
		elseif type(inner) ~= "table" then
			local text = "'%s' holds a value, so nothing can be set below it"
			error(text:format(tostring(keys[i])), 0)
		end
		branch = inner
	end
	return count - 1
end

--- Sets the value at the keys, and makes the branches that are missing. Raises, and changes
--- nothing, when a value stands where a branch should be.
---@param root table
---@param keys any[]
---@param count integer
---@param value any nil deletes
---@return any former
function tree.set(root, keys, count, value)
	tree.branches(root, keys, count)
	local branch = root
	for i = 1, count - 1 do
		local inner = branch[keys[i]] or {}
		branch[keys[i]] = inner
		branch = inner
	end
	local former = branch[keys[count]]
	branch[keys[count]] = value
	return former
end

--- Whether one of two places is the other one, or above it.
---@param keys any[]
---@param count integer
---@param other_keys any[]
---@param other_count integer
---@return boolean
function tree.overlaps(keys, count, other_keys, other_count)
	for i = 1, math.min(count, other_count) do
		if keys[i] ~= other_keys[i] then
			return false
		end
	end
	return true
end

return tree
