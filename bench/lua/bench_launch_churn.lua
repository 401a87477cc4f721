-- bench_launch_churn.lua: starts many services and ends them, again and again, and tells what of
-- the memory stays. Config: bench_services, bench_rounds.

local skynet = require "skynet"
require "skynet.manager"
local memory = require "skynet.memory"
local util = require "bench_util"

local MB <const> = 1e6
-- The node is idle for so long after a round, so that it gives back what it does not use.
local IDLE_CS <const> = 150

local function start_all(n)
	local services = {}
	for i = 1, n do
		services[i] = skynet.newservice("bench_noop")
	end
	return services
end

local function end_all(services)
	for _, service in ipairs(services) do
		skynet.kill(service)
	end
	collectgarbage()
	skynet.send(".launcher", "debug", "GC")
	skynet.sleep(IDLE_CS)
end

--- Returns resident bytes with the services and without them, and the bytes in use without them.
local function run_round(n)
	local services = start_all(n)
	local up = util.resident_bytes()
	end_all(services)
	services = nil -- luacheck: ignore
	collectgarbage()
	return up, util.resident_bytes(), memory.jestat()["stats.allocated"]
end

skynet.start(function()
	local n <const>, rounds <const> = util.number("services"), util.number("rounds")
	local begin = skynet.hpc()
	local first_up, first_down = run_round(n)
	local up, down, used
	for _ = 2, rounds do
		up, down, used = run_round(n)
	end
	local seconds = (skynet.hpc() - begin) / 1e9 - rounds * IDLE_CS / 100
	local format = "per_s=%.0f up=%.4f down=%.4f first_up_mb=%.1f first_down_mb=%.1f "
		.. "used_mb=%.2f"
	util.finish(
		format,
		n * rounds / seconds,
		up / first_up,
		down / first_down,
		first_up / MB,
		first_down / MB,
		used / MB
	)
end)
