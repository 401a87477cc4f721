-- skynet.multicast: channels of other nodes. The other node is played by a service of this one
-- that has the name by which the multicastd of node 7 is found; test/e2e/channels_test.py has real
-- nodes.
local skynet = require("skynet")
require("skynet.manager")
local multicast = require("skynet.multicast")
local packet = require("skynet.packet")
local test = require("skynet.test")
local check = require("check")
local child = require("child")

local CHANNEL <const>, OTHER <const> = 0x107, 0x207

local cases = {}
local function case(name, body)
	cases[#cases + 1] = { name, body }
end

--- A multicastd of node 7: notes who has subscribed, and sends them what it is told to publish.
local function home()
	local packet = require("skynet.packet") -- luacheck: ignore
	local told, receivers, refused, ended, slowness = {}, packet.receivers(), nil, nil, 0
	local command = {}

	function command.SUB(source, number)
		told[#told + 1] = { "SUB", source, number }
		skynet.sleep(slowness)
		if refused then
			error(refused, 0)
		end
		receivers:add(source)
		if ended then
			command.finish(source, number, ended)
		end
	end

	function command.USUB(source, number)
		told[#told + 1] = { "USUB", source, number }
		receivers:remove(source)
	end

	function command.DEL(source, number)
		told[#told + 1] = { "DEL", source, number }
	end

	function command.publish(source, number, ...)
		local message, size = packet.pack(number, skynet.pack(...))
		packet.send(message, size, source, receivers)
		skynet.trash(message, size)
	end

	function command.finish(_, number, reason)
		local message, size = packet.pack(~number, reason)
		packet.send(message, size, skynet.self(), receivers)
		skynet.trash(message, size)
	end

	function command.refuse(_, reason)
		refused = reason
	end

	function command.end_before_answer(_, reason)
		ended = reason
	end

	function command.be_slow(_, cs)
		slowness = cs
	end

	function command.told()
		local all = told
		told = {}
		return all
	end

	skynet.register_protocol({
		name = "multicast",
		id = skynet.PTYPE_MULTICAST,
		unpack = packet.unpack,
		dispatch = function(session, source, number, message, size)
			local values = skynet.unpack(message, size)
			told[#told + 1] = { "PUBLISH", source, number, values }
			if session ~= 0 then
				skynet.ret()
			end
		end,
	})
	skynet.start(function()
		skynet.dispatch("lua", function(session, source, name, ...)
			local answer = command[name](source, ...)
			if session ~= 0 then
				skynet.retpack(answer)
			end
		end)
		skynet.register("MULTICAST:7")
	end)
end

local function ask(service, ...)
	return skynet.call(service, "lua", ...)
end

--- A service that subscribes, and notes what it hears.
local function listener()
	local multicast = require("skynet.multicast") -- luacheck: ignore
	local command, objects, heard = {}, {}, {}

	function command.subscribe(number)
		objects[number] = multicast.new({
			channel = number,
			dispatch = function(object, source, ...)
				heard[#heard + 1] = { object.channel, source, ... }
			end,
			ended = function(object, reason)
				heard[#heard + 1] = { object.channel, "ended", reason }
			end,
		})
		objects[number]:subscribe()
	end

	function command.unsubscribe(number)
		objects[number]:unsubscribe()
	end

	function command.publish(number, ...)
		objects[number]:publish(...)
	end

	function command.heard()
		local all = heard
		heard = {}
		return all
	end

	skynet.start(function()
		skynet.dispatch("lua", function(_, _, name, ...)
			skynet.retpack(command[name](...))
		end)
	end)
end

local function daemon()
	return skynet.uniqueservice("multicastd")
end

case("one_subscription_serves_all_of_the_node", function()
	local far = child.start(home)
	local one, two = child.start(listener), child.start(listener)
	ask(one, "subscribe", CHANNEL)
	ask(two, "subscribe", CHANNEL)
	check.equal(ask(far, "told"), { { "SUB", daemon(), CHANNEL } })
	ask(far, "publish", CHANNEL, "for all", { 1 })
	test.settle()
	for _, service in ipairs({ one, two }) do
		check.equal(ask(service, "heard"), { { CHANNEL, skynet.self(), "for all", { 1 } } })
	end
	ask(one, "unsubscribe", CHANNEL)
	test.settle()
	check.equal(ask(far, "told"), {})
	ask(two, "unsubscribe", CHANNEL)
	test.settle()
	check.equal(ask(far, "told"), { { "USUB", daemon(), CHANNEL } })
	ask(one, "subscribe", CHANNEL) -- and anew
	check.equal(ask(far, "told"), { { "SUB", daemon(), CHANNEL } })
	skynet.kill(one)
	test.settle()
	check.equal(ask(far, "told"), { { "USUB", daemon(), CHANNEL } })
end)

case("one_publishes_at_the_home_in_ones_own_name", function()
	local far = child.start(home)
	local channel = multicast.new({ channel = CHANNEL })
	for i = 1, 5 do
		channel:publish(i)
	end
	ask(daemon(), "PUB", CHANNEL, skynet.pack("by hand"))
	channel:delete()
	ask(daemon(), "DEL", CHANNEL)
	test.settle()
	local me = skynet.self()
	check.equal(ask(far, "told"), {
		{ "PUBLISH", me, CHANNEL, 1 },
		{ "PUBLISH", me, CHANNEL, 2 },
		{ "PUBLISH", me, CHANNEL, 3 },
		{ "PUBLISH", me, CHANNEL, 4 },
		{ "PUBLISH", me, CHANNEL, 5 },
		{ "PUBLISH", me, CHANNEL, "by hand" },
		{ "DEL", me, CHANNEL },
		{ "DEL", me, CHANNEL },
	})
end)

case("who_publishes_has_heard_it_before_it_goes_on", function()
	child.start(function() -- a home that answers sooner than what it sends is passed on
		local packet = require("skynet.packet") -- luacheck: ignore
		local receivers = packet.receivers()
		skynet.register_protocol({
			name = "multicast",
			id = skynet.PTYPE_MULTICAST,
			unpack = function(message, size)
				return message, size
			end,
			dispatch = function(_, source, message, size)
				packet.send(message, size, source, receivers)
				skynet.ret()
			end,
		})
		skynet.start(function()
			skynet.dispatch("lua", function(_, source)
				receivers:add(source)
				skynet.ret()
			end)
			skynet.register("MULTICAST:7")
		end)
	end)
	for _ = 1, 10 do
		local heard = 0
		local channel = multicast.new({
			channel = CHANNEL,
			dispatch = function()
				heard = heard + 1
			end,
		})
		channel:subscribe()
		channel:publish("to all, and to myself")
		channel:unsubscribe()
		check.equal(heard, 1)
	end
end)

case("a_channel_that_is_deleted_at_home_has_ended_here", function()
	local far = child.start(home)
	local one = child.start(listener)
	ask(one, "subscribe", CHANNEL)
	ask(one, "subscribe", OTHER)
	ask(far, "told")
	ask(far, "publish", CHANNEL, "last")
	ask(far, "finish", CHANNEL, "it was deleted")
	test.settle()
	check.equal(ask(one, "heard"), {
		{ CHANNEL, skynet.self(), "last" },
		{ CHANNEL, "ended", "it was deleted" },
	})
	ask(far, "finish", CHANNEL, "once more is nothing")
	ask(one, "unsubscribe", CHANNEL) -- is nothing either
	test.settle()
	check.equal(ask(one, "heard"), {})
	check.equal(ask(far, "told"), {})
	ask(far, "publish", OTHER, "still there")
	test.settle()
	check.equal(#ask(one, "heard"), 1)
end)

case("a_home_that_dies_ends_its_channels", function()
	local far = child.start(home)
	local one, two = child.start(listener), child.start(listener)
	local mine, known = multicast.new({}), multicast.new({ channel = CHANNEL })
	ask(one, "subscribe", CHANNEL)
	ask(two, "subscribe", CHANNEL)
	ask(two, "subscribe", mine.channel)
	skynet.kill(far)
	check.misuse("call to invalid address", known.publish, known, 1)
	test.settle()
	test.logged("channel 107 has ended: .*it was killed by")
	for _, service in ipairs({ one, two }) do
		local heard = ask(service, "heard")
		check.equal(#heard, 1)
		check.equal({ heard[1][1], heard[1][2] }, { CHANNEL, "ended" })
	end
	check.raises("call to invalid address", ask, one, "publish", CHANNEL, 1)
	check.raises("belongs to node 7: this node has no network", ask, one, "subscribe", CHANNEL)
	mine:publish("of this node")
	test.settle()
	check.equal(#ask(two, "heard"), 1)
end)

case("a_home_that_has_started_anew_has_other_channels", function()
	local old = child.start(home)
	local one = child.start(listener)
	ask(one, "subscribe", CHANNEL)
	local mine = multicast.new({ channel = CHANNEL, dispatch = print })
	skynet.kill(old)
	local new = child.start(home)
	test.settle()
	check.equal(ask(one, "heard")[1][2], "ended")
	check.raises("channel 107 has ended: node 7 has started anew", mine.subscribe, mine)
	check.raises("call to invalid address", mine.publish, mine, 1)
	ask(one, "subscribe", CHANNEL)
	check.equal(ask(new, "told"), { { "SUB", daemon(), CHANNEL } })
	ask(new, "publish", CHANNEL, "anew")
	test.settle()
	check.equal(ask(one, "heard"), { { CHANNEL, skynet.self(), "anew" } })
end)

case("a_home_is_replaced_even_before_its_death_is_known", function()
	local old = child.start(home)
	local one = child.start(listener)
	ask(one, "subscribe", CHANNEL)
	local new = child.start(function()
		skynet.start(function()
			skynet.dispatch("lua", function()
				skynet.retpack()
			end)
		end)
	end)
	-- Global names stay with their owner while it lives, so it dies; what tells that is late.
	test.delay({ from = old, to = daemon(), by = 100 })
	skynet.kill(old)
	skynet.name("MULTICAST:7", new)
	ask(one, "subscribe", CHANNEL)
	test.settle()
	check.equal(ask(one, "heard"), { { CHANNEL, "ended", "its node has started anew" } })
end)

case("the_end_of_an_earlier_subscription_does_not_end_a_new_one", function()
	local far = child.start(home)
	local heard, ends = {}, 0
	local function new_object()
		return multicast.new({
			channel = CHANNEL,
			dispatch = function(_, _, ...)
				heard[#heard + 1] = { ... }
			end,
			ended = function()
				ends = ends + 1
			end,
		})
	end
	local old = new_object()
	old:subscribe()
	-- As if it had been sent before the next subscription, and came only now.
	ask(far, "be_slow", 10)
	old:unsubscribe()
	local new = new_object()
	skynet.fork(new.subscribe, new)
	test.eventually(function()
		return #ask(far, "told") > 0
	end)
	skynet.rawsend(skynet.self(), "multicast", packet.pack(~CHANNEL, "too late"))
	skynet.sleep(20)
	ask(far, "publish", CHANNEL, "for the new one")
	test.settle()
	check.equal(heard, { { "for the new one" } })
	check.equal(ends, 0)
	ask(far, "finish", CHANNEL, "it was deleted")
	test.settle()
	check.equal(ends, 1)
end)

case("a_channel_that_ends_while_its_home_is_asked_is_not_subscribed_to", function()
	local far = child.start(home)
	ask(far, "be_slow", 10)
	ask(far, "end_before_answer", "the link was down")
	local failed = 0
	for _ = 1, 2 do
		local service = child.start(listener)
		skynet.fork(function()
			local text = "channel 107 has ended: the link was down"
			check.raises(text, ask, service, "subscribe", CHANNEL)
			failed = failed + 1
		end)
	end
	test.eventually(function()
		return failed == 2
	end)
	test.settle()
	check.equal(ask(far, "told"), {
		{ "SUB", daemon(), CHANNEL },
		{ "USUB", daemon(), CHANNEL },
	})
	ask(far, "end_before_answer", nil)
	local one = child.start(listener)
	ask(one, "subscribe", CHANNEL)
	ask(far, "publish", CHANNEL, "welcome")
	test.settle()
	check.equal(ask(one, "heard"), { { CHANNEL, skynet.self(), "welcome" } })
end)

case("a_refused_subscription_is_told_to_all_who_wait_for_it", function()
	local far = child.start(home)
	ask(far, "refuse", "there is no channel 107")
	ask(far, "be_slow", 10)
	local failed = 0
	for _ = 1, 3 do
		local service = child.start(listener)
		skynet.fork(function()
			check.raises("there is no channel 107", ask, service, "subscribe", CHANNEL)
			failed = failed + 1
		end)
	end
	test.eventually(function()
		return failed == 3
	end)
	ask(far, "refuse", nil)
	ask(far, "told")
	local one = child.start(listener)
	ask(one, "subscribe", CHANNEL)
	check.equal(#ask(far, "told"), 1)
	ask(far, "publish", CHANNEL, "welcome")
	test.settle()
	check.equal(#ask(one, "heard"), 1)
end)

case("a_subscription_that_took_too_long_is_none", function()
	local far = child.start(home)
	ask(far, "be_slow", 10)
	local one = child.start(function()
		local multicast = require("skynet.multicast") -- luacheck: ignore
		local object
		skynet.start(function()
			skynet.dispatch("lua", function(_, _, number)
				object = object or multicast.new({
					channel = number,
					dispatch = print,
				})
				skynet.call_timeout(5)
				object:subscribe()
			end)
		end)
	end)
	check.raises("no answer within 0%.05 s", ask, one, CHANNEL)
	skynet.sleep(20)
	check.equal(ask(far, "told"), {
		{ "SUB", daemon(), CHANNEL },
		{ "USUB", daemon(), CHANNEL },
	})
	skynet.kill(one)
end)

case("who_dies_while_the_home_is_asked_leaves_nothing", function()
	local far = child.start(home)
	ask(far, "be_slow", 10)
	local one = child.start(listener)
	skynet.fork(pcall, ask, one, "subscribe", CHANNEL)
	test.eventually(function()
		return #ask(far, "told") == 1
	end)
	skynet.kill(one)
	skynet.sleep(20)
	check.equal(ask(far, "told"), { { "USUB", daemon(), CHANNEL } })
	-- and while it is asked, the home dies
	local two, three = child.start(listener), child.start(listener)
	local failed = 0
	for _, service in ipairs({ two, three }) do
		skynet.fork(function()
			check.raises("call failed", ask, service, "subscribe", CHANNEL)
			failed = failed + 1
		end)
	end
	test.eventually(function()
		return #ask(far, "told") == 1
	end)
	skynet.kill(far)
	test.eventually(function()
		return failed == 2
	end)
	ask(child.start(home), "publish", CHANNEL, "nobody")
	test.settle()
	check.equal(ask(daemon(), "USUB", CHANNEL), nil)
end)

case("what_comes_for_a_channel_that_nobody_here_wants_goes_nowhere", function()
	child.start(home)
	local one = child.start(listener)
	local message, size = packet.pack(CHANNEL, skynet.pack("late"))
	skynet.rawsend(daemon(), "multicast", message, size)
	ask(one, "subscribe", CHANNEL)
	skynet.rawsend(daemon(), "multicast", packet.pack(~CHANNEL, "I am not its home"))
	skynet.rawsend(daemon(), "multicast", packet.pack(~OTHER, "which is not here"))
	test.settle()
	check.equal(ask(one, "heard"), {})
end)

return cases
