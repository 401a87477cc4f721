-- Response closures: answers that are given later, by another task.
local skynet = require("skynet")
local check = require("check")
local child = require("child")
local log = require("log")
local tasks = require("tasks")

local cases = {}
local function case(name, body)
	cases[#cases + 1] = { name, body }
end

local function deferrer()
	local kept = {}
	local command = {}

	function command.keep(pack)
		kept[#kept + 1] = skynet.response(pack and skynet.packstring or nil)
	end

	function command.give(n, ...)
		local results = table.pack(pcall(kept[n], ...))
		skynet.retpack(table.unpack(results, 1, results.n))
	end

	function command.at_once(...)
		skynet.response()(true, ...)
	end

	function command.twice()
		local first = skynet.response()
		local ok, text = pcall(skynet.response)
		local ret_ok, ret_text = pcall(skynet.ret)
		first(true, ok, text, ret_ok, ret_text)
	end

	function command.drop()
		skynet.response()
	end

	function command.collect()
		collectgarbage()
		collectgarbage()
		skynet.retpack()
	end

	function command.raw()
		skynet.response(function(...)
			return skynet.pack("raw", ...)
		end)(true, 1)
	end

	function command.bad_pack(kind)
		local results = {
			raise = error,
			none = function() end,
			table = function()
				return {}
			end,
		}
		local answer = skynet.response(function(stage)
			if stage == "bad" then
				return results[kind]("in pack")
			end
			return skynet.packstring("answered after all")
		end)
		local ok, text = pcall(answer, true, "bad")
		skynet.error("bad pack:", ok, text)
		answer(true, "good")
	end

	function command.reentrant()
		local answer
		local result = {}
		answer = skynet.response(function(stage)
			if stage == "outer" then
				result[1] = answer(true, "inner")
			end
			return skynet.pack(stage)
		end)
		result[2], result[3] = pcall(answer, true, "outer")
		skynet.error("reentrant:", result[1], result[2], result[3])
	end

	function command.send_result()
		local answer = skynet.response()
		skynet.error(
			"send result:",
			select("#", answer(true, 1)),
			select("#", answer("TEST")),
			answer(true)
		)
	end

	function command.bad_argument()
		local ok, text = pcall(skynet.response, "not a function")
		skynet.retpack(ok, text)
	end

	function command.exit()
		skynet.exit()
	end

	function command.fail(text)
		skynet.response()(false, text)
	end

	skynet.start(function()
		skynet.dispatch("lua", function(_, _, name, ...)
			command[name](...)
		end)
	end)
end

--- Starts a request in a task of its own. Returns a function that waits for its end.
local function begin(service, ...)
	local finish = tasks.begin(skynet.call, service, "lua", ...)
	skynet.yield() -- the request is on its way, before whatever is asked next
	return finish
end

local function ask(service, ...)
	return skynet.call(service, "lua", ...)
end

case("an_answer_may_come_later_from_another_task", function()
	local service = child.start(deferrer)
	local finish = begin(service, "keep")
	check.equal({ ask(service, "give", 1, "TEST") }, { true, true })
	check.equal({ ask(service, "give", 1, "TEST") }, { true, true })
	check.equal({ ask(service, "give", 1, true, "later", nil, 3) }, { true, true })
	check.equal(table.pack(finish()), { true, "later", nil, 3, n = 4 })
	check.equal({ ask(service, "at_once", 1, 2) }, { 1, 2 })
	check.equal(select("#", ask(service, "at_once")), 0)
end)

case("a_response_can_be_given_once", function()
	local service = child.start(deferrer)
	local finish = begin(service, "keep")
	ask(service, "give", 1, true, 1)
	check.equal({ finish() }, { true, 1 })
	for _, ok in ipairs({ true, false }) do
		local gave, text = ask(service, "give", 1, ok)
		check.equal(gave, false)
		check.matches(text, "Can't response more than once")
	end
	check.equal({ ask(service, "give", 1, "TEST") }, { true, false })
	local ok, text, ret_ok, ret_text = ask(service, "twice")
	check.equal({ ok, ret_ok }, { false, false })
	check.matches(text, "no session")
	check.matches(ret_text, "No session")
end)

case("a_response_may_be_an_error_with_a_text", function()
	local service = child.start(deferrer)
	local finish = begin(service, "keep")
	check.equal({ ask(service, "give", 1, false) }, { true, true })
	local ok, text = finish()
	check.equal(ok, false)
	check.matches(text, "call failed: script .*: it has answered with an error$")
	check.raises("call failed: script .*: not today$", ask, service, "fail", "not today")
end)

case("a_response_packs_with_the_function_it_was_given", function()
	local service = child.start(deferrer)
	check.equal({ ask(service, "raw") }, { "raw", 1 })
	local finish = begin(service, "keep", "with packstring")
	ask(service, "give", 1, true, "packed")
	check.equal({ finish() }, { true, "packed" })
	local ok, text = ask(service, "bad_argument")
	check.equal(ok, false)
	check.matches(text, "bad argument #1 to .*function expected")
end)

case("a_pack_function_that_fails_leaves_the_response_open", function()
	local service = child.start(deferrer)
	for kind, pattern in pairs({ raise = "in pack", table = "invalid param table" }) do
		local mark = log.mark()
		check.equal(ask(service, "bad_pack", kind), "answered after all")
		log.wait(mark, "bad pack: false .*" .. pattern)
	end
	-- But no result is an empty answer.
	check.equal(select("#", ask(service, "bad_pack", "none")), 0)
end)

case("a_pack_function_that_answers_itself_does_so_once", function()
	local service = child.start(deferrer)
	local mark = log.mark()
	check.equal(ask(service, "reentrant"), "inner")
	check.matches(log.wait(mark, "reentrant:"), "reentrant: true false .*more than once")
end)

case("a_response_to_a_send_is_nothing", function()
	local service = child.start(deferrer)
	local mark = log.mark()
	skynet.send(service, "lua", "send_result")
	log.wait(mark, "send result: 0 0$")
end)

case("a_response_that_is_dropped_is_an_error", function()
	local service = child.start(deferrer)
	local finish = begin(service, "drop")
	ask(service, "collect")
	local ok, text = finish()
	check.equal(ok, false)
	check.matches(text, "call failed: script .*: it has dropped the request without an answer$")
end)

case("open_responses_fail_when_the_service_ends", function()
	local function exit(service)
		pcall(ask, service, "exit")
	end
	local ways = {
		[skynet.kill] = "call failed: script .*: it was killed by :%x+ before it answered$",
		[exit] = "call failed: script .*: it has ended before it answered$",
	}
	for end_it, reason in pairs(ways) do
		local service = child.start(deferrer)
		local finish = {}
		for i = 1, 10 do
			finish[i] = begin(service, "keep")
		end
		ask(service, "give", 5, true, "in time")
		end_it(service)
		for i = 1, 10 do
			local ok, text = finish[i]()
			check.equal(ok, i == 5)
			check.matches(text, i == 5 and "in time" or reason)
		end
	end
end)

return cases
