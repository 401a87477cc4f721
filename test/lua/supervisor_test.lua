-- skynet.link and skynet.supervisor: deaths are told once, and children are started again.
local skynet = require("skynet")
require("skynet.manager")
local internals = require("skynet.internals")
local supervisor = require("skynet.supervisor")
local check = require("check")
local child = require("child")
local log = require("log")

local cases = {}
local function case(name, body)
	cases[#cases + 1] = { name, body }
end

-- Tells its parent when it starts, and ends as it is told to.
local function worker(name, parent)
	skynet.dispatch("lua", function(_, _, word)
		if word == "exit" then
			skynet.exit()
		elseif word == "stop later" then
			skynet.sleep(1)
			skynet.send(tonumber(parent), "lua", "stopped", name, skynet.self())
			skynet.exit()
		end
		skynet.retpack(name)
	end)
	skynet.start(function()
		skynet.call(tonumber(parent), "lua", "started", name, skynet.self())
	end)
end

-- What the workers and the groups have told, in its order.
local events = {}
local waiting

local function note(...)
	events[#events + 1] = table.concat({ ... }, " ")
	if waiting then
		skynet.wakeup(waiting)
	end
end

local refused = {}

skynet.dispatch("lua", function(session, _, word, name)
	if refused[name] then
		note("refused", name)
		error(name .. " is not wanted", 0)
	end
	note(word, name)
	if session ~= 0 then
		skynet.retpack()
	end
end)

--- Waits for so many events since the last time, and returns them.
local function take_events(count)
	waiting = {}
	while #events < count do
		skynet.wait(waiting)
	end
	local taken = events
	events, waiting = {}, nil
	return taken
end

local function specification(name, extra)
	local result = {
		name = name,
		service = { "script", child.key(worker), name, skynet.self() },
	}
	for key, value in pairs(extra or {}) do
		result[key] = value
	end
	return result
end

local function start_group(options, ...)
	options.children = { ... }
	options.backoff = options.backoff or 0
	local group = supervisor.start(options)
	take_events(#options.children)
	return group
end

local function addresses(group)
	local list = {}
	for i, entry in ipairs(group:list()) do
		list[i] = entry.address
	end
	return list
end

--- Kills a child. Returns its address when it was started again.
local function kill_and_wait(group, name)
	local former = group:address(name)
	skynet.kill(former)
	while group:address(name) == nil or group:address(name) == former do
		skynet.sleep(0)
	end
	return group:address(name)
end

-- link -----------------------------------------------------------------------------------------

case("a_link_tells_the_end_once_with_its_reason", function()
	for _, way in ipairs({ "exit", "kill" }) do
		local service = child.start(worker, "linked", skynet.self())
		take_events(1)
		local told = {}
		for _ = 1, 2 do
			skynet.link(service, function(address, reason)
				skynet.yield()
				told[#told + 1] = { address, reason }
				note("told")
			end)
		end
		check.equal(skynet.call(service, "lua"), "linked")
		check.equal(told, {})
		if way == "exit" then
			skynet.send(service, "lua", "exit")
		else
			skynet.kill(service)
		end
		take_events(2)
		check.equal({ told[1][1], told[2][1], #told }, { service, service, 2 })
		local reason = way == "exit" and "it has ended" or "it was killed by :%x+"
		check.matches(told[1][2], "^snlua script .*%(:%x+%): " .. reason .. "$")
	end
end)

case("a_link_to_nobody_tells_at_once", function()
	local service = child.start(worker, "gone", skynet.self())
	take_events(1)
	skynet.kill(service)
	skynet.link(service, function(_, reason)
		note(reason)
	end)
	check.equal(take_events(1), { "there is no such service" })
end)

case("who_unlinks_at_once_leaves_no_task_behind", function()
	local service = child.start(worker, "hasty", skynet.self())
	take_events(1)
	local count = internals.count()
	for _ = 1, 10 do
		skynet.link(service, note)()
	end
	skynet.yield()
	check.equal(internals.count(), count, "tasks")
end)

case("who_unlinks_is_not_told", function()
	local service = child.start(worker, "unlinked", skynet.self())
	take_events(1)
	local unlink = skynet.link(service, function()
		note("not wanted")
	end)
	skynet.link(service, function()
		note("told")
	end)
	skynet.call(service, "lua")
	local count = internals.count()
	unlink()
	unlink()
	skynet.yield()
	check.equal(internals.count(), count - 1, "tasks")
	skynet.kill(service)
	check.equal(take_events(1), { "told" })
	skynet.sleep(1)
	check.equal(events, {})
end)

-- supervision ----------------------------------------------------------------------------------

case("children_start_in_their_order_and_stop_in_reverse", function()
	local stopped = {}
	local function stop(address)
		stopped[#stopped + 1] = skynet.call(address, "lua")
		return true
	end
	local group = supervisor.start({
		children = {
			specification("a", { stop = stop }),
			specification("b", { stop = stop }),
		},
	})
	check.equal(group:add(specification("c", { stop = stop })), group:address("c"))
	check.equal(take_events(3), { "started a", "started b", "started c" })
	check.equal(skynet.call(group:address("b"), "lua"), "b")
	local list = addresses(group)
	check.equal(#list, 3)
	group:stop()
	check.equal(stopped, { "c", "b", "a" })
	for _, address in ipairs(list) do
		check.equal(skynet.send(address, "lua"), nil)
	end
	check.equal(addresses(group), {})
	group:stop()
	check.misuse("the group has ended", group.add, group, specification("d"))
end)

case("a_dead_child_is_started_again_and_told_once", function()
	for _, way in ipairs({ "exit", "kill" }) do
		local deaths = {}
		local group = start_group({
			on_death = function(...)
				skynet.yield()
				deaths[#deaths + 1] = { ... }
			end,
		}, specification("a"), specification("b"))
		local a, b = group:address("a"), group:address("b")
		if way == "exit" then
			skynet.send(a, "lua", "exit")
		else
			skynet.kill(a)
		end
		check.equal(take_events(1), { "started a" })
		check.equal(skynet.call(b, "lua"), "b")
		while not group:address("a") do
			skynet.sleep(0)
		end
		check.ok(group:address("a") ~= a, "another address")
		check.equal(group:address("b"), b)
		check.equal({ #deaths, deaths[1][1], deaths[1][2] }, { 1, "a", a })
		check.equal(type(deaths[1][3]), "string")
		check.equal(group:list()[1].restarts, 1)
		group:stop()
	end
end)

case("all_restarts_all_rest_those_behind", function()
	local group = start_group(
		{ strategy = "all" },
		specification("a"),
		specification("b"),
		specification("c")
	)
	local former = addresses(group)
	kill_and_wait(group, "b")
	check.equal(take_events(3), { "started a", "started b", "started c" })
	while #addresses(group) < 3 do
		skynet.sleep(0)
	end
	for i, address in ipairs(former) do
		check.equal(skynet.send(address, "lua"), nil)
		check.ok(addresses(group)[i] ~= address, "another one")
	end
	group:stop()

	group = start_group(
		{ strategy = "rest" },
		specification("a"),
		specification("b"),
		specification("c")
	)
	local a = group:address("a")
	skynet.kill(group:address("b"))
	check.equal(take_events(2), { "started b", "started c" })
	check.equal(group:address("a"), a)
	group:stop()
	check.equal(events, {})
end)

case("names_are_bound_to_the_new_service", function()
	local group = start_group({}, specification("a", { register = { ".sv_one", ".sv_two" } }))
	check.equal(skynet.localname(".sv_one"), group:address("a"))
	kill_and_wait(group, "a")
	take_events(1)
	check.equal(skynet.localname(".sv_one"), group:address("a"))
	check.equal(skynet.localname(".sv_two"), group:address("a"))
	check.equal(skynet.call(".sv_one", "lua"), "a")
	group:stop()
	check.equal(skynet.localname(".sv_one"), nil)
end)

case("a_name_that_is_taken_fails_the_start", function()
	local owner = child.start(worker, "owner", skynet.self())
	skynet.name(".sv_taken", owner)
	local options = {
		children = {
			specification("first"),
			specification("a", { register = ".sv_taken" }),
		},
	}
	local text = "can't start 'a': the name .sv_taken is taken by :%x+"
	check.misuse(text, supervisor.start, options)
	check.equal(take_events(3), { "started owner", "started first", "started a" })
	for _, description in pairs(skynet.call(".launcher", "lua", "LIST")) do
		check.ok(not description:find(child.key(worker) .. " first"), "first is stopped")
	end
	skynet.kill(owner)
end)

case("too_many_restarts_make_the_group_give_up", function()
	local reasons = {}
	local group = start_group({
		limit = 3,
		on_give_up = function(name, reason)
			reasons[#reasons + 1] = name
			note("gave up", type(reason))
		end,
	}, specification("a"), specification("b"))
	for _ = 1, 3 do
		kill_and_wait(group, "b")
		check.equal(take_events(1), { "started b" })
	end
	local a = group:address("a")
	skynet.kill(group:address("b"))
	check.equal(take_events(1), { "gave up string" })
	check.equal(reasons, { "b" })
	check.equal(skynet.send(a, "lua"), nil)
	check.equal(addresses(group), {})
end)

case("without_a_handler_giving_up_ends_the_supervising_service", function()
	local service = child.start(function()
		local supervisor = require("skynet.supervisor") -- luacheck: ignore
		local group
		skynet.dispatch("lua", function()
			skynet.retpack(group:address("x"))
		end)
		skynet.start(function()
			group = supervisor.start({
				limit = 0,
				children = { { name = "x", service = "simpledb" } },
			})
		end)
	end)
	local x = skynet.call(service, "lua")
	skynet.link(service, function()
		note("supervisor has ended")
	end)
	skynet.link(x, function()
		note("x has ended")
	end)
	skynet.call(x, "lua", "ping", "")
	skynet.kill(x)
	check.equal(take_events(2), { "x has ended", "supervisor has ended" })
end)

case("restarts_long_ago_do_not_count", function()
	local group = start_group({ limit = 1, period = 0 }, specification("a"))
	for _ = 1, 5 do
		skynet.sleep(1)
		kill_and_wait(group, "a")
		take_events(1)
	end
	group:stop()
end)

case("a_start_that_fails_is_tried_again_until_the_limit", function()
	local group = start_group({
		limit = 3,
		on_give_up = function(name, reason)
			note("gave up", name, reason)
		end,
	}, specification("stubborn"))
	refused.stubborn = true
	skynet.kill(group:address("stubborn"))
	local told = take_events(4)
	refused.stubborn = nil
	check.equal(
		{ told[1], told[2], told[3] },
		{ "refused stubborn", "refused stubborn", "refused stubborn" }
	)
	check.matches(told[4], "gave up stubborn .*is not wanted")
end)

case("a_start_that_fails_is_told_without_our_lines", function()
	check.misuse("can't start 'lost': call failed: no_such_service ", supervisor.start, {
		children = { { name = "lost", service = "no_such_service" } },
	})
end)

case("a_deadline_of_calls_is_none_for_a_start", function()
	local function slow(parent)
		skynet.start(function()
			skynet.sleep(10)
			skynet.send(tonumber(parent), "lua", "started", "slow")
		end)
	end
	local former = skynet.call_timeout(2)
	local group = start_group({}, {
		name = "slow",
		service = { "script", child.key(slow), skynet.self() },
	})
	kill_and_wait(group, "slow")
	check.equal(take_events(1), { "started slow" })
	skynet.call_timeout(former)
	skynet.sleep(1)
	check.equal(math.type(group:address("slow")), "integer")
	skynet.sleep(20)
	check.equal(events, {}) -- no second one was started beside it
	group:stop()
end)

case("restarts_are_spaced_more_and_more", function()
	local group = start_group({ backoff = 2, backoff_max = 3, limit = 10 }, specification("a"))
	local waits = {}
	for i = 1, 4 do
		local start = skynet.now()
		kill_and_wait(group, "a")
		take_events(1)
		waits[i] = skynet.now() - start
	end
	check.ok(waits[2] >= 2 and waits[3] >= 3 and waits[4] >= 3, table.concat(waits, " "))
	group:stop()
end)

case("a_group_can_be_stopped_while_a_restart_waits", function()
	local options = { backoff = 5, limit = 10 }
	local group = start_group(options, specification("a"), specification("b"))
	kill_and_wait(group, "a")
	take_events(1)
	skynet.kill(group:address("a"))
	while group:address("a") do
		skynet.sleep(0)
	end
	group:stop()
	skynet.sleep(7)
	check.equal(events, {})
	check.equal(addresses(group), {})
end)

case("one_child_may_wait_while_another_is_restarted", function()
	local options = { backoff = 1000, limit = 10 }
	local group = start_group(options, specification("a"), specification("b"))
	kill_and_wait(group, "a")
	check.equal(take_events(1), { "started a" })
	skynet.kill(group:address("a")) -- waits ten seconds now
	skynet.kill(group:address("b"))
	check.equal(take_events(1), { "started b" })
	check.equal(group:remove("a"), true)
	group:stop()
end)

case("who_is_never_to_be_restarted_is_not", function()
	local deaths = 0
	local group = start_group(
		{
			strategy = "all",
			on_death = function()
				deaths = deaths + 1
				note("death")
			end,
		},
		specification("once", { restart = "never" }),
		specification("again")
	)
	skynet.kill(group:address("again"))
	check.equal(take_events(2), { "death", "started again" })
	check.equal(group:address("once"), nil)
	group:stop()
	group = start_group({
		on_death = function()
			note("death")
		end,
	}, specification("once", { restart = "never" }))
	skynet.kill(group:address("once"))
	check.equal(take_events(1), { "death" })
	skynet.sleep(1)
	check.equal({ events, group:address("once") }, { {} })
	group:stop()
end)

case("an_orderly_stop_gives_time_and_then_kills", function()
	local group = start_group({}, specification("polite", {
		stop = function(address)
			skynet.send(address, "lua", "stop later")
		end,
	}), specification("deaf", {
		stop = function() end,
		stop_limit = 2,
	}), specification("failing", {
		stop = function()
			error("can't ask it", 0)
		end,
	}))
	local mark = log.mark()
	local list = addresses(group)
	group:stop()
	check.equal(take_events(1), { "stopped polite" })
	for _, address in ipairs(list) do
		check.equal(skynet.send(address, "lua"), nil)
	end
	log.wait(mark, "'failing' %(:%x+%) could not be asked to stop: can't ask it")
	log.wait(mark, "'deaf' %(:%x+%) has not stopped within 0.02 s")
end)

case("a_start_may_be_limited_and_made_by_a_function", function()
	local address
	local group = supervisor.start({
		children = {
			{
				name = "own",
				start = function()
					address = child.start(worker, "own", skynet.self())
					return address
				end,
				start_limit = 1000,
			},
		},
	})
	check.equal(group:address("own"), address)
	take_events(1)
	group:stop()
	local late = { name = "late", start_limit = 1 }
	function late.start()
		skynet.sleep(3)
		address = child.start(worker, "late", skynet.self())
		note("late start")
		return address
	end
	check.misuse("can't start 'late': it has not started within 0.01 s", supervisor.start, {
		children = { late },
	})
	check.equal(take_events(2), { "started late", "late start" })
	while skynet.send(address, "lua") do -- it is killed
		skynet.sleep(0)
	end
	for text, start in pairs({
		["returned no address, but true"] = function()
			return true
		end,
		["ended by itself while it started"] = function() end,
		["no luck"] = function()
			error("no luck", 0)
		end,
	}) do
		local bad = { name = "bad", start = start }
		check.misuse(text, supervisor.start, { children = { bad } })
	end
end)

case("services_in_c_are_children_like_others", function()
	local function launch()
		return skynet.launch("logger")
	end
	local group = supervisor.start({
		children = { { name = "log", start = launch, register = ".sv_log" } },
		on_death = function(name)
			note("death of", name)
		end,
	})
	local former = group:address("log")
	check.ok(kill_and_wait(group, "log") ~= former, "another one")
	check.equal(take_events(1), { "death of log" })
	check.equal(skynet.localname(".sv_log"), group:address("log"))
	group:stop()
	check.equal(skynet.localname(".sv_log"), nil)
end)

case("children_can_be_removed", function()
	local group = start_group({}, specification("a"), specification("b"))
	local a = group:address("a")
	check.equal(group:remove("a"), true)
	check.equal(group:remove("a"), false)
	check.equal(skynet.send(a, "lua"), nil)
	check.equal(#group:list(), 1)
	group:add(specification("a"))
	check.equal(take_events(1), { "started a" })
	check.misuse("there is a child 'a' already", group.add, group, specification("a"))
	group:stop()
end)

case("misuse_is_told", function()
	check.misuse("'options': table expected, got nil", supervisor.start)
	for text, options in pairs({
		["'strategy': 'one', 'all' or 'rest' expected"] = { strategy = "some" },
		["'limit': an integer from 0 on expected, got %-1"] = { limit = -1 },
		["'on_death': function expected, got number"] = { on_death = 1 },
	}) do
		check.misuse(text, supervisor.start, options)
	end
	for text, bad in pairs({
		["a table expected, got number"] = 1,
		["'name': string expected, got nil"] = { service = "x" },
		["bad child 'x': 'service' .* or 'start' .* expected"] = { name = "x" },
		["'restart': 'always' or 'never' expected"] = {
			name = "x",
			service = "x",
			restart = true,
		},
		["'stop': function expected"] = { name = "x", service = "x", stop = 1 },
		["'register': names like '.name' expected, got name"] = {
			name = "x",
			service = "x",
			register = "name",
		},
		["'stop_limit': hundredths of a second expected, got 0"] = {
			name = "x",
			service = "x",
			stop_limit = 0,
		},
	}) do
		check.misuse(text, supervisor.start, { children = { bad } })
	end
	check.misuse("'address': a handle expected, got nil", skynet.link)
	check.misuse("'f': function expected, got nil", skynet.link, 1)
end)

return cases
