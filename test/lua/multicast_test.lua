-- skynet.multicast: channels that services subscribe to.
local skynet = require("skynet")
require("skynet.manager")
local multicast = require("skynet.multicast")
local packet = require("skynet.packet")
local test = require("skynet.test")
local check = require("check")
local child = require("child")

local cases = {}
local function case(name, body)
	cases[#cases + 1] = { name, body }
end

--- A service that subscribes to the channels it is told, and notes what comes.
local function listener()
	local multicast = require("skynet.multicast") -- luacheck: ignore
	local command, objects, heard = {}, {}, {}

	function command.subscribe(number)
		local object = multicast.new({
			channel = number,
			dispatch = function(object, source, ...)
				heard[#heard + 1] = { object.channel, source, ... }
			end,
		})
		objects[number] = object
		object:subscribe()
	end

	function command.unsubscribe(number)
		objects[number]:unsubscribe()
	end

	function command.drop(number)
		objects[number] = nil
		collectgarbage()
		collectgarbage()
	end

	function command.heard()
		local all = heard
		heard = {}
		return all
	end

	function command.publish(number, ...)
		multicast.new({ channel = number }):publish(...)
	end

	skynet.start(function()
		skynet.dispatch("lua", function(_, _, name, ...)
			skynet.retpack(command[name](...))
		end)
	end)
end

local function ask(service, ...)
	return skynet.call(service, "lua", ...)
end

local daemon

--- Publishes without waiting, but for the first time.
local function publish_later(number, ...)
	daemon = daemon or skynet.uniqueservice("multicastd")
	skynet.rawsend(daemon, "multicast", packet.pack(number, skynet.pack(...)))
end

case("all_that_have_subscribed_get_what_is_published", function()
	local channel = multicast.new({})
	check.equal(tostring(channel), ("[Multicast:%x]"):format(channel.channel))
	check.equal(channel.channel & 0xff, 0) -- the node
	local services = {}
	for i = 1, 5 do
		services[i] = child.start(listener)
		ask(services[i], "subscribe", channel.channel)
	end
	channel:publish("first", { 1, nil, 3 }, nil)
	channel:publish()
	ask(services[2], "publish", channel.channel, "of another")
	test.settle()
	for _, service in ipairs(services) do
		check.equal(ask(service, "heard"), {
			{ channel.channel, skynet.self(), "first", { 1, nil, 3 } },
			{ channel.channel, skynet.self() },
			{ channel.channel, services[2], "of another" },
		})
	end
end)

case("channels_are_apart", function()
	local one, two = multicast.new({}), multicast.new({})
	check.ok(one.channel ~= two.channel)
	local service, both = child.start(listener), child.start(listener)
	ask(service, "subscribe", two.channel)
	ask(both, "subscribe", one.channel)
	ask(both, "subscribe", two.channel)
	one:publish(1)
	two:publish(2)
	test.settle()
	check.equal(ask(service, "heard"), { { two.channel, skynet.self(), 2 } })
	check.equal(#ask(both, "heard"), 2)
end)

case("who_publishes_gets_its_own_if_it_has_subscribed", function()
	local got = {}
	local channel = multicast.new({
		dispatch = function(object, source, ...)
			got[#got + 1] = { object.channel, source, ... }
		end,
	})
	channel:publish("too early")
	channel:subscribe()
	channel:subscribe() -- once more is nothing
	channel:publish("mine")
	test.settle()
	check.equal(got, { { channel.channel, skynet.self(), "mine" } })
end)

case("the_bytes_may_be_of_another_format", function()
	local got
	local channel = multicast.new({
		pack = function(text)
			return text:upper()
		end,
		unpack = skynet.tostring,
		dispatch = function(_, _, text)
			got = text
		end,
	})
	channel:subscribe()
	channel:publish("hello")
	test.settle()
	check.equal(got, "HELLO")
end)

case("who_unsubscribes_gets_no_more_even_of_what_is_on_its_way", function()
	local got = 0
	local channel = multicast.new({
		dispatch = function()
			got = got + 1
		end,
	})
	channel:unsubscribe() -- it never was
	channel:subscribe()
	publish_later(channel.channel, 1)
	channel:unsubscribe()
	test.settle()
	check.equal(got, 0)
	channel:publish(2)
	channel:subscribe()
	channel:publish(3)
	test.settle()
	check.equal(got, 1)
end)

case("one_that_is_dropped_has_unsubscribed", function()
	local channel = multicast.new({})
	local service = child.start(listener)
	ask(service, "subscribe", channel.channel)
	ask(service, "drop", channel.channel)
	channel:publish(1)
	ask(service, "subscribe", channel.channel)
	channel:publish(2)
	test.settle()
	check.equal(ask(service, "heard"), { { channel.channel, skynet.self(), 2 } })
end)

case("a_new_object_keeps_the_subscription_when_an_old_one_is_collected", function()
	local channel = multicast.new({})
	local service = child.start(function()
		local multicast = require("skynet.multicast") -- luacheck: ignore
		local got, kept = 0, nil
		local function subscribe(number)
			local object = multicast.new({
				channel = number,
				dispatch = function()
					got = got + 1
				end,
			})
			object:subscribe()
			return object
		end
		skynet.start(function()
			skynet.dispatch("lua", function(_, _, number)
				if number then
					subscribe(number):unsubscribe() -- nobody holds this one
					kept = subscribe(number)
					collectgarbage()
					collectgarbage()
				end
				skynet.retpack(got, kept ~= nil)
			end)
		end)
	end)
	ask(service, channel.channel)
	channel:publish(1)
	test.settle()
	check.equal(ask(service), 1)
end)

case("a_deleted_channel_is_silent_for_all", function()
	local channel = multicast.new({})
	local number = channel.channel
	local service = child.start(listener)
	ask(service, "subscribe", number)
	local other = multicast.new({ channel = number, dispatch = print })
	channel:delete()
	check.equal(tostring(channel), "[Multicast:deleted]")
	other:publish("nobody") -- which is no error
	test.settle()
	check.equal(ask(service, "heard"), {})
	check.raises("there is no channel", other.subscribe, other)
	other:unsubscribe()
	for _, name in ipairs({ "publish", "subscribe", "unsubscribe", "delete" }) do
		check.misuse("the channel was deleted", channel[name], channel)
	end
end)

case("those_who_have_subscribed_are_told_of_the_end", function()
	local ends = {}
	local channel = multicast.new({
		dispatch = print,
		ended = function(channel, reason)
			ends[#ends + 1] = { channel.channel, reason }
		end,
	})
	local other = multicast.new({ channel = channel.channel })
	channel:subscribe()
	other:delete()
	test.settle()
	check.equal(ends, { { channel.channel, "it was deleted" } })
	channel:publish("which is no error")
	channel:unsubscribe()
	check.raises("there is no channel", channel.subscribe, channel)
	test.settle()
	check.equal(#ends, 1)
end)

case("who_dies_is_off_the_lists", function()
	local channel = multicast.new({})
	local services = {}
	for i = 1, 3 do
		services[i] = child.start(listener)
		ask(services[i], "subscribe", channel.channel)
	end
	channel:publish("unread by who is dead")
	skynet.kill(services[1])
	channel:publish(2)
	test.settle()
	check.equal(#ask(services[2], "heard"), 2)
	check.equal(#ask(services[3], "heard"), 2)
	channel:publish(3)
	ask(services[3], "unsubscribe", channel.channel)
	test.settle()
	check.equal(#ask(services[2], "heard"), 1)
end)

case("a_full_mailbox_gets_nothing_and_holds_up_nobody", function()
	local slow = child.start(function()
		skynet.mailbox({ limit = 2, policy = "block" })
		local multicast = require("skynet.multicast") -- luacheck: ignore
		local got, object = 0, nil
		skynet.start(function()
			skynet.dispatch("lua", function(_, _, number)
				if number then
					object = multicast.new({
						channel = number,
						dispatch = function()
							got = got + 1
						end,
					})
					object:subscribe()
				end
				skynet.retpack(got)
			end)
		end)
	end)
	local channel = multicast.new({})
	ask(slow, channel.channel)
	for i = 1, 100 do
		publish_later(channel.channel, i)
	end
	test.settle()
	local got = ask(slow)
	check.ok(got >= 2 and got < 100, got)
end)

case("a_handler_that_raises_is_logged_and_goes_on", function()
	local got = 0
	local channel = multicast.new({
		dispatch = function(_, _, value)
			got = got + 1
			error("oops " .. value)
		end,
	})
	channel:subscribe()
	channel:publish(1)
	channel:publish(2)
	test.settle()
	check.equal(got, 2)
	check.equal(#test.log("oops %d"), 2)
end)

case("the_service_answers_as_users_know_it", function()
	daemon = skynet.uniqueservice("multicastd")
	local number = ask(daemon, "NEW")
	local service = child.start(listener)
	ask(service, "subscribe", number)
	ask(daemon, "PUB", number, skynet.pack("by hand"))
	test.settle()
	check.equal(ask(service, "heard"), { { number, skynet.self(), "by hand" } })
	check.equal(ask(daemon, "SUB", number), nil)
	check.equal(ask(daemon, "SUB", number), nil)
	check.equal(ask(daemon, "USUB", number), nil)
	check.equal(ask(daemon, "USUB", number), nil)
	check.equal(ask(daemon, "DEL", number), nil)
	check.equal(ask(daemon, "DEL", number), nil)
	check.raises("Unknown command NO SUCH", ask, daemon, "NO SUCH")
	check.raises("bad argument 'channel'", ask, daemon, "SUB")
	check.raises("bad argument 'channel'", ask, daemon, "SUB", 1.5)
	check.raises("belongs to node 7", ask, daemon, "SUB", 0x107)
	check.raises("belongs to node 7", ask, daemon, "PUB", 0x107, skynet.pack(1))
	local reason = "channel 107 belongs to node 7: this node has no network"
	check.raises(reason, multicast.new, { channel = 0x107 })
	check.raises(reason, ask, daemon, "HOME", 0x107)
	check.raises("bad argument 'channel'", ask, daemon, "HOME", -1)
	check.raises("bad argument 'channel'", ask, daemon, "PUB", 1.5, skynet.pack("freed"))
	check.raises("bad argument 'channel'", ask, daemon, "PUB", nil, skynet.pack("freed"))
	check.equal(ask(daemon, "HOME", number), daemon)
	check.raises("publish at its home", skynet.rawcall, daemon, "multicast",
		packet.pack(0x107, ""))
	check.raises("not a message of a channel", skynet.rawcall, daemon, "multicast", "short")
end)

--- A multicastd with room for so many channels.
local function small_daemon()
	local file <close> = assert(io.open("./service/multicastd.lua"))
	local source, count = file:read("a"):gsub("(CHANNELS_MAX <const> =) 1 << 20", "%1 3")
	assert(count == 1)
	assert(load(source, "=multicastd"))()
end

case("so_many_channels_there_may_be", function()
	local small = child.start(small_daemon)
	local numbers = {}
	for i = 1, 3 do
		numbers[i] = ask(small, "NEW")
	end
	check.raises("there are 3 channels: delete some", ask, small, "NEW")
	ask(small, "DEL", numbers[2])
	ask(small, "DEL", numbers[2])
	numbers[2] = ask(small, "NEW")
	check.raises("there are 3 channels: delete some", ask, small, "NEW")
	skynet.kill(small)
end)

case("bytes_of_another_node_are_not_here", function()
	daemon = skynet.uniqueservice("multicastd")
	local number = multicast.new().channel
	local service = child.start(listener)
	ask(service, "subscribe", number)
	local block, size = skynet.pack("in a block")
	for _, bytes in ipairs({ block, skynet.packstring("in a text") }) do
		local request = skynet.packstring("PUB", number, bytes, size)
		skynet.redirect(daemon, 0x07000005, "lua", 0, request)
	end
	test.settle()
	skynet.trash(block, size)
	check.equal(#test.log("bad argument 'block': another node's memory is not here"), 1)
	check.equal(ask(service, "heard"), { { number, 0x07000005, "in a text" } })
end)

case("misuse_is_told", function()
	check.misuse("'options': table expected, got number", multicast.new, 1)
	check.equal(math.type(multicast.new().channel), "integer")
	check.misuse("'channel' .*integer expected, got string", multicast.new, { channel = "1" })
	check.misuse("'channel' .*integer expected, got float", multicast.new, { channel = 1.5 })
	check.misuse("'channel' .*not the number of a channel", multicast.new, { channel = -1 })
	check.misuse("'ended' .*function expected, got string", multicast.new, { ended = "x" })
	check.misuse("'dispatch' .*function expected, got table", multicast.new, { dispatch = {} })
	check.misuse("'pack' .*function expected", multicast.new, { pack = 1 })
	check.misuse("'unpack' .*function expected", multicast.new, { unpack = 1 })
	local mute = multicast.new({})
	check.misuse("made without a function 'dispatch'", mute.subscribe, mute)
	local one = multicast.new({ channel = mute.channel, dispatch = print })
	local two = multicast.new({ channel = mute.channel, dispatch = print })
	one:subscribe()
	check.misuse("this service has subscribed to %[Multicast:%x+%] already", two.subscribe, two)
	check.raises("Init first", child.start, function()
		require("skynet.multicast").new({})
	end)
	check.raises("string or block expected, got boolean", packet.pack, 1, true)
	local block = skynet.pack(1)
	check.raises("not the size of this block", packet.pack, 1, block, -1)
	skynet.trash(block, 0)
	check.raises("not a message of a channel", packet.unpack, nil, 9)
end)

return cases
