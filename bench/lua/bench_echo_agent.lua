-- bench_echo_agent.lua: sends every frame back to the connection it came from.

local skynet = require "skynet"
local driver = require "skynet.socketdriver"

local string_pack = string.pack

skynet.register_protocol {
	name = "client",
	id = skynet.PTYPE_CLIENT,
	unpack = skynet.tostring,
	dispatch = function(id, _, payload)
		skynet.ignoreret() -- here the session is the connection
		driver.send(id, string_pack(">s2", payload))
	end,
}

skynet.start(function() end)
