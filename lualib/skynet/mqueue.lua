--- Messages that are handled strictly one after another, even where their handler waits. For
--- programs of old; new ones use skynet.queue.
local skynet = require("skynet")
local deliver = require("skynet.deliver")
local queue = require("skynet.queue")

local mqueue = {}

local section = queue()
local handler
--- How many messages have come and are not being handled yet.
local waiting_count = 0

local function check_nothing(...)
	if select("#", ...) > 0 then
		error("the handler of a message that was sent, not called, has returned values", 0)
	end
end

local function handle(session, ...)
	waiting_count = waiting_count - 1
	if session == 0 then
		check_nothing(handler(...))
	else
		skynet.retpack(handler(...))
	end
end

skynet.register_protocol({
	name = "queue",
	id = skynet.PTYPE_QUEUE,
	pack = skynet.pack,
	unpack = skynet.unpack,
	dispatch = function(session, _, ...)
		waiting_count = waiting_count + 1
		section(handle, session, ...)
	end,
})

--- Keeps those outside who come before there is a handler.
local registered = {}
skynet.fork(section, function()
	if not handler then
		skynet.wait(registered)
	end
end)

--- Sets what handles all messages of type "queue", those that have come already, too. Once. What it
--- returns is the answer; to a message that was sent it must return nothing.
---@param f fun(...): ... may wait
function mqueue.register(f)
	if type(f) ~= "function" then
		error(("bad argument 'f': function expected, got %s"):format(type(f)), 2)
	elseif handler then
		error("the handler of queued messages is registered already", 2)
	end
	handler = f
	skynet.wakeup(registered)
end

--- Calls a service that has a handler registered. Waits.
---@param address skynet.address
---@param ... any
---@return any ... what the handler returns
function mqueue.call(address, ...)
	return deliver(pcall(skynet.call, address, "queue", ...))
end

--- Sends to a service that has a handler registered.
---@param address skynet.address
---@param ... any
---@return integer|false|nil sent as of skynet.send
function mqueue.send(address, ...)
	return skynet.send(address, "queue", ...)
end

--- How many messages wait to be handled.
---@return integer
function mqueue.size()
	return waiting_count
end

return mqueue
