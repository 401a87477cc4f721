--- The assertions of skynet.test, and one more, for wrong arguments.
local assertions = require("skynet.test.check")

local check = setmetatable({}, { __index = assertions })
local describe <const> = assertions.describe

local function fail(text)
	error(text, 3)
end

local HERE <const> = debug.getinfo(1, "S").short_src

--- f(...) raises an error that blames its caller, with the Lua pattern in the text.
---@param pattern string
---@param f function
---@param ... any
function check.misuse(pattern, f, ...)
	local arguments = table.pack(...)
	local line
	local ok, text = pcall(function()
		line = debug.getinfo(1, "l").currentline + 1
		f(table.unpack(arguments, 1, arguments.n)) -- blamed: this line
	end)
	if ok then
		fail(("no error %q"):format(pattern))
	end
	local place = ("%s:%d: "):format(HERE, line)
	if tostring(text):sub(1, #place) ~= place then
		fail(("the error does not blame the caller: %s"):format(describe(text)))
	end
	if not text:find(pattern) then
		fail(("the error %s does not match %q"):format(describe(text), pattern))
	end
end

return check
