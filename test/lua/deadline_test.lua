-- Deadlines: a call that is not answered in time fails; what comes later is dropped and counted.
local skynet = require("skynet")
require("skynet.manager")
local check = require("check")
local child = require("child")
local log = require("log")

local cases = {}
local function case(name, body)
	cases[#cases + 1] = { name, body }
end

--- Answers when it is told to.
local function keeper()
	local kept = {}
	skynet.start(function()
		skynet.dispatch("lua", function(_, _, what, ...)
			if what == "keep" then
				kept[#kept + 1] = skynet.response()
			elseif what == "ignore" then
				skynet.ignoreret()
			elseif what == "give" then
				for _, answer in ipairs(kept) do
					answer(...)
				end
				kept = {}
				skynet.retpack()
			else
				skynet.retpack(what)
			end
		end)
	end)
end

local function never_unknown(mark)
	check.equal(log.lines(mark, "Unknown response"), {})
end

case("a_call_that_is_not_answered_in_time_fails", function()
	local service = child.start(keeper)
	local before = skynet.now()
	local text = check.raises(
		"call failed: snlua script .- %(:%x+%): no answer within 0%.03 s$",
		function()
			skynet.call_within(3, service, "lua", "keep")
		end
	)
	check.ok(skynet.now() - before >= 3)
	check.matches(text, "^test/lua/deadline_test%.lua:%d+: ", "blames the caller")
	check.ok(text:find(skynet.address(service), 1, true), text)
	skynet.kill(service)
end)

case("a_call_that_is_answered_in_time_returns", function()
	local service = child.start(keeper)
	for _ = 1, 100 do
		check.equal(skynet.call_within(100000, service, "lua", "echo"), "echo")
		check.equal(skynet.call_within(false, service, "lua", "echo"), "echo")
	end
	skynet.kill(service)
end)

case("a_deadline_names_whom_it_was_waiting_for", function()
	local service = child.start(keeper)
	skynet.name(".keeper", service)
	for _, address in ipairs({ ".keeper", skynet.address(service), tostring(service) }) do
		check.raises(
			("script .- %%(%s%%): no answer"):format(skynet.address(service)),
			skynet.call_within,
			1,
			address,
			"lua",
			"keep"
		)
	end
	skynet.kill(service)
end)

for _, way in ipairs({ "answer", "error" }) do
	case("a_late_" .. way .. "_is_dropped_and_counted", function()
		local mark = log.mark()
		local service = child.start(keeper)
		local before = skynet.stat("late")
		for _ = 1, 5 do
			check.raises(
				"no answer within",
				skynet.call_within,
				1,
				service,
				"lua",
				"keep"
			)
		end
		skynet.call(service, "lua", "give", way == "answer", "late")
		-- And perhaps some that other cases have left behind.
		check.ok(skynet.stat("late") >= before + 5)
		never_unknown(mark)
		skynet.kill(service)
	end)
end

case("the_death_of_the_callee_comes_before_the_deadline", function()
	local mark = log.mark()
	local service = child.start(keeper)
	skynet.timeout(1, function()
		skynet.kill(service)
	end)
	check.raises(
		"it was killed by",
		skynet.call_within,
		100000,
		service,
		"lua",
		"keep"
	)
	never_unknown(mark)
end)

case("an_answer_may_come_at_the_very_deadline", function()
	local mark = log.mark()
	local service = child.start(function()
		skynet.start(function()
			skynet.dispatch("lua", function(_, _, cs)
				skynet.sleep(cs)
				skynet.retpack("in time")
			end)
		end)
	end)
	local late = skynet.stat("late")
	local failed, done = 0, 0
	local token = {}
	for _ = 1, 200 do
		skynet.fork(function()
			local ok, text = pcall(skynet.call_within, 1, service, "lua", 1)
			if not ok then
				check.matches(text, "no answer within 0%.01 s")
				failed = failed + 1
			end
			done = done + 1
			skynet.wakeup(token)
		end)
	end
	while done < 200 do
		skynet.wait(token)
	end
	skynet.call(service, "lua", 2)
	check.equal(skynet.stat("late") - late, failed)
	never_unknown(mark)
	skynet.kill(service)
end)

case("a_service_may_set_a_default", function()
	local service = child.start(keeper)
	check.equal(skynet.call_timeout(), false)
	check.equal(skynet.call_timeout(2), false)
	check.equal(skynet.call_timeout(), 2)
	check.raises("no answer within 0%.02 s", skynet.call, service, "lua", "keep")
	check.raises(
		"no answer within 0%.02 s",
		skynet.rawcall,
		service,
		"lua",
		skynet.packstring("keep")
	)
	check.raises("within 0%.01 s", skynet.call_within, 1, service, "lua", "keep")
	skynet.timeout(4, function()
		skynet.send(service, "lua", "give", true, "no deadline")
	end)
	check.equal(skynet.call_within(false, service, "lua", "keep"), "no deadline")
	check.equal(skynet.call_timeout(false), 2)
	check.equal(skynet.call_timeout(), false)
	skynet.kill(service)
end)

case("newservice_has_a_deadline_too", function()
	skynet.call_timeout(3)
	local ok, text = pcall(child.start, function()
		skynet.start(function()
			skynet.sleep(6)
		end)
	end)
	skynet.call_timeout(false)
	check.equal(ok, false)
	check.matches(text, "call failed: snlua launcher %(:%x+%): no answer within 0%.03 s$")
end)

case("a_start_may_have_its_own_deadline", function()
	local key = child.key(function(rest, parent)
		skynet.dispatch("lua", function()
			skynet.retpack(rest, parent)
		end)
		skynet.start(function()
			skynet.sleep(6)
		end)
	end)
	skynet.call_timeout(3)
	local address = skynet.newservice_within(false, "script", key, "a", 1, nil)
	local ok, text = pcall(skynet.newservice_within, 2, "script", key)
	skynet.call_timeout(false)
	check.equal(skynet.call(address, "lua"), "a")
	check.equal({ select(2, skynet.call(address, "lua")) }, { "1" })
	check.equal(ok, false)
	check.matches(text, "call failed: snlua launcher %(:%x+%): no answer within 0%.02 s$")
	skynet.kill(address)
end)

-- Somebody who asks in vain again and again must not fill the memory, and known ones stay known.
case("calls_that_are_never_answered_cost_little", function()
	local service = child.start(keeper)
	local patient = child.start(function()
		skynet.start(function()
			skynet.dispatch("lua", function(_, _, address, count)
				local done = 0
				local token = {}
				local function ask(whom)
					skynet.call_within(1, whom, "lua", "ignore")
				end
				for _ = 1, count do
					skynet.fork(function()
						pcall(ask, address)
						done = done + 1
						if done == count then
							skynet.wakeup(token)
						end
					end)
				end
				skynet.wait(token)
				collectgarbage()
				collectgarbage()
				-- Where nothing is charged (sanitizers), at least the VM's own.
				local vm = collectgarbage("count") * 1024
				skynet.retpack(skynet.stat("memory") + vm)
			end)
		end)
	end)
	skynet.call(patient, "lua", service, 20000) -- the table of those in vain gets its size
	local first = skynet.call(patient, "lua", service, 20000)
	local last = 0
	for _ = 1, 3 do
		last = skynet.call(patient, "lua", service, 20000)
	end
	check.ok(last < first * 1.1, ("%.0f bytes, then %.0f"):format(first, last))
	skynet.kill(service)
	skynet.kill(patient)
end)

return cases
