-- How services end, and what those who wait for them see: every call ends.
local skynet = require("skynet")
require("skynet.manager")
local check = require("check")
local child = require("child")
local log = require("log")

-- A service that can be asked to end in many ways.
local function mortal()
	local responses = {}
	local command = {}

	function command.exit()
		skynet.exit()
	end

	function command.answer_and_exit(value)
		skynet.retpack(value)
		skynet.exit()
	end

	function command.kill_self()
		skynet.kill(skynet.self())
	end

	function command.exit_in_fork()
		skynet.fork(skynet.exit)
		skynet.wait()
	end

	function command.exit_in_pcall()
		pcall(skynet.exit)
		skynet.error("lived on after skynet.exit")
	end

	function command.exit_in_sort()
		table.sort({ 3, 2, 1 }, function()
			skynet.exit()
		end)
	end

	function command.exit_in_coroutine()
		coroutine.wrap(skynet.exit)()
	end

	function command.fail_and_exit()
		local _guard <close> = setmetatable({}, {
			__close = function()
				skynet.exit()
			end,
		})
		error("the guard ends the service")
	end

	function command.wait()
		skynet.error("waits")
		skynet.wait()
	end

	function command.sleep()
		skynet.sleep(100000)
	end

	function command.defer()
		responses[#responses + 1] = skynet.response()
	end

	function command.call(address, ...)
		skynet.retpack(skynet.call(address, "lua", ...))
	end

	function command.ping()
		skynet.retpack("pong")
	end

	skynet.start(function()
		skynet.dispatch("lua", function(_, _, name, ...)
			command[name](...)
		end)
	end)
end

--- Begins calls in tasks of their own. Returns a function that waits for all and gives their
--- errors.
local function begin_calls(address, ...)
	local results = {}
	local count, done = 0, 0
	local token = {}
	for _, name in ipairs({ ... }) do
		count = count + 1
		local place = count
		skynet.fork(function()
			local ok, text = pcall(skynet.call, address, "lua", name)
			results[place] = ok and ("answered: " .. tostring(text)) or text
			done = done + 1
			skynet.wakeup(token)
		end)
	end
	return function()
		while done < count do
			skynet.wait(token)
		end
		return results
	end
end

local function check_all_failed(results, count)
	check.equal(#results, count)
	for _, text in ipairs(results) do
		check.matches(text, "call failed")
	end
end

local function check_dead(address)
	-- An answer may come a moment before the address is gone.
	for _ = 1, 2 do
		check.raises("call", skynet.call, address, "lua", "ping")
	end
	check.raises("call to invalid address", skynet.call, address, "lua", "ping")
	check.equal(skynet.send(address, "lua", "ping"), nil)
end

local WAITING <const> = { "wait", "sleep", "defer" }
local cases = {}
local function case(name, body)
	cases[#cases + 1] = { name, body }
end

for _, way in ipairs({
	"exit",
	"kill_self",
	"exit_in_fork",
	"exit_in_pcall",
	"exit_in_sort",
	"exit_in_coroutine",
	"fail_and_exit",
}) do
	case("all_callers_resume_when_the_callee_does_" .. way, function()
		local mark = log.mark()
		local service = child.start(mortal)
		local finish = begin_calls(
			service,
			"wait",
			"sleep",
			"defer",
			way,
			"ping",
			"wait",
			"ping"
		)
		local results = finish()
		-- Those behind the end were queued: they fail, or were too late to be sent at all.
		check.equal(#results, 7)
		for i, text in ipairs(results) do
			local is_behind = i > 4 and way ~= "exit_in_fork"
			if not (way == "exit_in_fork" and text == "answered: pong") then
				check.matches(
					text,
					is_behind and "call" or "call failed",
					"call " .. i
				)
			end
		end
		check_dead(service)
		check.equal(log.lines(mark, "lived on"), {})
	end)
end

case("a_kill_from_outside_fails_what_is_being_handled", function()
	local service = child.start(mortal)
	local finish = begin_calls(service, table.unpack(WAITING))
	check.equal(skynet.call(service, "lua", "ping"), "pong") -- the others are being handled now
	skynet.kill(service)
	check_all_failed(finish(), 3)
	check_dead(service)
end)

case("a_kill_fails_a_backlog_too", function()
	local service = child.start(mortal)
	local names = {}
	for i = 1, 2000 do
		names[i] = "wait"
	end
	local finish = begin_calls(service, table.unpack(names))
	skynet.fork(skynet.kill, service)
	check_all_failed(finish(), 2000)
end)

case("a_killed_idle_service_is_gone_at_once", function()
	local service = child.start(mortal)
	skynet.kill(service)
	check.raises("call to invalid address", skynet.call, service, "lua", "ping")
	skynet.kill(service) -- as good as killed
end)

case("a_service_may_answer_and_end", function()
	local service = child.start(mortal)
	check.equal(skynet.call(service, "lua", "answer_and_exit", 7), 7)
	check_dead(service)
end)

case("a_failed_call_tells_the_cause", function()
	local service = child.start(mortal)
	local finish = begin_calls(service, "wait", "defer")
	skynet.call(service, "lua", "ping")
	pcall(skynet.call, service, "lua", "exit")
	for _, text in ipairs(finish()) do
		check.matches(text, "call failed: .*ended")
	end
end)

case("calls_addressed_by_name_fail_too", function()
	local service = child.start(mortal)
	skynet.name(".mortal", service)
	local finish = begin_calls(".mortal", "wait", "defer", "exit")
	for _, text in ipairs(finish()) do
		check.matches(text, "call failed")
	end
	check_dead(service)
	check.equal(skynet.localname(".mortal"), nil)
	check.raises("call to invalid address %.mortal", skynet.call, ".mortal", "lua", "ping")
end)

case("a_chain_of_calls_fails_link_by_link", function()
	local last = child.start(mortal)
	local middle = child.start(mortal)
	local first = child.start(mortal)
	local mark = log.mark()
	local failed
	local token = {}
	skynet.fork(function()
		failed = select(
			2,
			pcall(skynet.call, first, "lua", "call", middle, "call", last, "wait")
		)
		skynet.wakeup(token)
	end)
	log.wait(mark, ("%%[:%08x%%] waits"):format(last))
	skynet.kill(last)
	skynet.wait(token)
	check.matches(failed, "call failed: .*call failed: .*call failed")
	log.wait(mark, ("%%[:%08x%%] lua call"):format(first))
	check.equal(skynet.call(first, "lua", "ping"), "pong")
	check.equal(skynet.call(middle, "lua", "ping"), "pong")
end)

case("an_answer_to_a_dead_requester_goes_nowhere", function()
	local service = child.start(function()
		local results = {}
		local responses = {}
		local waiting = {}
		local command = {}
		function command.slow()
			waiting[#waiting + 1] = coroutine.running()
			skynet.wait(waiting[#waiting])
			results.ret = skynet.retpack("too late")
		end
		function command.defer()
			responses[#responses + 1] = skynet.response()
		end
		function command.ready()
			skynet.retpack(#waiting + #responses)
		end
		function command.result()
			for _, task in ipairs(waiting) do
				skynet.wakeup(task)
			end
			skynet.sleep(0)
			results.test = responses[1]("TEST")
			results.sent = responses[1](true, "too late")
			results.again = { pcall(responses[1], true) }
			skynet.retpack(results)
		end
		skynet.start(function()
			skynet.dispatch("lua", function(_, _, name)
				command[name]()
			end)
		end)
	end)
	for _, end_it in ipairs({
		function(requester)
			skynet.kill(requester)
		end,
		function(requester)
			pcall(skynet.call, requester, "lua", "exit")
		end,
	}) do
		local requester = child.start(mortal)
		skynet.send(requester, "lua", "call", service, "slow")
		skynet.send(requester, "lua", "call", service, "defer")
		skynet.call(requester, "lua", "call", service, "ready") -- they are under way
		end_it(requester)
	end
	-- Both requesters' words of their death have been sent before this is asked.
	local results = skynet.call(service, "lua", "result")
	check.equal(results.ret, false)
	check.equal(results.test, false)
	check.equal(results.sent, false)
	check.equal(results.again[1], false)
	check.matches(results.again[2], "more than once")
end)

case("what_is_to_be_closed_is_closed_when_the_service_ends", function()
	local mark = log.mark()
	local function guarded(way)
		local function guard(name)
			return setmetatable({}, {
				__close = function()
					skynet.error("closed", way, name)
				end,
			})
		end
		skynet.start(function()
			for _, name in ipairs({ "wait", "sleep", "yield" }) do
				skynet.fork(function()
					local _here <close> = guard(name)
					skynet[name](name == "sleep" and 10000 or nil)
					skynet.wait()
				end)
			end
			skynet.dispatch("lua", function(_, _, does_exit)
				local _here <close> = guard("handler")
				if does_exit then
					skynet.exit()
				end
				skynet.retpack()
				skynet.wait()
			end)
		end)
	end
	local killed = child.start(guarded, "kill")
	skynet.call(killed, "lua")
	skynet.kill(killed)
	local exiting = child.start(guarded, "exit")
	check.raises("call failed", skynet.call, exiting, "lua", true)
	for _, way in ipairs({ "kill", "exit" }) do
		for _, name in ipairs({ "wait", "sleep", "yield", "handler" }) do
			log.wait(mark, "closed " .. way .. " " .. name)
		end
	end
end)

-- Handlers of to-be-closed variables that run while all tasks are being closed do what they like.
case("closing_handlers_may_use_the_library", function()
	local mark = log.mark()
	local function busy()
		local function task(action)
			skynet.fork(function()
				local _here <close> = setmetatable({}, { __close = action })
				skynet.wait(action)
			end)
		end
		skynet.start(function()
			local actions = {}
			for i = 1, 5 do
				actions[i] = function()
					for _, other in ipairs(actions) do
						skynet.wakeup(other)
					end
				end
				task(actions[i])
			end
			task(function()
				skynet.fork(skynet.error, "a fork after the end")
				skynet.timeout(0, function() end)
			end)
			task(function()
				skynet.error(
					"call:",
					pcall(skynet.call, ".launcher", "lua", "LIST")
				)
				skynet.error("sleep:", pcall(skynet.sleep, 1))
				skynet.error("ret:", pcall(skynet.retpack, 1))
			end)
			task(function()
				error("in a closing handler")
			end)
			task(function()
				skynet.exit()
			end)
			for i = 1, 5 do
				task(actions[i])
			end
			skynet.dispatch("lua", function(_, _, does_exit)
				if does_exit then
					skynet.exit()
				end
				skynet.retpack()
			end)
		end)
	end
	local killed = child.start(busy)
	skynet.call(killed, "lua")
	skynet.kill(killed)
	local _, place = log.wait(mark, "ret: false")
	check.raises("call failed", skynet.call, child.start(busy), "lua", true)
	log.wait(place, "ret: false")
	check.equal(log.lines(mark, "a fork after the end"), {})
end)

case("finalizers_may_use_the_library_at_the_end", function()
	local mark = log.mark()
	local service = child.start(function()
		local function make(name, action)
			return setmetatable({}, {
				__gc = function()
					skynet.error("finalizer", name)
					action()
				end,
			})
		end
		local kept = {
			make("fork", function()
				skynet.fork(print, "never")
			end),
			make("timeout", function()
				skynet.timeout(0, print)
			end),
			make("send", function()
				skynet.send(".launcher", "lua", "nothing")
			end),
			make("exit", skynet.exit),
			make("wakeup", function()
				skynet.wakeup("nobody")
			end),
		}
		skynet.start(function()
			skynet.fork(skynet.wait, kept) -- as long as the service lives
		end)
	end)
	skynet.kill(service)
	for _, name in ipairs({ "fork", "timeout", "send", "exit", "wakeup" }) do
		log.wait(mark, "finalizer " .. name)
	end
end)

case("a_finalizer_may_end_the_service", function()
	local service = child.start(function()
		skynet.start(function()
			skynet.dispatch("lua", function()
				setmetatable({}, { __gc = skynet.exit })
				collectgarbage()
				collectgarbage()
				skynet.fork(skynet.error, "never")
				skynet.wait()
			end)
		end)
	end)
	check.raises("call failed", skynet.call, service, "lua")
	check_dead(service)
end)

case("timers_of_a_service_that_ends_are_forgotten", function()
	local mark = log.mark()
	for _ = 1, 20 do
		local service = child.start(function()
			skynet.start(function()
				skynet.timeout(0, function() end)
				skynet.timeout(1, function() end)
				skynet.timeout(100000000, function() end)
				skynet.fork(skynet.sleep, 1)
				skynet.fork(skynet.sleep, 100000000)
				skynet.dispatch("lua", function()
					skynet.exit()
				end)
			end)
		end)
		check.raises("call failed", skynet.call, service, "lua")
	end
	skynet.sleep(3)
	check.equal(log.lines(mark, "Unknown"), {})
end)

-- Their timers fire while they die: each belongs to the service until its instance is released.
case("services_may_die_while_their_timers_fire", function()
	local function busy()
		local function sleeper(i)
			while true do
				skynet.sleep_ms(i % 3, i)
			end
		end
		skynet.start(function()
			for i = 1, 20 do
				skynet.timeout_ms(i % 7, function() end)
				skynet.fork(sleeper, i)
			end
			skynet.interval_ms(1, function()
				for i = 1, 20 do
					skynet.wakeup(i)
					skynet.cancel(skynet.timeout_ms(i % 3, print))
				end
			end)
		end)
	end
	local services = {}
	for i = 1, 60 do
		services[i] = child.start(busy)
		if i > 3 then
			skynet.kill(services[i - 3])
		end
		skynet.sleep_ms(i % 3)
	end
	for i = 58, 60 do
		skynet.kill(services[i])
	end
	check.raises("call to invalid address", skynet.call, services[60], "lua")
end)

case("messages_of_a_dying_service_still_arrive", function()
	local answers = {}
	skynet.dispatch("lua", function(_, _, ...)
		answers[#answers + 1] = { ... }
		skynet.wakeup(answers)
	end)
	child.start(function(parent)
		skynet.start(function()
			for i = 1, 3 do
				skynet.send(tonumber(parent), "lua", "farewell", i)
			end
			skynet.exit()
		end)
	end, skynet.self())
	while #answers < 3 do
		skynet.wait(answers)
	end
	check.equal(answers, { { "farewell", 1 }, { "farewell", 2 }, { "farewell", 3 } })
end)

case("many_births_and_deaths", function()
	for round = 1, 100 do
		local service = child.start(mortal)
		local finish = begin_calls(
			service,
			"wait",
			round % 2 == 0 and "exit" or "kill_self",
			"ping"
		)
		check.equal(#finish(), 3)
	end
end)

return cases
