-- skynet.waiters: requests that wait in system services, and how many may.
local skynet = require("skynet")
require("skynet.manager")
local datacenter = require("skynet.datacenter")
local test = require("skynet.test")
local check = require("check")
local child = require("child")

local cases = {}
local function case(name, body)
	cases[#cases + 1] = { name, body }
end

--- A service in which so few may wait; WAIT waits, ANSWER answers all, DOUBLE those with an even
--- subject. WAIT_IN list is for a list that is there as long as somebody waits in it, SLEEP token
--- waits in its task, until WAKE token.
local function waiting_room(limit)
	package.loaded["skynet.waiters"] = nil
	local getenv = skynet.getenv
	skynet.getenv = function(key)
		return key == "waiterlimit" and limit or getenv(key)
	end
	local waiters = require("skynet.waiters")
	local list = waiters.new()
	local command = {}

	function command.WAIT(subject)
		list:add(subject)
	end

	local lists = {}

	function command.WAIT_IN(name)
		lists[name] = lists[name] or waiters.new(function()
			lists[name] = nil
		end)
		lists[name]:add()
	end

	function command.LISTS()
		local names = {}
		for name in pairs(lists) do
			names[#names + 1] = name
		end
		table.sort(names)
		skynet.retpack(names)
	end

	function command.SLEEP(token)
		local _place <close> = waiters.enter()
		skynet.wait(token)
		skynet.ret()
	end

	function command.WAKE(token)
		skynet.wakeup(token)
		skynet.ret()
	end

	function command.ANSWER(...)
		list:answer(...)
		skynet.ret()
	end

	function command.EVEN()
		list:settle(function(waiter)
			return waiter.subject % 2 == 0 and waiter.respond(true, "even")
		end)
		skynet.ret()
	end

	function command.STAT()
		skynet.retpack(waiters.stat())
	end

	function command.REQUESTERS()
		skynet.retpack(list:requesters())
	end

	skynet.start(function()
		skynet.dispatch("lua", function(_, _, name, ...)
			command[name](...)
		end)
	end)
end

--- A service that waits in the room, so many times.
local function crowd(room, count)
	room, count = math.tointeger(tonumber(room)), math.tointeger(tonumber(count))
	skynet.start(function()
		for i = 1, count do
			skynet.fork(skynet.call, room, "lua", "WAIT", i)
		end
	end)
end

local function wait_in(room, subject)
	local result = {}
	skynet.fork(function()
		result.ok, result.value = pcall(skynet.call, room, "lua", "WAIT", subject)
	end)
	test.settle()
	return result
end

case("all_that_wait_are_answered", function()
	local room = child.start(waiting_room, 10)
	local results = {}
	for i = 1, 5 do
		results[i] = wait_in(room, i)
	end
	check.equal(#skynet.call(room, "lua", "REQUESTERS"), 5)
	skynet.call(room, "lua", "EVEN")
	test.settle()
	for i = 1, 5 do
		check.equal(results[i].value, i % 2 == 0 and "even" or nil)
	end
	skynet.call(room, "lua", "ANSWER", "all")
	test.settle()
	for i = 1, 5, 2 do
		check.equal(results[i], { ok = true, value = "all" })
	end
	check.equal(skynet.call(room, "lua", "REQUESTERS"), {})
end)

case("one_too_many_fails_and_says_why", function()
	local room = child.start(waiting_room, 10)
	child.start(crowd, room, 10)
	test.settle()
	local result = wait_in(room, 11)
	check.equal(result.ok, false)
	check.matches(result.value, "too many requests wait: 10 %(config key waiterlimit%)")
	check.equal(skynet.call(room, "lua", "STAT"), { waiting = 10, refused = 1 })
	skynet.call(room, "lua", "ANSWER")
	result = wait_in(room, 12)
	check.equal(result, {})
	check.equal(skynet.call(room, "lua", "STAT"), { waiting = 1, refused = 1 })
end)

case("the_dead_make_room", function()
	local room = child.start(waiting_room, 10)
	for _ = 1, 20 do
		local service = child.start(crowd, room, 10)
		test.settle()
		check.equal(#skynet.call(room, "lua", "REQUESTERS"), 10)
		skynet.kill(service)
		test.settle()
	end
	check.equal(wait_in(room, 1), {})
	check.equal(skynet.call(room, "lua", "REQUESTERS"), { skynet.self() })
end)

case("who_was_answered_after_his_death_is_answered_once", function()
	local room = child.start(waiting_room, 10)
	local service = child.start(crowd, room, 2)
	test.settle()
	skynet.kill(service)
	for _ = 1, 2 do
		skynet.call(room, "lua", "EVEN")
		check.equal(skynet.call(room, "lua", "REQUESTERS"), { service })
	end
end)

case("requests_that_wait_in_their_tasks_count_too", function()
	local room = child.start(waiting_room, 10)
	child.start(crowd, room, 9)
	test.settle()
	local done
	skynet.fork(function()
		skynet.call(room, "lua", "SLEEP", "first")
		done = true
	end)
	test.settle()
	check.equal(skynet.call(room, "lua", "STAT"), { waiting = 10, refused = 0 })
	local too_many = "too many requests wait: 10 %(config key waiterlimit%)"
	check.raises(too_many, skynet.call, room, "lua", "SLEEP", "second")
	check.raises(too_many, skynet.call, room, "lua", "WAIT", 1)
	skynet.call(room, "lua", "WAKE", "first")
	test.settle()
	check.equal(done, true)
	check.equal(skynet.call(room, "lua", "STAT"), { waiting = 9, refused = 2 })
	check.equal(wait_in(room, 1), {})
end)

case("a_list_is_told_when_nobody_waits_in_it_any_more", function()
	local room = child.start(waiting_room, 4)
	local dead = child.start(function(where)
		skynet.start(function()
			for _, list in ipairs({ "a", "a", "b", "c" }) do
				skynet.fork(skynet.call, tonumber(where), "lua", "WAIT_IN", list)
			end
		end)
	end, room)
	test.settle()
	check.equal(skynet.call(room, "lua", "LISTS"), { "a", "b", "c" })
	skynet.kill(dead)
	skynet.sleep(1)
	skynet.fork(skynet.call, room, "lua", "WAIT_IN", "c") -- not told: it gets one
	test.settle()
	check.equal(skynet.call(room, "lua", "LISTS"), { "c" })
	check.equal(skynet.call(room, "lua", "STAT"), { waiting = 1, refused = 0 })
	child.start(crowd, room, 3)
	test.settle()
	check.raises("too many requests wait", skynet.call, room, "lua", "WAIT_IN", "d")
	check.raises("too many requests wait", skynet.call, room, "lua", "WAIT_IN", "c")
	check.equal(skynet.call(room, "lua", "LISTS"), { "c" })
end)

case("the_dead_do_not_pile_up_below_the_limit", function()
	local room = child.start(waiting_room, 100000)
	for _ = 1, 20 do
		local service = child.start(crowd, room, 100)
		test.settle()
		skynet.kill(service)
		test.settle()
	end
	local count = #skynet.call(room, "lua", "REQUESTERS")
	check.ok(count <= 300, count)
end)

--- A service that waits in the room again and again, with a deadline, and once without.
--- POLL count -> how many were refused.
local function impatient(room, ...)
	room = math.tointeger(tonumber(room))
	local is_silent = ... == "silent"
	skynet.start(function()
		skynet.fork(pcall, skynet.call, room, "lua", "WAIT", 0)
		skynet.dispatch("lua", function(_, _, _, count)
			local refused = 0
			for i = 1, count do
				local _, text = pcall(skynet.call_within, 1, room, "lua", "WAIT", i)
				refused = refused + (text:find("too many requests") and 1 or 0)
			end
			skynet.retpack(refused)
		end)
		if is_silent then
			require("skynet.debug")
			skynet.dispatch("debug", function()
				skynet.ignoreret()
			end)
		end
	end)
end

case("who_asks_again_and_again_with_a_deadline_fills_no_room", function()
	for _, limit in ipairs({ 2, 10, 100, 100000 }) do
		local room = child.start(waiting_room, limit)
		local service = child.start(impatient, room)
		local patient = wait_in(room, 1)
		if limit > 2 then
			check.equal(skynet.call(service, "lua", "POLL", 1000), 0)
			local stat = skynet.call(room, "lua", "STAT")
			check.ok(stat.waiting <= 64, stat.waiting)
			check.equal(stat.refused, 0)
		else -- both places are taken by those who still wait
			check.equal(skynet.call(service, "lua", "POLL", 10), 10)
		end
		check.equal(patient, {})
		skynet.call(room, "lua", "ANSWER", "all")
		test.settle()
		check.equal(patient, { ok = true, value = "all" })
		skynet.kill(service)
		skynet.kill(room)
	end
end)

case("who_ends_its_tasks_makes_room_too", function()
	local room = child.start(waiting_room, 100)
	for _ = 1, 1000 do
		local task = skynet.fork(skynet.call, room, "lua", "WAIT", 1)
		skynet.yield()
		skynet.killthread(task)
		test.settle()
	end
	check.equal(skynet.call(room, "lua", "STAT").refused, 0)
end)

case("who_does_not_tell_what_it_waits_for_waits_for_all", function()
	local room = child.start(waiting_room, 100)
	local service = child.start(impatient, room, "silent")
	check.equal(skynet.call(service, "lua", "POLL", 1000), 1000 - 99)
	check.equal(skynet.call(room, "lua", "STAT").waiting, 100)
	skynet.kill(service)
	skynet.sleep(1) -- it looks once in that time
	check.equal(wait_in(room, 1), {})
	check.equal(skynet.call(room, "lua", "STAT").waiting, 1)
end)

case("who_waits_for_all_is_not_asked_without_end", function()
	local room = child.start(waiting_room, 10)
	child.start(crowd, room, 10)
	test.settle()
	local before = skynet.call(room, "debug", "STAT").message
	for _ = 1, 1000 do
		check.equal(wait_in(room, 11).ok, false)
		skynet.sleep(1)
	end
	local messages = skynet.call(room, "debug", "STAT").message - before
	check.ok(messages < 1000 + 1000 / 10, messages)
end)

case("names_that_nobody_waits_for_any_more_are_forgotten", function()
	local service = require("skynet.service")
	service.close("nobody")
	local function ask_for_names()
		for i = 1, 200 do
			skynet.fork(pcall, skynet.queryservice, "never" .. i)
			skynet.fork(pcall, skynet.queryservice, true, "never" .. i)
		end
	end
	local asker = child.start(function()
		skynet.start(function()
			for i = 1, 200 do
				skynet.fork(skynet.queryservice, "dead" .. i)
			end
		end)
	end)
	test.settle()
	skynet.kill(asker)
	skynet.sleep(1)
	ask_for_names()
	test.settle()
	local dead = 0
	for name in pairs(skynet.call(".service", "lua", "LIST")) do
		dead = dead + (name:find("^dead") and 1 or 0)
	end
	check.equal(dead, 0)
end)

case("system_services_are_bound_by_it", function()
	local service = require("skynet.service")
	service.close("nobody") -- now service_provider is there, and waits for no start
	local refused = 0
	local function until_refused(f, ...)
		local ok, reason = pcall(f, ...)
		if not ok and tostring(reason):find("too many requests wait") then
			refused = refused + 1
		end
	end
	local limit = math.tointeger(tonumber(skynet.getenv("waiterlimit")))
	for i = 1, limit + 1 do
		skynet.fork(until_refused, skynet.queryservice, "never" .. i)
		skynet.fork(until_refused, service.query, "never" .. i)
		skynet.fork(until_refused, datacenter.wait, "never", i)
	end
	test.settle()
	check.equal(refused, 3)
end)

return cases
