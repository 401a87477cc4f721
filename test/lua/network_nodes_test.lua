-- skynet.network.nodes and skynet.network.names: what .cslave knows, and tells; without a network.
local skynet = require("skynet")
require("skynet.manager")
local core = require("skynet.core")
local test = require("skynet.test")
local check = require("check")
local child = require("child")
local names_module = require("skynet.network.names")
local nodes_module = require("skynet.network.nodes")

local cases = {}
local function case(name, body)
	cases[#cases + 1] = { name, body }
end

--- Both modules behind requests of a service, as in .cslave; texts for the harbor are kept, and it
--- is busy while is_busy says so.
local texts, unregistered, names, nodes, is_busy

local function begin()
	texts, unregistered, is_busy = {}, {}, false
	local function tell_harbor(text)
		texts[#texts + 1] = text
	end
	nodes = nodes_module.new(tell_harbor)
	names = names_module.new({
		id = 0, -- of a node without a network
		await_harbor = function()
			while is_busy do
				skynet.sleep(1)
			end
		end,
		unregister = function(name, handle)
			unregistered[#unregistered + 1] = ("%s %x"):format(name, handle)
		end,
	})
	skynet.dispatch("lua", function(_, _, who, method, ...)
		local object = who == "nodes" and nodes or names
		object[method](object, ...)
	end)
end

--- Asks in a task of its own; returns a table that will hold what came.
local function ask(...)
	local result = {}
	skynet.fork(function(...)
		result.got = table.pack(pcall(skynet.call, skynet.self(), "lua", ...))
	end, ...)
	test.settle()
	return result
end

local function got(result)
	return result.got and table.pack(table.unpack(result.got, 2, result.got.n))
end

local A <const>, B <const> = ("a"):rep(16), ("b"):rep(16)

case("the_harbor_is_told_of_members", function()
	begin()
	nodes:join(2, A, "h:1")
	nodes:join(2, A, "h:2")
	nodes:leave(2, "it has ended")
	nodes:leave(2, "again")
	nodes:join(2, B, "h:3")
	check.equal(texts, {
		"node 2 h:1",
		"node 2 h:2",
		"gone 2 aaaaaaaa it has ended",
		"node 2 h:3",
	})
	check.equal(nodes:list(), { [2] = { address = "h:3", incarnation = B, up = false } })
end)

case("connect_and_link_wait_for_the_right_node", function()
	begin()
	nodes:join(2, A, "h:1")
	nodes:join(3, A, "h:1")
	local connected, third = ask("nodes", "answer_up", 2), ask("nodes", "answer_up", 3)
	check.equal(ask("nodes", "answer_down", 2).got, { true, n = 1 })
	nodes:up(2)
	test.settle()
	check.ok(connected.got[1])
	check.equal(third.got, nil)
	local linked = ask("nodes", "answer_down", 2)
	check.equal(linked.got, nil)
	nodes:down(2, "the link is broken")
	test.settle()
	check.ok(linked.got[1])
end)

case("events_come_in_order_and_none_is_lost", function()
	begin()
	local number = got(ask("nodes", "answer_events"))[1]
	check.equal(number, 0)
	local waiting = ask("nodes", "answer_events", 0)
	nodes:join(2, A, "h:1")
	nodes:up(2)
	nodes:up(2) -- is no news
	nodes:down(2, "broken")
	nodes:down(2, "still broken")
	nodes:up(2)
	nodes:leave(2, "it has ended")
	nodes:up(2) -- late word of who has left
	nodes:down(7, "unknown")
	test.settle()
	local events, last = table.unpack(got(waiting))
	check.equal(#events, 1) -- answered with the first
	check.equal(last, 1)
	events, last = table.unpack(got(ask("nodes", "answer_events", last)))
	check.equal(last, 4)
	local words = {}
	for i, event in ipairs(events) do
		words[i] = ("%s %d %s"):format(event.kind, event.id, event.reason)
	end
	check.equal(words, { "down 2 broken", "up 2 nil", "down 2 it has ended" })
	check.equal(ask("nodes", "answer_events", 4).got, nil)
end)

case("who_is_far_behind_gets_what_is_kept", function()
	begin()
	nodes:join(2, A, "h:1")
	for _ = 1, 1000 do
		nodes:up(2)
		nodes:down(2, "broken")
	end
	local events, last = table.unpack(got(ask("nodes", "answer_events", 0)))
	check.equal(last, 2000)
	check.equal(#events, 1024)
	check.equal(events[1].number, 977)
	check.equal(nodes:missed_count(), 976)
	test.logged("error: :%x+ has been busy for too long, and misses 976 events")
	check.equal(#got(ask("nodes", "answer_events", 976))[1], 1024)
	check.equal(nodes:missed_count(), 976)
end)

case("the_start_waits_for_those_that_can_be_reached", function()
	begin()
	check.equal(nodes:await_all(100), 0)
	for id = 2, 5 do
		nodes:join(id, A, "h:1")
	end
	local missing, cs
	skynet.fork(function()
		local started = skynet.now()
		missing = nodes:await_all(100)
		cs = skynet.now() - started
	end)
	skynet.sleep(10)
	nodes:up(2)
	nodes:down(3, "refused")
	nodes:leave(4, "it has ended")
	test.settle()
	check.equal(missing, nil)
	skynet.sleep(200)
	check.equal({ missing, cs }, { 1, 100 })
	nodes:up(5)
	check.equal(nodes:await_all(100), 0)
end)

-- Names ----------------------------------------------------------------------------------------

case("a_name_is_waited_for_and_its_loss_too", function()
	begin()
	local first, second = ask("names", "answer_owner", "X"), ask("names", "answer_owner", "Y")
	local me = skynet.self()
	names:set("X", me)
	test.settle()
	check.equal(got(first), { me, n = 1 })
	check.equal(second.got, nil)
	check.equal(got(ask("names", "answer_owner", "X")), { me, n = 1 })
	local loss = ask("names", "answer_loss", "X", me)
	check.equal(got(ask("names", "answer_loss", "X", me + 1)), { n = 0 })
	check.equal(loss.got, nil)
	names:set("X", 0x05000001) -- it has moved
	test.settle()
	check.equal(got(loss), { n = 0 })
end)

case("a_name_of_another_node_is_told_when_the_harbor_knows_the_node", function()
	begin()
	is_busy = true
	names:set("AWAY", 0x05000001)
	local asked = ask("names", "answer_owner", "AWAY")
	check.equal(names:find("AWAY"), 0x05000001)
	check.equal(core.addresscommand("GLOBALNAME", "AWAY"), nil)
	check.equal(asked.got, nil)
	is_busy = false
	skynet.sleep(10)
	check.equal(core.addresscommand("GLOBALNAME", "AWAY"), 0x05000001)
	check.equal(got(asked), { 0x05000001, n = 1 })
end)

case("a_name_that_is_gone_again_is_not_told", function()
	begin()
	is_busy = true
	names:set("BRIEF", 0x05000001)
	names:clear("BRIEF")
	is_busy = false
	skynet.sleep(10)
	check.equal(core.addresscommand("GLOBALNAME", "BRIEF"), nil)
end)

case("a_name_of_a_service_that_has_ended_is_not_told", function()
	begin()
	local asked = ask("names", "answer_owner", "LATE")
	local service = child.start(function()
		skynet.start(function() end)
	end)
	skynet.kill(service)
	names:set("LATE", service)
	test.settle()
	check.equal(asked.got, nil)
	check.equal(unregistered, { ("LATE %x"):format(service) })
	names:set("LATE", skynet.self())
	test.settle()
	check.equal(got(asked), { skynet.self(), n = 1 })
end)

case("names_end_with_their_node", function()
	begin()
	names:set("X", 0x05000001)
	names:set("Y", 0x05000002)
	names:set("Z", 0x06000002)
	names:leave(5)
	check.equal({ names:find("X"), names:find("Y"), names:find("Z") }, { [3] = 0x06000002 })
end)

case("names_end_with_their_service", function()
	begin()
	local function start()
		return child.start(function()
			skynet.start(function() end)
		end)
	end
	local first, second, third = start(), start(), start()
	names:set("X", first)
	names:set("Y", first)
	names:set("Z", second)
	names:clear("Y")
	names:set("W", third)
	names:clear("W")
	skynet.kill(first)
	skynet.kill(third)
	test.settle()
	check.equal(unregistered, { ("X %x"):format(first) })
	skynet.kill(second)
	test.settle()
	check.equal(unregistered[2], ("Z %x"):format(second))
	names:set("DEAD", first) -- it has ended before its name was there
	test.settle()
	check.equal(unregistered[3], ("DEAD %x"):format(first))
end)

return cases
