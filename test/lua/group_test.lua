-- Groups: skynet.enter_group and the like; skynet.forward, and the service tunnel.
local skynet = require("skynet")
require("skynet.manager")
local core = require("skynet.core")
local test = require("skynet.test")
local check = require("check")
local child = require("child")

local cases = {}
local function case(name, body)
	cases[#cases + 1] = { name, body }
end

skynet.register_protocol({
	name = "client",
	id = skynet.PTYPE_CLIENT,
	pack = tostring,
	unpack = skynet.tostring,
})

--- Notes what comes, and enters or leaves groups.
local function member(number)
	local heard = {}
	skynet.register_protocol({
		name = "client",
		id = skynet.PTYPE_CLIENT,
		unpack = skynet.tostring,
		dispatch = function(session, source, text)
			heard[#heard + 1] = { "client", session, source, text }
			if text == "end" then
				skynet.exit()
			end
		end,
	})
	skynet.dispatch("lua", function(session, source, name, ...)
		if session == 0 then
			heard[#heard + 1] = { "lua", session, source, name, ... }
		elseif name == "heard" then
			skynet.retpack(heard)
		else
			skynet.retpack(skynet[name](...))
		end
	end)
	skynet.start(function()
		if number then
			skynet.enter_group(tonumber(number))
		end
	end)
end

--- Notes what comes, and owns the blocks that it came in.
local function keeper(number)
	local heard = {}
	skynet.register_protocol({
		name = "client",
		id = skynet.PTYPE_CLIENT,
		unpack = require("skynet.core").keep,
		dispatch = function(_, _, block, size)
			skynet.yield() -- the others have handled it by now
			heard[#heard + 1] = skynet.tostring(block, size)
			skynet.trash(block, size)
		end,
	})
	skynet.dispatch("lua", function()
		skynet.retpack(heard)
	end)
	skynet.start(function()
		skynet.enter_group(tonumber(number))
	end)
end

local function heard_by(service)
	return skynet.call(service, "lua", "heard")
end

case("members_may_keep_what_they_get", function()
	local one, two = child.start(keeper, 12), child.start(keeper, 12)
	for i = 1, 3 do
		skynet.send(skynet.query_group(12), "client", "for all, number " .. i)
	end
	for _, service in ipairs({ one, two }) do
		test.eventually(function()
			return #heard_by(service) == 3
		end)
		check.equal(heard_by(service)[3], "for all, number 3")
	end
	skynet.kill(one)
	skynet.kill(two)
end)

case("a_group_passes_messages_of_all_types_to_its_members", function()
	local one, two = child.start(member, 10), child.start(member, 10)
	local three = child.start(member)
	local address = skynet.query_group(10)
	check.equal(skynet.query_group(10), address)
	skynet.enter_group(10, three)
	skynet.send(address, "lua", "hello", { 1, 2 })
	skynet.send(address, "client", "bytes")
	test.settle()
	for _, service in ipairs({ one, two, three }) do
		check.equal(heard_by(service), {
			{ "lua", 0, skynet.self(), "hello", { 1, 2 } },
			{ "client", 0, skynet.self(), "bytes" },
		})
	end
	skynet.clear_group(10)
end)

case("members_leave_by_themselves_or_are_taken_out", function()
	local one, two = child.start(member, 11), child.start(member, 11)
	skynet.name(".two", two)
	local address = skynet.query_group(11)
	skynet.call(one, "lua", "leave_group", 11)
	skynet.send(address, "client", "to two")
	skynet.leave_group(11, ".two")
	skynet.enter_group(11, skynet.address(one))
	skynet.send(address, "client", "to one")
	test.settle()
	check.equal(heard_by(one), { { "client", 0, skynet.self(), "to one" } })
	check.equal(heard_by(two), { { "client", 0, skynet.self(), "to two" } })
	skynet.clear_group(11)
end)

case("a_call_to_a_group_fails_and_says_why", function()
	local one = child.start(member, 12)
	local address = skynet.query_group(12)
	local reason = "members have got the message and cannot answer"
	check.raises(reason, skynet.call, address, "lua", "x")
	check.equal(heard_by(one), { { "lua", 0, skynet.self(), "x" } })
	skynet.clear_group(12)
end)

case("the_dead_drop_out_and_the_others_go_on", function()
	local services = {}
	for i = 1, 20 do
		services[i] = child.start(member, 13)
	end
	local address = skynet.query_group(13)
	skynet.send(services[1], "client", "end")
	skynet.kill(services[2])
	skynet.send(address, "client", "first")
	skynet.kill(services[3])
	skynet.send(address, "client", "second")
	test.settle()
	for i = 4, 20 do
		check.equal(#heard_by(services[i]), 2)
	end
	skynet.send(address, "client", "end")
	test.settle()
	skynet.send(address, "client", "nobody")
	skynet.clear_group(13)
	test.settle()
	check.raises("call to invalid address", skynet.call, address, "lua", "x")
end)

case("a_cleared_group_delivers_what_was_sent_before", function()
	local one = child.start(member, 14)
	local old = skynet.query_group(14)
	skynet.send(old, "client", "before")
	skynet.clear_group(14)
	skynet.clear_group(14) -- once more is nothing
	local new = skynet.query_group(14)
	check.ok(new ~= old)
	skynet.send(old, "client", "after")
	check.raises("the group was cleared", skynet.call, old, "lua", "x")
	check.equal(heard_by(one), { { "client", 0, skynet.self(), "before" } })
	skynet.clear_group(14)
end)

case("a_group_that_was_killed_is_made_anew", function()
	local old = skynet.query_group(15)
	skynet.kill(old)
	test.settle()
	local one = child.start(member, 15)
	local new = skynet.query_group(15)
	check.ok(new ~= old)
	skynet.send(new, "client", "hello")
	test.settle()
	check.equal(#heard_by(one), 1)
	skynet.clear_group(15)
end)

case("misuse_of_groups_raises_at_the_caller", function()
	for _, number in ipairs({ "1", 1.5, 1 << 31, {} }) do
		for _, name in ipairs({ "enter", "leave", "clear", "query" }) do
			check.raises("bad argument 'number'", skynet[name .. "_group"], number)
		end
	end
	for _, address in ipairs({ 0, -1, 1 << 32, 1.5, "", "NAME", true, ":" }) do
		check.raises("bad argument 'address'", skynet.enter_group, 1, address)
		check.raises("bad argument 'address'", skynet.leave_group, 1, address)
	end
end)

-- --- forward ---------------------------------------------------------------------------------

--- Answers with its address and what it was asked.
local function target()
	skynet.start(function()
		skynet.dispatch("lua", function(_, source, ...)
			skynet.retpack(skynet.self(), source, ...)
		end)
	end)
end

--- Passes its requests on, in the ways that they ask for.
local function forwarder(address)
	address = tonumber(address)
	local ways = {}

	function ways.at_once()
		assert(skynet.forward(address))
	end

	function ways.then_wait()
		skynet.forward(address)
		skynet.sleep(1)
	end

	function ways.then_raise()
		skynet.forward(address)
		error("meant to be")
	end

	function ways.twice()
		skynet.forward(address)
		local ok, problem = pcall(skynet.forward, address)
		assert(not ok and problem:find("only a handler can forward"), problem)
	end

	function ways.after_waiting()
		skynet.sleep(1)
		skynet.forward(address)
	end

	function ways.after_answering()
		skynet.retpack("answered")
		local ok = pcall(skynet.forward, address)
		assert(not ok)
	end

	function ways.in_a_fork()
		local failed
		skynet.fork(function()
			failed = not pcall(skynet.forward, address)
		end)
		skynet.sleep(1)
		skynet.retpack(failed)
	end

	function ways.nowhere()
		skynet.retpack(skynet.forward(".nobody"))
	end

	function ways.to_the_dead()
		skynet.forward(0xfffff)
	end

	skynet.start(function()
		skynet.dispatch("lua", function(_, _, way)
			ways[way]()
		end)
	end)
end

case("a_forwarded_request_is_answered_by_who_gets_it", function()
	local last = child.start(target)
	local first = child.start(forwarder, last)
	for _, way in ipairs({ "at_once", "then_wait", "twice" }) do
		local answer = { skynet.call(first, "lua", way, "more", nil, 3) }
		check.equal(answer, { last, skynet.self(), way, "more", nil, 3 })
	end
end)

case("a_handler_that_raises_after_forwarding_is_only_logged", function()
	local last = child.start(target)
	local first = child.start(forwarder, last)
	check.equal(skynet.call(first, "lua", "then_raise"), last)
	test.logged("meant to be")
end)

case("only_the_handler_of_a_request_can_forward_it", function()
	local first = child.start(forwarder, child.start(target))
	check.raises("only a handler can forward its request", skynet.call, first, "lua",
		"after_waiting")
	check.equal(skynet.call(first, "lua", "after_answering"), "answered")
	check.equal(skynet.call(first, "lua", "in_a_fork"), true)
	check.raises("only a handler can forward", skynet.forward, skynet.self())
end)

case("a_request_that_nobody_takes_fails", function()
	local first = child.start(forwarder, child.start(target))
	local sent, problem = skynet.call(first, "lua", "nowhere")
	check.equal(sent, nil)
	check.equal(problem, "there is no service .nobody")
	local reason = "passed on: there is no such service"
	check.raises(reason, skynet.call, first, "lua", "to_the_dead")
	test.logged("Drop message from %x+ forward to fffff")
end)

case("messages_that_lua_dispatches_itself_are_not_forwarded", function()
	local service = child.start(function()
		skynet.start(function()
			skynet.dispatch("lua", function()
				local ok, problem = pcall(skynet.forward, skynet.self())
				skynet.retpack(ok, problem)
			end)
		end)
		require("skynet.core").callback(function(...)
			skynet.dispatch_message(...)
		end)
	end)
	local ok, problem = skynet.call(service, "lua")
	check.equal(ok, false)
	check.matches(problem, "only a handler can forward")
end)

case("a_tunnel_is_not_noticed", function()
	local last = child.start(target)
	local tunnel = skynet.launch("tunnel", skynet.address(last))
	check.equal({ skynet.call(tunnel, "lua", "x", 1) }, { last, skynet.self(), "x", 1 })
	skynet.enter_group(16, tunnel) -- as groups of several nodes are made of
	local one = child.start(member)
	local far = skynet.launch("tunnel", skynet.address(skynet.query_group(17)))
	skynet.enter_group(16, far)
	skynet.enter_group(17, one)
	skynet.send(skynet.query_group(16), "client", "through two groups")
	test.settle()
	check.equal(heard_by(one), { { "client", 0, skynet.self(), "through two groups" } })
	check.equal(core.command("LAUNCH", "tunnel .nobody"), nil)
	test.logged("Can't create tunnel to %.nobody")
end)

return cases
