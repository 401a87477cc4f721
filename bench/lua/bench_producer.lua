-- bench_producer.lua ADDRESS BATCH: told to begin, sends BATCH messages at a time to ADDRESS; the
-- last of a batch is a call, whose answer says whether to go on.

local skynet = require "skynet"

local consumer, batch = ...
consumer, batch = math.tointeger(consumer), math.tointeger(batch)

skynet.start(function()
	skynet.dispatch("lua", function()
		local send = skynet.send
		repeat
			for i = 1, batch - 1 do
				send(consumer, "lua", i)
			end
		until not skynet.call(consumer, "lua", batch)
	end)
end)
