-- The signals of a Lua service: 0 breaks the Lua code that runs, 1 tells the memory. They come from
-- another thread, so from the C service `command`.
local skynet = require("skynet")
require("skynet.manager")
local check = require("check")
local child = require("child")
local run = require("commander").run
local log = require("log")
local begin = require("tasks").begin

local function spinner()
	skynet.start(function()
		skynet.dispatch("lua", function(_, _, how)
			if how == "spin" then
				skynet.error("spins")
				while true do
				end
			elseif how == "spin in pcall" then
				pcall(function()
					skynet.error("spins")
					while true do
					end
				end)
			elseif how == "fork" then
				skynet.fork(function()
					skynet.error("spins")
					while true do
					end
				end)
			end
			skynet.retpack("well")
		end)
	end)
end

local cases = {}
local function case(name, body)
	cases[#cases + 1] = { name, body }
end

case("signal_0_breaks_an_endless_loop", function()
	local service = child.start(spinner)
	for _ = 1, 3 do
		local mark = log.mark()
		local finish = begin(skynet.call, service, "lua", "spin")
		log.wait(mark, "spins")
		run("SIGNAL", skynet.address(service))
		local _, text = finish()
		check.matches(text, "call failed: .*interrupt_test%.lua:%d+: signal 0\n")
		log.wait(mark, "recv a signal 0")
		check.equal(skynet.call(service, "lua"), "well")
	end
	skynet.kill(service)
end)

case("code_in_pcall_sees_an_error", function()
	local service = child.start(spinner)
	local mark = log.mark()
	local finish = begin(skynet.call, service, "lua", "spin in pcall")
	log.wait(mark, "spins")
	run("SIGNAL", skynet.address(service), 0)
	check.equal({ finish() }, { true, "well" })
	skynet.kill(service)
end)

case("a_fork_can_be_broken_too", function()
	local service = child.start(spinner)
	local mark = log.mark()
	check.equal(skynet.call(service, "lua", "fork"), "well")
	log.wait(mark, "spins")
	run("SIGNAL", skynet.address(service))
	log.wait(mark, "lua call .*signal 0")
	check.equal(skynet.call(service, "lua"), "well")
	skynet.kill(service)
end)

case("a_main_chunk_can_be_broken_too", function()
	local mark = log.mark()
	local finish = begin(child.start, function()
		skynet.error("main chunk spins")
		while true do
		end
	end)
	local line = log.wait(mark, "main chunk spins")
	run("SIGNAL", ":" .. line:match("^%[:(%x+)%]"))
	local _, text = finish()
	check.matches(text, "call failed: .*signal 0")
end)

case("a_service_that_does_nothing_is_not_harmed", function()
	local service = child.start(spinner)
	local mark = log.mark()
	for _ = 1, 50 do
		run("SIGNAL", skynet.address(service))
		check.equal(skynet.call(service, "lua"), "well")
	end
	check.equal(#log.lines(mark, "recv a signal 0"), 50)
	check.equal(log.lines(mark, "error"), {})
	skynet.kill(service)
end)

case("signals_in_the_middle_of_work_fail_at_most_what_runs", function()
	local service = child.start(function()
		skynet.start(function()
			skynet.dispatch("lua", function(_, _, n)
				local sum = 0
				for i = 1, n do
					sum = sum + i
				end
				skynet.yield()
				skynet.retpack(sum)
			end)
		end)
	end)
	local done, token = 0, {}
	for _ = 1, 300 do
		skynet.fork(function()
			local ok, text = pcall(skynet.call, service, "lua", 20000)
			if ok then
				check.equal(text, 200010000)
			else
				check.matches(text, "call failed: .*signal 0")
			end
			done = done + 1
			skynet.wakeup(token)
		end)
	end
	for _ = 1, 100 do
		run("SIGNAL", skynet.address(service))
	end
	while done < 300 do
		skynet.wait(token)
	end
	check.equal(skynet.call(service, "lua", 10), 55)
	skynet.kill(service)
end)

case("signals_reach_coroutines_in_tasks_and_harm_nothing_else", function()
	local service = child.start(function()
		local waiting = require("skynet.coroutine")
		local function count(n)
			local sum = 0
			for i = 1, n do
				sum = sum + i
			end
			return sum
		end
		skynet.start(function()
			skynet.dispatch("lua", function(_, _, n)
				local sum = 0
				for part in
					coroutine.wrap(function()
						for _ = 1, 10 do
							coroutine.yield(count(n))
						end
					end)
				do
					sum = sum + part
				end
				waiting.wrap(function()
					waiting.wrap(skynet.yield)()
					sum = sum + count(n)
				end)()
				skynet.retpack(sum)
			end)
		end)
	end)
	local done, token = 0, {}
	for _ = 1, 300 do
		skynet.fork(function()
			local ok, text = pcall(skynet.call, service, "lua", 1000)
			if ok then
				check.equal(text, 11 * 500500)
			else
				check.matches(text, "call failed: .*signal 0")
			end
			done = done + 1
			skynet.wakeup(token)
		end)
	end
	for _ = 1, 100 do
		run("SIGNAL", skynet.address(service))
	end
	while done < 300 do
		skynet.wait(token)
	end
	check.equal(skynet.call(service, "lua", 10), 11 * 55)
	skynet.kill(service)
end)

case("signal_1_tells_the_memory", function()
	local service = child.start(spinner)
	local mark = log.mark()
	run("SIGNAL", skynet.address(service), 1)
	log.wait(mark, ("%%[:%08x%%] recv a signal 1"):format(service))
	log.wait(mark, ("%%[:%08x%%] Current Memory %%d+%%.%%d%%d%%dK"):format(service))
	run("SIGNAL", skynet.address(service), 7) -- means nothing
	check.equal(skynet.call(service, "lua"), "well")
	skynet.kill(service)
end)

case("a_kill_by_command_fails_pending_calls", function()
	local service = child.start(function()
		skynet.start(function()
			skynet.dispatch("lua", function()
				skynet.error("waits")
				skynet.wait()
			end)
		end)
	end)
	local mark = log.mark()
	local finish = begin(skynet.call, service, "lua")
	log.wait(mark, "waits")
	run("KILL", skynet.address(service))
	local _, text = finish()
	check.matches(text, "call failed: script .*: it was killed by :%x+ before it answered$")
end)

return cases
