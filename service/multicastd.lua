-- multicastd: the channels of this node, and who has subscribed to them. skynet.multicast
-- (lualib/skynet/multicast.lua) is how services use it.
--
--   NEW                   -> channel     a new one; its low byte is the number of this node
--   HOME channel          -> address     of the multicastd that it lives with; publish there
--   SUB channel [, home]                 the sender gets what is published there from now on
--   USUB channel                         not any more
--   DEL channel                          ends it for all
--   PUB channel, block, size             publishes; the block is taken
--   SYNC                                 answers: whatever came before has been passed on
-- A request of type "multicast" publishes too, without a copy on the way here: the number of its
-- channel, and what is published (lualib-src/skynet_packet.c). What is published on a channel that
-- is not there goes nowhere.
--
-- A channel of another node lives with the multicastd there, its *home*. For all of this node who
-- have subscribed to it this service subscribes once, and passes on what comes: so the bytes come
-- over the network once. Who publishes does that at the home, whose order is the one for all.
--
-- Subscribers are told that a channel has ended by a message of type "multicast" with the
-- complement of its number, and why as the text: so a multicastd tells those of other nodes, and
-- these theirs. When a home ends, or its node, its channels have ended.

local skynet = require("skynet")
local homes = require("skynet.multicast.homes")
local link = require("skynet.link")
local packet = require("skynet.packet")
local queue = require("skynet.queue")

local NODE <const> = skynet.harbor(skynet.self())
--- That many channels of this node are a leak.
local CHANNELS_MAX <const> = 1 << 20

---@class multicast_channel
---@field receivers skynet.packet.receivers
---@field count integer of receivers
---@field home integer? of a channel of another node
---@field section function? whose tasks join at the home, one at a time
---@field has_joined boolean? this service has subscribed at the home
---@field ended string? why it is not in the table any more; tasks may still wait for its home

---@type table<integer, multicast_channel>
local channels = {}
local next_number = 0
local own_count = 0 -- the channels of this node that are there

---@class multicast_subscriber
---@field channels table<integer, true>
---@field unlink fun()

---@type table<integer, multicast_subscriber>
local subscribers = {}

local function check_number(number)
	if math.type(number) ~= "integer" or number < 0 then
		local text = "bad argument 'channel': the number of a channel expected, got %s"
		error(text:format(tostring(number)), 0)
	end
end

local function is_here(number)
	return number & 0xff == NODE
end

-- --- who has subscribed ----------------------------------------------------------------------

--- When nobody here wants a channel of another node any more, its home need not send it.
local function leave_if_empty(number, channel)
	if channel.count == 0 and channel.has_joined and channels[number] == channel then
		channels[number] = nil
		skynet.send(channel.home, "lua", "USUB", number)
	end
end

local function take_out(number, channel, address)
	if channel and channel.receivers:remove(address) then
		channel.count = channel.count - 1
		leave_if_empty(number, channel)
		return true
	end
end

local function forget(address)
	local subscriber = subscribers[address]
	subscribers[address] = nil
	for number in pairs(subscriber and subscriber.channels or {}) do
		take_out(number, channels[number], address)
	end
end

--- Nobody needs to be told of the death of who has no channel any more.
local function drop(number, address)
	local subscriber = subscribers[address]
	subscriber.channels[number] = nil
	if next(subscriber.channels) == nil then
		subscribers[address] = nil
		subscriber.unlink()
	end
end

local function add(number, channel, address)
	if channel.receivers:add(address) then
		channel.count = channel.count + 1
		subscribers[address] = subscribers[address]
			or { channels = {}, unlink = link.link(address, forget) }
		subscribers[address].channels[number] = true
	end
end

local function remove(number, channel, address)
	if take_out(number, channel, address) then
		drop(number, address)
	end
end

--- The channel has ended: tells all who have subscribed.
local function finish(number, reason)
	local channel = channels[number]
	channels[number] = nil
	own_count = own_count - (is_here(number) and 1 or 0)
	channel.ended = reason
	local addresses = channel.receivers:all()
	local message, size = packet.pack(~number, reason)
	packet.send(message, size, skynet.self(), channel.receivers)
	skynet.trash(message, size)
	channel.receivers, channel.count = packet.receivers(), 0
	for _, address in ipairs(addresses) do
		drop(number, address)
	end
end

-- --- channels of other nodes -----------------------------------------------------------------

