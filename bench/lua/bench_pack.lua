-- bench_pack.lua: packs and unpacks one message again and again. Config: bench_seconds.

local skynet = require "skynet"
local util = require "bench_util"

local ROUNDS <const> = 10000

local function round_trips(n)
	local pack, unpack, trash = skynet.pack, skynet.unpack, skynet.trash
	local object <const> = {
		id = 12345, name = "some player", hp = 0.75, alive = true,
		pos = { x = 1.5, y = 2.5 }, items = { 1, 2, 3, 4, 5, 6, 7, 8 },
	}
	for i = 1, n do
		local block, size = pack("cmd", i, object)
		local name, number, copy = unpack(block, size)
		trash(block, size)
		if name ~= "cmd" or number ~= i or copy.items[8] ~= 8 then
			error("the copy is not what was packed")
		end
	end
end

skynet.start(function()
	local duration <const> = util.number("seconds") * 1e9
	round_trips(ROUNDS)
	local begin = skynet.hpc()
	local count = 0
	repeat
		round_trips(ROUNDS)
		count = count + ROUNDS
	until skynet.hpc() - begin >= duration
	util.finish("per_s=%.0f", count * 1e9 / (skynet.hpc() - begin))
end)
