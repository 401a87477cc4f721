--- Places in a tree, as keys of etcd: each key of the place is one part of the path. Pure.
---
---     text       letters, digits and ._- as they are, all other bytes as %XX
---     number     #12, #-0x1.8p+0: an integer; any other number, in hex, so that it is exact
---     boolean    ?true, ?false
---
--- What looks different is different, and what is the same key of a table looks the same. The path
--- of a place is the begin of those below it, so they are sorted behind it.
local etcd_paths = {}

local INFINITE <const> = { inf = math.huge, ["-inf"] = -math.huge }

local function escape(byte)
	return ("%%%02X"):format(byte:byte())
end

local format_part = {}

function format_part.string(key)
	return (key:gsub("[^%w._-]", escape))
end

function format_part.number(key)
	local integer = math.tointeger(key)
	return integer and ("#%d"):format(integer) or ("#%a"):format(key)
end

function format_part.boolean(key)
	return key and "?true" or "?false"
end

--- The path of a place; it begins with "/".
---@param keys (string|number|boolean)[]
---@param count integer
---@return string
function etcd_paths.format(keys, count)
	local parts = {}
	for i = 1, count do
		parts[i] = "/" .. format_part[type(keys[i])](keys[i])
	end
	return table.concat(parts)
end

local function unescape(digits)
	return string.char(tonumber(digits, 16))
end

local function parse_part(part)
	local sign, rest = part:match("^([#?])(.*)$")
	if sign == "#" then
		return tonumber(rest) or INFINITE[rest]
	elseif sign == "?" then
		return rest == "true"
	end
	return (part:gsub("%%(%x%x)", unescape))
end

--- The place of a path; nil when it is none that format makes.
---@param path string
---@return (string|number|boolean)[]? keys
---@return integer? count
function etcd_paths.parse(path)
	local keys, count = {}, 0
	for part in path:gmatch("/([^/]*)") do
		count = count + 1
		keys[count] = parse_part(part)
		if keys[count] == nil then
			return nil
		end
	end
	if count == 0 or etcd_paths.format(keys, count) ~= path then
		return nil
	end
	return keys, count
end

return etcd_paths
