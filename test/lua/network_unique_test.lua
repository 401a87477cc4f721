-- skynet.network.unique: when a holder of the office SERVICE is ready. Who holds it, and which
-- nodes are there, is for the test to say.
local skynet = require("skynet")
local test = require("skynet.test")
local check = require("check")
local child = require("child")

local members = { [2] = { up = true } }
local tell_holder ---@type fun(holder: integer)

package.loaded["skynet.harbor"] = {
	members = function()
		skynet.yield() -- as it waits
		return members
	end,
	watch = function() end,
}
package.loaded["skynet.network.office"] = {
	has_candidates = function()
		return true
	end,
	stand = function(_, on_holder)
		tell_holder = on_holder
	end,
}
package.loaded["skynet.link"] = {
	link = function() -- managers of other nodes live for ever
		return function() end
	end,
}
local unique = require("skynet.network.unique")

local OTHER <const> = 2 << 24 | 9
local ADDRESS <const> = OTHER + 1

--- A manager here, as service_mgr has one, and a request that waits. Returns the manager, and
--- whether it has answered.
local function begin()
	local has_answered = {}
	local manager = unique.new({
		run = function()
			skynet.retpack(ADDRESS)
		end,
		adopt = function() end,
		own = function()
			return {}
		end,
	})
	skynet.dispatch("lua", function(_, source, command, ...)
		if command == "HOLDER" then
			manager:answer_manager((...), source, select(2, ...))
		else
			manager:answer(command, source, ...)
		end
	end)
	manager:begin()
	skynet.fork(function()
		has_answered[1] = skynet.call(skynet.self(), "lua", "QUERY", "@name") == ADDRESS
	end)
	return manager, has_answered
end

test.case("a_holder_is_ready_when_all_have_reported", function()
	local manager, has_answered = begin()
	tell_holder(skynet.self())
	skynet.sleep(100)
	check.equal(has_answered, {})
	manager:take_report(OTHER, {})
	skynet.sleep(1)
	check.equal(has_answered, { true })
end)

test.case("who_holds_it_once_more_waits_for_all_reports_once_more", function()
	local _, has_answered = begin()
	tell_holder(skynet.self())
	skynet.sleep(400)
	tell_holder(OTHER)
	tell_holder(skynet.self())
	skynet.sleep(200) -- the time of the first waiting is over
	check.equal(has_answered, {})
	skynet.sleep(400)
	check.equal(has_answered, { true })
end)

test.case("one_question_is_asked_for_all_who_wait", function()
	begin() -- one waits
	local holder = child.start(function(address)
		local questions = 0
		skynet.dispatch("lua", function(_, _, command)
			if command == "HOLDER" then
				questions = questions + 1
				skynet.sleep(10)
				skynet.retpack(math.tointeger(tonumber(address)))
			else
				skynet.retpack(questions)
			end
		end)
		skynet.start(function() end)
	end, ADDRESS)
	local answered = 0
	for _ = 1, 20 do
		skynet.fork(function()
			local address = skynet.call(skynet.self(), "lua", "QUERY", "@name")
			answered = answered + (address == ADDRESS and 1 or 0)
		end)
	end
	tell_holder(holder)
	test.eventually(function()
		return answered == 20
	end)
	check.equal(skynet.call(holder, "lua", "COUNT"), 1)
	check.equal(skynet.call(skynet.self(), "lua", "QUERY", "@name"), ADDRESS) -- it is known
	check.equal(skynet.call(holder, "lua", "COUNT"), 1)
end)

test.case("questions_of_those_who_have_given_up_end", function()
	begin()
	local function ask(name)
		pcall(skynet.call_within, 10, skynet.self(), "lua", "QUERY", name)
	end
	for round = 1, 20 do
		for i = 1, 50 do
			skynet.fork(ask, ("@name%d.%d"):format(round, i))
		end
		skynet.sleep(200)
	end
	check.ok(skynet.task() < 300, skynet.task())
end)

test.case("so_many_requests_wait_for_a_holder", function()
	begin() -- one waits
	local limit = tonumber(skynet.getenv("waiterlimit"))
	local reasons = {}
	for i = 1, limit + 1 do
		skynet.fork(function()
			local _, reason =
				pcall(skynet.call, skynet.self(), "lua", "QUERY", "@other" .. i % 7)
			reasons[#reasons + 1] = reason
		end)
	end
	test.settle()
	check.equal(#reasons, 2)
	local text = "too many requests wait: %d %%(config key waiterlimit%%)"
	check.matches(reasons[1], text:format(limit))
	check.equal(reasons[1], reasons[2])
end)
