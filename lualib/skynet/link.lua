--- skynet.link: to be told when another service ends.
local skynet = require("skynet")

local module = {}

--- Calls f once, when the service ends, in a task of its own. If there is no such service, that is
--- now.
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
	local task = skynet.fork(function()
		local _, reason = pcall(skynet.call, address, "debug", "LINK")
		if is_linked then
			is_linked = false
			f(address, (tostring(reason):gsub("^call failed: ", "")))
		end
	end)
	return function()
		if is_linked and skynet.killthread then
			skynet.killthread(task)
		end
		is_linked = false
	end
end

return module
