-- bench_remote_call.lua: calls a service of another node, some calls at a time. An integer goes
-- there and comes back. Config: bench_window, bench_seconds.

local skynet = require "skynet"
local harbor = require "skynet.harbor"
local util = require "bench_util"

local LOOK_EVERY <const> = 16

skynet.start(function()
	local limit_ns <const> = util.number("seconds") * 1e9
	local answerer <const> = harbor.queryname("ANSWERER")
	local call, hpc = skynet.call, skynet.hpc
	local count = 0
	call(answerer, "lua", 0) -- the way there is open from now on
	local begin = hpc()
	util.all(util.number("window"), function()
		repeat
			for i = 1, LOOK_EVERY do
				call(answerer, "lua", i)
			end
			count = count + LOOK_EVERY
		until hpc() - begin >= limit_ns
	end)
	util.finish("per_s=%.0f", count * 1e9 / (hpc() - begin))
end)
