--- Tasks for tests: several at once, and requests that are under way while the test goes on.
local skynet = require("skynet")

local tasks = {}

--- Runs the functions in tasks of their own, and returns what pcall gave for each, packed, when all
--- have ended. Waits.
---@param ... function
---@return table[]
function tasks.together(...)
	local results, left, done = {}, select("#", ...), {}
	for i, body in ipairs({ ... }) do
		skynet.fork(function()
			results[i] = table.pack(pcall(body))
			left = left - 1
			skynet.wakeup(done)
		end)
	end
	while left > 0 do
		skynet.wait(done)
	end
	return results
end

--- Begins f(...) in a task of its own, which runs when this one waits.
---@param f function
---@return fun(): boolean, ... finish waits for its end and gives what pcall has returned
function tasks.begin(f, ...)
	local token, results = {}, nil
	skynet.fork(function(...)
		results = table.pack(pcall(f, ...))
		skynet.wakeup(token)
	end, ...)
	return function()
		if not results then
			skynet.wait(token)
		end
		return table.unpack(results, 1, results.n)
	end
end

return tasks
