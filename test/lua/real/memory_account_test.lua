-- What services are charged for, against what the allocator tells. Not in a simulated node, whose
-- memory lies at fixed places.
local skynet = require("skynet")
require("skynet.manager")
local memory = require("skynet.memory")
local socket = require("skynet.socket")
local test = require("skynet.test")
local child = require("child")

-- Sanitizers bring an allocator of their own, that counts nothing.
if not pcall(memory.jestat) then
	test.case("where_the_allocator_does_not_count_nobody_is_charged", function()
		test.equal(memory.total(), 0)
		test.equal(memory.block(), 0)
	end)
	return
end

local function idle()
	skynet.start(function()
		local kept = {}
		skynet.dispatch("lua", function(_, _, what, count)
			if what == "keep" then
				for i = 1, count do
					kept[i] = { i }
				end
			end
			skynet.retpack(#kept)
		end)
	end)
end

local function allocated()
	return memory.jestat()["stats.allocated"]
end

test.case("the_accounts_add_up_to_what_is_allocated", function()
	local services = { child.start(idle) } -- what the first brings in belongs to nobody
	collectgarbage()
	local accounts, all = memory.total(), allocated()
	for i = 2, 300 do
		services[i] = child.start(idle)
		skynet.call(services[i], "lua", "keep", i * 10)
	end
	collectgarbage()
	local accounted, used = memory.total() - accounts, allocated() - all
	test.ok(used > 300 * 20000, used)
	local ratio = accounted / used
	test.ok(ratio > 0.97 and ratio < 1.03, ("%d of %d bytes"):format(accounted, used))
	for _, service in ipairs(services) do
		skynet.kill(service)
	end
end)

test.case("blocks_are_counted", function()
	local before = memory.block()
	local tables = {} -- luacheck: ignore
	for i = 1, 10000 do
		tables[i] = { i }
	end
	local grown = memory.block() - before
	test.ok(grown > 19000 and grown < 30000, grown) -- each is a table and an array
	tables = nil -- luacheck: ignore
	collectgarbage()
	collectgarbage()
	local left = memory.block() - before
	test.ok(left < 5000, left)
end)

test.case("traffic_that_is_over_is_charged_to_nobody", function()
	local echo = child.start(function()
		skynet.start(function()
			skynet.dispatch("lua", function(_, _, ...)
				skynet.retpack(...)
			end)
		end)
	end)
	local function both()
		collectgarbage()
		skynet.call(echo, "debug", "GC")
		local info = memory.info()
		return info[skynet.self()], info[echo]
	end
	local function talk()
		for size = 0, 400 do
			for _ = 1, 10 do
				skynet.call(echo, "lua", ("x"):rep(size))
			end
		end
	end
	talk()
	local mine, its = both()
	talk()
	local mine_after, its_after = both()
	-- 4000 messages of any size: an error of one byte in each would show.
	test.ok(math.abs(mine_after - mine) < 4000, mine_after - mine)
	test.ok(math.abs(its_after - its) < 4000, its_after - its)
	skynet.kill(echo)
end)

--- A TCP connection of this service with itself: both ids.
local function connect_with_itself()
	local accepted, there = nil, {}
	local listener, ip, port = socket.listen("127.0.0.1", 0)
	socket.start(listener, function(id)
		socket.start(id)
		accepted = id
		skynet.wakeup(there)
	end)
	local connected = assert(socket.open(ip, port))
	if not accepted then
		skynet.wait(there)
	end
	socket.close(listener)
	return connected, accepted
end

--- What this service is charged for beside its Lua values.
local function charged_in_c()
	collectgarbage()
	collectgarbage()
	return memory.current() - collectgarbage("count") * 1024
end

test.case("what_went_through_sockets_is_charged_to_nobody", function()
	local function talk()
		local from, to = connect_with_itself()
		for size = 1, 2000 do
			socket.write(from, ("x"):rep(size))
			test.equal(#socket.read(to, size), size)
		end
		socket.close(from)
		test.equal(socket.read(to), false)
		socket.close(to)
	end
	talk()
	local before = charged_in_c()
	talk() -- 2 MB
	local left = charged_in_c() - before
	test.ok(math.abs(left) < 8000, left)
end)

test.case("the_own_account_is_up_to_date", function()
	local before = memory.current()
	local text = ("x"):rep(1000000)
	test.ok(memory.current() - before >= #text)
	test.ok(memory.info()[skynet.self()] - before >= #text)
end)

test.case("who_ends_is_charged_no_more", function()
	local function round()
		for _ = 1, 50 do
			skynet.kill(child.start(idle))
		end
		skynet.sleep(1)
		collectgarbage()
		return memory.info()[skynet.self()]
	end
	round()
	local before = round()
	local after = round()
	test.ok(math.abs(after - before) < 50 * 32, after - before)
end)
