-- bench_call.lua: pairs of services; in each, one calls the other again and again.
-- An integer goes there and comes back. Config: bench_pairs, bench_seconds.

local skynet = require "skynet"
local util = require "bench_util"

skynet.start(function()
	local pairs_wanted <const> = util.number("pairs")
	local seconds <const> = util.number("seconds")
	local clients = {}
	for i = 1, pairs_wanted do
		clients[i] = skynet.newservice("bench_caller", skynet.newservice("bench_answerer"))
	end
	local total = 0
	util.all(pairs_wanted, function(i)
		local per_s = skynet.call(clients[i], "lua", seconds)
		total = total + per_s
	end)
	util.finish("per_s=%.0f", total)
end)
