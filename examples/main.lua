-- main.lua: starts the example: the database, then the watchdog with its gate; then it is done.
local skynet = require("skynet")

skynet.start(function()
	skynet.error("Server start")
	skynet.newservice("simpledb")
	local port = skynet.getenv("gate_port") or "8888"
	local max_clients = skynet.getenv("gate_max") or "1024"
	skynet.newservice("watchdog", port, max_clients)
	skynet.exit()
end)
