-- testharborlink: waits for node 2, and for its end. Started from the console of node 1, which
-- reads its next line when this has started; so it waits in a task of its own.
local skynet = require("skynet")
local harbor = require("skynet.harbor")

local function watch_node_2()
	print("wait for harbor 2")
	print("run skynet examples/nodes/config_log.lua please")
	harbor.connect(2)
	print("harbor 2 connected")
	print("LOG =", skynet.address(harbor.queryname("LOG")))
	harbor.link(2)
	print("disconnected")
end

skynet.start(function()
	skynet.fork(watch_node_2)
end)
