-- Tasks: fork, sleep, wait, wakeup, yield, timeout, and in which order they run.
local skynet = require("skynet")
local check = require("check")
local child = require("child")
local log = require("log")

local cases = {}
local function case(name, body)
	cases[#cases + 1] = { name, body }
end

--- A list of words with a function that adds one.
local function recorder()
	local words = {}
	return words, function(word)
		words[#words + 1] = word
	end
end

--- Runs body in a task of its own and waits until it calls the function it is given.
local function until_done(body)
	local token = {}
	skynet.fork(body, function()
		skynet.wakeup(token)
	end)
	skynet.wait(token)
end

case("forks_run_after_the_task_in_their_order", function()
	local words, add = recorder()
	until_done(function(done)
		skynet.fork(add, "first")
		skynet.fork(function()
			add("second")
			skynet.fork(function()
				add("made by the second")
				done()
			end)
		end)
		skynet.fork(add, "third")
		add("self")
	end)
	check.equal(words, { "self", "first", "second", "third", "made by the second" })
end)

case("a_fork_gets_all_its_arguments", function()
	local got
	until_done(function(done)
		skynet.fork(function(...)
			got = table.pack(...)
			done()
		end, nil, 1, nil, "x", nil)
	end)
	check.equal(got, { n = 5, [2] = 1, [4] = "x" })
	local many = {}
	for i = 1, 5000 do
		many[i] = i
	end
	until_done(function(done)
		skynet.fork(function(...)
			got = table.pack(...)
			done()
		end, table.unpack(many))
	end)
	check.equal({ got.n, got[5000] }, { 5000, 5000 })
end)

case("a_fork_is_its_own_coroutine", function()
	local inside
	local made
	until_done(function(done)
		made = skynet.fork(function()
			inside = coroutine.running()
			done()
		end)
	end)
	check.equal(type(made), "thread")
	check.ok(made == inside, "fork returns the coroutine it runs")
end)

case("an_error_in_a_fork_stops_only_this_fork", function()
	local mark = log.mark()
	local words, add = recorder()
	until_done(function(done)
		skynet.fork(error, "broken fork")
		skynet.fork(add, "next")
		skynet.fork(done)
	end)
	check.equal(words, { "next" })
	log.wait(mark, "lua call .*broken fork")
end)

case("tasks_run_in_the_order_that_is_promised", function()
	-- Woken tasks first, with those that they wake; then forks, one at a time, each followed by
	-- what it has woken.
	local words, add = recorder()
	until_done(function(done)
		for _, name in ipairs({ "a", "b", "c" }) do
			skynet.fork(function()
				skynet.wait(name)
				add("woken " .. name)
				if name == "a" then
					skynet.wakeup("c")
				end
			end)
		end
		skynet.fork(function()
			skynet.fork(function()
				add("fork 1")
				skynet.wakeup("b")
			end)
			skynet.fork(function()
				add("fork 2")
				skynet.fork(function()
					add("fork 3")
					done()
				end)
			end)
			skynet.wakeup("a")
			add("task")
		end)
	end)
	check.equal(
		words,
		{ "task", "woken a", "woken c", "fork 1", "woken b", "fork 2", "fork 3" }
	)
end)

case("calls_that_failed_come_between_woken_tasks_and_forks", function()
	local words, add = recorder()
	local dying = child.start(function()
		skynet.start(function()
			skynet.dispatch("lua", function(_, _, does_exit)
				if does_exit then
					skynet.exit()
				end
				skynet.wait()
			end)
		end)
	end)
	until_done(function(done)
		skynet.fork(function()
			pcall(skynet.call, dying, "lua", false)
			add("first call failed")
			skynet.wakeup("token")
			skynet.fork(done)
		end)
		skynet.fork(function()
			pcall(skynet.call, dying, "lua", false)
			add("second call failed")
		end)
		skynet.fork(function()
			skynet.wait("token")
			add("woken")
		end)
		skynet.fork(function()
			-- As if the callee had told that it is dead.
			skynet.redirect(skynet.self(), dying, "error", 0)
		end)
	end)
	table.sort(words, function(a, b)
		return a == "first call failed" and b == "woken"
	end)
	check.equal(#words, 3)
	-- The order of the two calls is not promised, but what one has woken comes right behind it.
	for i, word in ipairs(words) do
		if word == "first call failed" then
			check.equal(words[i + 1], "woken")
		end
	end
	skynet.send(dying, "lua", true)
end)

case("yield_lets_queued_messages_pass_and_fork_does_not", function()
	local words, add = recorder()
	skynet.dispatch("lua", function(_, _, word)
		add(word)
	end)
	until_done(function(done)
		skynet.send(skynet.self(), "lua", "message 1")
		skynet.timeout(0, function()
			add("timeout")
		end)
		skynet.send(skynet.self(), "lua", "message 2")
		skynet.fork(add, "fork")
		skynet.yield()
		add("after yield")
		done()
	end)
	check.equal(words, { "fork", "message 1", "timeout", "message 2", "after yield" })
end)

case("sleep_takes_its_time_and_returns_nil", function()
	local before = skynet.hpc()
	check.equal(skynet.sleep(3), nil)
	check.ok(skynet.hpc() - before >= 30 * 1000 * 1000, "three hundredths of a second")
	check.equal(skynet.sleep(0), nil)
	check.equal(skynet.sleep(-1), nil)
	check.equal(skynet.sleep(math.mininteger), nil)
	check.equal(skynet.sleep("1"), nil)
	check.equal(skynet.yield(), nil)
end)

case("timers_fire_in_the_order_of_their_time", function()
	local words, add = recorder()
	until_done(function(done)
		for _, delay in ipairs({ 5, 1, 3, 0, 4, 2, 0 }) do
			skynet.timeout(delay, function()
				add(delay)
			end)
		end
		skynet.timeout(6, done)
	end)
	check.equal(words, { 0, 0, 1, 2, 3, 4, 5 })
end)

case("timers_of_one_time_fire_in_the_order_they_were_set", function()
	local words, add = recorder()
	local expected = {}
	until_done(function(done)
		for i = 1, 200 do
			expected[i] = i
			skynet.timeout(i > 100 and 0 or 0, function()
				add(i)
			end)
		end
		skynet.timeout(0, done)
	end)
	check.equal(words, expected)
end)

case("a_timer_runs_in_a_task_of_its_own", function()
	local mark = log.mark()
	until_done(function(done)
		check.equal(math.type(skynet.timeout(0, error)), "integer")
		skynet.timeout(0, function()
			check.equal(select("#", skynet.context()), 0)
			check.equal(skynet.sleep(1), nil)
			done()
		end)
	end)
	log.wait(mark, "lua call ")
end)

case("wait_returns_when_it_is_woken", function()
	local token = {}
	skynet.fork(function()
		check.equal(skynet.wakeup(token), true)
	end)
	check.equal(select("#", skynet.wait(token)), 0)
	local me = coroutine.running()
	skynet.fork(function()
		check.equal(skynet.wakeup(me), true)
	end)
	skynet.wait()
end)

case("any_value_can_be_a_token", function()
	for _, token in ipairs({ "text", 42, 4.5, false, print, { "table" }, io.stdout }) do
		skynet.fork(function()
			check.equal(skynet.wakeup(token), true)
		end)
		skynet.wait(token)
	end
	check.raises("NaN", skynet.wait, 0 / 0)
	check.raises("NaN", skynet.sleep, 1, 0 / 0)
end)

case("wakeup_of_nobody_is_nil", function()
	check.equal(skynet.wakeup("nobody"), nil)
	check.equal(skynet.wakeup(nil), nil)
	check.equal(skynet.wakeup(coroutine.running()), nil)
end)

case("a_task_is_woken_once", function()
	local token = {}
	local second
	skynet.fork(function()
		check.equal(skynet.wakeup(token), true)
		second = skynet.wakeup(token)
	end)
	skynet.wait(token)
	skynet.sleep(0)
	check.equal(second, nil)
	check.equal(skynet.sleep(1, token), nil) -- the second wakeup is not remembered
end)

case("a_token_belongs_to_one_task", function()
	local token = {}
	skynet.fork(function()
		check.raises("token duplicative", skynet.wait, token)
		check.raises("token duplicative", skynet.sleep, 1, token)
		skynet.wakeup(token)
	end)
	skynet.wait(token)
end)

case("a_sleeper_that_is_woken_returns_BREAK", function()
	local me = coroutine.running()
	local before = skynet.now()
	skynet.fork(skynet.wakeup, me)
	check.equal(skynet.sleep(100000), "BREAK")
	skynet.fork(skynet.wakeup, "named")
	check.equal(skynet.sleep(100000, "named"), "BREAK")
	skynet.fork(skynet.wakeup, me)
	check.equal(skynet.yield(), "BREAK")
	check.ok(skynet.now() - before < 100000)
end)

case("a_timer_that_fires_while_its_sleeper_is_woken_is_ignored", function()
	local mark = log.mark()
	for _ = 1, 50 do
		local token = {}
		-- The message of the timer is in the mailbox already when the sleeper is woken.
		skynet.fork(skynet.wakeup, token)
		check.equal(skynet.sleep(0, token), "BREAK")
		check.equal(skynet.sleep(0, token), nil)
	end
	check.equal(log.lines(mark, "Unknown response"), {})
end)

case("wakeup_does_not_end_a_call", function()
	local service = child.start(function()
		skynet.start(function()
			skynet.dispatch("lua", function()
				skynet.sleep(2)
				skynet.retpack("answer")
			end)
		end)
	end)
	local me = coroutine.running()
	local woken
	skynet.fork(function()
		woken = skynet.wakeup(me)
	end)
	check.equal(skynet.call(service, "lua"), "answer")
	check.equal(woken, nil)
end)

case("to_be_closed_variables_close_when_a_task_ends_or_fails", function()
	local words, add = recorder()
	until_done(function(done)
		local function guard(name)
			return setmetatable({}, {
				__close = function(_, reason)
					add(name .. ": " .. tostring(reason))
				end,
			})
		end
		skynet.fork(function()
			local _here <close> = guard("end")
			skynet.yield()
		end)
		skynet.fork(function()
			local _here <close> = guard("error")
			skynet.yield()
			error("reason", 0)
		end)
		skynet.sleep(1)
		done()
	end)
	check.equal(words, { "end: nil", "error: reason" })
end)

case("a_million_yields", function()
	local count = 0
	until_done(function(done)
		for _ = 1, 20000 do
			skynet.yield()
			count = count + 1
		end
		done()
	end)
	check.equal(count, 20000)
end)

case("ten_thousand_tasks_at_a_time", function()
	local count = 0
	local token = {}
	for i = 1, 10000 do
		skynet.fork(function()
			skynet.sleep(i % 3)
			count = count + 1
			if count == 10000 then
				skynet.wakeup(token)
			end
		end)
	end
	skynet.wait(token)
	check.equal(count, 10000)
end)

case("a_token_of_what_the_program_closed_wakes_nobody", function()
	local sleeper = skynet.fork(skynet.sleep_ms, 1)
	local other = skynet.fork(skynet.sleep_ms, 1, "token")
	skynet.yield()
	check.equal(coroutine.close(sleeper), true)
	check.equal(coroutine.close(other), true)
	skynet.sleep(2) -- their timers have fired
	check.equal(skynet.wakeup(sleeper), nil)
	check.equal(skynet.wakeup("token"), nil)
	check.equal(skynet.sleep(0, "token"), nil) -- it is free again
	-- The same inside of a task that lives on.
	local coroutines = require("skynet.coroutine")
	local inner
	local task = skynet.fork(function()
		inner = coroutines.create(skynet.wait)
		coroutines.resume(inner, "inner token")
		skynet.call(skynet.self(), "lua")
		skynet.wait("done")
	end)
	skynet.yield()
	skynet.dispatch("lua", function()
		check.equal(skynet.wakeup("inner token"), nil)
		skynet.retpack()
	end)
	coroutine.close(inner)
	check.equal(skynet.wakeup("inner token"), true) -- it wakes the task that waits for it
	skynet.yield()
	skynet.yield()
	check.equal(skynet.killthread(task), task)
end)

case("a_task_that_the_program_closed_or_resumed_itself_harms_nobody", function()
	local service = child.start(function()
		skynet.start(function()
			skynet.dispatch("lua", function()
				coroutine.close(skynet.fork(print, 1, 2, 3))
				coroutine.resume(skynet.fork(function() end, 1, 2))
				coroutine.resume(skynet.fork(coroutine.yield))
				local sleeper = skynet.fork(skynet.sleep, 2)
				local caller = skynet.fork(skynet.call, ".launcher", "lua", "LIST")
				local waiter = skynet.fork(skynet.wait, "token")
				skynet.fork(function()
					coroutine.close(sleeper)
					coroutine.resume(caller)
					coroutine.resume(waiter)
					skynet.wakeup("token")
				end)
				skynet.sleep(3)
				skynet.retpack("alive")
			end)
		end)
	end)
	check.equal(skynet.call(service, "lua"), "alive")
	check.equal(skynet.call(service, "lua"), "alive")
end)

return cases
