-- bench_noop.lua: a service that is there and has nothing to do.

local skynet = require "skynet"

skynet.start(function()
	skynet.dispatch("lua", function()
		skynet.ret()
	end)
end)
