-- mygate_main.lua: opens mygate. Config key: port.
local skynet = require "skynet"

skynet.start(function()
	local gate = skynet.newservice "mygate"
	local port = tonumber(skynet.getenv "port")
	local conf = { address = "127.0.0.1", port = port, maxclient = 64 }
	assert(skynet.call(gate, "lua", "open", conf) == "opened")
	assert(skynet.call(gate, "lua", "count") == 0)
	skynet.error "ready"
end)
