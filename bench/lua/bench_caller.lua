-- bench_caller.lua ADDRESS: told a number of seconds, calls ADDRESS that long and answers with the
-- calls per second.

local skynet = require "skynet"

local LOOK_EVERY <const> = 256
local peer <const> = math.tointeger(...)

skynet.start(function()
	skynet.dispatch("lua", function(_, _, seconds)
		local call = skynet.call
		local count = 0
		local begin = skynet.hpc()
		local elapsed
		repeat
			for i = 1, LOOK_EVERY do
				call(peer, "lua", i)
			end
			count = count + LOOK_EVERY
			elapsed = skynet.hpc() - begin
		until elapsed >= seconds * 1e9
		skynet.retpack(count * 1e9 / elapsed)
	end)
end)
