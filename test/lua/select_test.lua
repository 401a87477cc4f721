-- skynet.request: several requests at once.
local skynet = require("skynet")
require("skynet.manager")
local check = require("check")
local child = require("child")

local cases = {}
local function case(name, body)
	cases[#cases + 1] = { name, body }
end

-- Answers when it is told to; knows who has asked.
local function answerer()
	local command, waiting = {}, {}
	function command.echo(...)
		skynet.retpack(...)
	end
	function command.fail(text)
		error(text, 0)
	end
	function command.wait(...)
		waiting[#waiting + 1] = { answer = skynet.response(), ... }
	end
	function command.let_go()
		for _, waiter in ipairs(waiting) do
			waiter.answer(true, table.unpack(waiter))
		end
		waiting = {}
		skynet.retpack()
	end
	function command.exit()
		skynet.exit()
	end
	skynet.dispatch("lua", function(_, _, name, ...)
		command[name](...)
	end)
	skynet.start(function() end)
end

--- Runs the loop to its end and returns a list of { request, answer, reason }.
local function collect(set, limit_cs)
	local rounds = {}
	for request, answer, reason in set:select(limit_cs) do
		rounds[#rounds + 1] = { request, answer, reason }
	end
	return rounds
end

case("all_requests_are_sent_and_their_answers_come_as_they_are_ready", function()
	local service = child.start(answerer)
	local slow = { service, "lua", "wait", 1, nil, 3, n = 6, mine = "slow" }
	local quick = { service, "lua", "echo", 4, mine = "quick" }
	local last = { service, "lua", "let_go", mine = "last" }
	local set = skynet.request(slow)
	check.equal(set:add(quick), set)
	check.equal(set(last), set)
	local order = {}
	for request, answer in set:select() do
		order[#order + 1] = request.mine
		if request == slow then
			check.equal(answer, { 1, nil, 3, n = 3 })
		elseif request == quick then
			check.equal(answer, { 4, n = 1 })
		else
			check.equal(answer, { n = 0 })
		end
	end
	check.equal(order, { "quick", "slow", "last" })
	check.equal(set.timeout, nil)
	skynet.kill(service)
end)

case("a_set_without_requests_ends_at_once", function()
	check.equal(collect(skynet.request()), {})
	check.equal(collect(skynet.request(), 100000), {})
end)

case("failures_are_told_with_their_reasons_and_missing_services_first", function()
	local service = child.start(answerer)
	local dead = child.start(answerer)
	skynet.kill(dead)
	local fail = { service, "lua", "fail", "no such item" }
	local gone = { dead, "lua", "echo" }
	local nameless = { ".no_such_name", "lua", "echo" }
	local rounds = collect(skynet.request(fail)(gone)(nameless))
	check.matches(rounds[3][3], "^call failed: .*: no such item\n")
	rounds[3][3] = nil
	check.equal(rounds, {
		{ gone, nil, "call to invalid address " .. dead },
		{ nameless, nil, "call to invalid address .no_such_name" },
		{ fail, false },
	})
	skynet.kill(service)
end)

case("a_callee_that_dies_fails_its_requests", function()
	for _, way in ipairs({ "exit", "kill" }) do
		local service = child.start(answerer)
		local set = skynet.request({ service, "lua", "wait" })({ service, "lua", "wait" })
		if way == "exit" then
			set({ service, "lua", "exit" })
		else
			set({ ".launcher", "lua", "KILL", service })
		end
		local failed = 0
		for _, answer, reason in set:select() do
			if answer == false then
				failed = failed + 1
				check.matches(reason, "^call failed")
			end
		end
		check.equal(failed, way == "exit" and 3 or 2)
	end
end)

case("the_loop_ends_at_its_time_limit", function()
	local service = child.start(answerer)
	local set = skynet.request({ service, "lua", "wait" })({ service, "lua", "echo" })
	local start = skynet.now()
	check.equal(#collect(set, 3), 1)
	check.equal(set.timeout, true)
	check.ok(skynet.now() - start >= 3, "it has waited")
	-- What was given up is answered now, and nobody is disturbed.
	skynet.call(service, "lua", "let_go")
	check.equal(skynet.call(service, "lua", "echo", "alive"), "alive")
	local answered = skynet.request({ service, "lua", "echo" })
	check.equal(#collect(answered, 100000), 1)
	check.equal(answered.timeout, nil)
	skynet.kill(service)
end)

case("answers_that_come_while_the_loop_body_waits_too_long_are_lost", function()
	local service = child.start(answerer)
	local set = skynet.request({ service, "lua", "echo" })({ service, "lua", "echo" })
	local count = 0
	for _ in set:select(1) do
		count = count + 1
		skynet.sleep(5)
	end
	check.equal({ count, set.timeout }, { 1, true })
	skynet.kill(service)
end)

case("leaving_the_loop_gives_the_rest_up", function()
	local service = child.start(answerer)
	for _, way in ipairs({ "break", "error", "close" }) do
		local set = skynet.request({ service, "lua", "echo" })({ service, "lua", "wait" })
		local ok, reason = pcall(function()
			for _ in set:select() do
				if way == "break" then
					break
				elseif way == "error" then
					error("in the loop", 0)
				end
				set:close()
			end
		end)
		check.equal({ ok, reason }, way == "error" and { false, "in the loop" } or { true })
		skynet.call(service, "lua", "let_go") -- the late answer
		check.equal(skynet.call(service, "lua", "echo", "alive"), "alive")
	end
	skynet.kill(service)
end)

case("calls_inside_the_loop_are_allowed", function()
	local service = child.start(answerer)
	local set = skynet.request()
	for i = 1, 20 do
		set:add({ service, "lua", "echo", i })
	end
	local sum = 0
	for _, answer in set:select() do
		sum = sum + skynet.call(service, "lua", "echo", answer[1])
		for _, inner in skynet.request({ service, "lua", "echo", 1 }):select() do
			sum = sum + inner[1]
		end
	end
	check.equal(sum, 210 + 20)
	skynet.kill(service)
end)

case("misuse_is_told", function()
	check.misuse("a table { address, type, %.%.%. } expected, got number", skynet.request, 1)
	check.misuse("address, type, %.%.%. } expected", skynet.request, {})
	check.misuse("n must be", skynet.request, { 1, "lua", n = "2" })
	local set = skynet.request()
	check.misuse("table .* expected, got nil", set.add, set)
	check.misuse("hundredths of a second expected", set.select, set, 1.5)
	collect(set)
	check.misuse("was selected already", set.select, set)
	check.misuse("was selected already", set.add, set, { 1, "lua" })
	check.raises("select_test.lua:%d+: .*Unsupport type function", function()
		collect(skynet.request({ ".launcher", "lua", print }))
	end)
	check.raises("no protocol 'no such' is registered", function()
		collect(skynet.request({ ".launcher", "no such" }))
	end)
	check.raises("dest address type %(boolean%)", function()
		collect(skynet.request({ true, "lua" })({ ".launcher", "lua", "LIST" }))
	end)
end)

return cases
