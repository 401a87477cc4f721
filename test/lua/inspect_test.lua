-- Looking into a service: its tasks, killing one, protocols, and being dead for somebody.
local skynet = require("skynet")
require("skynet.manager")
local begin = require("tasks").begin
local check = require("check")
local child = require("child")
local log = require("log")

local cases = {}
local function case(name, body)
	cases[#cases + 1] = { name, body }
end

--- Runs f in a fresh service and returns what it returns.
local function inside(f, ...)
	local key = child.key(f)
	local service = child.start(function()
		skynet.start(function()
			skynet.dispatch("lua", function(_, _, chunk, ...)
				local hex = skynet.getenv(chunk)
				local code = hex:gsub("%x%x", function(byte)
					return string.char(tonumber(byte, 16))
				end)
				local loaded = load(code, "inside", "b")
				for i = 1, 255 do
					local name = debug.getupvalue(loaded, i)
					if name == "skynet" then
						debug.setupvalue(loaded, i, skynet)
					elseif name == "_ENV" then
						debug.setupvalue(loaded, i, _ENV)
					elseif not name then
						break
					end
				end
				skynet.retpack(loaded(...))
			end)
		end)
	end)
	local results = table.pack(pcall(skynet.call, service, "lua", key, ...))
	skynet.kill(service)
	check.ok(results[1], results[2])
	return table.unpack(results, 2, results.n)
end

-- Tasks -----------------------------------------------------------------------------------------

case("task_counts_what_is_suspended", function()
	check.equal(
		{
			inside(function()
				local counts = { skynet.task() }
				skynet.fork(skynet.sleep, 100000)
				skynet.fork(skynet.wait, "token")
				skynet.fork(skynet.call, ".launcher", "lua", "LIST")
				counts[2] = skynet.task()
				skynet.fork(function()
					counts[3] = skynet.task()
					skynet.wakeup("me")
				end)
				skynet.wait("me")
				skynet.timeout(100000, print)
				counts[4] = skynet.task()
				return table.unpack(counts)
			end),
		},
		{ 0, 0, 4, 4 }
	)
end)

case("task_fills_a_table", function()
	local list, session, trace, none = inside(function()
		local sleeper = skynet.fork(function()
			skynet.sleep(100000)
		end)
		local waiter = skynet.fork(function()
			skynet.wait("token")
		end)
		skynet.yield()
		local list = {}
		skynet.task(list)
		local session = skynet.task(sleeper)
		assert(list[("%s session: %d"):format(sleeper, session)])
		assert(list[("%s session: %d"):format(waiter, skynet.task(waiter))])
		return list, session, skynet.task(session), skynet.task(1 << 30)
	end)
	local names = {}
	for name, place in pairs(list) do
		names[#names + 1] = name
		check.matches(name, "^thread: 0x%x+ session: %d+$")
		check.matches(place, "^stack traceback:\n.*inspect_test%.lua:%d+: in function")
	end
	check.equal(#names, 2)
	check.equal(math.type(session), "integer")
	check.matches(trace, "stack traceback:.*sleep")
	check.equal(none, "No session")
end)

case("task_of_a_coroutine_that_does_not_wait_is_nothing", function()
	check.equal(skynet.task(coroutine.create(print)), nil)
	check.equal(skynet.task(coroutine.running()), nil)
end)

case("task_init_tells_where_the_start_function_is", function()
	local service = child.start(function()
		local text
		skynet.dispatch("lua", function(_, _, what)
			if what == "go" then
				skynet.wakeup("start")
				skynet.retpack(skynet.task("init"))
			else
				skynet.retpack(text, skynet.task("init"))
			end
		end)
		skynet.start(function()
			skynet.fork(function()
				text = skynet.task("init")
				skynet.wakeup("start")
			end)
			skynet.wait("start")
		end)
	end)
	local text, now = skynet.call(service, "lua")
	check.matches(text, "stack traceback:.*inspect_test%.lua:%d+: in function")
	check.equal(now, nil)
	skynet.kill(service)
end)

case("timers_are_listed_too_and_may_tell_where_they_were_set", function()
	local list, place = inside(function()
		local plain = skynet.timeout(100000, print)
		skynet.trace_timeout(true)
		local traced = skynet.timeout(100, print)
		local list = {}
		skynet.task(list)
		skynet.trace_timeout(false)
		skynet.timeout(100000, print)
		skynet.cancel(plain)
		local place = list[("timer session: %d"):format(traced)]
		assert(list[("timer session: %d"):format(plain)])
		assert(skynet.task(traced):find("trace_timeout"))
		return list, place
	end)
	check.equal(next(list) ~= nil, true)
	check.matches(place, "^TIMER %d+%+100 : stack traceback:\n.*inspect_test%.lua:%d+: in ")
end)

case("uniqtask_merges_equal_places", function()
	local places = inside(function()
		local function rest()
			skynet.sleep(100000)
		end
		for _ = 1, 3 do
			skynet.fork(rest)
		end
		for _ = 1, 20 do
			skynet.fork(skynet.wait, {})
		end
		for i = 1, 20 do
			skynet.fork(function()
				skynet.wait("group" .. i)
			end)
		end
		skynet.yield()
		return skynet.uniqtask()
	end)
	local counts = {}
	for key, place in pairs(places) do
		local count, sessions = key:match("^(%d+)\tsessions:%[([%d,.]+)%]\n$")
		check.ok(count, key)
		counts[tonumber(count)] = sessions
		check.matches(place, "stack traceback:")
	end
	check.matches(counts[3], "^%d+,%d+,%d+$")
	check.matches(counts[20], "^%d+,%d+,%d+,%d+,%d+,%d+,%d+,%d+,%d+,%.%.%.$")
end)

-- Killing a task --------------------------------------------------------------------------------

local function patient()
	local tasks = {}
	local closed = {}
	skynet.start(function()
		skynet.dispatch("lua", function(_, _, what, ...)
			if what == "hold" then
				local _guard <close> = setmetatable({}, {
					__close = function()
						closed[#closed + 1] = "closed"
					end,
				})
				tasks[#tasks + 1] = coroutine.running()
				local how, address = ...
				if how == "call" then
					skynet.call(address, "lua")
				else
					skynet[how](how == "sleep" and 100000 or "token")
				end
			elseif what == "kill" then
				local killed = {}
				for i, task in ipairs(tasks) do
					killed[i] = skynet.killthread(task) == task
				end
				skynet.retpack(killed, closed, skynet.task())
			elseif what == "wakeup" then
				skynet.retpack(skynet.wakeup("token"), skynet.sleep(0, "token"))
			elseif what == "kill by name" then
				local name = tostring(tasks[1]):match("0x%x+")
				local killed = skynet.killthread(name)
				skynet.retpack(killed == tasks[1], skynet.killthread(name))
			end
		end)
	end)
end

local function ask(service, ...)
	return begin(skynet.call, service, "lua", ...)
end

for _, how in ipairs({ "wait", "sleep", "call" }) do
	case("killthread_ends_a_task_in_" .. how, function()
		local mark = log.mark()
		local service = child.start(patient)
		local silent = child.start(function()
			skynet.start(function()
				skynet.dispatch("lua", skynet.ignoreret)
			end)
		end)
		local finish = ask(service, "hold", how, silent)
		skynet.yield()
		local killed, closed, count = skynet.call(service, "lua", "kill")
		check.equal(killed[1], true)
		check.equal(closed[1], "closed")
		check.equal(count, 0)
		local ok, text = finish()
		check.equal(ok, false)
		check.matches(text, "call failed: script .*: the task that handled it was killed$")
		-- Its token is free, and nothing comes for it any more.
		check.equal({ skynet.call(service, "lua", "wakeup") }, {})
		check.equal(log.lines(mark, "Unknown response"), {})
		check.equal(log.lines(mark, "lua call"), {})
		skynet.kill(service)
		skynet.kill(silent)
	end)
end

case("killthread_finds_a_task_by_its_name", function()
	local service = child.start(patient)
	local finish = ask(service, "hold", "wait")
	skynet.yield()
	check.equal({ skynet.call(service, "lua", "kill by name") }, { true })
	check.equal((finish()), false)
	skynet.kill(service)
end)

case("killthread_of_nobody_is_nil", function()
	check.equal(skynet.killthread(coroutine.create(print)), nil)
	check.equal(skynet.killthread(coroutine.running()), nil)
	check.equal(skynet.killthread("no such name"), nil)
	check.equal(skynet.killthread(12345678), nil)
	local timer = skynet.timeout(0, error)
	check.equal(skynet.killthread(timer), timer)
	check.equal(skynet.killthread(timer), nil)
end)

case("killthread_ends_what_is_ready_to_run", function()
	local ran = false
	local fork = skynet.fork(function()
		ran = true
	end)
	check.equal(skynet.killthread(fork), fork)
	local sleeper = skynet.fork(function()
		skynet.sleep(100000, "sleeper")
		ran = true
	end)
	skynet.yield()
	check.equal(skynet.wakeup("sleeper"), true)
	check.equal(skynet.killthread(sleeper), sleeper)
	skynet.yield()
	check.equal(ran, false)
end)

case("killing_the_start_function_ends_the_service", function()
	local ok, text = pcall(child.start, function()
		skynet.start(function()
			local me = coroutine.running()
			skynet.fork(function()
				skynet.killthread(me)
			end)
			skynet.wait()
		end)
	end)
	check.equal(ok, false)
	check.matches(text, "its start function was killed")
end)

case("the_answer_to_a_killed_task_is_dropped", function()
	local mark = log.mark()
	local service = child.start(function()
		skynet.start(function()
			skynet.dispatch("lua", function()
				skynet.sleep(1)
				skynet.retpack("late")
			end)
		end)
	end)
	local late = skynet.stat("late")
	local caller = skynet.fork(skynet.call, service, "lua")
	skynet.yield()
	check.equal(skynet.killthread(caller), caller)
	skynet.call(service, "lua")
	check.equal(skynet.stat("late"), late + 1)
	check.equal(log.lines(mark, "Unknown response"), {})
	skynet.kill(service)
end)

-- Being dead for somebody -----------------------------------------------------------------------

local function silent()
	skynet.start(function()
		skynet.register(".silent")
		skynet.dispatch("lua", function()
			skynet.wait()
		end)
	end)
end

case("term_fails_the_calls_made_with_exactly_this_address", function()
	local service = child.start(silent)
	local by_number = ask(service)
	local by_name = ask(".silent")
	local within = ask(0)
	skynet.fork(function()
		local results = table.pack(pcall(skynet.call_within, 100000, ".silent", "lua"))
		within = results
		skynet.wakeup("within")
	end)
	skynet.yield()
	skynet.term(".other")
	skynet.term(service)
	local ok, text = by_number()
	check.equal(ok, false)
	check.matches(text, "call failed: %d+: it was declared dead by skynet%.term$")
	check.equal(type(within), "function") -- the call by name goes on
	skynet.term(".silent")
	ok, text = by_name()
	check.equal(ok, false)
	check.matches(text, "call failed: %.silent: it was declared dead by skynet%.term$")
	if type(within) == "function" then
		skynet.wait("within")
	end
	check.equal(within[1], false)
	check.matches(within[2], "declared dead")
	skynet.kill(service)
end)

case("term_drops_requests_of_that_service", function()
	local service = child.start(function()
		local answer
		skynet.start(function()
			skynet.dispatch("lua", function(_, source, what)
				if what == "defer" then
					answer = skynet.response()
				else
					skynet.term(source)
					skynet.send(source, "lua", answer("TEST"), answer(true))
				end
			end)
		end)
	end)
	local got
	skynet.dispatch("lua", function(_, _, ...)
		got = { ... }
		skynet.wakeup("got")
	end)
	local finish = ask(service, "defer")
	skynet.yield()
	skynet.send(service, "lua", "term")
	skynet.wait("got")
	check.equal(got, { false, false })
	local ok, text = finish()
	check.equal(ok, false)
	check.matches(text, "call failed: script .*: it treats the requester as dead")
	skynet.kill(service)
end)

case("dispatch_message_handles_a_message_at_once", function()
	local got = {}
	skynet.dispatch("lua", function(session, source, ...)
		got[#got + 1] = { session, source, ... }
	end)
	local block, size = skynet.pack("hello", 1)
	skynet.dispatch_message(skynet.PTYPE_LUA, block, size, 0, 77)
	check.equal(got, { { 0, 77, "hello", 1 } })
	-- It may wait, like any handler; who dispatches does not wait for that.
	skynet.dispatch("lua", function()
		skynet.sleep(0)
		got[#got + 1] = "slept"
		skynet.wakeup("slept")
	end)
	skynet.dispatch_message(skynet.PTYPE_LUA, block, size, 0, 77)
	check.equal(#got, 1)
	skynet.wait("slept")
	check.equal(got[2], "slept")
	skynet.trash(block, size)
	-- Who dispatches goes on as the task it was.
	check.equal(skynet.sleep(0), nil)
end)

case("a_service_may_end_in_a_message_that_it_dispatches_itself", function()
	local service = child.start(function()
		skynet.start(function()
			skynet.dispatch("lua", function(_, _, what)
				if what == "exit" then
					skynet.exit()
				end
				local block, size = skynet.pack("exit")
				skynet.fork(skynet.sleep, 1000)
				skynet.dispatch_message(skynet.PTYPE_LUA, block, size, 0, 77)
				skynet.trash(block, size)
				skynet.wait()
			end)
		end)
	end)
	check.raises("it has ended before it answered", skynet.call, service, "lua", "begin")
end)

-- Starting with a callback of one's own ----------------------------------------------------------

case("init_service_runs_what_start_schedules", function()
	local service = child.start(function()
		local order = {}
		skynet.init(function()
			order[#order + 1] = "init"
		end)
		skynet.dispatch("lua", function()
			skynet.retpack(order)
		end)
		local start = skynet.start
		start(function()
			order[#order + 1] = "outer"
			skynet.init_service(function()
				skynet.yield()
				order[#order + 1] = "inner"
			end)
			order[#order + 1] = "after"
		end)
	end)
	check.equal(skynet.call(service, "lua"), { "init", "outer", "inner", "after" })
	skynet.kill(service)
	check.raises("call failed: script .*: in init_service", child.start, function()
		skynet.start(function()
			skynet.init_service(function()
				error("in init_service", 0)
			end)
		end)
	end)
end)

-- Protocols -------------------------------------------------------------------------------------

case("proto_shows_the_protocols", function()
	local proto = skynet._proto
	check.equal(proto.lua.name, "lua")
	check.equal(proto.lua.id, skynet.PTYPE_LUA)
	check.ok(proto.lua == proto[skynet.PTYPE_LUA], "one table a protocol")
	check.ok(proto.lua.pack == skynet.pack and proto.lua.unpack == skynet.unpack)
	check.equal(proto.nothing, nil)
	check.equal(proto[99], nil)
	check.equal(proto[1.5], nil)
	local function handler() end
	skynet.dispatch("lua", handler)
	check.ok(proto.lua.dispatch == handler)
	proto.lua.dispatch = print
	check.ok(skynet.dispatch("lua") == print)
	proto.lua.trace = true
	check.equal(proto.lua.trace, true)
	proto.lua.trace = nil
	check.equal(proto.lua.trace, nil)
	check.raises("register it so", function()
		proto.lua.id = 1
	end)
	check.raises("register_protocol", function()
		proto.mine = {}
	end)
	local names = {}
	for name in pairs(proto) do
		names[#names + 1] = tostring(name)
	end
	table.sort(names)
	check.matches(table.concat(names, " "), "^1 10 7 .*error lua response$")
	local fields = {}
	for key in pairs(proto.response) do
		fields[#fields + 1] = key
	end
	table.sort(fields)
	check.equal(fields, { "id", "name" })
end)

case("cache_is_the_code_cache", function()
	check.ok(skynet.cache == require("skynet.codecache"))
end)

return cases
