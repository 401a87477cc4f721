-- bench_util.lua: how a benchmark that runs inside a node reads its numbers and reports.

local skynet = require "skynet"
require "skynet.manager"

local bench_util = {}

--- Reads a number that bench/run put into the config.
---@param key string
---@return integer|number value
function bench_util.number(key)
	local text = skynet.getenv("bench_" .. key)
	local value = tonumber(text)
	if not value then
		local problem = "config key bench_%s must be a number, not %s"
		error(problem:format(key, tostring(text)), 2)
	end
	return math.tointeger(value) or value
end

--- Prints one line at once, also when the output is a pipe.
---@param line string
function bench_util.print(line)
	io.stdout:write(line, "\n")
	io.stdout:flush()
end

--- Reports the result and ends the node.
---@param format string
function bench_util.finish(format, ...)
	bench_util.print("RESULT " .. format:format(...))
	skynet.abort()
end

--- Runs f(i) for i = 1..n at the same time; returns when all have ended. Yields.
---@param n integer
---@param f fun(i: integer)
function bench_util.all(n, f)
	local left = n
	local caller = coroutine.running()
	for i = 1, n do
		skynet.fork(function()
			f(i)
			left = left - 1
			if left == 0 then
				skynet.wakeup(caller)
			end
		end)
	end
	skynet.wait(caller)
end

--- Resident memory of this process in bytes; 0 where the system does not tell.
---@return integer
function bench_util.resident_bytes()
	local file <close> = io.open("/proc/self/statm")
	if not file then
		return 0
	end
	local pages = file:read("a"):match("^%d+ (%d+)")
	return math.tointeger(pages) * bench_util.number("page")
end

return bench_util
