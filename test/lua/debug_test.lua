-- What every Lua service answers to messages of type "debug", and what the launcher makes of it.
local skynet = require("skynet")
require("skynet.manager")
local check = require("check")
local child = require("child")
local log = require("log")

local cases = {}
local function case(name, body)
	cases[#cases + 1] = { name, body }
end

local function idle()
	local counter = { value = 0 }
	local command = {}
	function command.add(n)
		counter.value = counter.value + n
		return counter.value
	end
	function command.hold()
		skynet.wait()
	end
	function command.pass(address)
		return skynet.call(address, "lua", "hold")
	end
	local function count_call()
		counter.value = counter.value + 1000
	end
	skynet.dispatch("lua", function(_, _, name, ...)
		count_call()
		skynet.retpack(command[name](...))
	end)
	GREETING = "hello" -- luacheck: ignore
	skynet.start(function() end)
end

local function ask(address, ...)
	return skynet.call(address, "debug", ...)
end

case("MEM_and_STAT_tell_about_the_service", function()
	local service = child.start(idle)
	check.equal(math.type(ask(service, "MEM")), "float")
	local stat = ask(service, "STAT")
	check.equal(math.type(stat.task), "integer")
	check.equal(math.type(stat.mqlen), "integer")
	check.equal(math.type(stat.message), "integer")
	check.ok(stat.message >= 3, "messages")
	check.equal(math.type(stat.cpu), "float")
	local keys = {}
	for key in pairs(stat) do
		keys[#keys + 1] = key
	end
	check.equal(math.type(stat.late), "integer")
	check.equal(#keys, 5)
	skynet.kill(service)
end)

case("GC_collects_and_says_so", function()
	local service = child.start(idle)
	local mark = log.mark()
	skynet.send(service, "debug", "GC")
	log.wait(mark, "GC %d+%.%d%d Kb %-> %d+%.%d%d Kb, cost %d+%.%d%d sec")
	check.equal(select("#", ask(service, "GC")), 0)
	check.equal(log.lines(mark, "Maybe forgot"), {})
	skynet.kill(service)
end)

case("INFO_asks_the_function_of_the_service", function()
	local service = child.start(function()
		skynet.info_func(function(...)
			skynet.yield()
			return "info", ...
		end)
		skynet.start(function() end)
	end)
	check.equal(table.pack(ask(service, "INFO", 1, "b")), { "info", 1, "b", n = 3 })
	skynet.kill(service)
	local silent = child.start(idle)
	check.equal(table.pack(ask(silent, "INFO")), { n = 0 })
	skynet.kill(silent)
end)

case("PING_and_SUPPORT_answer", function()
	local service = child.start(idle)
	check.equal(select("#", ask(service, "PING")), 0)
	check.equal(ask(service, "SUPPORT", "lua"), true)
	check.equal(ask(service, "SUPPORT", "debug"), true)
	check.equal(ask(service, "SUPPORT", "response"), false)
	check.equal(ask(service, "SUPPORT", "no such type"), false)
	skynet.kill(service)
end)

case("EXIT_ends_the_service", function()
	local service = child.start(idle)
	check.raises("call failed", ask, service, "EXIT")
	check.raises("call", ask, service, "PING")
	local other = child.start(idle)
	skynet.send(other, "debug", "EXIT")
	check.raises("call", ask, other, "LINK")
end)

--- Makes calls that end in different ways, and some that do not; tells their sessions.
local function caller(callee)
	callee = math.tointeger(tonumber(callee))
	local sessions = {}
	local function call(key, limit, command, argument)
		sessions[key] = skynet.fork(
			pcall, skynet.call_within, limit, callee, "lua", command, argument
		)
	end
	local function note_sessions()
		for key, task in pairs(sessions) do
			sessions[key] = skynet.task(task)
		end
	end
	skynet.start(function()
		call("answered", false, "add", 1)
		call("failed", false, "no such command")
		call("late", 1, "hold")
		call("ended", false, "hold")
		call("awaited", false, "hold")
		local ended = sessions.ended
		skynet.yield()
		skynet.dispatch("lua", function(_, _, is_own_answer)
			if is_own_answer then
				skynet.dispatch_unknown_response(function() end)
			end
			skynet.retpack(sessions)
		end)
		note_sessions()
		skynet.killthread(ended)
		skynet.sleep(2)
	end)
end

case("GIVENUP_tells_which_calls_are_not_waited_for", function()
	local service = child.start(caller, child.start(idle))
	local function given_up(sessions)
		local list = {}
		for _, name in ipairs({ "answered", "failed", "late", "ended", "awaited" }) do
			list[#list + 1] = assert(sessions[name])
		end
		local names = {}
		for _, session in ipairs(ask(service, "GIVENUP", list)) do
			for name, value in pairs(sessions) do
				names[#names + 1] = value == session and name or nil
			end
		end
		return table.concat(names, " ")
	end
	check.equal(given_up(skynet.call(service, "lua")), "answered failed late ended")
	-- Who takes answers that no task waits for may wait for those that are not known.
	check.equal(given_up(skynet.call(service, "lua", true)), "late ended")
	check.equal(ask(service, "GIVENUP", {}), {})
	for _, wrong in ipairs({ 0, -1, 1 << 31, "x" }) do
		check.raises("bad argument #1", ask, service, "GIVENUP", { wrong })
	end
	skynet.kill(service)
end)

case("TASK_and_UNIQTASK_show_where_tasks_wait", function()
	local service = child.start(idle)
	check.equal(ask(service, "TASK"), {})
	check.equal(ask(service, "STAT").task, 0)
	for _ = 1, 2 do
		skynet.fork(pcall, skynet.call, service, "lua", "hold")
	end
	skynet.yield()
	check.equal(ask(service, "STAT").task, 2)
	local count, session, place = 0, nil, nil
	for key, traceback in pairs(ask(service, "TASK")) do
		count = count + 1
		session, place = key:match("^thread: 0x%x+ session: (%d+)$"), traceback
		check.matches(traceback, "in function 'skynet[.%a]*.wait'\n")
		check.matches(traceback, "\n\t%S*debug_test.lua:%d+: in ")
	end
	check.equal(count, 2)
	check.equal(ask(service, "TASK", tonumber(session)), place)
	check.equal(ask(service, "TASK", 0), "No session")
	local key, traceback = next(ask(service, "UNIQTASK"))
	check.matches(key, "^2\tsessions:%[%d+,%d+%]\n$")
	check.equal(traceback, place)
	skynet.kill(service)
end)

case("KILLTASK_ends_a_task", function()
	local service = child.start(idle)
	local reason
	skynet.fork(function()
		reason = select(2, pcall(skynet.call, service, "lua", "hold"))
		skynet.wakeup("ended")
	end)
	skynet.yield()
	local name = next(ask(service, "TASK")):match("0x%x+")
	check.equal(ask(service, "KILLTASK", "no such task"), "Not found")
	check.equal(table.pack(ask(service, "KILLTASK", name)), { n = 0 })
	if not reason then
		skynet.wait("ended")
	end
	check.matches(reason, "call failed")
	check.equal(ask(service, "STAT").task, 0)
	skynet.kill(service)
end)

case("TERM_and_TRACELOG_reach_the_engine", function()
	local service, other = child.start(idle), child.start(idle)
	local reason
	skynet.fork(function()
		reason = select(2, pcall(skynet.call, service, "lua", "pass", other))
		skynet.wakeup("ended")
	end)
	skynet.yield()
	while ask(service, "STAT").task == 0 do
		skynet.sleep(0)
	end
	check.equal(select("#", ask(service, "TERM", other)), 0)
	if not reason then
		skynet.wait("ended")
	end
	check.matches(reason, "declared dead by skynet.term")
	local mark = log.mark()
	check.equal(select("#", ask(service, "TRACELOG", true)), 0)
	log.wait(mark, "Turn trace log true for lua")
	skynet.call(service, "lua", "add", 1)
	log.wait(mark, "<TRACE :%x+%-%d+> %d+ request")
	ask(service, "TRACELOG", "lua", false)
	log.wait(mark, "Turn trace log false for lua")
	skynet.send(service, "debug", "TRACELOG", "lua")
	log.wait(mark, "Turn trace log nil for lua")
	check.raises("call failed", ask, service, "TRACELOG", "no such type", true)
	skynet.kill(service)
	skynet.kill(other)
end)

case("LINK_fails_when_the_service_ends_and_never_before", function()
	for _, way in ipairs({ "exit", "kill" }) do
		local service = child.start(idle)
		local reasons, done = {}, {}
		for i = 1, 50 do
			skynet.fork(function()
				local ok, reason = pcall(ask, service, "LINK")
				reasons[i] = not ok and reason
				skynet.wakeup(done)
			end)
		end
		ask(service, "GC")
		check.equal(reasons, {})
		if way == "exit" then
			skynet.send(service, "debug", "EXIT")
		else
			skynet.kill(service)
		end
		while #reasons < 50 do
			skynet.wait(done)
		end
		for _, reason in ipairs(reasons) do
			check.matches(reason, "call failed")
		end
	end
end)

case("so_many_LINKs_there_may_be", function()
	local service = child.start(idle)
	local crowd = child.start(function(address, count)
		skynet.start(function()
			for _ = 1, count do
				skynet.fork(skynet.call, tonumber(address), "debug", "LINK")
			end
		end)
	end, service, skynet.getenv("waiterlimit"))
	local too_many = "too many requests wait: %d+ %(config key waiterlimit%)"
	ask(service, "GC")
	check.raises(too_many, ask, service, "LINK")
	skynet.kill(crowd)
	skynet.sleep(1)
	check.raises("no answer", skynet.call_within, 1, service, "debug", "LINK") -- there is room
	skynet.kill(service)
end)

case("unknown_commands_fail_and_new_ones_can_be_added", function()
	local service = child.start(function()
		require("skynet.debug").reg_debugcmd("DOUBLE", function(n)
			skynet.yield()
			skynet.retpack(2 * n)
		end)
		require("skynet.debug").reg_debugcmd("BROKEN", function()
			error("broken command", 0)
		end)
		skynet.start(function() end)
	end)
	check.raises("call failed: .*: there is no debug command NO SUCH", ask, service, "NO SUCH")
	check.raises("call failed: .*: there is no debug command nil", ask, service)
	check.equal(ask(service, "DOUBLE", 21), 42)
	check.raises("call failed: .*: broken command", ask, service, "BROKEN")
	local mark = log.mark()
	skynet.send(service, "debug", "NO SUCH")
	log.wait(mark, "error: there is no debug command NO SUCH")
	local reg_debugcmd = require("skynet.debug").reg_debugcmd
	check.misuse("'name': string expected, got nil", reg_debugcmd)
	check.misuse("'f': function expected, got nil", reg_debugcmd, "X")
	skynet.kill(service)
end)

case("RUN_runs_code_that_sees_the_service", function()
	local service = child.start(idle)
	local ok, output = ask(
		service,
		"RUN",
		[[
			print(GREETING, ...)
			_P.lua.command.add = function(n) return -n end
			_P.lua.counter.value = 7
			print(_P.debug.commands.PING ~= nil, _P.lua.count_call)
			print()
		]],
		"patch.lua",
		1,
		nil
	)
	check.equal({ ok, output }, { true, "hello\t1\tnil\ntrue\tnil\n" })
	check.equal(skynet.call(service, "lua", "add", 5), -5)
	ok, output = ask(service, "RUN", "print('first') error('in the patch')", "patch.lua")
	check.equal(ok, false)
	check.matches(output, "^first\npatch.lua:1: in the patch\nstack traceback:")
	ok, output = ask(service, "RUN", "syntax error", "patch.lua")
	check.equal(ok, false)
	check.matches(output, "^patch.lua:1: syntax error")
	ok, output = ask(service, "RUN", "x = 1 print(x, rawget(_G or {}, 'x'))")
	check.equal({ ok, output }, { true, "1\tnil" })
	check.raises("call failed: .*'source': string expected, got nil", ask, service, "RUN")
	skynet.kill(service)
end)

case("inject_finds_the_tables_of_functions", function()
	local inject = require("skynet.inject")
	local table_1, table_2 = { 1 }, { 2 }
	local function inner()
		return table_2
	end
	local function outer()
		return table_1, inner, print
	end
	local ok, output = inject(
		skynet,
		"print(_U.table_1[1], _U.table_2[1], _U.skynet, _ENV._U._ENV)",
		nil,
		{ n = 0 },
		outer,
		inner
	)
	check.equal({ ok, output }, { true, { "1\t2\tnil\tnil" } })
end)

-- The launcher ---------------------------------------------------------------------------------

local function launcher(...)
	return skynet.call(".launcher", "lua", ...)
end

-- A service that does not answer until it is told to.
local function busy()
	skynet.start(function()
		require("skynet.debug").reg_debugcmd("STAT", function()
			skynet.wait()
		end)
		require("skynet.debug").reg_debugcmd("MEM", function()
			error("no figures", 0)
		end)
	end)
end

case("the_launcher_asks_all_services", function()
	local service, slow = child.start(idle, "word"), child.start(busy)
	local key, slow_key = skynet.address(service), skynet.address(slow)
	local stat = launcher("STAT", 3)
	check.equal(math.type(stat[key].message), "integer")
	check.equal(stat[slow_key], "TIMEOUT")
	check.equal(launcher("STAT", "3")[slow_key], "TIMEOUT")
	local memory = launcher("MEM")
	local description = "snlua script " .. child.key(idle) .. " word"
	check.matches(memory[key], "^%d+%.%d%d Kb %(" .. description .. "%)$")
	check.matches(memory[slow_key], "^ERROR %(snlua script ")
	local mark = log.mark()
	memory = launcher("GC", 0)
	check.matches(memory[key], "^%d+%.%d%d Kb %(" .. description .. "%)$")
	local line = log.wait(mark, "GC .* Kb")
	check.ok(line, "they have collected")
	skynet.kill(service)
	skynet.kill(slow)
end)

case("c_services_in_its_list_are_not_asked", function()
	local reason
	skynet.fork(function()
		reason = select(2, pcall(launcher, "LAUNCH", "logger"))
		skynet.wakeup("told")
	end)
	skynet.yield()
	local address
	for key, description in pairs(launcher("LIST")) do
		address = description == "logger" and key or address
	end
	check.ok(address, "it is in the list")
	for _, question in ipairs({ "STAT", "MEM", "GC" }) do
		check.equal(launcher(question)[address], nil)
	end
	skynet.kill(address)
	if not reason then
		skynet.wait("told")
	end
	check.matches(reason, "call failed")
end)

case("a_service_that_ends_meanwhile_has_no_line", function()
	local service = child.start(busy)
	skynet.fork(function()
		skynet.yield()
		skynet.kill(service)
	end)
	local stat = launcher("STAT")
	local line = stat[skynet.address(service)]
	check.ok(line == nil or line == "ERROR", line)
end)

case("LOGLAUNCH_starts_with_recording", function()
	local folder = os.tmpname()
	os.remove(folder)
	assert(os.execute("mkdir " .. folder))
	skynet.setenv("logpath", folder)
	local service = launcher("LOGLAUNCH", "snlua", "script", child.key(idle))
	check.equal(skynet.call(service, "lua", "add", 1), 1001)
	check.ok(launcher("LIST")[skynet.address(service)], "it is in the list")
	local mark = log.mark()
	skynet.kill(service)
	log.wait(mark, "Close log file")
	local path = ("%s/%08x.log"):format(folder, service)
	local file <close> = assert(io.open(path))
	local text = file:read("a")
	os.execute("rm -r " .. folder)
	local packed = skynet.packstring("add", 1):gsub(".", function(byte)
		return ("%02x"):format(byte:byte())
	end)
	check.matches(text, (":%08x 10 %%d+ %%d+ %s"):format(skynet.self(), packed))
	check.raises("can't launch", launcher, "LOGLAUNCH", "no_such_module")
end)

return cases
