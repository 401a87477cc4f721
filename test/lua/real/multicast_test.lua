-- Channels with real threads: packets are made, read and freed on all of them.
local skynet = require("skynet")
require("skynet.manager")
local multicast = require("skynet.multicast")
local test = require("skynet.test")
local child = require("child")

local MESSAGES <const> = 1000
local LISTENERS <const> = 10

--- Counts what comes, and whether it comes in order.
local function listener(number)
	local multicast = require("skynet.multicast") -- luacheck: ignore
	local count, in_order, channel = 0, true, nil
	skynet.start(function()
		channel = multicast.new({
			channel = math.tointeger(tonumber(number)),
			dispatch = function(_, _, i, bytes)
				in_order = in_order and i > count and bytes == ("x"):rep(i)
				count = i
			end,
		})
		channel:subscribe()
		skynet.dispatch("lua", function()
			skynet.retpack(count, in_order, channel ~= nil)
		end)
	end)
end

test.case("all_get_all_in_order_while_some_die", function()
	local channel = multicast.new({})
	local staying, dying = {}, {}
	for i = 1, LISTENERS do
		staying[i] = child.start(listener, channel.channel)
		dying[i] = child.start(listener, channel.channel)
	end
	for i = 1, MESSAGES do
		channel:publish(i, ("x"):rep(i))
		if i % (MESSAGES // LISTENERS) == 0 then
			skynet.kill(table.remove(dying)) -- with messages in its mailbox, as a rule
		end
	end
	for _, service in ipairs(staying) do
		test.eventually(function()
			return skynet.call(service, "lua") == MESSAGES
		end)
		local _, in_order = skynet.call(service, "lua")
		test.equal(in_order, true)
	end
end)
