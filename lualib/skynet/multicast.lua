--- Channels: what one service publishes, all that have subscribed get. The service "multicastd"
--- keeps the lists; the packed bytes are shared by all who get them, and copied for nobody. A
--- channel lives on the node that has made it, its home, and can be used on all others.
local skynet = require("skynet")
local core = require("skynet.core")
local packet = require("skynet.packet")

local NODE <const> = skynet.harbor(skynet.self())
local PTYPE_LUA <const> = skynet.PTYPE_LUA
local packstring <const> = skynet.packstring

local multicast = {}

---@class skynet.multicast.channel
---@field channel integer? the number to give to others; nil: the channel was deleted
---@field private home integer the multicastd that it lives with
---@field private has_subscribed boolean? at some time
---@field private is_confirmed boolean? multicastd has said so, the last time
---@field private handler fun(channel: skynet.multicast.channel, source: integer, ...)?
---@field private on_end fun(channel: skynet.multicast.channel, reason: string)?
---@field private pack_values fun(...): lightuserdata|string, integer?
---@field private unpack_values fun(message: lightuserdata, size: integer): ...
local methods = {}

--- The objects whose handlers run, by number. Who drops one has unsubscribed.
---@type table<integer, skynet.multicast.channel>
local subscribed = setmetatable({}, { __mode = "v" })

---@type integer?
local daemon

skynet.init(function()
	daemon = skynet.uniqueservice("multicastd")
end)

local function number_of(channel)
	if not channel.channel then
		error("the channel was deleted", 3)
	end
	return channel.channel
end

--- Tells the daemon, and waits for nothing: the collector may be the caller, or the end of the VM.
local function tell(address, command, number)
	core.send(address, PTYPE_LUA, 0, packstring(command, number))
end

--- Publishes the values; returns when they are on their way. Who publishes on a channel that it has
--- subscribed to gets them too, before this returns. Waits. Raises when the node of the channel is
--- gone.
---@param ... any
function methods:publish(...)
	local number = number_of(self)
	local message, size = packet.pack(number, self.pack_values(...))
	local ok, problem = pcall(skynet.rawcall, self.home, "multicast", message, size)
	if ok and self.home ~= daemon and subscribed[number] == self then
		-- What comes from the home has passed the daemon.
		ok, problem = pcall(skynet.call, daemon, "lua", "SYNC")
	end
	if not ok then
		error(problem, 2)
	end
end

--- The handler runs for whatever is published from now on. Waits. Raises when there is no such
--- channel, or its node is gone.
function methods:subscribe()
	local number = number_of(self)
	local other = subscribed[number]
	if other == self then
		return
	elseif other then
		error(("this service has subscribed to %s already"):format(tostring(self)), 2)
	elseif not self.handler then
		error("the channel was made without a function 'dispatch'", 2)
	end
	subscribed[number] = self
	self.has_subscribed = true
	self.is_confirmed = false
	local ok, problem = pcall(skynet.call, daemon, "lua", "SUB", number, self.home)
	if not ok then
		if subscribed[number] == self then
			subscribed[number] = nil
			tell(daemon, "USUB", number) -- a call whose deadline is over may be obeyed
		end
		error(problem, 2)
	end
	self.is_confirmed = true
end

--- The handler runs no more, from now on.
function methods:unsubscribe()
	local number = number_of(self)
	if subscribed[number] == self then
		subscribed[number] = nil
		tell(daemon, "USUB", number)
	end
end

--- Ends the channel, for all.
function methods:delete()
	local number = number_of(self)
	if subscribed[number] == self then
		subscribed[number] = nil
	end
	self.channel = nil
	tell(self.home, "DEL", number)
end

local channel_mt = { __index = methods }

function channel_mt:__tostring()
	return self.channel and ("[Multicast:%x]"):format(self.channel) or "[Multicast:deleted]"
end

--- By now it is not in `subscribed` any more; if another is there under this number, the
--- subscription is that one's.
function channel_mt:__gc()
	if self.channel and self.has_subscribed and not subscribed[self.channel] then
		tell(daemon, "USUB", self.channel)
	end
end

local OPTIONS <const> = {
	channel = "integer",
	dispatch = "function",
	ended = "function",
	pack = "function",
	unpack = "function",
}

local function check_options(options)
	if type(options) ~= "table" then
		local text = "bad argument 'options': table expected, got %s"
		error(text:format(type(options)), 3)
	end
	for name, expected in pairs(OPTIONS) do
		local value = options[name]
		local got = math.type(value) or type(value)
		if value ~= nil and got ~= expected then
			local text = "bad field '%s' of argument 'options': %s expected, got %s"
			error(text:format(name, expected, got), 3)
		end
	end
	if options.channel and options.channel < 0 then
		error("bad field 'channel' of argument 'options': not the number of a channel", 3)
	end
end

---@class skynet.multicast.options
---@field channel? integer an existing one, of any node; otherwise a new one is made
---@field dispatch? fun(channel: skynet.multicast.channel, source: integer, ...) gets what is
--- published, once subscribe was called
---@field ended? fun(channel: skynet.multicast.channel, reason: string) called when the channel that
--- was subscribed to has ended: it was deleted, or its node is gone
---@field pack? fun(...): lightuserdata|string, integer? skynet.pack, unless given
---@field unpack? fun(message: lightuserdata, size: integer): ... skynet.unpack, unless given; it
--- may only read the message, and only until it returns

--- The multicastd that a channel lives with.
local function home_of(number)
	if not number or number & 0xff == NODE then
		return daemon
	end
	local ok, answer = pcall(skynet.call, daemon, "lua", "HOME", number)
	if not ok then
		error(answer, 3)
	end
	return answer
end

--- Answered at once, so it has no deadline: a channel that nobody gets would stay for ever.
local function new_number()
	local ok, answer = pcall(skynet.call_within, false, daemon, "lua", "NEW")
	if not ok then
		error(answer, 3)
	end
	return answer
end

--- A channel, new or by its number. Waits if it is new, or of another node; raises when that is not
--- there.
---@param options? skynet.multicast.options
---@return skynet.multicast.channel
function multicast.new(options)
	options = options or {}
	check_options(options)
	if not daemon then
		error("Init first: the start function has not begun to run yet", 2)
	end
	local home = home_of(options.channel)
	return setmetatable({
		channel = options.channel or new_number(),
		home = home,
		handler = options.dispatch,
		on_end = options.ended,
		pack_values = options.pack or skynet.pack,
		unpack_values = options.unpack or skynet.unpack,
	}, channel_mt)
end

--- What comes with the complement of a channel's number is why it has ended. While multicastd has
--- not confirmed the subscription, it was meant for an earlier one.
local function finish(number, message, size)
	local channel = subscribed[number]
	if channel and channel.is_confirmed then
		subscribed[number] = nil
		if channel.on_end then
			channel.on_end(channel, skynet.tostring(message, size))
		end
	end
end

skynet.register_protocol({
	name = "multicast",
	id = skynet.PTYPE_MULTICAST,
	unpack = packet.unpack,
	dispatch = function(_, source, number, message, size)
		local channel = subscribed[number]
		if number < 0 then
			finish(~number, message, size)
		elseif channel then -- otherwise it was on its way when it was not wanted any more
			channel.handler(channel, source, channel.unpack_values(message, size))
		end
	end,
})

return multicast
