-- skynet.network.unique: when a holder of the office SERVICE is ready. Who holds it, and which
-- nodes are there, is for the test to say.
local skynet = require("skynet")
local test = require("skynet.test")
local check = require("check")

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

--- A manager here. Returns it, and whether it has answered a request.
local function begin()
	local has_answered = {}
	local manager = unique.new({
		run = function()
			has_answered[1] = true
		end,
		adopt = function() end,
		own = function()
			return {}
		end,
	})
	manager:begin()
	skynet.fork(manager.answer, manager, "QUERY", skynet.self(), "@name")
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
