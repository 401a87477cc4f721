-- bench_remote_producer.lua ADDRESS BATCH BYTES: told a number of seconds, sends messages of BYTES
-- to ADDRESS that long, and answers with the messages per second. The last of a batch is a call, so
-- what is under way has a bound; two tasks take turns: one sends while the other waits.

local skynet = require "skynet"
local util = require "bench_util"

local address, batch, bytes = ...
address, batch, bytes = math.tointeger(address), math.tointeger(batch), math.tointeger(bytes)

local TASKS <const> = 2
-- A packed string of this length has three bytes in front.
local payload <const> = ("x"):rep(bytes - 3)

skynet.start(function()
	skynet.dispatch("lua", function(_, _, seconds)
		local send, call, hpc = skynet.send, skynet.call, skynet.hpc
		local count = 0
		local begin = hpc()
		util.all(TASKS, function()
			repeat
				for _ = 1, batch - 1 do
					send(address, "lua", payload)
				end
				call(address, "lua", payload)
				count = count + batch
			until hpc() - begin >= seconds * 1e9
		end)
		skynet.retpack(count * 1e9 / (hpc() - begin))
	end)
end)
