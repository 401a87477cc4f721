-- bench_remote_send.lua: messages of 64 bytes to a service of another node. With producers = 0 a
-- service in C sends them, otherwise so many services in Lua do, to one in Lua.
-- Config: bench_producers, bench_batch, bench_seconds.

local skynet = require "skynet"
require "skynet.manager"
local harbor = require "skynet.harbor"
local util = require "bench_util"

local BYTES <const> = 64

local function send_from_lua(producers, batch, seconds)
	local sink = harbor.queryname("LUASINK")
	local total = 0
	util.all(producers, function()
		local producer = skynet.newservice("bench_remote_producer", sink, batch, BYTES)
		local per_s = skynet.call(producer, "lua", seconds)
		total = total + per_s
	end)
	util.finish("per_s=%.0f", total)
end

skynet.start(function()
	local producers, batch = util.number("producers"), util.number("batch")
	local seconds = util.number("seconds")
	if producers > 0 then
		send_from_lua(producers, batch, seconds)
	else
		local sink = harbor.queryname("SINK")
		skynet.launch("bench_stream", ("%d %d %d %f"):format(sink, BYTES, batch, seconds))
	end
end)
