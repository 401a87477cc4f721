--- skynet.forward_type and skynet.filter: services that change messages before they are dispatched.
local skynet = require("skynet")
local core = require("skynet.core")

local module = {}

local function check_function(f, name)
	if type(f) ~= "function" then
		error(("bad argument '%s': function expected, got %s"):format(name, type(f)), 3)
	end
end

local function is_type(number)
	return math.type(number) == "integer" and number >= 0 and number <= 255
end

--- As skynet.start, for a service that passes the bytes of messages on. Messages whose type is a
--- key of `map` are dispatched as type map[type], and their handler owns the block: it sends it on,
--- or frees it with skynet.trash. Other messages are handled and freed as usual.
---@param map table<integer, integer>
---@param f fun() may wait
function module.forward_type(map, f)
	if type(map) ~= "table" then
		error(("bad argument 'map': table expected, got %s"):format(type(map)), 2)
	end
	for from, to in pairs(map) do
		if not is_type(from) or not is_type(to) then
			error("bad argument 'map': numbers of message types expected, 0 to 255", 2)
		end
	end
	check_function(f, "f")
	skynet.start(f)
	core.callback(function(type_id, message, size, session, source)
		local to = map[type_id]
		if to and skynet.dispatch(to) then
			skynet.dispatch_message(to, message, size, session, source)
		else
			skynet.dispatch_message(to or type_id, message, size, session, source)
			skynet.trash(message, size)
		end
	end, true)
end

--- As skynet.start, but every message goes through `filter` first:
--- `type, message, size, session, source = filter(type, message, size, session, source)`.
--- What it returns is dispatched. The block it was given is freed as usual afterwards; another one
--- that it returns stays its own. It must not wait.
---@param filter fun(type: integer, message: lightuserdata, size: integer, ...: integer): ...
---@param f fun() may wait
function module.filter(filter, f)
	check_function(filter, "filter")
	check_function(f, "f")
	skynet.start(f)
	core.callback(function(...)
		skynet.dispatch_message(filter(...))
	end)
end

return module
