--- skynet.link: to be told when another service ends.
local skynet = require("skynet")
local core = require("skynet.core")

local module = {}

--- Calls f once, when the service has ended, in a task of its own; at once if there is no such
--- service. Its handle, names and sockets are free then.
---@param address integer
---@param f fun(address: integer, reason: string) may wait
---@return fun() unlink f is not called any more
function module.link(address, f)
	if math.type(address) ~= "integer" then
		error("bad argument 'address': a handle expected, got " .. type(address), 2)
	elseif type(f) ~= "function" then
		error(("bad argument 'f': function expected, got %s"):format(type(f)), 2)
	end
	local is_linked = true
	local session = core.link(address)
	skynet.fork(function()
		-- Where it was unlinked before this begins, nobody would end the waiting.
		local reason = is_linked and session and core.await_end(session, address)
		if is_linked then
			is_linked = false
			f(address, reason or "there is no such service")
		end
	end)
	return function()
		if is_linked and session then
			core.unlink(address, session)
		end
		is_linked = false
	end
end

return module
