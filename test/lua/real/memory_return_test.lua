-- What was used and is over is given back: by services that have ended, by timers that were
-- cancelled, and to the system, by a node that has nothing to do.
local skynet = require("skynet")
require("skynet.manager")
local memory = require("skynet.memory")
local test = require("skynet.test")
local child = require("child")

-- Sanitizers bring an allocator of their own, that tells nothing.
if not pcall(memory.jestat) then
	test.case("without_its_allocator_a_node_tells_nothing_of_its_memory", function()
		test.raises("another allocator than jemalloc", memory.jestat)
	end)
	return
end

local MB <const> = 1024 * 1024
--- What a round may leave behind more than another did: what threads keep for later.
local NOISE_BYTES <const> = MB // 4
--- The allocator's own grows with the peak, which is higher when the last ones end late.
local METADATA_NOISE_BYTES <const> = MB // 2

local function idle()
	skynet.start(function()
		skynet.dispatch("lua", function() end)
	end)
end

--- Nobody has anything left to free.
local function collect()
	collectgarbage()
	collectgarbage()
	skynet.call(".launcher", "debug", "PING")
	skynet.send(".launcher", "debug", "GC")
	skynet.call(".launcher", "debug", "PING")
end

--- Starts and ends so many services.
local function churn(count)
	local key, services = child.key(idle), {}
	for i = 1, count do
		services[i] = skynet.newservice("script", key)
	end
	for _, service in ipairs(services) do
		skynet.kill(service)
	end
end

--- What is in use, but for the test's log service, which keeps all lines; and the allocator's own.
local function in_use()
	collect()
	local log = memory.info()[skynet.localname(".logger")]
	return memory.jestat()["stats.allocated"] - log, memory.mallctl("stats.metadata")
end

test.case("all_threads_share_one_arena", function()
	-- With more, what the allocator itself needs grows until each has once held the peak.
	test.equal(memory.mallctl("opt.narenas"), 1)
end)

test.case("services_that_come_and_go_leave_nothing_behind", function()
	churn(1000)
	churn(1000)
	local allocated, metadata = in_use()
	for round = 3, 6 do
		churn(1000)
		local now, own
		-- The last of them is freed when all workers have done something else.
		local is_freed = pcall(test.eventually, function()
			now, own = in_use()
			return now < allocated + NOISE_BYTES
		end)
		local text = "round %d: %d more bytes than after the second are %s"
		test.ok(is_freed, text:format(round, now - allocated, "in use"))
		test.ok(
			own < metadata + METADATA_NOISE_BYTES,
			text:format(round, own - metadata, "the allocator's")
		)
	end
end)

test.case("a_million_timers_set_and_cancelled_give_their_memory_back", function()
	local function timers(count)
		local all = {}
		for i = 1, count do
			all[i] = skynet.timeout(100000, error)
		end
		local peak = memory.jestat()["stats.allocated"]
		for _, timer in ipairs(all) do
			skynet.cancel(timer)
		end
		all = nil -- luacheck: ignore
		collect()
		return memory.jestat()["stats.allocated"], peak
	end
	local before = timers(1000)
	local after, peak = timers(1000000)
	test.ok(peak > before + 50 * MB, peak - before)
	test.ok(after < before + 3 * MB, after - before)
end)

test.case("an_idle_node_gives_freed_memory_back_to_the_system", function()
	collect()
	local before = memory.jestat()["stats.resident"]
	local blocks = {} -- luacheck: ignore
	for i = 1, 64 * 1024 do
		blocks[i] = ("x"):rep(1000) .. i -- many small ones: their pages are the allocator's
	end
	test.ok(memory.jestat()["stats.resident"] > before + 60 * MB)
	blocks = nil -- luacheck: ignore
	collect()
	local resident
	for _ = 1, 100 do
		resident = memory.jestat()["stats.resident"]
		if resident < before + 16 * MB then
			return
		end
		skynet.sleep(20) -- so long the node is idle
	end
	test.fail(("%d bytes are resident, %d were before"):format(resident, before))
end)
