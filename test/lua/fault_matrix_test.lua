-- Whatever happens to a service, everybody who waits for it goes on, with an error that says what
-- has happened; and nothing is left over. One case for each fault and each way to ask.
local skynet = require("skynet")
require("skynet.manager")
local core = require("skynet.core")
local simulation = require("skynet.simulation")
local internals = require("skynet.internals")
local check = require("check")
local child = require("child")

--- How many ask at once, where several can.
local ASKERS <const> = 3
--- The limit for those that get no answer at all, in cs.
local SHORT_CS <const> = 20
--- For those that do: only the deadline of the case, for a busy machine may need any time.
local NO_LIMIT <const> = false

-- The victim: does `fault` while it is asked in that `way`.
local function victim(parent, fault_name, way, askers)
	parent, askers = tonumber(parent), tonumber(askers)
	local queue = require("skynet.queue")
	local faults = {}

	function faults.exits()
		skynet.exit()
	end

	function faults.raises()
		error("raised on purpose", 0)
	end

	function faults.is_killed_while_idle() end

	function faults.is_killed_while_handling()
		skynet.call(parent, "lua", "here", skynet.self())
		skynet.wait()
	end

	function faults.is_killed_with_a_backlog()
		if way == "init" or way == "newservice" then
			-- It is asked, and then the answer to this call comes, before it is asked.
			skynet.call(parent, "lua", "here", skynet.self())
		end
		while skynet.mqlen() < askers - 1 do -- luacheck: ignore
		end
		skynet.kill(skynet.self())
		skynet.wait()
	end

	function faults.reaches_its_memory_limit()
		local rows = {}
		while true do
			rows[#rows + 1] = ("x"):rep(1000) .. #rows
		end
	end

	function faults.never_answers()
		skynet.wait()
	end

	function faults.loops_for_ever()
		skynet.send(parent, "lua", "here", skynet.self())
		while true do -- luacheck: ignore
		end
	end

	local fault = faults[fault_name]
	if fault_name == "reaches_its_memory_limit" then
		skynet.memlimit(4 * 1024 * 1024)
	end

	local ways, responses, section = {}, {}, queue()

	function ways.call()
		fault()
		skynet.retpack("survived")
	end

	ways.select = ways.call

	function ways.response()
		responses[#responses + 1] = skynet.response()
		skynet.fork(fault)
	end

	function ways.fork()
		skynet.fork(fault)
		skynet.wait()
	end

	function ways.queue()
		section(fault)
		skynet.retpack("survived")
	end

	skynet.dispatch("lua", function(_, _, word)
		if word == "ping" then
			skynet.retpack("pong")
		elseif word == "ask" then
			ways[way]()
		end
	end)
	if way == "init" then
		skynet.init(fault)
	end
	skynet.start(way == "newservice" and fault or function() end)
end

-- The parent's side ----------------------------------------------------------------------------

--- What to do when a victim is where its fault is; of the case that runs.
local on_here

skynet.dispatch("lua", function(session, _, word, address)
	check.equal(word, "here")
	if session ~= 0 then
		skynet.retpack()
	end
	skynet.fork(on_here, address)
end)

--- Begins f(i) in so many tasks. Returns a function that waits for all, and gives their results:
--- { [i] = { ok, result or reason } }.
local function begin(count, f)
	local results, left, done = {}, count, {}
	for i = 1, count do
		skynet.fork(function()
			results[i] = { pcall(f, i) }
			left = left - 1
			skynet.wakeup(done)
		end)
	end
	return function()
		while left > 0 do
			skynet.wait(done)
		end
		return results
	end
end

local function start_victim(fault, way)
	return child.start(victim, skynet.self(), fault, way, ASKERS)
end

--- Asks the victim. Each returns what begin does.
local asks = {}

function asks.call(fault, way, limit_cs)
	local address = start_victim(fault, way)
	if fault == "is_killed_while_idle" and way ~= "response" then
		skynet.kill(address)
	end
	return address, begin(ASKERS, function()
		return skynet.call_within(limit_cs, address, "lua", "ask")
	end)
end

asks.response, asks.fork, asks.queue = asks.call, asks.call, asks.call

function asks.select(fault, way, limit_cs)
	local address = start_victim(fault, way)
	if fault == "is_killed_while_idle" then
		skynet.kill(address)
	end
	local set = skynet.request()
	for _ = 1, ASKERS do
		set:add({ address, "lua", "ask" })
	end
	return address, function()
		local results = {}
		for _, answer, reason in set:select(limit_cs or nil) do
			results[#results + 1] = { answer and true, answer and answer[1] or reason }
		end
		for i = #results + 1, ASKERS do
			check.equal(set.timeout, true)
			results[i] = { false, "no answer within the limit of select" }
		end
		return results
	end
end

function asks.newservice(fault, way, limit_cs)
	if fault == "is_killed_while_idle" then
		return asks.call(fault, way, limit_cs)
	end
	return nil, begin(1, function()
		local former = skynet.call_timeout(limit_cs)
		local ok, result = pcall(start_victim, fault, way)
		skynet.call_timeout(former)
		if not ok then
			error(result, 0)
		end
		return result
	end)
end

asks.init = asks.newservice

--- What the victims tell their askers, if it is not the same for all ways.
local REQUEST <const> = { call = true, select = true, queue = true }
local START <const> = { init = true, newservice = true }
local NO_ANSWER <const> = "no answer within"

---@type table<string, fun(way: string): string|false> a pattern; false: no error
local expected = {}

function expected.exits(way)
	return not START[way] and "it has ended before it "
end

--- Of a fault that ends a task but not the service.
local function of_task(text)
	return function(way)
		return (REQUEST[way] or START[way]) and text or NO_ANSWER
	end
end

expected.raises = of_task("raised on purpose")
expected.reaches_its_memory_limit = of_task("not enough memory")
expected.loops_for_ever = of_task("signal 0")

function expected.is_killed_while_idle(way)
	return way == "response" and "it was killed by :%x+ before it answered"
		or "call to invalid address"
end

function expected.is_killed_while_handling(way)
	return START[way] and "it was killed while it started"
		or "it was killed by :%x+ before it answered"
end

function expected.is_killed_with_a_backlog(way)
	return START[way] and "it was killed while it started" or "before it "
end

function expected.never_answers()
	return NO_ANSWER
end

--- Kills a victim that has taken the requests over, and is at rest.
local function kill_when_asked(address)
	skynet.yield() -- they have asked
	check.equal(skynet.call(address, "lua", "ping"), "pong")
	skynet.kill(address)
end

local function find_victims()
	local found = {}
	for address, description in pairs(skynet.call(".launcher", "lua", "LIST")) do
		if description:find(child.key(victim), 1, true) then
			found[#found + 1] = tonumber(address:sub(2), 16)
		end
	end
	return found
end

--- Sets on_here. Returns a function that ends what it has begun, and gives the finish of a backlog.
local function prepare(fault, way)
	local is_over, backlog = false, nil
	if fault == "is_killed_while_handling" then
		on_here = function(address)
			on_here = function() end
			-- All requests were sent before this one, so the victim has them in hand.
			if not START[way] then
				check.equal(skynet.call(address, "lua", "ping"), "pong")
			end
			skynet.kill(address)
		end
	elseif fault == "is_killed_with_a_backlog" then
		on_here = function(address)
			backlog = begin(ASKERS, function()
				return skynet.call(address, "lua", "ask")
			end)
		end
	elseif fault == "loops_for_ever" then
		on_here = function(address)
			on_here = function() end
			repeat
				core.command("SIGNAL", skynet.address(address) .. " 0")
				skynet.sleep(1)
			until is_over
		end
	end
	return function()
		is_over = true
		return backlog
	end
end

--- In real time a victim that exits may be gone before the last has asked.
local function is_too_late(text, pattern)
	return not simulation.seed()
		and pattern == expected.exits("call")
		and text:find("call to invalid address", 1, true)
end

local function check_results(results, pattern)
	for _, result in ipairs(results) do
		if pattern then
			check.equal(result[1] or false, false)
			if not is_too_late(result[2], pattern) then
				check.matches(result[2], pattern)
			end
		else
			check.equal(result, { true })
		end
	end
end

local function check_nothing_is_left(count, fault, way)
	for _, address in ipairs(find_victims()) do
		if REQUEST[way] and fault ~= "never_answers" then
			-- It lives on, and nothing waits in it.
			check.equal(skynet.call(address, "debug", "STAT").task, 0)
		end
		skynet.kill(address)
	end
	while internals.count() ~= count do
		skynet.sleep(1) -- ends with the case, if something stays
	end
	check.equal(#find_victims(), 0)
	for _, text in pairs(skynet.call(".launcher", "lua", "STAT")) do
		check.ok(text ~= "ERROR", "all other services live on")
	end
end

local cases = {}

-- Who loops for ever is interrupted by another thread, which a simulated node does not have: that
-- row is for real/fault_matrix_test.lua.
if simulation.seed() then
	expected.loops_for_ever = nil
end

for fault in pairs(expected) do
	for way in pairs(asks) do
		cases[#cases + 1] = {
			("%s_x_%s"):format(fault, way),
			function()
				local count = internals.count()
				local finish_acts = prepare(fault, way)
				local pattern = expected[fault](way)
				local limit_cs = pattern == NO_ANSWER and SHORT_CS or NO_LIMIT
				local address, finish = asks[way](fault, way, limit_cs)
				if fault == "is_killed_while_idle" and way == "response" then
					kill_when_asked(address)
				end
				check_results(finish(), pattern)
				local finish_backlog = finish_acts()
				if finish_backlog then
					check_results(finish_backlog(), "before it ")
				end
				check_nothing_is_left(count, fault, way)
			end,
		}
	end
end

table.sort(cases, function(a, b)
	return a[1] < b[1]
end)

return cases
