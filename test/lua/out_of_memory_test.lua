-- Whatever a service does, each of the allocations it needs for that may fail: its callers get an
-- answer or an error, it goes on, and nothing of the attempt is left.
local skynet = require("skynet")
require("skynet.manager")
local test = require("skynet.test")
local check = require("check")
local child = require("child")

local cases = {}
local function case(name, body)
	cases[#cases + 1] = { name, body, { real_deadline = 12000 } }
end

--- How many allocations an action may need at most.
local ALLOCATIONS_MAX <const> = 2000

local function echo()
	skynet.start(function()
		skynet.dispatch("lua", function(_, _, what, ...)
			if what == "fail" then
				error("as you wish")
			end
			skynet.retpack(what, ...)
		end)
	end)
end

--- A service whose actions may fail for want of memory.
local function victim(other)
	local allocator = require("failing_allocator")
	local coroutine = require("skynet.coroutine") -- luacheck: ignore
	local section = require("skynet.queue")()
	local action = {}
	other = math.tointeger(tonumber(other))

	function action.answer()
		skynet.retpack({ 1, 2, { x = ("y"):rep(100) } })
	end

	function action.call()
		skynet.call(other, "lua", { a = { b = "c" } }, ("x"):rep(1000))
		skynet.retpack()
	end

	function action.failed_call()
		pcall(skynet.call, other, "lua", "fail")
		pcall(skynet.call, 0x9999, "lua")
		skynet.retpack()
	end

	function action.call_within()
		skynet.call_within(100, other, "lua", "quick")
		skynet.retpack()
	end

	function action.send()
		skynet.send(other, "lua", { 1, 2, 3 })
		skynet.rawsend(other, "lua", skynet.pack("block"))
		skynet.retpack()
	end

	function action.response()
		local respond = skynet.response()
		skynet.timeout(1, function()
			respond(true, "later")
		end)
	end

	function action.fork()
		local token = {}
		skynet.fork(function()
			skynet.sleep(1)
			skynet.wakeup(token)
		end)
		skynet.sleep(100, token)
		skynet.retpack()
	end

	function action.timer()
		local timer = skynet.timeout(100, function() end)
		skynet.timeout_ms(5, function() end)
		skynet.sleep_ms(1)
		skynet.cancel(timer)
		skynet.retpack()
	end

	function action.select()
		local set = skynet.request({ other, "lua", 1 })({ other, "lua", "fail" })
		for _ in set:select(100) do -- luacheck: ignore
		end
		skynet.retpack()
	end

	function action.coroutine()
		local co = coroutine.wrap(function()
			skynet.sleep(1)
			coroutine.yield(1)
			skynet.call(other, "lua")
		end)
		co()
		co()
		skynet.retpack()
	end

	--- What is called at its end may be what needs a larger stack, at some depth.
	local function enter_at(depth)
		if depth > 0 then
			return (enter_at(depth - 1))
		end
		section(skynet.yield)
	end

	--- The stack of a new coroutine is small.
	local function enter_in_coroutine(depth)
		coroutine.wrap(enter_at)(depth)
	end

	function action.queue()
		for depth = 0, 12 do
			skynet.fork(enter_in_coroutine, depth)
		end
		section(section, skynet.sleep, 1)
		pcall(section, error, "inside")
		coroutine.wrap(section)(skynet.sleep, 1)
		skynet.retpack()
	end

	function action.killed_in_queue()
		local inside = skynet.fork(section, skynet.sleep, 50)
		local waiting = skynet.fork(section, skynet.sleep, 1)
		skynet.yield()
		skynet.killthread(waiting)
		skynet.killthread(inside)
		section(skynet.sleep, 1)
		skynet.retpack()
	end

	function action.error()
		error({ not_a = "text" })
	end

	function action.newservice()
		skynet.kill(skynet.newservice("script", "echo"))
		skynet.retpack()
	end

	function action.inspect()
		skynet.task({})
		skynet.uniqtask()
		skynet.retpack(skynet.task())
	end

	function action.trace()
		skynet.trace("traced")
		skynet.call(other, "lua")
		skynet.tracelog("tag", "text")
		skynet.retpack()
	end

	function action.unpack_error()
		pcall(skynet.unpack, "\6")
		pcall(skynet.pack, print)
		skynet.retpack()
	end

	skynet.start(function()
		skynet.dispatch("lua", function(_, _, name, n)
			if name == "stop" then
				local has_failed = allocator.stop()
				collectgarbage() -- so that a response that was dropped is an error
				collectgarbage()
				skynet.retpack(has_failed, skynet.task())
				return
			end
			allocator.fail_at(n)
			action[name]()
		end)
	end)
end

--- Returns whether an allocation of the action has failed, and how many tasks it has left.
local function stop(service)
	local ok, has_failed, tasks = pcall(skynet.call, service, "lua", "stop")
	if ok then
		return has_failed, tasks
	end
	-- It was this request's allocation that has failed.
	local _, tasks_now = skynet.call(service, "lua", "stop")
	return false, tasks_now
end

--- Makes the first allocation of the action fail, then the second, until none is left to fail.
local function sweep(name)
	local other = child.start(echo)
	local service = child.start(victim, other)
	for n = 1, ALLOCATIONS_MAX do
		local is_over = false
		skynet.fork(function()
			pcall(skynet.call, service, "lua", name, n)
			is_over = true
		end)
		skynet.sleep(200) -- what it has begun comes to its end
		local has_failed, tasks = stop(service)
		test.settle()
		check.ok(is_over, ("%s, allocation %d: the caller waits"):format(name, n))
		check.equal(tasks, 0, ("%s, allocation %d: tasks are left"):format(name, n))
		if not has_failed then
			check.ok(n > 1, "the action allocates")
			return
		end
	end
	test.fail("the action has no end")
end

for _, name in ipairs({
	"answer",
	"call",
	"failed_call",
	"call_within",
	"send",
	"response",
	"fork",
	"timer",
	"select",
	"coroutine",
	"queue",
	"killed_in_queue",
	"error",
	"newservice",
	"inspect",
	"trace",
	"unpack_error",
}) do
	case(name .. "_survives_any_failing_allocation", function()
		sweep(name)
	end)
end

return cases
