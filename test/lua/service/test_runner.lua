-- test_runner FILE: runs the test cases that a file returns, each in a task of its own, and prints
-- one line a case: "ok NAME" or "not ok NAME: reason"; "# done" at the end.
--
-- A test file returns a list of { name, function } and may use the library `check`.

local skynet = require("skynet")
require("skynet.manager")

local path <const> = ...

--- How long one case may take, in hundredths of a second.
local DEADLINE_CS <const> = 2000

--- One write, so that no line of another service gets in between.
local function report(format, ...)
	io.stdout:write(format:format(...) .. "\n")
	io.stdout:flush()
end

local function run_case(name, body)
	local token = {} -- of this case: one that ends too late must not wake the next
	local result
	skynet.fork(function()
		local ok, reason = xpcall(body, debug.traceback)
		result = { ok = ok, reason = reason }
		skynet.wakeup(token)
	end)
	if not result then
		skynet.sleep(DEADLINE_CS, token)
	end
	if not result then
		report("not ok %s: no result within %d s", name, DEADLINE_CS // 100)
	elseif result.ok then
		report("ok %s", name)
	else
		report("not ok %s: %s", name, (tostring(result.reason):gsub("\n", " | ")))
	end
end

skynet.start(function()
	local cases = assert(loadfile(path))()
	for _, case in ipairs(cases) do
		run_case(case[1], case[2])
	end
	report("# done")
	skynet.abort()
end)
