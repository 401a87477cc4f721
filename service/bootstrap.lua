-- bootstrap: the first Lua service of a node. Starts the launcher, then the service that config key
-- `start` names, and ends.

local skynet = require("skynet")
require("skynet.manager")

--- How many services run beside the launcher and this one.
local function count_others()
	local count = 0
	for _ in pairs(skynet.call(".launcher", "lua", "LIST")) do
		count = count + 1
	end
	return count
end

skynet.start(function()
	local launcher = skynet.launch("snlua", "launcher")
	if not launcher then
		skynet.error("error: can't launch the service 'launcher' (config key luaservice)")
		skynet.abort(1)
		return
	end
	skynet.name(".launcher", launcher)

	local start = skynet.getenv("start") or "main"
	local ok, reason = pcall(skynet.newservice, start)
	if not ok then
		local text = "error: the start service '%s' failed (config key start): %s"
		skynet.error(text:format(start, reason))
		-- What it had started before it failed may be all that somebody needs.
		if count_others() == 0 then
			skynet.abort(1)
			return
		end
	end
	skynet.exit()
end)
