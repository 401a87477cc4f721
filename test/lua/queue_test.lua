-- skynet.queue: critical sections.
local skynet = require("skynet")
local queue = require("skynet.queue")
local check = require("check")
local child = require("child")
local together = require("tasks").together

local cases = {}
local function case(name, body)
	cases[#cases + 1] = { name, body }
end

--- Holds the section in a task of its own until the returned function is called.
local function hold(section)
	local token = {}
	local task = skynet.fork(section, skynet.wait, token)
	skynet.yield()
	return function()
		skynet.wakeup(token)
		skynet.yield()
	end, task
end

case("arguments_and_results_go_through", function()
	local section = queue()
	check.equal(
		table.pack(section(function(...)
			return select("#", ...), ...
		end, 1, nil, nil)),
		{ 3, 1, nil, nil, n = 4 }
	)
	check.equal(select("#", section(function() end)), 0)
end)

case("one_task_is_inside_the_others_enter_in_their_order", function()
	local section, order, inside = queue(), {}, 0
	local function body(i)
		return function()
			section(function()
				inside = inside + 1
				check.equal(inside, 1)
				skynet.sleep(i % 2)
				order[#order + 1] = i
				skynet.yield()
				inside = inside - 1
			end)
		end
	end
	local bodies = {}
	for i = 1, 10 do
		bodies[i] = body(i)
	end
	for _, result in ipairs(together(table.unpack(bodies))) do
		check.equal(result, { true, n = 1 })
	end
	check.equal(order, { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 })
end)

case("a_task_may_enter_again", function()
	local section, order = queue(), {}
	together(function()
		section(function()
			section(function()
				skynet.sleep(1)
				section(skynet.yield)
			end)
			skynet.yield()
			order[#order + 1] = "first"
		end)
	end, function()
		section(function()
			order[#order + 1] = "second"
		end)
	end)
	check.equal(order, { "first", "second" })
end)

case("sections_are_independent", function()
	local a, b = queue(), queue()
	a(function()
		local results = together(function()
			return b(function()
				return "inside b"
			end)
		end)
		check.equal(results[1][2], "inside b")
	end)
end)

case("an_error_leaves_the_section_and_has_its_traceback", function()
	local section = queue()
	local function fail()
		skynet.yield()
		error("broken inside")
	end
	local results = together(function()
		section(fail)
	end, function()
		section(section, error, { "no text" })
	end, function()
		return section(function()
			return "next"
		end)
	end)
	check.matches(results[1][2], "queue_test.lua:%d+: broken inside\nstack traceback:")
	check.matches(results[1][2], "in function <.*queue_test.lua:%d+>")
	check.matches(results[2][2], "table: .*\nstack traceback:")
	check.equal(results[3], { true, "next", n = 2 })
end)

case("a_fork_made_inside_is_not_inside", function()
	local section, order = queue(), {}
	section(function()
		skynet.fork(function()
			section(function()
				order[#order + 1] = "fork"
			end)
		end)
		skynet.sleep(1)
		order[#order + 1] = "inside"
	end)
	skynet.yield()
	check.equal(order, { "inside", "fork" })
end)

case("a_wait_that_is_not_possible_raises_and_is_forgotten", function()
	local section = queue()
	local release = hold(section)
	check.raises("coroutine of your own", coroutine.wrap(section), print)
	release()
	check.equal(section(tostring, 1), "1")
end)

case("coroutines_of_the_task_inside_may_enter_again", function()
	local waiting = require("skynet.coroutine")
	local section, order = queue(), {}
	check.equal(section(coroutine.wrap(section), tostring, 1), "1") -- they may not wait there
	together(function()
		section(function()
			waiting.wrap(function()
				section(function()
					skynet.sleep(1)
					order[#order + 1] = "inside"
				end)
			end)()
		end)
	end, function()
		section(function()
			order[#order + 1] = "behind"
		end)
	end)
	check.equal(order, { "inside", "behind" })
end)

case("a_killed_waiter_leaves_the_others_in_order", function()
	local section, order = queue(), {}
	local release = hold(section)
	local waiters = {}
	for i = 1, 5 do
		waiters[i] = skynet.fork(section, function()
			order[#order + 1] = i
		end)
	end
	skynet.yield()
	for _, i in ipairs({ 1, 3, 5 }) do
		check.equal(skynet.killthread(waiters[i]), waiters[i])
	end
	release()
	check.equal(order, { 2, 4 })
	check.equal(section(tostring, 1), "1")
end)

case("who_is_killed_inside_lets_the_next_one_in", function()
	local section, order = queue(), {}
	local _, owner = hold(section)
	skynet.fork(section, table.insert, order, "next")
	skynet.yield()
	check.equal(order, {})
	check.equal(skynet.killthread(owner), owner)
	skynet.yield()
	check.equal(order, { "next" })
end)

case("who_is_killed_between_its_turn_and_its_run_lets_the_next_one_in", function()
	local section, order = queue(), {}
	skynet.fork(function()
		local first
		section(function()
			first = skynet.fork(section, table.insert, order, "first")
			skynet.fork(section, table.insert, order, "second")
			skynet.yield()
		end)
		check.equal(skynet.killthread(first), first)
	end)
	skynet.sleep(1)
	check.equal(order, { "second" })
end)

case("what_a_killed_task_closes_may_enter_again", function()
	local section, order = queue(), {}
	local task = skynet.fork(section, function()
		local _again <close> = setmetatable({}, {
			__close = function()
				section(table.insert, order, "closing")
				local ok, reason = pcall(section, skynet.sleep, 1)
				check.equal(ok, false)
				check.matches(reason, "this function may wait")
			end,
		})
		skynet.wait("for ever")
	end)
	skynet.fork(section, table.insert, order, "next")
	skynet.yield()
	check.equal(skynet.killthread(task), task)
	check.equal(order, { "closing" })
	skynet.yield()
	check.equal(order, { "closing", "next" })
end)

case("a_task_whose_coroutine_the_program_closes_leaves", function()
	local section, order = queue(), {}
	local owner = skynet.fork(section, skynet.sleep, 3)
	local waiter = skynet.fork(section, table.insert, order, "closed")
	skynet.fork(section, table.insert, order, "next")
	skynet.yield()
	check.equal(coroutine.close(waiter), true)
	check.equal(coroutine.close(owner), true)
	skynet.yield()
	check.equal(order, { "next" })
	skynet.sleep(5) -- until its timer has fired
end)

case("coroutines_that_are_closed_inside_leave", function()
	for _, library in ipairs({ coroutine, (require("skynet.coroutine")) }) do
		local section = queue()
		local inside = library.create(section)
		library.resume(inside, library.yield)
		check.equal(section(section, tostring, 1), "1") -- it is this task's
		local task = skynet.fork(section, tostring, 1)
		skynet.yield()
		check.equal(library.close(inside), true)
		skynet.yield()
		check.equal(skynet.killthread(task), nil) -- it has ended
	end
end)

case("a_coroutine_closed_while_it_waits_for_its_turn_lets_its_task_go_on", function()
	local waiting = require("skynet.coroutine")
	local section = queue()
	local release = hold(section)
	local inner, result
	skynet.fork(function()
		inner = waiting.create(section)
		result = table.pack(waiting.resume(inner, print))
	end)
	skynet.yield()
	check.equal(coroutine.close(inner), true)
	skynet.yield()
	check.equal(result[1], false)
	release()
	check.equal(section(tostring, 1), "1")
end)

case("what_a_task_leaves_suspended_inside_ends_with_it", function()
	local section, inside = queue(), nil
	local dropped = setmetatable({}, { __mode = "v" })
	local results = together(function()
		inside = coroutine.create(section)
		coroutine.resume(inside, function()
			coroutine.yield()
			return "late"
		end)
		dropped[1] = coroutine.create(section)
		coroutine.resume(dropped[1], coroutine.yield)
	end, function()
		return section(function()
			collectgarbage()
			collectgarbage()
			return "next"
		end)
	end)
	check.equal(results[2], { true, "next", n = 2 })
	check.equal(dropped[1], nil)
	local release = hold(section)
	check.equal({ coroutine.resume(inside) }, { true, "late" }) -- it is nobody's turn that ends
	local is_inside = false
	skynet.fork(section, function()
		is_inside = true
	end)
	skynet.yield()
	check.equal(is_inside, false)
	release()
	check.equal(is_inside, true)
end)

case("what_a_failed_task_leaves_suspended_inside_ends_with_it", function()
	local section = queue()
	local inside = coroutine.create(section)
	local results = together(function()
		skynet.fork(function()
			coroutine.resume(inside, coroutine.yield)
			error("as the test wishes")
		end)
		skynet.yield()
	end, function()
		skynet.yield()
		return section(tostring, "next")
	end)
	check.equal(results[2], { true, "next", n = 2 })
	check.equal(coroutine.close(inside), true)
end)

case("a_token_that_was_left_behind_lets_nobody_in", function()
	local waiting = require("skynet.coroutine")
	local section, is_inside = queue(), false
	local release = hold(section)
	skynet.fork(function()
		local inner = waiting.create(skynet.sleep)
		skynet.fork(function()
			coroutine.close(inner)
		end)
		waiting.resume(inner, 1, "token")
		section(function()
			is_inside = true
		end)
	end)
	skynet.sleep(2)
	check.equal(skynet.wakeup("token"), true)
	skynet.sleep(1)
	check.equal(is_inside, false)
	release()
	check.equal(is_inside, true)
end)

case("an_error_that_cannot_be_told_leaves_the_section", function()
	local section = queue()
	local untold = setmetatable({}, { __tostring = error })
	check.equal((pcall(section, error, untold)), false)
	check.equal(section(tostring, 1), "1")
end)

case("many_results_go_through", function()
	local section = queue()
	local results = table.pack(section(table.unpack, {}, 1, 100000))
	check.equal(results.n, 100000)
end)

case("a_section_nested_deeply_is_left_once", function()
	local section, order = queue(), {}
	local function nest(depth)
		if depth > 0 then
			return section(nest, depth - 1)
		end
		skynet.yield()
		order[#order + 1] = "deep"
	end
	together(function()
		nest(50)
	end, function()
		section(table.insert, order, "next")
	end)
	check.equal(order, { "deep", "next" })
end)

case("a_service_that_ends_answers_who_waits_and_closes_who_is_inside", function()
	local service = child.start(function()
		local critical = require("skynet.queue")()
		skynet.start(function()
			critical(tostring, 1) -- the start function is a task like others
			skynet.dispatch("lua", function(_, _, what)
				if what == "exit" then
					skynet.exit()
				end
				local _again <close> = setmetatable({}, {
					__close = function()
						critical(critical, tostring, 1)
					end,
				})
				critical(skynet.wait, {})
			end)
		end)
	end)
	local function ask()
		return skynet.call(service, "lua", "wait")
	end
	local results = together(ask, ask, ask, function()
		skynet.yield()
		skynet.send(service, "lua", "exit")
	end)
	for i = 1, 3 do
		check.matches(results[i][2], "before it answered")
	end
end)

case("the_main_chunk_may_enter", function()
	local service = child.start(function()
		local critical = require("skynet.queue")()
		local inside = critical(critical, tostring, "inside")
		local results = critical(function()
			return table.pack(critical(table.unpack, {}, 1, 1000))
		end)
		skynet.start(function()
			skynet.dispatch("lua", function()
				skynet.retpack(critical(tostring, inside), results.n)
			end)
		end)
	end)
	check.equal(table.pack(skynet.call(service, "lua")), { "inside", 1000, n = 2 })
end)

case("misuse_is_told", function()
	check.misuse("a function expected, got nil", queue())
end)

return cases
