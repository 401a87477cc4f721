-- bootstrap: the first Lua service of a node. Starts the launcher, then the service that config key
-- `start` names, and ends.

local skynet = require("skynet")
require("skynet.manager")

skynet.start(function()
	local launcher = assert(skynet.launch("snlua", "launcher"), "can't launch the service 'launcher'")
	skynet.name(".launcher", launcher)

	local start = skynet.getenv("start") or "main"
	local ok, reason = pcall(skynet.newservice, start)
	if not ok then
		skynet.error(("start service '%s' failed (config key start): %s"):format(start, reason))
	end
	skynet.exit()
end)
