-- skynet.test itself: assertions, waits, faults, and the simulated node below them.
local skynet = require("skynet")
local simulation = require("skynet.simulation")
local test = require("skynet.test")
local check = require("check")

local function echo()
	local heard = {}
	skynet.start(function()
		skynet.dispatch("lua", function(session, _, value)
			heard[#heard + 1] = value
			if session ~= 0 then
				skynet.retpack(value, heard)
			end
		end)
	end)
end

test.case("assertions_pass_or_blame_their_caller", function()
	test.equal({ 1, { a = 0 / 0 } }, { 1, { a = 0 / 0 } })
	check.misuse("got 1 instead of 1.0", test.equal, 1, 1.0)
	check.misuse("what: got { %[1%] = 1 } instead of {}", test.equal, { 1 }, {}, "what")
	test.ok(0)
	check.misuse("got nil", test.ok, nil)
	test.matches("text", "^t")
	check.misuse('"text" does not match', test.matches, "text", "^x")
	test.equal(test.raises("rea", error, "reason", 0), "reason")
	check.misuse("no error", test.raises, "x", function() end)
	check.misuse("does not match", test.raises, "x", error, "reason")
	check.misuse("because", test.fail, "because")
end)

test.case("a_case_is_checked_when_it_is_added", function()
	check.misuse("needs a name", test.case, nil, print)
	check.misuse("one line of text", test.case, "two\nlines", print)
	check.misuse("needs a function", test.case, "name", 1)
	check.misuse("there are two cases", test.case, test.cases[1].name, print)
	check.misuse("'deadline' of a case must be", test.case, "x", print, { deadline = 0 })
	check.misuse("'real_deadline' of a case", test.case, "x", print, { real_deadline = "1" })
end)

test.case("time_stands_still_while_there_is_work_and_jumps_when_there_is_none", function()
	local now, hpc, wall = skynet.now(), skynet.hpc(), os.time()
	local service = test.service(echo)
	for i = 1, 100 do
		skynet.call(service, "lua", i)
	end
	test.equal({ skynet.now(), skynet.hpc() }, { now, hpc })
	skynet.sleep(360000)
	test.equal(skynet.now() - now, 360000)
	test.equal(skynet.hpc() - hpc, 3600 * 1000000000)
	test.equal(os.time() - wall, 3600)
	test.equal(os.time(), skynet.time() // 1 | 0)
end)

test.case("timers_of_all_services_share_one_clock", function()
	local order = {}
	skynet.dispatch("lua", function(_, _, cs)
		order[#order + 1] = cs
	end)
	for _, cs in ipairs({ 300, 100, 200 }) do
		test.service(function(address, delay)
			skynet.start(function()
				skynet.timeout(tonumber(delay), function()
					skynet.send(tonumber(address), "lua", tonumber(delay))
				end)
			end)
		end, skynet.self(), cs)
	end
	skynet.sleep(1000)
	test.equal(order, { 100, 200, 300 })
end)

test.case("eventually_waits_for_a_result", function()
	local value
	skynet.timeout(500, function()
		value = "there"
	end)
	local now = skynet.now()
	test.equal(test.eventually(function()
		return value
	end), "there")
	test.equal(skynet.now() - now, 500)
	check.misuse("not within 10 cs: the last result was false", test.eventually, function()
		return false
	end, 10)
end)

test.case("settle_lets_all_work_be_done", function()
	local service = test.service(echo)
	for i = 1, 10 do
		skynet.send(service, "lua", i)
	end
	test.settle()
	test.equal(#select(2, skynet.call(service, "lua", "last")), 11)
end)

test.case("the_log_of_a_case_can_be_read", function()
	test.equal(test.log("said"), {})
	skynet.fork(function()
		skynet.sleep(100)
		skynet.error("it is said")
		skynet.error("and said again")
	end)
	test.matches(test.logged("said"), "%] it is said$")
	test.matches(test.logged("again"), "said again$")
	test.equal(#test.log("said"), 2)
end)

test.case("what_is_dropped_does_not_come", function()
	local service = test.service(echo)
	local fault = test.drop({ to = service, type = "lua", times = 2 })
	for i = 1, 4 do
		skynet.send(service, "lua", i)
	end
	local _, heard = skynet.call(service, "lua", 5)
	test.equal(heard, { 3, 4, 5 })
	test.equal(fault:count(), 2)
	fault:stop()
	test.equal(fault:count(), 0)
end)

test.case("a_lost_answer_can_be_waited_for_in_vain", function()
	local service = test.service(echo)
	test.drop({ from = skynet.address(service), type = "response" })
	local answer
	skynet.fork(function()
		answer = skynet.call(service, "lua", 1)
	end)
	skynet.sleep(100000)
	test.equal(answer, nil)
end)

test.case("what_is_delayed_comes_later", function()
	local service = test.service(echo)
	skynet.name(".delayed", service)
	test.delay({ to = ".delayed", by = 100, times = 1 })
	skynet.send(service, "lua", "first")
	local _, heard = skynet.call(service, "lua", "second")
	test.equal(heard, { "second" })
	skynet.sleep(100)
	_, heard = skynet.call(service, "lua", "third")
	test.equal(heard, { "second", "first", "third" })
	test.delay({ to = service, by = 10, by_max = 20 })
	for _ = 1, 20 do
		local now = skynet.now()
		skynet.call(service, "lua")
		test.ok(skynet.now() - now >= 10 and skynet.now() - now <= 20)
	end
end)

test.case("what_is_doubled_comes_twice", function()
	local service = test.service(echo)
	test.duplicate({ to = service, times = 1 })
	skynet.send(service, "lua", "twin")
	test.settle()
	local _, heard = skynet.call(service, "lua", "single")
	test.equal(heard, { "twin", "twin", "single" })
end)

test.case("who_is_killed_is_gone", function()
	local service = test.service(echo)
	test.kill(service)
	test.equal(skynet.send(service, "lua"), nil)
	test.raises("invalid address", skynet.call, service, "lua")
end)

test.case("wrong_faults_are_refused", function()
	check.misuse("a table that says which messages", test.drop, nil)
	check.misuse("there is no field \"too\"", test.drop, { too = 1 })
	check.misuse("field 'to': there is no service \".nobody\"", test.drop, { to = ".nobody" })
	check.misuse("field 'from': there is no service true", test.drop, { from = true })
	check.misuse("field 'type': there is no message type \"x\"", test.drop, { type = "x" })
	check.misuse("from 0 to 1 expected", test.drop, { chance = 2 })
	check.misuse("field 'by'", test.delay, {})
	check.misuse("field 'by'", test.delay, { by = -1 })
	check.misuse("make no sense", test.delay, { by = 2, by_max = 1 })
	check.misuse("a function expected", test.service, 1)
	local mine = 1
	check.misuse("cannot use the local 'mine'", test.service, function()
		return mine
	end)
end)

test.case("chance_follows_from_the_seed", function()
	local drawn = {}
	for i = 1, 1000 do
		drawn[i] = test.random(-3, 3)
		test.ok(drawn[i] >= -3 and drawn[i] <= 3)
	end
	for value = -3, 3 do
		local count = 0
		for _, other in ipairs(drawn) do
			count = count + (other == value and 1 or 0)
		end
		test.ok(count > 80, value)
	end
	test.equal(test.random(5, 5), 5)
	test.equal(math.type(test.random(math.mininteger, math.maxinteger)), "integer")
	check.misuse("two integers", test.random, 2, 1)
	check.misuse("two integers", test.random, 1)
	test.equal(math.type(test.seed()), "integer")
end)

test.case("services_are_listed_in_the_order_of_their_handles", function()
	local before = simulation.services()
	local service = test.service(echo)
	local after = simulation.services()
	test.equal(#after, #before + 1)
	test.equal(after[#after], { service, "snlua" })
	for i = 2, #after do
		test.ok(after[i - 1][1] < after[i][1])
	end
end)

test.case("the_library_below_checks_its_arguments", function()
	test.raises("bad argument #1", simulation.fault, "no such kind")
	test.raises("bad argument #2", simulation.fault, "drop", -1)
	test.raises("bad argument #4", simulation.fault, "drop", 0, 0, 256)
	test.raises("bad argument #5", simulation.fault, "drop", 0, 0, -1, -0.5)
	test.raises("bad argument #1", simulation.remove_fault, -1)
	test.equal(simulation.fault_count(4711), nil)
end)
