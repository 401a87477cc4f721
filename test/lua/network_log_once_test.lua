-- skynet.network.log_once: what would be said again and again is said once a minute.
local skynet = require("skynet")
local test = require("skynet.test")
local check = require("check")
local log_once = require("skynet.network.log_once")

local case = test.case
local MINUTE_CS <const> = 6000

local function count(text)
	return #test.log(text)
end

case("a_text_comes_once_a_minute_for_each_subject", function()
	local log = log_once.new()
	log:error("ann", "no money")
	log:error("ann", "no money")
	check.equal(count("no money"), 1)
	log:error("bob", "no money")
	check.equal(count("no money"), 2)
	skynet.sleep(MINUTE_CS)
	log:error("ann", "no money")
	check.equal(count("no money"), 3)
end)

case("another_text_comes_at_once_and_so_does_the_first_behind_it", function()
	local log = log_once.new()
	log:error("ann", "no money")
	log:error("ann", "no time")
	log:error("ann", "no money")
	check.equal(count("no money"), 2)
	check.equal(count("no time"), 1)
end)

case("numbers_that_always_change_do_not_make_it_another_one", function()
	local log = log_once.new()
	for port = 1, 10 do
		log:error("ann", ("ann:%d has no money"):format(port), "no money")
	end
	check.equal(count("has no money"), 1)
	log:error("ann", "ann:11 has no time", "no time")
	check.equal(count("has no time"), 1)
end)

case("what_is_forgotten_is_said_again", function()
	local log = log_once.new()
	log:forget("ann")
	log:error("ann", "no money")
	log:forget("ann")
	log:error("ann", "no money")
	check.equal(count("no money"), 2)
end)

case("any_number_of_subjects_takes_bounded_memory", function()
	local log = log_once.new()
	for number = 1, 257 do
		log:error("stranger " .. number, "no money")
	end
	log:error("stranger 257", "no money") -- is remembered
	check.equal(count("no money"), 257)
	log:error("stranger 1", "no money") -- had to make room
	check.equal(count("no money"), 258)
end)

case("for_a_minute_it_is_known_that_something_was_said", function()
	local log = log_once.new()
	check.equal(log:has_said("ann"), false)
	log:error("ann", "no money")
	skynet.sleep(MINUTE_CS - 1)
	check.equal(log:has_said("ann"), true)
	check.equal(log:has_said("bob"), false)
	skynet.sleep(1)
	check.equal(log:has_said("ann"), false)
	log:error("ann", "no money")
	log:forget("ann")
	check.equal(log:has_said("ann"), false)
end)
