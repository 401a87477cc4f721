-- The memory of a service: its limit, and what happens there.
local skynet = require("skynet")
require("skynet.manager")
local check = require("check")
local child = require("child")
local log = require("log")

local cases = {}
local function case(name, body)
	cases[#cases + 1] = { name, body }
end

local function limited()
	skynet.memlimit(8 * 1024 * 1024)
	local again, reason = pcall(skynet.memlimit, 1 << 30)
	local command = {}
	local kept = {}

	function command.again()
		skynet.retpack(again, reason)
	end

	function command.eat()
		while true do
			kept[#kept + 1] = ("x"):rep(10000 + #kept)
		end
	end

	function command.eat_and_defer()
		pcall(command.eat)
		skynet.response()(true, #kept > 100)
	end

	function command.eat_and_fork()
		pcall(command.eat)
		local forks = 0
		local ok, text
		repeat
			ok, text = pcall(skynet.fork, skynet.wait)
			forks = forks + 1
		until not ok or forks > 100000
		kept = {}
		skynet.retpack(ok, text)
	end

	function command.free()
		kept = {}
		collectgarbage()
		skynet.retpack("free")
	end

	function command.large(size)
		skynet.retpack(#("x"):rep(size))
	end

	skynet.start(function()
		skynet.dispatch("lua", function(_, _, name, ...)
			command[name](...)
		end)
	end)
end

case("a_service_at_its_limit_fails_requests_and_lives_on", function()
	local mark = log.mark()
	local service = child.start(limited)
	log.wait(mark, "Set memory limit to 8%.00 M")
	local ok, text = skynet.call(service, "lua", "again")
	check.equal(ok, false)
	check.matches(text, "the memory limit is set already")
	for _ = 1, 3 do
		check.raises("call failed", skynet.call, service, "lua", "eat")
		log.wait(mark, "memory")
		-- While nothing is free, anything may fail, but the caller hears of it.
		for _ = 1, 20 do
			pcall(skynet.call, service, "lua", "again")
		end
		for _ = 1, 5 do
			pcall(skynet.call, service, "lua", "eat_and_defer")
		end
		while not pcall(skynet.call, service, "lua", "free") do
			skynet.yield()
		end
		check.equal(skynet.call(service, "lua", "large", 1000000), 1000000)
	end
	check.raises("call failed", skynet.call, service, "lua", "large", 9 * 1024 * 1024)
	check.equal(skynet.call(service, "lua", "free"), "free")
	skynet.kill(service)
end)

case("forks_fail_cleanly_without_memory", function()
	local service = child.start(limited)
	local answered, ok, text = pcall(skynet.call, service, "lua", "eat_and_fork")
	if answered then
		check.equal(ok, false)
		check.matches(text, "not enough memory")
	end
	skynet.kill(service)
end)

case("a_limit_too_small_for_the_start_fails_newservice", function()
	-- From one that leaves nothing to one that almost suffices.
	for _, limit in ipairs({ 1, 20000, 30000, 100000, 1000000 }) do
		local mark = log.mark()
		check.raises("call failed: .*script", child.start, function(bytes)
			skynet.memlimit(math.tointeger(tonumber(bytes)))
			skynet.start(function()
				local text = "x"
				for _ = 1, 20 do
					text = text .. text
				end
			end)
		end, limit)
		log.wait(mark, "memory")
	end
end)

case("a_limit_counts_from_the_end_of_the_main_chunk_on", function()
	local service = child.start(function()
		local early = pcall(skynet.memlimit, 1024 * 1024)
		local size = #("x"):rep(1024):rep(4 * 1024)
		collectgarbage()
		skynet.start(function()
			local late, reason = pcall(skynet.memlimit, 1 << 30)
			skynet.dispatch("lua", function(_, _, bytes)
				skynet.retpack(early, size, late, reason, #("x"):rep(bytes))
			end)
		end)
	end)
	local early, size, late, reason = skynet.call(service, "lua", 1000)
	check.equal({ early, size, late }, { true, 4 * 1024 * 1024, false })
	check.matches(reason, "in the main chunk only")
	check.raises("not enough memory", skynet.call, service, "lua", 1024 * 1024)
	skynet.kill(service)
end)

case("wrong_limits_are_refused", function()
	local service = child.start(function()
		local reasons = {}
		for _, limit in ipairs({ 0, -1, 1.5, "many" }) do
			reasons[#reasons + 1] = select(2, pcall(skynet.memlimit, limit))
		end
		skynet.dispatch("lua", function()
			skynet.retpack(reasons)
		end)
		skynet.start(function() end)
	end)
	local reasons = skynet.call(service, "lua")
	check.equal(#reasons, 4)
	for _, reason in ipairs(reasons) do
		check.matches(reason, "bad argument #1 to '[%w.]*memlimit'")
	end
end)

case("a_growing_service_is_named_in_the_log", function()
	local mark = log.mark()
	local service = child.start(function()
		skynet.dispatch("lua", function()
			-- In large steps: sanitizers are slow.
			local text = ("x"):rep(1024):rep(70 * 1024)
			skynet.retpack(#text)
		end)
		skynet.start(function() end)
	end)
	skynet.call(service, "lua")
	log.wait(mark, ("%%[:%08x%%] Memory warning %%d+%%.%%d%%d M"):format(service))
	skynet.kill(service)
end)

return cases
