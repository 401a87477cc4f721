-- bench_fanout.lua: the same job once in one service, once at the same time in as many idle
-- services as there are cores; the time until the last has answered. Between two rounds the node
-- is idle long enough for its workers to fall asleep.
-- Config: bench_services (cores), bench_rounds.

local skynet = require "skynet"
local util = require "bench_util"

local JOB_NS <const> = 1e6

local function median(list)
	table.sort(list)
	return list[#list // 2 + 1]
end

skynet.start(function()
	local services <const> = util.number("services")
	local workers = {}
	for i = 1, services do
		workers[i] = skynet.newservice("bench_job")
	end

	local function round(n)
		skynet.sleep(1)
		local caller = coroutine.running()
		local answered = 0
		local begin = skynet.hpc()
		for i = 1, n do
			skynet.fork(function()
				skynet.call(workers[i], "lua", "run")
				answered = answered + 1
				if answered == n then
					skynet.wakeup(caller)
				end
			end)
		end
		skynet.wait(caller)
		return skynet.hpc() - begin
	end

	-- The same number of steps everywhere: about one millisecond on an idle core.
	local steps = skynet.call(workers[1], "lua", "calibrate", JOB_NS)
	for i = 1, services do
		skynet.call(workers[i], "lua", "steps", steps)
	end
	local alone, together = {}, {}
	for i = 1, util.number("rounds") do
		alone[i] = round(1)
		together[i] = round(services)
	end
	local alone_ns, together_ns = median(alone), median(together)
	util.finish("alone_us=%.1f all_us=%.1f times=%.3f", alone_ns / 1e3, together_ns / 1e3,
		together_ns / alone_ns)
end)
