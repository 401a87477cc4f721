-- skynet.mqueue: messages that are handled strictly one after another.
local skynet = require("skynet")
require("skynet.manager")
local mqueue = require("skynet.mqueue")
local check = require("check")
local child = require("child")

local cases = {}
local function case(name, body)
	cases[#cases + 1] = { name, body }
end

local function server(late)
	local mqueue = require("skynet.mqueue") -- luacheck: ignore
	local inside, order = 0, {}
	local function handle(word, ...)
		inside = inside + 1
		assert(inside == 1, "two at a time")
		skynet.sleep(word == "slow" and 2 or 0)
		inside = inside - 1
		if word == "fail" then
			error("it failed", 0)
		elseif word == "order" then
			return table.unpack(order)
		elseif word == "size" then
			return mqueue.size()
		end
		order[#order + 1] = word
		if word ~= "sent" then
			return word, ...
		end
	end
	skynet.start(function()
		if late then
			skynet.timeout(2, function()
				mqueue.register(handle)
			end)
		else
			mqueue.register(handle)
		end
	end)
end

case("messages_are_handled_one_after_another_in_their_order", function()
	local service = child.start(server)
	local results, done = {}, {}
	for i, word in ipairs({ "slow", "quick", "slow", "fail", "last" }) do
		skynet.fork(function()
			results[i] = table.pack(pcall(mqueue.call, service, word, i))
			skynet.wakeup(done)
		end)
	end
	skynet.fork(mqueue.send, service, "sent")
	while #results < 5 do
		skynet.wait(done)
	end
	check.matches(results[4][2], "call failed: .*it failed")
	check.equal(results[1], { true, "slow", 1, n = 3 })
	check.equal(results[5], { true, "last", 5, n = 3 })
	check.equal(
		{ mqueue.call(service, "order") },
		{ "slow", "quick", "slow", "last", "sent" }
	)
	skynet.kill(service)
end)

case("who_comes_before_the_handler_waits_for_it", function()
	local service = child.start(server, "late")
	check.misuse("call failed: .*: it failed", mqueue.call, service, "fail")
	check.equal({ mqueue.call(service, "early", 1) }, { "early", 1 })
	skynet.kill(service)
end)

case("size_counts_those_that_wait", function()
	local service = child.start(server)
	local sizes, done = {}, {}
	for i = 1, 3 do
		skynet.fork(function()
			sizes[i] = mqueue.call(service, "size")
			skynet.wakeup(done)
		end)
	end
	while #sizes < 3 do
		skynet.wait(done)
	end
	check.equal(sizes, { 2, 1, 0 })
	skynet.kill(service)
end)

case("misuse_is_told", function()
	check.misuse("'f': function expected, got nil", mqueue.register)
	mqueue.register(print)
	check.misuse("registered already", mqueue.register, print)
	check.equal(mqueue.size(), 0)
end)

return cases
