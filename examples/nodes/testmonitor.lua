-- testmonitor: has simplemonitor watch a service, and waits for its end. From the console of
-- node 1; config_log.lua starts the monitor.
local skynet = require("skynet")
require("skynet.manager")

local mode = ...

if mode == "mortal" then
	skynet.start(function()
		skynet.dispatch("lua", function()
			skynet.ignoreret() -- an answer never comes
			skynet.timeout(1, skynet.exit)
		end)
	end)
else
	skynet.start(function()
		local monitor = skynet.monitor("simplemonitor", true)
		local mortal = skynet.newservice(SERVICE_NAME, "mortal")
		print("watched: " .. tostring(skynet.call(monitor, "lua", "WATCH", mortal)))
		print("it has ended: " .. select(2, pcall(skynet.call, mortal, "lua")))
		print("watched: " .. tostring(skynet.call(monitor, "lua", "WATCH", mortal)))
		skynet.exit()
	end)
end
