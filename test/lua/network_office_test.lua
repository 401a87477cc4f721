-- skynet.network.office: who stands for an office, and who follows it; with a .cslave of the test.
local test = require("skynet.test")
local check = require("check")
local fake_cslave = require("fake_cslave")
local office = require("skynet.network.office")

local cases = {}
local function case(name, body)
	cases[#cases + 1] = { name, body }
end

case("who_stands_hears_of_each_holder_whatever_is_refused", function()
	local asked = fake_cslave({ { 8 }, "too many requests wait", {}, "too many names", { 9 } })
	local holders = {}
	office.stand("OFFICE", function(holder)
		table.insert(holders, holder)
	end)
	test.eventually(function()
		return #asked == 6
	end)
	check.equal(holders, { 8, 9 })
	check.equal(asked, { "REGISTER", "AWAITNAME", "AWAITNAME", "REGISTER", "REGISTER",
		"AWAITNAME" })
	test.logged("error: no news of OFFICE by now: .*too many requests wait")
	test.logged("error: no news of OFFICE by now: .*too many names")
end)

case("who_follows_hears_of_each_holder_whatever_is_refused", function()
	local asked = fake_cslave({ "too many requests wait", { 8 }, "too many", {}, { 9 } })
	local holders = {}
	office.follow("OFFICE", function(holder)
		table.insert(holders, holder)
	end)
	test.eventually(function()
		return #asked == 6
	end)
	check.equal(holders, { 8, 9 })
end)

case("who_cannot_stand_at_all_is_told_at_once", function()
	fake_cslave({ "the global name OFFICE cannot be registered" })
	local ok, problem = pcall(office.stand, "OFFICE")
	check.equal(ok, false)
	check.matches(problem, "the global name OFFICE cannot be registered")
end)

return cases
