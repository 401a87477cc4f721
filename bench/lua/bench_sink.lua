-- bench_sink.lua: takes messages, and answers requests with nothing.

local skynet = require "skynet"

skynet.start(function()
	skynet.dispatch("lua", function(session)
		if session ~= 0 then
			skynet.retpack()
		end
	end)
end)
