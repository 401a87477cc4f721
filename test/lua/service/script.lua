-- script KEY ARGUMENT ...: runs the function that lib/child.lua has put into the environment.
local skynet = require("skynet")
require("skynet.manager")

local key <const> = ...

local code = skynet.getenv(key):gsub("..", function(hex)
	return string.char(tonumber(hex, 16))
end)
local main = assert(load(code, key, "b"))

-- What the function knew as locals of the test.
for i = 1, 255 do
	local name = debug.getupvalue(main, i)
	if not name then
		break
	end
	debug.setupvalue(main, i, name == "skynet" and skynet or _G)
end

main(select(2, ...))
