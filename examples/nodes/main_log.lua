-- main_log: starts what node 2 does for all nodes: globallog, and simplemonitor. Ends with the
-- master.
local skynet = require("skynet")
local harbor = require("skynet.harbor")
require("skynet.manager")

skynet.start(function()
	print("Log server start")
	skynet.monitor("simplemonitor")
	skynet.newservice("globallog")
	harbor.linkmaster()
	print("master is down")
	skynet.exit()
end)
