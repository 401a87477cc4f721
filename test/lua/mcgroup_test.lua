-- mcgroup: groups over several nodes, on one. Other nodes are played by services that join as their
-- agents would; test/e2e/mcgroup_test.py has real ones.
local skynet = require("skynet")
require("skynet.manager")
local mcgroup = require("mcgroup")
local test = require("skynet.test")
local check = require("check")
local child = require("child")

local cases = {}
local function case(name, body)
	cases[#cases + 1] = { name, body }
end

--- Notes what comes, and does what it is told with the functions of mcgroup.
local function member()
	local mcgroup = require("mcgroup") -- luacheck: ignore
	local heard = {}
	skynet.start(function()
		skynet.dispatch("lua", function(session, source, name, ...)
			if session == 0 then
				heard[#heard + 1] = { source, name, ... }
			elseif name == "heard" then
				skynet.retpack(heard)
			else
				skynet.retpack(mcgroup[name](...))
			end
		end)
	end)
end

--- The agent of another node: has the receiver `number`, and notes what the manager tells.
local function other_agent(number)
	local told, receiver = {}, skynet.query_group(tonumber(number))
	skynet.start(function()
		local manager = skynet.uniqueservice("group_mgr")
		skynet.dispatch("lua", function(_, source, name, ...)
			if source == manager then
				told[#told + 1] = { name, ... }
			elseif name == "told" then
				skynet.retpack(told)
			elseif name == "join" then
				skynet.retpack(skynet.call(manager, "lua", "JOIN", (...), receiver))
			elseif name == "renew" then
				receiver = skynet.query_group((...))
				skynet.retpack()
			elseif name == "report" then
				local report = { [...] = receiver }
				skynet.retpack(skynet.call(manager, "lua", "REPORT", report))
			else
				skynet.retpack(skynet.call(manager, "lua", name, ...))
			end
		end)
	end)
end

local function ask(service, ...)
	return skynet.call(service, "lua", ...)
end

local function heard_by(service)
	return ask(service, "heard")
end

case("what_is_sent_to_the_address_goes_to_all_members", function()
	local id = mcgroup.create()
	local address = mcgroup.address(id)
	check.equal(mcgroup.address(id), address)
	local one, two = child.start(member), child.start(member)
	ask(one, "enter", id)
	mcgroup.enter(id, two)
	check.equal(ask(one, "address", id), address)
	skynet.send(address, "lua", "hello", { 1, 2 })
	test.settle()
	for _, service in ipairs({ one, two }) do
		check.equal(heard_by(service), { { skynet.self(), "hello", { 1, 2 } } })
	end
	ask(one, "leave", id)
	skynet.send(address, "lua", "second")
	test.settle()
	check.equal(#heard_by(one), 1)
	check.equal(#heard_by(two), 2)
	skynet.kill(two)
	skynet.send(address, "lua", "nobody")
	test.settle()
end)

case("groups_are_apart", function()
	local first, second = mcgroup.create(), mcgroup.create()
	check.ok(first ~= second)
	check.ok(mcgroup.address(first) ~= mcgroup.address(second))
	local one = child.start(member)
	mcgroup.enter(first, one)
	skynet.send(mcgroup.address(second), "lua", "for nobody")
	skynet.send(mcgroup.address(first), "lua", "for one")
	test.settle()
	check.equal(heard_by(one), { { skynet.self(), "for one" } })
	local local_group = skynet.query_group(2) -- numbers of programs are not touched
	check.ok(local_group ~= mcgroup.address(first))
end)

case("release_ends_everything", function()
	local one = child.start(member)
	local id = mcgroup.create()
	mcgroup.enter(id, one)
	local address = mcgroup.address(id)
	local receiver = skynet.query_group(2 * id)
	check.equal(skynet.query_group(2 * id + 1), address)
	mcgroup.release(id)
	test.settle()
	check.raises("call to invalid address", skynet.call, address, "lua", "x")
	check.raises("call to invalid address", skynet.call, receiver, "lua", "x")
	for _, name in ipairs({ "address", "enter", "release" }) do
		check.misuse("there is no group " .. id, mcgroup[name], id)
	end
	mcgroup.leave(id, one) -- is nothing
	check.ok(mcgroup.create() ~= id)
end)

case("other_nodes_are_reached_by_one_tunnel_each", function()
	local one = child.start(member)
	local id = mcgroup.create()
	local address = mcgroup.address(id)
	local other = child.start(other_agent, 100)
	local there = child.start(member)
	skynet.enter_group(100, there)
	check.equal(ask(other, "join", id), {}) -- this node has no member
	test.settle()
	skynet.send(address, "lua", "first")
	test.settle()
	check.equal(#heard_by(there), 1)
	check.equal(ask(other, "told"), {})
	mcgroup.enter(id, one)
	test.settle()
	check.equal(ask(other, "told"), { { "ADD", id, skynet.query_group(2 * id) } })
	skynet.send(address, "lua", "second")
	test.settle()
	check.equal(heard_by(one), { { skynet.self(), "second" } })
	check.equal(#heard_by(there), 2)
	-- what comes from there is for the members here, and does not go back
	skynet.send(skynet.query_group(2 * id), "lua", "from there")
	test.settle()
	check.equal(#heard_by(one), 2)
	check.equal(#heard_by(there), 2)
	ask(other, "RELEASE", id)
	test.settle()
	check.equal(ask(other, "told")[2], { "END", id })
	check.raises("call to invalid address", skynet.call, address, "lua", "x")
end)

case("a_node_that_comes_later_is_told_of_the_others", function()
	local one = child.start(member)
	local id = mcgroup.create()
	mcgroup.enter(id, one)
	local other = child.start(other_agent, 100)
	check.equal(ask(other, "join", id), { skynet.query_group(2 * id) })
	check.equal(ask(other, "join", id), { skynet.query_group(2 * id) })
	local third = child.start(other_agent, 101)
	check.equal(#ask(third, "join", id), 2)
	check.equal(ask(other, "told"), { { "ADD", id, skynet.query_group(101) } })
	check.equal({ ask(third, "join", 5) }, { nil, "there is no group 5" })
end)

case("a_node_that_ends_is_forgotten", function()
	local one, there = child.start(member), child.start(member)
	local id = mcgroup.create()
	mcgroup.enter(id, one)
	local address = mcgroup.address(id)
	local other = child.start(other_agent, 100)
	skynet.enter_group(100, there)
	ask(other, "join", id)
	test.settle()
	skynet.kill(skynet.query_group(100))
	skynet.kill(other)
	skynet.send(address, "lua", "who is left?")
	skynet.sleep(500)
	check.equal(#heard_by(one), 1)
	check.equal(#heard_by(there), 0)
	local third = child.start(other_agent, 101)
	check.equal(ask(third, "join", id), { skynet.query_group(2 * id) })
end)

case("a_receiver_that_is_gone_can_be_followed_by_another", function()
	local there = child.start(member)
	local id = mcgroup.create()
	local address = mcgroup.address(id)
	local other = child.start(other_agent, 100)
	ask(other, "join", id)
	test.settle()
	skynet.kill(skynet.query_group(100))
	skynet.sleep(300) -- the manager still names it
	ask(other, "renew", 101)
	skynet.enter_group(101, there)
	ask(other, "join", id)
	test.settle()
	skynet.send(address, "lua", "second")
	test.settle()
	check.equal(#heard_by(there), 1)
	mcgroup.release(id)
	skynet.sleep(300)
	check.equal(ask(other, "told"), { { "END", id } })
end)

case("a_manager_that_ends_is_replaced_and_gets_reports", function()
	local manager = child.start(other_agent, 100)
	local id = mcgroup.create()
	check.equal(ask(manager, "report", id), { [id] = {} })
	check.equal(ask(manager, "report", id + 7), { [id + 7] = {} }) -- which a former one knew
	check.equal(ask(manager, "CREATE", id + 7), "taken")
	ask(manager, "RELEASE", id)
	check.equal(ask(manager, "report", id), {}) -- it was released meanwhile
	check.equal(ask(manager, "CREATE", id), "taken")
	check.equal(ask(manager, "CREATE", 5), "new")
end)

--- A group_mgr that is told who has the office by messages of type "holder".
local function manager_of_a_network()
	local getenv = skynet.getenv
	skynet.getenv = function(key)
		return key == "harbor" and "1" or getenv(key)
	end
	local tell
	package.loaded["skynet.network.office"] = {
		stand = function(_, on_holder)
			tell = on_holder
		end,
	}
	skynet.register_protocol({
		name = "holder",
		id = 250,
		unpack = skynet.unpack,
		dispatch = function(_, _, holder)
			tell(holder)
			skynet.ret()
		end,
	})
	dofile("./service/group_mgr.lua")
end

case("who_has_the_office_once_more_expects_all_reports_once_more", function()
	skynet.register_protocol({ name = "holder", id = 250, pack = skynet.pack })
	local manager = child.start(manager_of_a_network)
	local function tell(holder)
		skynet.rawcall(manager, "holder", skynet.packstring(holder))
	end
	check.raises("another service has the office GROUP_MGR", ask, manager, "JOIN", 5, false)
	local silence_cs = 100 * tonumber(skynet.getenv("harbor_timeout"))
	tell(manager)
	skynet.sleep(silence_cs)
	tell(skynet.self())
	tell(manager)
	local limit_cs = silence_cs + 100 -- a node may be silent for so long, and report then
	check.raises("no answer within", skynet.call_within, limit_cs, manager, "lua", "JOIN", 5,
		false)
	check.equal({ ask(manager, "JOIN", 5, false) }, { nil, "there is no group 5" })
	skynet.kill(manager)
end)

case("groups_go_on_without_a_manager", function()
	local one = child.start(member)
	local id = mcgroup.create()
	mcgroup.enter(id, one)
	skynet.kill(skynet.uniqueservice("group_mgr"))
	skynet.send(mcgroup.address(id), "lua", "still here")
	test.settle()
	check.equal(#heard_by(one), 1)
	local two = child.start(member)
	mcgroup.enter(id, two)
	skynet.send(mcgroup.address(id), "lua", "both here")
	test.settle()
	check.equal(#heard_by(two), 1)
	check.misuse("there is no group manager now: ", mcgroup.create)
	check.misuse("there is no group manager now: ", mcgroup.release, id)
end)

--- Calls f(i) in so many tasks at once. Returns what each has raised, in the order in which they
--- have ended.
local function fail_at_once(count, f)
	local texts = {}
	for i = 1, count do
		skynet.fork(function()
			local _, text = pcall(f, i)
			texts[#texts + 1] = text
		end)
	end
	test.eventually(function()
		return #texts == count
	end)
	return texts
end

case("requests_without_a_manager_wait_together", function()
	local id = mcgroup.create()
	local known = mcgroup.address(id)
	skynet.kill(skynet.uniqueservice("group_mgr"))
	test.settle()
	local began, answered = skynet.now(), nil
	check.misuse("there is no group manager now: ", mcgroup.create)
	local limit = skynet.now() - began
	began = skynet.now()
	skynet.timeout(100, function()
		check.equal(mcgroup.address(id), known) -- it waits for none of them
		answered = skynet.now() - began
	end)
	local failures = fail_at_once(20, function(i)
		return i % 2 == 0 and mcgroup.create() or mcgroup.enter(id + i)
	end)
	for _, text in ipairs(failures) do
		check.matches(text, "there is no group manager now: ")
	end
	check.ok(skynet.now() - began < 2 * limit, skynet.now() - began)
	check.ok(answered and answered < 110, answered)
end)

case("so_many_requests_wait_for_a_manager", function()
	local limit = tonumber(skynet.getenv("waiterlimit"))
	skynet.kill(skynet.uniqueservice("group_mgr"))
	test.settle()
	local texts = fail_at_once(limit + 3, mcgroup.create)
	local too_many = ("too many requests wait: %d %%(config key waiterlimit%%)"):format(limit)
	for i, text in ipairs(texts) do
		check.matches(text, i <= 3 and too_many or "there is no group manager now: ")
	end
	check.misuse("there is no group manager now: ", mcgroup.create) -- there is room again
end)

case("two_who_enter_at_once_meet", function()
	local id = mcgroup.create()
	local services, entered = {}, 0
	for i = 1, 5 do
		services[i] = child.start(member)
	end
	for _, service in ipairs(services) do
		skynet.fork(function()
			ask(service, "enter", id)
			entered = entered + 1
		end)
	end
	test.eventually(function()
		return entered == 5
	end)
	skynet.send(mcgroup.address(id), "lua", "all")
	test.settle()
	for _, service in ipairs(services) do
		check.equal(#heard_by(service), 1)
	end
end)

case("misuse_is_told", function()
	for _, id in ipairs({ 1, 0, -5, 1.5, "1", 1 << 30 }) do
		for _, name in ipairs({ "address", "enter", "leave", "release" }) do
			check.misuse("bad argument 'id'", mcgroup[name], id)
		end
	end
	local id = mcgroup.create()
	for _, address in ipairs({ 0, "x", -1, 1.5, 0x01000007 }) do
		check.misuse("bad argument 'address'", mcgroup.enter, id, address)
		check.misuse("bad argument 'address'", mcgroup.leave, id, address)
	end
	check.raises("Unknown command NO SUCH", ask, skynet.uniqueservice("group_agent"), "NO SUCH")
	check.raises("Unknown command NO SUCH", ask, skynet.uniqueservice("group_mgr"), "NO SUCH")
	check.raises("Init first", child.start, function()
		require("mcgroup").create()
	end)
end)

return cases
