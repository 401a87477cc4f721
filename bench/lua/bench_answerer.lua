-- bench_answerer.lua: answers every request with what it got.

local skynet = require "skynet"

skynet.start(function()
	local retpack = skynet.retpack
	skynet.dispatch("lua", function(_, _, value)
		retpack(value)
	end)
end)
