--- How the services that make a node part of a network fail to start, when the reason is for people
--- to mend: the config, another machine. Who has started the service tells it, in one line; where
--- in our code it was found would help nobody.
local skynet = require("skynet")

--- Ends this service, whose start function runs: it has failed. Does not return.
---@param name string of the service
---@param reason string
return function(name, reason)
	local text = ("%s (%s): %s"):format(name, skynet.address(skynet.self()), reason)
	skynet.send(".launcher", "lua", "ERROR", text)
	skynet.exit()
end