local function on_end_of_home(home, reason)
	local numbers = {}
	for number, channel in pairs(channels) do
		if channel.home == home then
			numbers[#numbers + 1] = number
		end
	end
	for _, number in ipairs(numbers) do
		skynet.error(("channel %x has ended: %s"):format(number, reason))
		finish(number, reason)
	end
end

--- A channel of another node, with whoever of this one has subscribed to it already.
local function find_far(number, home)
	local address = homes.find(number, on_end_of_home)
	if home and home ~= address then
		local text = "channel %x has ended: node %d has started anew"
		error(text:format(number, number & 0xff), 0)
	end
	channels[number] = channels[number]
		or { receivers = packet.receivers(), count = 0, home = address, section = queue() }
	return channels[number]
end

local function check_ended(number, channel)
	if channel.ended then
		error(("channel %x has ended: %s"):format(number, channel.ended), 0)
	end
end

--- Subscribes at the home, unless that was done. The channel may end meanwhile, and the home answer
--- all the same, because the link to it was down and is up again: who wanted the channel is told,
--- and nothing is to come from there, unless somebody has begun anew.
local function join(number, channel)
	check_ended(number, channel)
	if not channel.has_joined then
		skynet.call(channel.home, "lua", "SUB", number)
		if channel.ended and not channels[number] then
			skynet.send(channel.home, "lua", "USUB", number)
		end
		check_ended(number, channel)
		channel.has_joined = true
		leave_if_empty(number, channel) -- whoever wanted it may have ended meanwhile
	end
end

local function subscribe_far(number, home, source)
	local channel = find_far(number, home)
	add(number, channel, source)
	local ok, problem = pcall(channel.section, join, number, channel)
	if not ok then
		remove(number, channel, source)
		if channel.count == 0 and channels[number] == channel then
			channels[number] = nil
		end
		error(problem, 0)
	end
end

-- --- commands --------------------------------------------------------------------------------

local function publish(source, number, message, size)
	local channel = channels[number]
	if channel then
		packet.send(message, size, source, channel.receivers)
	end
end

local command = {}

function command.NEW()
	if own_count >= CHANNELS_MAX then
		error(("there are %d channels: delete some"):format(own_count), 0)
	end
	local number = next_number << 8 | NODE
	next_number = next_number + 1
	own_count = own_count + 1
	channels[number] = { receivers = packet.receivers(), count = 0 }
	skynet.retpack(number)
end

function command.HOME(_, number)
	check_number(number)
	skynet.retpack(is_here(number) and skynet.self() or homes.find(number, on_end_of_home))
end

function command.SUB(source, number, home)
	check_number(number)
	if not is_here(number) then
		subscribe_far(number, home, source)
	elseif channels[number] then
		add(number, channels[number], source)
	else
		error(("there is no channel %x"):format(number), 0)
	end
	skynet.ret()
end

function command.USUB(source, number)
	check_number(number)
	remove(number, channels[number], source)
end

function command.DEL(source, number)
	check_number(number)
	if not is_here(number) then
		skynet.redirect(homes.find(number, on_end_of_home), source, "lua", 0,
			skynet.pack("DEL", number))
	elseif channels[number] then
		finish(number, "it was deleted")
	end
end

function command.PUB(source, number, block, size)
	if type(block) ~= "string" and skynet.harbor(source) ~= NODE then
		error("bad argument 'block': another node's memory is not here", 0)
	end
	-- A number that is none is refused when the block has its owner.
	local message, bytes = packet.pack(math.tointeger(number) or -1, block, size)
	local ok, problem = pcall(function()
		check_number(number)
		if is_here(number) then
			publish(source, number, message, bytes)
		else
			local home = homes.find(number, on_end_of_home)
			skynet.redirect(home, source, "multicast", 0, message, bytes)
			message = nil -- it was taken
		end
	end)
	if message then
		skynet.trash(message, bytes)
	end
	if not ok then
		error(problem, 0)
	end
	skynet.ret()
end

function command.SYNC()
	skynet.ret()
end

--- Commands that get no answer, but may be sent as requests too.
local SILENT <const> = { USUB = true, DEL = true }

--- What comes from a home: something published there, or the end of a channel.
local function pass_on(source, number, message, size)
	if number >= 0 then
		publish(source, number, message, size)
	elseif channels[~number] and channels[~number].home == source then
		local _, text, length = packet.unpack(message, size)
		finish(~number, skynet.tostring(text, length))
	end
end

skynet.register_protocol({
	name = "multicast",
	id = skynet.PTYPE_MULTICAST,
	unpack = function(message, size)
		return (packet.unpack(message, size)), message, size
	end,
	dispatch = function(session, source, number, message, size)
		if number >= 0 and is_here(number) then
			publish(source, number, message, size)
		elseif session == 0 then
			pass_on(source, number, message, size)
		else
			check_number(number)
			local text = "channel %x belongs to node %d: publish at its home"
			error(text:format(number, number & 0xff), 0)
		end
		if session ~= 0 then
			skynet.ret()
		end
	end,
})

skynet.start(function()
	skynet.call_timeout(false) -- what nodes tell each other has no deadline but their link
	skynet.dispatch("lua", function(session, source, name, ...)
		local run = command[name]
		if not run then
			error("Unknown command " .. tostring(name), 0)
		end
		run(source, ...)
		if SILENT[name] and session ~= 0 then
			skynet.ret()
		end
	end)
	homes.announce()
end)
