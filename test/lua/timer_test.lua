-- Timers as users need them: cancel, milliseconds, intervals, the wall clock; and their memory.
local skynet = require("skynet")
require("skynet.manager")
local check = require("check")
local child = require("child")
local log = require("log")

local cases = {}
local function case(name, body)
	cases[#cases + 1] = { name, body }
end

case("a_cancelled_timer_does_not_fire", function()
	local mark = log.mark()
	local fired = 0
	local function fire()
		fired = fired + 1
	end
	for _, delay in ipairs({ 0, 1, 100000000 }) do
		local timer = skynet.timeout(delay, fire)
		check.equal(math.type(timer), "integer")
		check.equal(skynet.cancel(timer), true)
		check.equal(skynet.cancel(timer), false)
	end
	skynet.sleep(3)
	check.equal(fired, 0)
	check.equal(log.lines(mark, "Unknown response"), {})
end)

case("a_timer_that_has_fired_cannot_be_cancelled", function()
	local token = {}
	local timer
	local inside
	timer = skynet.timeout(1, function()
		inside = skynet.cancel(timer)
		skynet.wakeup(token)
	end)
	skynet.wait(token)
	check.equal(inside, false)
	check.equal(skynet.cancel(timer), false)
	check.equal(skynet.cancel(0), false)
	check.equal(skynet.cancel(-1), false)
	check.equal(skynet.cancel(1 << 40), false)
end)

case("a_session_that_is_no_timer_cannot_be_cancelled", function()
	local sleeper = skynet.fork(skynet.sleep, 3)
	skynet.yield()
	check.equal(skynet.cancel(skynet.task(sleeper)), false)
	local session
	skynet.fork(function()
		skynet.wait("me")
	end)
	skynet.yield()
	for _, number in pairs(require("skynet.internals").tasks()) do
		session = number
		check.equal(skynet.cancel(session), false)
	end
	skynet.wakeup("me")
end)

case("milliseconds", function()
	local token = {}
	local before = skynet.hpc()
	skynet.timeout_ms(3, function()
		skynet.wakeup(token)
	end)
	skynet.wait(token)
	check.ok(skynet.hpc() - before >= 3000000)
	before = skynet.hpc()
	check.equal(skynet.sleep_ms(2), nil)
	check.ok(skynet.hpc() - before >= 2000000)
	check.equal(skynet.sleep_ms(0), nil)
	check.equal(skynet.sleep_ms(-1), nil)
	skynet.fork(skynet.wakeup, "sleeper")
	check.equal(skynet.sleep_ms(1 << 53, "sleeper"), "BREAK")
	check.equal(skynet.cancel(skynet.timeout_ms(1 << 53, print)), true)
end)

case("an_interval_comes_again_until_it_is_cancelled", function()
	local token = {}
	local times = {}
	local interval
	local began = skynet.hpc()
	interval = skynet.interval(1, function(missed)
		times[#times + 1] = skynet.hpc()
		check.equal(math.type(missed), "integer")
		if #times == 5 then
			check.equal(skynet.cancel(interval), true)
			check.equal(skynet.cancel(interval), false)
			skynet.wakeup(token)
		end
	end)
	skynet.wait(token)
	skynet.sleep(3)
	check.equal(#times, 5)
	for i, time in ipairs(times) do
		check.ok(time - began >= i * 10000000, "never early")
	end
end)

case("an_interval_does_not_drift", function()
	local token = {}
	local count, missed_all = 0, 0
	local began = skynet.hpc()
	local ended
	local interval
	interval = skynet.interval_ms(2, function(missed)
		missed_all = missed_all + missed
		count = count + 1
		-- Late each time by a part of a period that would add up.
		local from = skynet.hpc()
		while skynet.hpc() - from < 1000000 do
		end
		if count + missed_all >= 50 then
			ended = from
			skynet.cancel(interval)
			skynet.wakeup(token)
		end
	end)
	skynet.wait(token)
	-- The last one belongs to a multiple of the period, and no time was lost on the way.
	local periods = (ended - began) // 2000000
	check.ok(periods >= count + missed_all, "never early")
	check.ok(periods <= count + missed_all + 1 + missed_all, periods .. " for " .. count)
end)

case("an_interval_that_still_runs_is_not_run_again", function()
	local token = {}
	local running, most, runs, missed_all = 0, 0, 0, 0
	local interval = skynet.interval_ms(1, function(missed)
		running = running + 1
		most = math.max(most, running)
		runs = runs + 1
		missed_all = missed_all + missed
		skynet.sleep_ms(5)
		running = running - 1
		if runs == 3 then
			skynet.wakeup(token)
		end
	end)
	skynet.wait(token)
	check.equal(skynet.cancel(interval), true)
	check.equal(most, 1)
	check.ok(missed_all >= 2, missed_all .. " missed")
end)

case("an_interval_survives_its_errors", function()
	local mark = log.mark()
	local token = {}
	local runs = 0
	local interval
	interval = skynet.interval_ms(1, function()
		runs = runs + 1
		if runs == 3 then
			skynet.cancel(interval)
			skynet.wakeup(token)
		end
		error("in the interval")
	end)
	skynet.wait(token)
	check.equal(runs, 3)
	log.wait(mark, "in the interval")
end)

case("the_wall_clock_is_the_system_s", function()
	local before = os.time()
	local time = skynet.time()
	local after = os.time()
	check.equal(math.type(time), "float")
	check.ok(time >= before and time < after + 1, time)
	-- As users know it, as long as nobody sets the clock.
	check.ok(math.abs(time - (skynet.starttime() + skynet.now() / 100)) < 2)
end)

case("a_million_timers_give_their_memory_back", function()
	local service = child.start(function()
		skynet.start(function()
			skynet.dispatch("lua", function(_, _, count)
				local function memory()
					collectgarbage()
					collectgarbage()
					skynet.yield() -- the account is settled between turns
					return skynet.stat("memory")
				end
				local function nothing() end
				local timers = {}
				for i = 1, count do
					timers[i] = 0
				end
				for i = 1, 1000 do
					skynet.cancel(skynet.timeout(100000 + i, nothing))
				end
				local before = memory()
				for i = 1, count do
					timers[i] = skynet.timeout(100000 + i, nothing)
				end
				local full = memory()
				local tasks = skynet.task()
				local cancelled = 0
				for i = 1, count do
					if skynet.cancel(timers[i]) then
						cancelled = cancelled + 1
					end
				end
				local after, rest = memory(), skynet.task()
				skynet.retpack(before, full, after, tasks, cancelled, rest)
			end)
		end)
	end)
	-- A sanitizer is slow, and a message that takes seconds is broken off here.
	local is_sanitized = (os.getenv("SKYNET_SAN") or "") ~= ""
	local count = is_sanitized and 100000 or 1000000
	local before, full, after, tasks, cancelled, rest = skynet.call(service, "lua", count)
	check.equal({ tasks, cancelled, rest }, { count, count, 0 })
	if is_sanitized then
		return -- it brings its own allocator, without accounts
	end
	check.ok(full - before > 50 * count, "they take memory")
	check.ok(after - before < (full - before) / 20, ("%d %d %d"):format(before, full, after))
	skynet.kill(service)
end)

case("few_timers_that_are_left_survive_the_others", function()
	local fired = {}
	local token = {}
	local timers = {}
	for i = 1, 20000 do
		timers[i] = skynet.timeout(i % 1000 == 0 and 5 or 100000, function()
			fired[#fired + 1] = i
			if #fired == 20 then
				skynet.wakeup(token)
			end
		end)
	end
	for i = 1, 20000 do
		if i % 1000 ~= 0 then
			check.equal(skynet.cancel(timers[i]), true)
		end
	end
	skynet.wait(token)
	for i = 1, 20 do
		check.equal(fired[i], i * 1000)
	end
end)

return cases
