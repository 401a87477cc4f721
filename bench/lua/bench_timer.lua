-- bench_timer.lua: timeouts from one service: so many pending at first, and for each that fires a
-- new one, until the total is reached; then until all have fired. They fall due 1 to bench_spread
-- hundredths of a second after they were made.
-- Config: bench_timers (the total), bench_pending, bench_spread.

local skynet = require "skynet"
local util = require "bench_util"

skynet.start(function()
	local total <const> = util.number("timers")
	local pending <const> = util.number("pending")
	local spread <const> = util.number("spread")
	local timeout = skynet.timeout
	local caller = coroutine.running()
	local made, fired = 0, 0

	local function fire()
		fired = fired + 1
		if made < total then
			made = made + 1
			timeout(1 + made % spread, fire)
		elseif fired == total then
			skynet.wakeup(caller)
		end
	end

	local begin = skynet.hpc()
	for i = 1, pending do
		timeout(1 + i % spread, fire)
	end
	made = pending
	local create_ns = skynet.hpc() - begin
	skynet.wait(caller)
	local elapsed = skynet.hpc() - begin
	local create_per_s = pending * 1e9 / create_ns
	util.finish("per_s=%.0f create_per_s=%.0f", total * 1e9 / elapsed, create_per_s)
end)
