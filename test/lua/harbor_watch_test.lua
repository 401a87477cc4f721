-- skynet.harbor.watch on a node of a network; the .cslave that it asks is the test itself.
local skynet = require("skynet")
local test = require("skynet.test")
local check = require("check")
local fake_cslave = require("fake_cslave")

--- Loads skynet.harbor as a node of a network does, which this one is not.
local function load_harbor()
	local getenv = skynet.getenv
	skynet.getenv = function(key)
		return key == "harbor" and "1" or getenv(key)
	end
	local harbor = require("skynet.harbor")
	skynet.getenv = getenv
	return harbor
end

local harbor = load_harbor()

test.case("who_watches_hears_of_events_whatever_is_refused", function()
	fake_cslave({
		{ 7 },
		{ { { kind = "up", id = 2 } }, 8 },
		"too many requests wait",
		"too many requests wait",
		{ { { kind = "down", id = 2, reason = "ended" }, { kind = "up", id = 3 } }, 10 },
	})
	local heard = {}
	harbor.watch(function(...)
		table.insert(heard, { ... })
	end)
	test.eventually(function()
		return #heard == 3
	end)
	check.equal(heard, { { "up", 2 }, { "down", 2, "ended" }, { "up", 3 } })
	test.logged("error: skynet.harbor.watch: no events by now: .*too many requests wait")
end)
