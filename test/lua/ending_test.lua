-- Every call ends: however the one that was asked ends, and in whatever way it was asked, each
-- requester gets one answer or one error, which says who, why and where.
local skynet = require("skynet")
require("skynet.manager")
local begin = require("tasks").begin
local check = require("check")
local child = require("child")
local run_command = require("commander").run
local log = require("log")
local simulation = require("skynet.simulation")

local cases = {}
local function case(name, body)
	cases[#cases + 1] = { name, body }
end

--- Who loops for ever is ended by another thread, which a simulated node does not have: such cases
--- are for real/ending_test.lua.
local real_case = simulation.seed() and function() end or case

--- A service that has the request in hand in some way, and ends in some way.
local function victim()
	skynet.memlimit(16 * 1024 * 1024)
	local kept = {}
	local finish = {}
	local hold = {}

	function hold.wait()
		skynet.wait()
	end

	function hold.sleep()
		skynet.sleep(1000000)
	end

	function hold.defer()
		kept[#kept + 1] = skynet.response()
	end

	function hold.fork()
		local answer = skynet.response()
		skynet.fork(function()
			skynet.wait()
			answer(true)
		end)
	end

	function hold.call() -- in the chain behind it
		skynet.retpack(skynet.call(skynet.self(), "lua", "hold", "wait"))
	end

	function hold.coroutine()
		require("skynet.coroutine").wrap(skynet.wait)()
		skynet.retpack()
	end

	function finish.exit()
		skynet.exit()
	end

	function finish.raise()
		error("no luck", 0)
	end

	function finish.raise_table()
		error({})
	end

	function finish.forget() end

	function finish.memory()
		local list = {}
		while true do
			list[#list + 1] = ("x"):rep(1000 + #list)
		end
	end

	function finish.loop()
		skynet.error("loops")
		while true do
		end
	end

	function finish.loop_that_catches()
		skynet.error("loops")
		while true do
			pcall(function()
				while true do
				end
			end)
			coroutine.wrap(pcall)(function()
				while true do
				end
			end)
		end
	end

	function finish.loop_in_coroutine()
		coroutine.wrap(function()
			skynet.error("loops")
			while true do
			end
		end)()
	end

	function finish.never()
		skynet.wait()
	end

	skynet.start(function()
		skynet.dispatch("lua", function(_, _, what, how)
			if what == "hold" then
				hold[how]()
			elseif what == "finish" then
				finish[how]()
			else
				skynet.retpack("pong")
			end
		end)
	end)
end

local HOLDS <const> = { "wait", "sleep", "defer", "fork", "call", "coroutine" }

--- The ways to end a service: f(service) ends it; the rest are the patterns that those find who
--- were being handled, and who were queued behind.
local ENDS <const> = {
	exit = {
		finish = function(service)
			pcall(skynet.call, service, "lua", "finish", "exit")
		end,
		handled = "it has ended before it answered",
		queued = "it has ended before it took the request",
	},
	kill = {
		finish = skynet.kill,
		handled = "it was killed by :%x+ before it answered",
		queued = "it was killed by :%x+ before it took the request",
	},
	kill_by_command = {
		finish = function(service)
			run_command("KILL", skynet.address(service))
		end,
		handled = "it was killed by :%x+ before it answered",
		queued = "it was killed by :%x+ before it took the request",
	},
}

for way, ending in pairs(ENDS) do
	case("those_being_handled_hear_of_" .. way, function()
		local service = child.start(victim)
		local calls = {}
		for _, hold in ipairs(HOLDS) do
			calls[hold] = begin(skynet.call, service, "lua", "hold", hold)
		end
		skynet.yield()
		check.equal(skynet.call(service, "lua"), "pong") -- all of them are in hand
		ending.finish(service)
		for hold, finish in pairs(calls) do
			local ok, text = finish()
			check.equal(ok, false, hold)
			check.matches(text, "failed: script %(:%x+%): " .. ending.handled, hold)
			check.matches(text, skynet.address(service), hold)
		end
		-- An answer may come a moment before the address is gone.
		check.raises("call ", skynet.call, service, "lua")
	end)
end

case("those_in_the_mailbox_hear_of_exit", function()
	local service = child.start(victim)
	local calls = {}
	skynet.send(service, "lua", "finish", "exit")
	for i = 1, 100 do
		calls[i] = begin(skynet.call, service, "lua")
	end
	for i = 1, 100 do
		local ok, text = calls[i]()
		check.equal(ok, false)
		if not text:find("call to invalid address", 1, true) then
			check.matches(text, "snlua script .- %(:%x+%): " .. ENDS.exit.queued)
		end
	end
end)

real_case("those_in_the_mailbox_hear_of_a_kill", function()
	local service = child.start(victim)
	local mark = log.mark()
	skynet.send(service, "lua", "finish", "loop_that_catches") -- so that the mailbox fills
	log.wait(mark, "loops")
	local calls = {}
	for i = 1, 100 do
		calls[i] = begin(skynet.call, service, "lua")
	end
	skynet.yield()
	skynet.kill(service)
	check.raises("call to invalid address", skynet.call, service, "lua")
	-- It never comes to an end by itself. The watchdog finds that out after some seconds.
	for i = 1, 100 do
		local ok, text = calls[i]()
		check.equal(ok, false)
		check.matches(text, "call failed: snlua script .- %(:%x+%): " .. ENDS.kill.queued)
	end
	check.equal(#log.lines(mark, "survived"), 0)
end)

for way, reason in pairs({
	raise = "no luck\n",
	raise_table = "table: ",
	forget = "the handler at .*ending_test%.lua:%d+ has ended without an answer$",
	memory = "not enough memory",
}) do
	case("a_handler_that_ends_with_" .. way .. "_harms_only_its_requester", function()
		local service = child.start(victim)
		local others = begin(skynet.call, service, "lua", "hold", "wait")
		for _ = 1, 3 do
			check.raises(
				"call failed: script %(:%x+%): .*" .. reason,
				skynet.call,
				service,
				"lua",
				"finish",
				way
			)
		end
		check.equal(skynet.call(service, "lua"), "pong")
		skynet.kill(service)
		check.matches(select(2, others()), "was killed")
	end)
end

for _, way in ipairs({ "loop", "loop_in_coroutine" }) do
	real_case("a_handler_in_an_endless_" .. way .. "_can_be_interrupted", function()
		local service = child.start(victim)
		local mark = log.mark()
		local finish = begin(skynet.call, service, "lua", "finish", way)
		log.wait(mark, "loops")
		run_command("SIGNAL", skynet.address(service))
		local ok, text = finish()
		check.equal(ok, false)
		local place = "ending_test%.lua:%d+: signal 0\n"
		check.matches(text, "call failed: script %(:%x+%): .*" .. place)
		check.equal(skynet.call(service, "lua"), "pong")
		skynet.kill(service)
	end)
end

case("an_error_tells_the_whole_way", function()
	local function link()
		local function ask(address, ...)
			return skynet.call(address, "lua", ...)
		end
		skynet.start(function()
			skynet.dispatch("lua", function(_, _, next_one, ...)
				if not next_one then
					error("the end of the chain")
				end
				skynet.retpack(ask(next_one, ...))
			end)
		end)
	end
	local a, b, c = child.start(link), child.start(link), child.start(link)
	local ok, text = pcall(skynet.call, a, "lua", b, c)
	check.equal(ok, false)
	local function who(address)
		return ("script (%s)"):format(skynet.address(address))
	end
	local place = "test/lua/ending_test.lua:%d+: "
	local function plain(words)
		return (words:gsub("[()]", "%%%0"))
	end
	local first, rest = text:match("^(.-)\n(.*)$")
	local failed = "call failed: %s: %s"
	check.matches(
		first,
		("^" .. failed:rep(3) .. "the end of the chain$"):format(
			plain(who(a)),
			place,
			plain(who(b)),
			place,
			plain(who(c)),
			place
		)
	)
	local order = {}
	for address in rest:gmatch("\tin script %((:%x+)%):\n") do
		order[#order + 1] = address
	end
	check.equal(order, { skynet.address(c), skynet.address(b), skynet.address(a) })
	check.matches(rest, "in upvalue 'ask'")
end)

case("an_error_is_never_endless", function()
	local function deep()
		local function down(n)
			if n == 0 then
				error(("long "):rep(3000))
			end
			return (down(n - 1)) -- no tail call
		end
		skynet.start(function()
			skynet.dispatch("lua", function(_, _, n)
				down(n)
			end)
		end)
	end
	local service = child.start(deep)
	for _, depth in ipairs({ 0, 100 }) do
		local ok, text = pcall(skynet.call, service, "lua", depth)
		check.equal(ok, false)
		check.ok(#text > 4000 and #text < 4200, #text)
		check.matches(text, " %.%.%.$")
	end
	-- And a traceback is a handful of lines.
	local function recursive()
		local function down(n)
			if n == 0 then
				error("short")
			end
			return (down(n - 1))
		end
		skynet.start(function()
			skynet.dispatch("lua", function(_, _, n)
				down(n)
			end)
		end)
	end
	local ok, text = pcall(skynet.call, child.start(recursive), "lua", 50)
	check.equal(ok, false)
	check.equal(select(2, text:gsub("\n", "\n")), 7)
	check.matches(text, "\n\t\t%.%.%.$")
end)

case("a_type_without_handler_is_named", function()
	local service = child.start(victim)
	check.raises(
		"call failed: script %(:%x+%): it has no handler for messages of type 0$",
		skynet.call,
		service,
		"text",
		"hello"
	)
	skynet.kill(service)
end)

case("the_death_of_a_callee_is_told_with_its_reason", function()
	local service = child.start(victim)
	local finish = begin(skynet.call, service, "lua", "hold", "wait")
	skynet.yield()
	-- As if it had told so itself: a message with session 0.
	skynet.redirect(skynet.self(), service, "error", 0, "it burnt down")
	local ok, text = finish()
	check.equal(ok, false)
	check.matches(text, "call failed: it burnt down$")
	local mark = log.mark()
	skynet.kill(service) -- the second end of the same call is no news
	skynet.yield()
	check.equal(log.lines(mark, "Unknown response"), {})
end)

case("newservice_tells_which_service_and_why", function()
	local function start(body)
		return select(2, pcall(child.start, body))
	end
	check.matches(
		start(function()
			error("in the main chunk")
		end),
		"call failed: script %(:%x+%): .*ending_test%.lua:%d+: in the main chunk$"
	)
	check.matches(
		start(function()
			skynet.start(function()
				error("in the start function")
			end)
		end),
		"call failed: script %(:%x+%): .*ending_test%.lua:%d+: in the start function$"
	)
	check.matches(
		start(function()
			skynet.start(function()
				skynet.kill(skynet.self())
				skynet.wait()
			end)
		end),
		"call failed: snlua script .- %(:%x+%): it was killed while it started$"
	)
	check.equal(
		child.start(function()
			skynet.start(skynet.exit)
		end),
		nil
	)
end)

-- The command KILL tells the launcher nothing.
case("newservice_ends_when_the_new_service_is_killed_behind_the_launcher_s_back", function()
	local function slow()
		skynet.start(function()
			skynet.error("starts slowly")
			skynet.wait()
		end)
	end
	for _, pause_cs in ipairs({ 0, 150 }) do -- before and after the launcher has a link to it
		local mark = log.mark()
		local finish = begin(child.start, slow)
		local line = log.wait(mark, "starts slowly")
		skynet.sleep(pause_cs)
		run_command("KILL", ":" .. line:match("^%[:(%x+)%]"))
		local ok, text = finish()
		check.equal(ok, false)
		check.matches(text, "call failed: snlua script .- %(:%x+%): it ")
	end
	-- One that takes its time and gets ready is not harmed by it.
	local service = child.start(function()
		skynet.start(function()
			skynet.sleep(150)
		end)
	end)
	check.equal(math.type(service), "integer")
	skynet.kill(service)
end)

-- The reference's order: requests, tasks, response closures, those it was waiting for.
case("exit_keeps_its_order", function()
	local heard = {}
	skynet.dispatch("lua", function(_, _, word)
		heard[#heard + 1] = word
	end)
	local service = child.start(function(observer)
		observer = tonumber(observer)
		local kept
		skynet.start(function()
			skynet.dispatch("lua", function(_, _, what)
				local _guard <close> = setmetatable({}, {
					__close = function()
						skynet.send(observer, "lua", "closed " .. what)
					end,
				})
				if what == "defer" then
					kept = skynet.response()
					skynet.wait(kept)
				elseif what == "exit" then
					skynet.fork(skynet.send, observer, "lua", "a fork")
					skynet.exit()
				end
				skynet.wait()
			end)
		end)
	end, skynet.self())
	local function ask(what)
		return begin(function()
			pcall(skynet.call, service, "lua", what)
			heard[#heard + 1] = "failed " .. what
		end)
	end
	local finish = { ask("wait"), ask("defer"), ask("exit") }
	for _, done in ipairs(finish) do
		done()
	end
	local place = {}
	for i, word in ipairs(heard) do
		place[word] = i
	end
	check.ok(place["failed wait"] < place["closed wait"], "requests before tasks")
	check.ok(place["failed exit"] < place["closed wait"], "requests before tasks")
	check.ok(place["closed defer"] < place["failed defer"], "tasks before responses")
	check.equal(place["a fork"], nil)
end)

case("who_kills_itself_while_it_is_closed_ends_once", function()
	local service = child.start(function()
		skynet.start(function()
			skynet.dispatch("lua", function()
				for _ = 1, 3 do
					skynet.fork(function()
						local _guard <close> = setmetatable({}, {
							__close = function()
								skynet.kill(skynet.self())
							end,
						})
						skynet.wait()
					end)
				end
				skynet.yield()
				skynet.kill(skynet.self())
				skynet.fork(skynet.error, "never")
				skynet.wait()
			end)
		end)
	end)
	local mark = log.mark()
	check.raises("it has ended before it answered", skynet.call, service, "lua")
	check.equal(log.lines(mark, "never"), {})
end)

return cases
