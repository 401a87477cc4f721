-- exit_monitor.lua: logs which services have ended, on each node that has it as its exit monitor.
local skynet = require("skynet")

skynet.register_protocol({
	name = "client",
	id = skynet.PTYPE_CLIENT,
	unpack = function() end,
	dispatch = function(_, address)
		skynet.error("has ended: " .. skynet.address(address))
	end,
})

skynet.start(function() end)
