-- test_case: loads the test file that config key test_file names, and runs one of its cases, for
-- test_runner. Each case gets a service of its own.

local skynet = require("skynet")
local debug_commands = require("skynet.debug")
local test = require("skynet.test")

local path <const> = skynet.getenv("test_file")

---@type thread? runs the case
local task

local command = {}

--- Names and deadlines of all cases.
function command.list()
	local list = {}
	for i, case in ipairs(test.cases) do
		list[i] = {
			name = case.name,
			deadline = case.deadline,
			real_deadline = case.real_deadline,
		}
	end
	skynet.retpack(list)
end

--- Runs a case in a task of its own, and answers with its outcome.
function command.run(name)
	local answer = skynet.response()
	local body
	for _, case in ipairs(test.cases) do
		body = case.name == name and case.body or body
	end
	task = skynet.fork(function()
		local ok, reason = xpcall(body, debug.traceback)
		answer(true, ok, not ok and tostring(reason) or nil)
	end)
end

--- Where the case is now.
function command.where()
	skynet.retpack(task and debug.traceback(task) or "")
end

-- As debug commands, so that the protocols and the handlers of the service are the case's own.
for name, f in pairs(command) do
	debug_commands.reg_debugcmd("TEST_" .. name:upper(), f)
end

local chunk, reason = loadfile(path)
if not chunk then
	error(reason, 0)
end
-- A file may return a list of { name, function } instead of calling test.case.
for _, case in ipairs(chunk(path) or {}) do
	test.case(case[1], case[2])
end

skynet.start(function() end)
