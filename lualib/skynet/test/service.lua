--- Services that are written as functions in a test: the function becomes the script of a service.
local skynet = require("skynet")

local service = {}

--- What such a function may use of the test's locals; each is there as in the test.
local LOCALS <const> = { _ENV = true, skynet = true, test = true }

local keys = setmetatable({}, { __mode = "k" })
local count = 0

--- Puts the code of f into the environment, where `service.run` finds it. Returns its key.
---@param f function
---@param level? integer whom to blame for a wrong f; default: the caller of the caller
---@return string key
function service.key(f, level)
	if type(f) ~= "function" then
		error("a function expected, which becomes the script of the service", level or 3)
	elseif keys[f] then
		return keys[f]
	end
	for i = 1, 255 do
		local name = debug.getupvalue(f, i)
		if not name then
			break
		elseif not LOCALS[name] then
			local text = "the function cannot use the local '%s' of the test"
			error(text:format(name), level or 3)
		end
	end
	count = count + 1
	local key = ("test_script_%s_%d"):format(skynet.self(), count)
	local code = string.dump(f):gsub(".", function(byte)
		return ("%02x"):format(byte:byte())
	end)
	skynet.setenv(key, code)
	keys[f] = key
	return key
end

--- Runs the function with that key as the script of this service.
---@param key string
---@param ... string
function service.run(key, ...)
	local code = skynet.getenv(key):gsub("..", function(hex)
		return string.char(tonumber(hex, 16))
	end)
	local main = assert(load(code, key, "b"))
	for i = 1, 255 do
		local name = debug.getupvalue(main, i)
		if not name then
			break
		elseif name == "_ENV" then
			debug.setupvalue(main, i, _G)
		else
			debug.setupvalue(main, i, require(name == "test" and "skynet.test" or name))
		end
	end
	main(...)
end

return service
