-- skynet.memory: what the allocator tells.
local skynet = require("skynet")
local memory = require("skynet.memory")
local check = require("check")

local HAS_JEMALLOC <const> = pcall(memory.jestat)

local cases = {}
local function case(name, body)
	cases[#cases + 1] = { name, body }
end

case("current_is_what_the_service_is_charged_for", function()
	check.equal(math.type(memory.current()), "integer")
	local before = memory.current()
	skynet.yield()
	check.ok(math.abs(memory.current() - before) < 1024 * 1024, "about the same")
end)

if HAS_JEMALLOC then
	case("jestat_has_the_sums", function()
		local sums = memory.jestat()
		for name in ("allocated resident retained mapped active"):gmatch("%a+") do
			check.equal(math.type(sums["stats." .. name]), "integer", name)
		end
		check.ok(sums["stats.allocated"] <= sums["stats.active"], "allocated, active")
		check.ok(sums["stats.active"] <= sums["stats.resident"], "active, resident")
	end)

	case("mallctl_gives_values_of_each_kind", function()
		check.equal(math.type(memory.mallctl("stats.allocated")), "integer")
		check.equal(math.type(memory.mallctl("arenas.narenas")), "integer")
		check.equal(type(memory.mallctl("config.debug")), "boolean")
		check.misuse("jemalloc has no value 'no.such'", memory.mallctl, "no.such")
		check.misuse("string expected", memory.mallctl)
	end)

	case("profiling_that_is_not_there_is_told", function()
		check.equal(memory.profactive(), false)
		check.misuse("heap profiling is off", memory.dumpheap)
		check.misuse("heap profiling is off", memory.profactive, true)
	end)
else
	case("without_jemalloc_that_is_told", function()
		for _, name in ipairs({ "jestat", "dumpinfo", "dumpheap", "profactive" }) do
			check.misuse("another allocator than jemalloc", memory[name])
		end
		check.misuse("another allocator than jemalloc", memory.mallctl, "epoch")
	end)
end

return cases
