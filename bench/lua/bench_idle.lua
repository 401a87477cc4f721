-- bench_idle.lua: starts services that have nothing to do, then says READY and is one of them.
-- Config: bench_services.

local skynet = require "skynet"
local util = require "bench_util"

skynet.start(function()
	for _ = 1, util.number("services") do
		skynet.newservice("bench_noop")
	end
	util.print("READY")
end)
