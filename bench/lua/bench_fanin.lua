-- bench_fanin.lua: producers send to this one consumer, as fast as they can; once in a batch each
-- waits until what it sent has been handled, so that what is on the way has a bound.
-- Config: bench_producers, bench_batch, bench_seconds.

local skynet = require "skynet"
local util = require "bench_util"

skynet.start(function()
	local batch <const> = util.number("batch")
	local limit_ns <const> = util.number("seconds") * 1e9
	local hpc = skynet.hpc
	local count = 0
	local begin
	local is_over = false

	local function end_of_batch()
		local elapsed = hpc() - begin
		if elapsed >= limit_ns and not is_over then
			is_over = true
			util.finish("per_s=%.0f", count * 1e9 / elapsed)
		end
		skynet.retpack(not is_over)
	end

	skynet.dispatch("lua", function(session)
		count = count + 1
		if session ~= 0 then
			end_of_batch()
		end
	end)

	local producers = {}
	for i = 1, util.number("producers") do
		producers[i] = skynet.newservice("bench_producer", skynet.self(), batch)
	end
	begin = hpc()
	for _, producer in ipairs(producers) do
		skynet.send(producer, "lua")
	end
end)
