-- multicastd: the channels of this node, and who has subscribed to them. skynet.multicast
-- (lualib/skynet/multicast.lua) is how services use it.
--
--   NEW           -> channel     a new one; its low byte is the number of this node
--   SUB channel                  the sender gets what is published there from now on
--   USUB channel                 not any more
--   DEL channel                  ends it for all
--   PUB channel, block, size     publishes; the block is taken
-- A request of type "multicast" publishes too, without a copy on the way here: the number of its
-- channel, and what is published (lualib-src/skynet_packet.c). What is published on a channel that
-- is not there goes nowhere.

local skynet = require("skynet")
local link = require("skynet.link")
local packet = require("skynet.packet")

local NODE <const> = skynet.harbor(skynet.self())

--- Who has subscribed to each channel.
---@type table<integer, skynet.packet.receivers>
local channels = {}
local channel_count = 0

---@class multicast_subscriber
---@field channels table<integer, true>
---@field unlink fun()

---@type table<integer, multicast_subscriber>
local subscribers = {}

local function forget(address)
	local subscriber = subscribers[address]
	subscribers[address] = nil
	for number in pairs(subscriber and subscriber.channels or {}) do
		channels[number]:remove(address)
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

local function check_number(number)
	if math.type(number) ~= "integer" then
		local text = "bad argument 'channel': the number of a channel expected, got %s"
		error(text:format(type(number)), 0)
	elseif number & 0xff ~= NODE then
		local text = "channel %x belongs to node %d, to which there is no link"
		error(text:format(number, number & 0xff), 0)
	end
end

local function publish(source, number, message, size)
	local receivers = channels[number]
	if receivers then
		packet.send(message, size, source, receivers)
	end
end

local command = {}

function command.NEW()
	channel_count = channel_count + 1
	local number = channel_count << 8 | NODE
	channels[number] = packet.receivers()
	skynet.retpack(number)
end

function command.SUB(source, number)
	check_number(number)
	local receivers = channels[number]
	if not receivers then
		error(("there is no channel %x"):format(number), 0)
	end
	if receivers:add(source) then
		subscribers[source] = subscribers[source]
			or { channels = {}, unlink = link.link(source, forget) }
		subscribers[source].channels[number] = true
	end
	skynet.ret()
end

function command.USUB(source, number)
	check_number(number)
	local receivers = channels[number]
	if receivers and receivers:remove(source) then
		drop(number, source)
	end
end

function command.DEL(_, number)
	check_number(number)
	local receivers = channels[number]
	channels[number] = nil
	for _, address in ipairs(receivers and receivers:all() or {}) do
		drop(number, address)
	end
end

function command.PUB(source, number, block, size)
	local message, bytes = packet.pack(number, block, size)
	local ok, problem = pcall(check_number, number)
	if ok then
		publish(source, number, message, bytes)
	end
	skynet.trash(message, bytes)
	if not ok then
		error(problem, 0)
	end
	skynet.ret()
end

--- Commands that get no answer, but may be sent as requests too.
local SILENT <const> = { USUB = true, DEL = true }

skynet.register_protocol({
	name = "multicast",
	id = skynet.PTYPE_MULTICAST,
	unpack = function(message, size)
		return (packet.unpack(message, size)), message, size
	end,
	dispatch = function(_, source, number, message, size)
		check_number(number)
		publish(source, number, message, size)
		skynet.ret()
	end,
})

skynet.start(function()
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
end)
