-- skynet.coroutine: coroutines that may wait; and what Lua's own may do.
local skynet = require("skynet")
require("skynet.manager")
local co = require("skynet.coroutine")
local check = require("check")
local child = require("child")
local log = require("log")

local cases = {}
local function case(name, body)
	cases[#cases + 1] = { name, body }
end

local function echo()
	skynet.start(function()
		skynet.dispatch("lua", function(_, _, what, ...)
			if what == "sleep" then
				skynet.sleep(1)
			elseif what == "hang" then
				skynet.wait()
			elseif what == "fail" then
				error("failed as asked", 0)
			end
			skynet.retpack(what, ...)
		end)
	end)
end

local service
local function ask(...)
	service = service or child.start(echo)
	return skynet.call(service, "lua", ...)
end

case("it_has_the_shape_of_lua_s_library", function()
	for name in pairs(coroutine) do
		check.equal(type(co[name]), "function", name)
	end
	check.equal(type(co.thread), "function")
end)

case("without_waiting_it_works_as_lua_s", function()
	local values = {}
	local function body(...)
		values[#values + 1] = table.pack(...)
		values[#values + 1] = table.pack(co.yield(1, nil, 3))
		values[#values + 1] = table.pack(co.yield())
		return "end", nil
	end
	local thread = co.create(body)
	check.equal(type(thread), "thread")
	check.equal(co.status(thread), "suspended")
	check.equal(table.pack(co.resume(thread, "a", nil)), { true, 1, nil, 3, n = 4 })
	check.equal(table.pack(co.resume(thread, "b")), { true, n = 1 })
	check.equal(table.pack(co.resume(thread)), { true, "end", nil, n = 3 })
	check.equal(values, { { "a", n = 2 }, { "b", n = 1 }, { n = 0 } })
	check.equal(co.status(thread), "dead")
	check.equal({ co.resume(thread) }, { false, "cannot resume dead coroutine" })
end)

case("wrap_works_as_lua_s", function()
	local list = {}
	for value in
		co.wrap(function()
			for i = 1, 3 do
				co.yield(i)
			end
		end)
	do
		list[#list + 1] = value
	end
	check.equal(list, { 1, 2, 3 })
	local failing = co.wrap(function()
		error("inside")
	end)
	local text = check.raises("inside", function()
		local _ = failing() -- no tail call: it has a place
	end)
	check.matches(text, "coroutine_test%.lua:%d+: .*coroutine_test%.lua:%d+: inside")
	check.raises("cannot resume dead coroutine", failing)
	check.raises("^true$", co.wrap(function()
		error(true)
	end))
end)

case("an_error_is_a_result_of_resume", function()
	local closed
	local thread = co.create(function()
		local _guard <close> = setmetatable({}, {
			__close = function()
				closed = true
			end,
		})
		error("reason", 0)
	end)
	check.equal({ co.resume(thread) }, { false, "reason" })
	check.equal(co.status(thread), "dead")
	check.equal({ co.close(thread) }, { false, "reason" })
	check.equal(closed, true)
end)

for _, kind in ipairs({ "resume", "wrap" }) do
	local function run(f, ...)
		if kind == "wrap" then
			return co.wrap(f)(...)
		end
		local results = table.pack(co.resume(co.create(f), ...))
		if not results[1] then
			error(results[2], 0)
		end
		return table.unpack(results, 2, results.n)
	end

	case("everything_that_waits_works_in_" .. kind, function()
		check.equal({ run(ask, "hello", 1, nil, 2) }, { "hello", 1, nil, 2 })
		check.equal({ run(ask, "sleep") }, { "sleep" })
		check.equal(run(skynet.sleep, 1), nil)
		check.equal(run(skynet.yield), nil)
		skynet.fork(skynet.wakeup, "token")
		check.equal(run(skynet.sleep, 100000, "token"), "BREAK")
		skynet.fork(skynet.wakeup, "token")
		check.equal(select("#", run(skynet.wait, "token")), 0)
		check.raises("failed as asked", run, ask, "fail")
		check.raises("no answer within", run, function()
			skynet.call_within(1, service, "lua", "hang")
		end)
		local raw = skynet.packstring("raw")
		check.equal(skynet.unpack(run(skynet.rawcall, service, "lua", raw)), "raw")
		local new = run(child.start, echo)
		check.equal(skynet.call(new, "lua", "new"), "new")
		skynet.kill(new)
	end)

	case("waiting_and_yielding_mix_in_" .. kind, function()
		local got = {}
		local producer = co.create(function()
			for i = 1, 3 do
				got[#got + 1] = ask("sleep", i)
				got[#got + 1] = co.yield(i)
			end
			return "done"
		end)
		check.equal({ co.resume(producer) }, { true, 1 })
		check.equal({ co.resume(producer, "a") }, { true, 2 })
		skynet.sleep(0)
		check.equal({ co.resume(producer, "b") }, { true, 3 })
		check.equal({ co.resume(producer, "c") }, { true, "done" })
		check.equal(got, { "sleep", "a", "sleep", "b", "sleep", "c" })
	end)

	case("chains_wait_as_a_whole_in_" .. kind, function()
		local steps = {}
		local function level(n)
			steps[#steps + 1] = "in " .. n
			local result
			if n == 0 then
				result = ask("sleep", "deep")
				skynet.sleep(0)
			else
				result = run(level, n - 1)
			end
			steps[#steps + 1] = "out " .. n
			return result
		end
		check.equal(run(level, 5), "sleep")
		check.equal(#steps, 12)
		check.equal(steps[6], "in 0")
		check.equal(steps[12], "out 5")
	end)

	case("pcall_in_between_is_fine_in_" .. kind, function()
		local ok, text = run(function()
			return pcall(run, function()
				pcall(skynet.sleep, 0)
				ask("fail")
			end)
		end)
		check.equal(ok, false)
		check.matches(text, "call failed: .*: failed as asked")
	end)
end

case("other_tasks_run_while_one_waits", function()
	local words = {}
	local token = {}
	for i = 1, 3 do
		skynet.fork(function()
			co.wrap(function()
				for _ = 1, 3 do
					words[#words + 1] = i
					skynet.yield()
				end
			end)()
			skynet.wakeup(token)
		end)
	end
	skynet.wait(token)
	skynet.yield()
	check.equal(words, { 1, 2, 3, 1, 2, 3, 1, 2, 3 })
end)

case("status_tells_what_a_coroutine_does", function()
	local inner, outer
	local seen = {}
	inner = co.create(function()
		seen.inner = co.status(inner)
		seen.outer = co.status(outer)
		skynet.wait("status")
		co.yield()
	end)
	outer = co.create(function()
		co.resume(inner)
	end)
	local task = skynet.fork(co.resume, outer)
	skynet.yield()
	check.equal(seen, { inner = "running", outer = "normal" })
	check.equal({ co.status(inner), co.status(outer) }, { "blocked", "blocked" })
	local text = "cannot resume a skynet coroutine suspend by skynet framework"
	check.equal({ co.resume(inner) }, { false, text })
	check.equal({ co.resume(outer) }, { false, text })
	check.equal({ coroutine.resume(inner) }, { false, text })
	check.raises("cannot close a blocked coroutine", co.close, inner)
	local thread, is_task = co.thread(inner)
	check.ok(thread == task and is_task == false)
	check.equal(skynet.wakeup("status"), true)
	skynet.yield()
	check.equal({ co.status(inner), co.status(outer) }, { "suspended", "dead" })
	check.equal(co.close(inner), true)
	check.equal(co.status(inner), "dead")
end)

case("thread_tells_the_task", function()
	local me = coroutine.running()
	check.equal({ co.thread() }, { me, true })
	check.equal({ co.thread(me) }, { me, true })
	check.equal({ co.wrap(co.thread)() }, { me, false })
	check.equal({ coroutine.wrap(co.thread)() }, { me, false })
	check.equal(
		{ co.wrap(function()
			skynet.sleep(0)
			return co.wrap(co.thread)()
		end)() },
		{ me, false }
	)
	check.equal({ co.thread(co.create(print)) }, { nil, false })
	check.equal({ co.running() }, { coroutine.running() })
	check.equal(co.isyieldable(), true)
end)

case("a_foreign_coroutine_is_refused", function()
	check.equal(
		{ co.resume(coroutine.create(print)) },
		{ false, "cannot resume none skynet coroutine" }
	)
	check.raises("bad argument #1.*thread expected", co.resume, print)
	check.raises("bad argument #1.*function expected", co.create)
	check.raises("bad argument #1.*function expected", co.wrap, 1)
	check.raises("bad argument #1.*thread expected", co.status)
	check.raises("bad argument #1.*thread expected", co.close)
	check.raises("bad argument #1.*thread expected", co.thread, 1)
end)

case("yield_needs_a_resume", function()
	local text = "Call skynet%.coroutine%.yield out of skynet%.coroutine%.resume"
	check.raises(text, co.yield)
	check.raises(text, coroutine.wrap(co.yield))
	local thread = co.create(co.yield)
	check.matches(select(2, coroutine.resume(thread)), text)
end)

case("lua_s_own_coroutines_work_but_cannot_wait", function()
	local function in_coroutine(f, ...)
		return coroutine.wrap(f)(...)
	end
	local hint = "coroutine of your own: use skynet%.fork, or the library skynet%.coroutine"
	check.raises(hint, in_coroutine, ask, "hello")
	check.raises(hint, in_coroutine, skynet.sleep, 0)
	-- One of the others inside of it cannot either: it could not suspend the one around it.
	check.raises(hint, in_coroutine, function()
		co.wrap(skynet.sleep)(0)
	end)
	check.raises(hint, co.wrap(function()
		coroutine.wrap(skynet.sleep)(0)
	end))
	-- Nor where Lua cannot suspend.
	check.raises(hint, table.sort, { 3, 2, 1 }, function()
		co.wrap(skynet.sleep)(0)
	end)
	local values = {}
	for value in
		coroutine.wrap(function()
			local ok, text = pcall(skynet.sleep, 0)
			coroutine.yield(ok, text)
			coroutine.yield(2)
		end)
	do
		values[#values + 1] = value
		skynet.sleep(0)
	end
	check.equal(values, { false, 2 })
	local thread = coroutine.create(function(...)
		return select("#", ...), coroutine.yield(...)
	end)
	check.equal(table.pack(coroutine.resume(thread, nil, 1, nil)), { true, nil, 1, nil, n = 4 })
	check.equal(table.pack(coroutine.resume(thread, "x")), { true, 3, "x", n = 3 })
	check.equal({ coroutine.resume(thread) }, { false, "cannot resume dead coroutine" })
	check.raises("bad argument #1.*thread expected", coroutine.resume, 1)
	check.raises("bad argument #1.*function expected", coroutine.wrap, 1)
	check.raises("cannot resume non%-suspended coroutine", function()
		assert(coroutine.resume(coroutine.running()))
	end)
end)

case("too_many_values_are_an_error", function()
	local many = {}
	for i = 1, 900000 do
		many[i] = i
	end
	local function deep(n)
		local values = table.pack(coroutine.resume(coroutine.create(function()
			return table.unpack(many)
		end)))
		return n > 0 and values
	end
	check.equal(deep(0), false)
	check.equal(select("#", co.wrap(function(...)
		return ...
	end)(table.unpack(many, 1, 200000))), 200000)
end)

case("chains_that_are_too_deep_are_an_error", function()
	local function level()
		return co.wrap(level)()
	end
	check.raises("C stack overflow", level)
	check.equal(ask("fine"), "fine")
end)

case("what_waits_is_closed_from_the_inside_with_its_task", function()
	local mark = log.mark()
	local function nested()
		local coroutines = require("skynet.coroutine")
		local function guard(name)
			return setmetatable({}, {
				__close = function()
					skynet.error("closed", name)
				end,
			})
		end
		local task
		skynet.start(function()
			skynet.dispatch("lua", function(_, _, what)
				if what == "kill" then
					skynet.killthread(task)
					skynet.retpack()
				elseif what == "exit" then
					skynet.exit()
				end
				task = coroutine.running()
				local _outer <close> = guard("task")
				coroutines.wrap(function()
					local _middle <close> = guard("middle")
					coroutines.wrap(function()
						local _inner <close> = guard("inner")
						skynet.wait()
					end)()
				end)()
			end)
		end)
	end
	for _, way in ipairs({ "kill", "exit", "kill service" }) do
		local victim = child.start(nested)
		skynet.fork(pcall, skynet.call, victim, "lua", "hold")
		skynet.yield()
		if way == "kill service" then
			skynet.send(victim, "lua", "hold")
			skynet.kill(victim)
		else
			pcall(skynet.call, victim, "lua", way)
		end
		if way ~= "kill service" then
			for _, name in ipairs({ "inner", "middle", "task" }) do
				local _, place = log.wait(mark, "closed " .. name)
				mark = place
			end
		end
		skynet.kill(victim)
	end
end)

case("exit_works_from_inside", function()
	local victim = child.start(function()
		skynet.start(function()
			skynet.dispatch("lua", function()
				require("skynet.coroutine").wrap(skynet.exit)()
				skynet.error("lived on after exit")
			end)
		end)
	end)
	local mark = log.mark()
	check.raises("it has ended before it answered", skynet.call, victim, "lua")
	check.equal(log.lines(mark, "lived on"), {})
end)

case("many_coroutines_come_and_go", function()
	collectgarbage()
	collectgarbage()
	local before = collectgarbage("count")
	for i = 1, 3000 do
		local thread = co.create(function()
			if i % 100 == 0 then
				skynet.yield()
			end
			co.yield()
		end)
		assert(co.resume(thread))
	end
	collectgarbage()
	collectgarbage()
	check.ok(collectgarbage("count") - before < 100, "they are collected")
end)

-- Profiles --------------------------------------------------------------------------------------

local profile = require("skynet.profile")

local function burn(ms)
	local until_s = os.clock() + ms / 1000 -- skynet.hpc() may be virtual
	while os.clock() < until_s do
	end
end

case("a_profile_counts_the_time_a_coroutine_runs", function()
	profile.start()
	burn(20)
	skynet.sleep(5) -- suspended: does not count
	local seconds = profile.stop()
	check.equal(math.type(seconds), "float")
	check.ok(seconds > 0 and seconds < 0.045, seconds)
end)

case("a_profile_may_be_of_another_coroutine", function()
	for _, library in ipairs({ coroutine, co, profile }) do
		local create = library.create or coroutine.create
		local thread = create(function()
			burn(10)
			coroutine.yield()
			burn(10)
		end)
		profile.start(thread)
		assert(library.resume(thread))
		burn(10) -- not its
		assert(library.resume(thread))
		check.raises("not measured", profile.stop, thread) -- it has ended
		thread = create(function()
			burn(10)
			coroutine.yield()
		end)
		profile.start(thread)
		assert(library.resume(thread))
		burn(20)
		local seconds = profile.stop(thread)
		check.ok(seconds > 0 and seconds < 0.025, seconds)
	end
	local wrapped = profile.wrap(function()
		profile.start()
		burn(5)
		coroutine.yield()
		return profile.stop()
	end)
	wrapped()
	burn(10)
	local seconds = wrapped()
	check.ok(seconds > 0 and seconds < 0.012, seconds)
end)

case("what_a_coroutine_resumes_is_its_time_too", function()
	profile.start()
	coroutine.wrap(burn)(20)
	local seconds = profile.stop()
	check.ok(seconds > 0.001, seconds)
end)

case("profiles_in_the_wrong_order_raise", function()
	check.raises("not measured; start it", profile.stop)
	profile.start()
	check.raises("measured already; stop it", profile.start)
	profile.stop()
	check.raises("not measured", profile.stop)
	check.raises("bad argument #1.*thread expected", profile.start, 1)
	check.raises("bad argument #1.*thread expected", profile.stop, "me")
end)

case("a_task_that_ends_measured_leaves_nothing", function()
	for _ = 1, 3 do
		skynet.fork(function()
			profile.start()
			skynet.wakeup("profiled")
		end)
		skynet.wait("profiled")
		skynet.yield()
	end
end)

return cases
