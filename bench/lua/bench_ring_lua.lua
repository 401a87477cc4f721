-- bench_ring_lua.lua: a ring of services passes tokens on; a token carries one integer.
-- This service is the first of the ring and counts: a token that passes it has made a whole round.
-- Config: bench_services, bench_tokens, bench_seconds.

local skynet = require "skynet"
local util = require "bench_util"

skynet.start(function()
	local size <const> = util.number("services")
	local tokens <const> = util.number("tokens")
	local limit_ns <const> = util.number("seconds") * 1e9
	local send, hpc = skynet.send, skynet.hpc
	local members = { skynet.self() }
	for i = 2, size do
		members[i] = skynet.newservice("bench_ring_member", members[i - 1])
	end
	local next_member <const> = members[size]
	local passes = 0
	local begin

	skynet.dispatch("lua", function(_, _, token)
		passes = passes + 1
		if passes % tokens == 0 then
			local elapsed = hpc() - begin
			if elapsed >= limit_ns then
				return util.finish("per_s=%.0f", passes * size * 1e9 / elapsed)
			end
		end
		send(next_member, "lua", token)
	end)
	begin = hpc()
	for i = 0, tokens - 1 do
		send(members[i * size // tokens + 1], "lua", i)
	end
end)
