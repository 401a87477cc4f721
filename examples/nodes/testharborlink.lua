-- testharborlink: waits for node 2, and for its end. Started from the console of node 1.
local skynet = require("skynet")
local harbor = require("skynet.harbor")

skynet.start(function()
	print("wait for harbor 2")
	print("run skynet examples/nodes/config_log.lua please")
	harbor.connect(2)
	print("harbor 2 connected")
	print("LOG =", skynet.address(harbor.queryname("LOG")))
	harbor.link(2)
	print("disconnected")
end)
