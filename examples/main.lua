-- main.lua: starts the example: the database, then the watchdog with its gate; then it is done.
local skynet = require("skynet")
require("skynet.manager")

skynet.start(function()
	skynet.error("Server start")
	skynet.newservice("simpledb")
	local port = skynet.getenv("gate_port") or "8888"
	local max_clients = skynet.getenv("gate_max") or "1024"
	local ok, reason = pcall(skynet.newservice, "watchdog", port, max_clients)
	if not ok then
		skynet.error("Server stops: " .. tostring(reason))
		skynet.abort(1)
		return
	end
	skynet.error("Clients are welcome: ./client 127.0.0.1 " .. port:match("%d+$"))
	skynet.exit()
end)
