-- skynet.queue: critical sections.
local skynet = require("skynet")
local queue = require("skynet.queue")
local check = require("check")
local together = require("tasks").together

local cases = {}
local function case(name, body)
	cases[#cases + 1] = { name, body }
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
	section(function()
		check.raises("coroutine of your own", coroutine.wrap(section), print)
	end)
	check.equal(section(tostring, 1), "1")
end)

case("coroutines_of_the_task_inside_may_enter_again", function()
	local waiting = require("skynet.coroutine")
	local section, order = queue(), {}
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

case("misuse_is_told", function()
	check.misuse("a function expected, got nil", queue())
end)

return cases
