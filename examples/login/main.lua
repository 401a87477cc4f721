-- main.lua: starts the login server and a game server, which makes itself known to it; then it is
-- done.
local skynet = require("skynet")

skynet.start(function()
	local login_server = skynet.newservice("logind")
	local game_server = skynet.newservice("gated", login_server)
	skynet.call(game_server, "lua", "open", {
		address = skynet.getenv("game_host"),
		port = tonumber(skynet.getenv("game_port")),
		maxclient = 64,
		servername = "sample",
	})
	skynet.error("Clients are welcome: lua examples/login/client.lua")
	skynet.exit()
end)
