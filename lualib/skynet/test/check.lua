--- The assertions of `skynet.test`. All raise at the caller's level, so a failure names the line of
--- the test, and what was there instead of what should be.
---@class skynet.test.check
local check = {}

local DEPTH_MAX <const> = 6
local TEXT_MAX <const> = 200

--- A value as text, tables with their content, keys in a fixed order.
---@param value any
---@param depth? integer
---@return string
local function describe(value, depth)
	depth = depth or 0
	if type(value) == "string" then
		return #value > TEXT_MAX
				and ("%q... (%d bytes)"):format(value:sub(1, TEXT_MAX), #value)
			or ("%q"):format(value)
	elseif type(value) ~= "table" or depth >= DEPTH_MAX then
		return tostring(value)
	end
	if next(value) == nil then
		return "{}"
	end
	local parts = {}
	for key, item in pairs(value) do
		parts[#parts + 1] = ("[%s] = %s"):format(
			describe(key, depth + 1),
			describe(item, depth + 1)
		)
	end
	table.sort(parts)
	return "{ " .. table.concat(parts, ", ") .. " }"
end

check.describe = describe

local function is_same(a, b)
	if type(a) == "number" and type(b) == "number" then
		return math.type(a) == math.type(b) and (a == b or (a ~= a and b ~= b))
	elseif type(a) ~= "table" or type(b) ~= "table" then
		return a == b
	end
	for key, item in pairs(a) do
		if not is_same(item, b[key]) then
			return false
		end
	end
	for key in pairs(b) do
		if a[key] == nil then
			return false
		end
	end
	return true
end

local function fail(text, what)
	error((what and what .. ": " or "") .. text, 3)
end

--- Both are equal, tables by their content. An integer is not equal to a float.
---@param actual any
---@param expected any
---@param what string? what is compared
function check.equal(actual, expected, what)
	if not is_same(actual, expected) then
		fail(("got %s instead of %s"):format(describe(actual), describe(expected)), what)
	end
end

--- The value is true, or as good as.
---@param value any
---@param what string? what should be true
function check.ok(value, what)
	if not value then
		fail("got " .. describe(value), what)
	end
end

--- The text has the Lua pattern in it.
---@param text string
---@param pattern string
---@param what string?
function check.matches(text, pattern, what)
	if type(text) ~= "string" or not text:find(pattern) then
		fail(("%s does not match %q"):format(describe(text), pattern), what)
	end
end

--- f(...) raises a text with the Lua pattern in it. Returns the text. Waits, if f does.
---@param pattern string
---@param f function
---@param ... any
---@return string
function check.raises(pattern, f, ...)
	local results = table.pack(pcall(f, ...))
	if results[1] then
		fail(("no error %q, but the results %s"):format(pattern, describe(results)))
	end
	local text = tostring(results[2])
	if not text:find(pattern) then
		fail(("the error %s does not match %q"):format(describe(text), pattern))
	end
	return text
end

--- The case has failed.
---@param why string
function check.fail(why)
	error(why, 2)
end

return check
