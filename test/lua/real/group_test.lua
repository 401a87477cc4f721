-- Groups with real threads: packets are made, read and freed on all of them, while members enter,
-- leave and end, and while the group itself ends.
local skynet = require("skynet")
require("skynet.manager")
local test = require("skynet.test")
local child = require("child")

local MESSAGES <const> = 2000
local MEMBERS <const> = 20
local GROUP <const> = 1

skynet.register_protocol({
	name = "client",
	id = skynet.PTYPE_CLIENT,
	pack = function(i)
		return ("%d "):format(i) .. ("x"):rep(i)
	end,
})

--- Counts what comes, and whether it comes whole and in order.
local function member()
	local last, is_right = 0, true
	skynet.register_protocol({
		name = "client",
		id = skynet.PTYPE_CLIENT,
		unpack = skynet.tostring,
		dispatch = function(session, _, text)
			local number, rest = text:match("^(%d+) (x*)$")
			number = tonumber(number)
			is_right = is_right and session == 0 and number > last and #rest == number
			last = number
		end,
	})
	skynet.dispatch("lua", function()
		skynet.retpack(last, is_right)
	end)
	skynet.start(function()
		skynet.enter_group(1)
	end)
end

local function expect_heard(service, number)
	test.eventually(function()
		local last, is_right = skynet.call(service, "lua")
		assert(is_right, "what has come is wrong")
		return last == number
	end)
end

test.case("members_get_all_in_order_while_others_come_and_go", function()
	local address = skynet.query_group(GROUP)
	local staying, dying = {}, {}
	for i = 1, MEMBERS do
		staying[i], dying[i] = child.start(member), child.start(member)
	end
	for i = 1, MESSAGES do
		skynet.send(address, "client", i)
		if i % (MESSAGES // MEMBERS) == 0 then
			skynet.kill(table.remove(dying)) -- with messages in its mailbox, as a rule
			skynet.leave_group(GROUP, skynet.self())
			skynet.sleep(0)
		end
	end
	for _, service in ipairs(staying) do
		expect_heard(service, MESSAGES)
		skynet.kill(service)
	end
	skynet.clear_group(GROUP)
end)

test.case("a_group_ends_while_its_messages_are_under_way", function()
	for _ = 1, 20 do
		local services = {}
		for i = 1, MEMBERS do
			services[i] = child.start(member)
		end
		local address = skynet.query_group(GROUP)
		for i = 1, 100 do
			skynet.send(address, "client", i)
		end
		skynet.clear_group(GROUP)
		for _, service in ipairs(services) do
			expect_heard(service, 100)
			skynet.kill(service)
		end
	end
end)

test.case("one_group_is_made_by_many_at_once", function()
	local function asker()
		skynet.start(function()
			skynet.dispatch("lua", function(_, _, number)
				skynet.retpack(skynet.query_group(number))
			end)
		end)
	end
	local askers = {}
	for i = 1, 8 do
		askers[i] = child.start(asker)
	end
	for number = 100, 150 do
		local requests = skynet.request()
		for _, address in ipairs(askers) do
			requests({ address, "lua", number })
		end
		local all = {}
		for _, answer in requests:select() do
			all[answer[1]] = true
		end
		assert(all[skynet.query_group(number)] and not next(all, next(all)), "one, for all")
		skynet.clear_group(number)
	end
end)
