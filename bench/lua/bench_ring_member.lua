-- bench_ring_member.lua ADDRESS: passes every message on to ADDRESS.

local skynet = require "skynet"

local next_member <const> = math.tointeger(...)

skynet.start(function()
	local send = skynet.send
	skynet.dispatch("lua", function(_, _, token)
		send(next_member, "lua", token)
	end)
end)
