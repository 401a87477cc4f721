-- bench_launch.lua: starts services one after the other. Config: bench_services.

local skynet = require "skynet"
local util = require "bench_util"

-- Not counted: what the first ones bring in (code, tables that grow once).
local WARM_UP <const> = 20

skynet.start(function()
	local n <const> = util.number("services")
	for _ = 1, WARM_UP do
		skynet.newservice("bench_noop")
	end
	local resident = util.resident_bytes()
	local begin = skynet.hpc()
	for _ = 1, n do
		skynet.newservice("bench_noop")
	end
	local elapsed = skynet.hpc() - begin
	local each = (util.resident_bytes() - resident) / n
	util.finish("per_s=%.0f kb_each=%.1f", n * 1e9 / elapsed, each / 1024)
end)
