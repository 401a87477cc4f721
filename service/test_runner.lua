-- test_runner: runs one case of the test file that config key test_file names, in a service of its
-- own (test_case), and ends the node. `skynet --test` starts it, a node for each case.
--
-- It tells the process that started the node (skynet-src/sk_tests.c), by lines that begin with a
-- byte that nobody else prints: "ok" or "not ok REASON", and "done" at the end; or, when it is only
-- to list the cases, "case LIMIT NAME" for each, with its limit of real time in 1/100 s. Other
-- lines are about the case.

local skynet = require("skynet")
require("skynet.manager")
local simulation = require("skynet.simulation")

local MARK <const> = "\30" -- "record separator"
local MS_PER_CS <const> = 10
--- After its deadline a case may be asked where it is, for so long.
local WHERE_CS <const> = 100
local is_simulated <const> = simulation.seed() ~= nil
--- The name of the case that runs; "": none.
local name <const> = skynet.getenv("test_case") or ""

local function say(format, ...)
	io.stdout:write(format:format(...), "\n")
	io.stdout:flush()
end

--- What rings when the case has taken too long: the task that waits for it.
local on_alarm

skynet.register_protocol({
	name = "alarm",
	id = skynet.PTYPE_SYSTEM,
	unpack = skynet.tostring,
	dispatch = function(_, _, reason)
		if on_alarm then
			on_alarm(reason)
		end
	end,
})

--- Runs f(...) in a task of its own, for a limited time. Waits.
---@param deadline integer cs
---@param real_deadline integer cs, on a simulated node
---@param f function
---@return string? alarm why it did not end: "late", "slow", "stuck"
---@return ... what pcall(f, ...) returned, if it ended
local function within(deadline, real_deadline, f, ...)
	local token, result, alarm = {}, nil, nil
	on_alarm = function(reason)
		alarm = alarm or reason
		skynet.wakeup(token)
	end
	skynet.fork(function(...)
		result = table.pack(pcall(f, ...))
		skynet.wakeup(token)
	end, ...)
	if is_simulated then
		simulation.alarm(deadline * MS_PER_CS, real_deadline * MS_PER_CS)
		skynet.wait(token)
		simulation.alarm(-1)
	elseif skynet.sleep(math.min(deadline, real_deadline), token) ~= "BREAK" then
		alarm = "slow"
	end
	on_alarm = nil
	if result then
		return nil, table.unpack(result, 1, result.n)
	end
	return alarm
end

local ALARMS <const> = {
	late = "no result within %g s of virtual time",
	slow = "no result within %g s",
	stuck = "no result, and never will be: no service has mail, and no timer is pending",
}

local function explain(alarm, case, own)
	local limit = alarm == "slow" and case.real_deadline or case.deadline
	if alarm == "slow" and not is_simulated then
		limit = math.min(case.deadline, case.real_deadline)
	end
	local reason = ALARMS[alarm]:format(limit / 100)
	local _, ok, where = within(WHERE_CS, WHERE_CS, skynet.call, own, "debug", "TEST_WHERE")
	return ok and where ~= "" and reason .. "\n" .. where or reason
end

--- Runs a case in the service that has loaded it. Returns nil, or why it has failed, and whether
--- somebody may still wait for something.
local function run_case(own, case)
	local alarm, ok, passed, reason = within(case.deadline, case.real_deadline, function()
		return skynet.call(own, "debug", "TEST_RUN", case.name)
	end)
	if alarm then
		return explain(alarm, case, own), true
	elseif not ok then
		return "the service of the case has ended: " .. tostring(passed)
	elseif not passed then
		return reason
	end
end

--- Says where the tasks of a service wait.
local function report_tasks(address)
	local _, ok, tasks = within(WHERE_CS, WHERE_CS, skynet.call, address, "debug", "TASK")
	local texts = {}
	for _, text in pairs(ok and tasks or {}) do
		texts[#texts + 1] = tostring(text)
	end
	table.sort(texts)
	for _, text in ipairs(texts) do
		say("  a task of it waits: %s", text)
	end
end

--- Says which services are there that were not before, but for the case's own.
local function report_leftovers(before, own, is_waiting)
	local _, ok, list = within(WHERE_CS, WHERE_CS, skynet.call, ".launcher", "lua", "LIST")
	for _, service in ipairs(simulation.services()) do
		local handle, module = service[1], service[2]
		local address = skynet.address(handle)
		if not before[handle] and handle ~= own then
			say("left over: %s %s", address, ok and list[address] or module)
			if is_waiting and module == "snlua" then
				report_tasks(handle)
			end
		end
	end
end

local function report_failure(failure)
	local line, rest = failure:match("^([^\n]*)\n?(.*)$")
	say("%snot ok %s", MARK, line)
	if rest ~= "" then
		say("%s", rest)
	end
end

--- Returns whether the case has passed.
local function run()
	local before = {}
	for _, service in ipairs(simulation.services()) do
		before[service[1]] = true
	end
	local own = skynet.newservice("test_case")
	local wanted
	for _, case in ipairs(skynet.call(own, "debug", "TEST_LIST")) do
		if name == "" then
			say("%scase %d %s", MARK, case.real_deadline, case.name)
		elseif case.name == name then
			wanted = case
		end
	end
	if name == "" then
		return true
	elseif not wanted then
		error("the file has no such case any more", 0)
	end
	local failure, is_waiting = run_case(own, wanted)
	simulation.remove_fault(0)
	if failure then
		report_failure(failure)
	else
		say("%sok", MARK)
	end
	report_leftovers(before, own, is_waiting)
	return not failure
end

skynet.start(function()
	skynet.call_timeout(false) -- a case has its own deadlines
	-- In a task of its own: the bootstrap is to end before the case begins.
	skynet.fork(function()
		skynet.sleep(1)
		local ok, result = pcall(run)
		if not ok then
			report_failure(tostring(result))
		end
		say("%sdone", MARK)
		skynet.abort(ok and result and 0 or 1)
	end)
end)
