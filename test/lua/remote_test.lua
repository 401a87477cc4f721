-- Services of other nodes, as a Lua service sees them: the harbor is a puppet (test/service-src/
-- fake_harbor.c), and what comes from another node the test sends in its name.
local skynet = require("skynet")
require("skynet.manager")
local core = require("skynet.core")
local link = require("skynet.link")
local harbor_of_users = require("skynet.harbor")
local test = require("skynet.test")
local check = require("check")
local child = require("child")

skynet.register_protocol({
	name = "text",
	id = skynet.PTYPE_TEXT,
	pack = tostring,
	unpack = skynet.tostring,
})

local REMOTE <const> = 0x05000001 -- a service of node 5
local OTHER <const> = 0x05000002 -- another one there
local NODE <const> = 5 << 24 -- the node itself
local ELSEWHERE <const> = 0x06000001

local harbor
local cases = {}
--- A test with a harbor of its own, that has links to nodes 5 and 6.
local function case(name, body)
	cases[#cases + 1] = {
		name,
		function()
			harbor = assert(skynet.launch("fake_harbor"))
			skynet.call(harbor, "text", "node 5 1")
			skynet.call(harbor, "text", "node 6 1")
			body()
			skynet.kill(harbor)
		end,
	}
end

--- What the harbor does.
local function tell(...)
	return skynet.call(harbor, "text", table.concat({ ... }, " "))
end

--- f(...) in a task. Returns a table that will hold the result.
local function begin(f, ...)
	local result = {}
	skynet.fork(function(...)
		result.ok, result.value = pcall(f, ...)
		if not result.ok then
			result.value = result.value:gsub("^[^ ]*%d+: ", "")
		end
	end, ...)
	skynet.yield()
	return result
end

case("a_call_is_answered_by_another_node", function()
	local result = begin(skynet.call, REMOTE, "lua", "hello")
	check.equal(tell("list"), ("message %d :05000001 6"):format(skynet.PTYPE_LUA))
	check.equal(result, {})
	tell("answer")
	test.settle()
	check.equal(result, { ok = true, value = "hello" })
end)

case("requests_from_another_node_are_answered_there", function()
	local service = child.start(function()
		skynet.start(function()
			skynet.dispatch("lua", function(_, source)
				skynet.retpack(source)
			end)
		end)
	end)
	skynet.redirect(service, REMOTE, "lua", 77, skynet.pack())
	test.settle()
	check.equal(tell("list"), ("message %d :05000001 5"):format(skynet.PTYPE_RESPONSE))
	skynet.kill(service)
	skynet.redirect(harbor, REMOTE, "text", 0, "list") -- nothing more comes
	test.settle()
end)

case("errors_come_back_with_their_text", function()
	local result = begin(skynet.call, REMOTE, "lua", "hello")
	tell("refuse", "it does not like that")
	test.settle()
	check.equal(result, { ok = false, value = "call failed: it does not like that" })
end)

case("the_death_of_a_node_ends_all_calls_there", function()
	local first = begin(skynet.call, REMOTE, "lua")
	local second = begin(skynet.call, OTHER, "lua")
	local third = begin(skynet.call, ELSEWHERE, "lua", "alive")
	tell("die", 5, "node 5 is gone: it burns")
	test.settle()
	check.equal(first, { ok = false, value = "call failed: node 5 is gone: it burns" })
	check.equal(second, first)
	check.equal(third, {})
	tell("answer")
	tell("answer")
	test.settle()
	check.equal(#test.log("Unknown response"), 2) -- as when a service has died
	tell("answer")
	test.settle()
	check.equal(third, { ok = true, value = "alive" })
end)

case("the_death_of_a_node_ends_the_requests_from_there", function()
	local service = child.start(function()
		skynet.start(function()
			skynet.dispatch("lua", function(_, _, how)
				local response = how == "response" and skynet.response()
				skynet.sleep(100)
				if response then
					skynet.error("wanted: " .. tostring(response("TEST")))
				else
					skynet.retpack("too late")
				end
			end)
		end)
	end)
	skynet.redirect(service, REMOTE, "lua", 7, skynet.pack())
	skynet.redirect(service, OTHER, "lua", 8, skynet.pack("response"))
	skynet.redirect(service, ELSEWHERE, "lua", 9, skynet.pack())
	skynet.yield()
	skynet.redirect(service, NODE, "error", 0, "node 5 is gone")
	skynet.sleep(200)
	check.equal(tell("list"), ("message %d :06000001 9"):format(skynet.PTYPE_RESPONSE))
	check.equal(#test.log("wanted: false"), 1)
end)

case("a_link_tells_of_the_end_of_a_service_and_of_its_node", function()
	local ends = {}
	local function note(address, reason)
		ends[#ends + 1] = ("%08x %s"):format(address, reason)
	end
	link.link(REMOTE, note)
	link.link(OTHER, note)
	link.link(ELSEWHERE, note)
	local unlink = link.link(REMOTE, note)
	unlink()
	test.settle()
	check.equal(
		tell("list"),
		table.concat({
			"link 0 :05000001 0",
			"link 0 :05000002 0",
			"link 0 :06000001 0",
			"link 0 :05000001 0",
			("unlink %d :05000001 0"):format(skynet.PTYPE_ERROR),
		}, "\n")
	)
	tell("refuse", "it has ended")
	test.settle()
	check.equal(ends, { "05000001 it has ended" })
	-- That a service says it is dead does not mean that it is gone; but its node does.
	skynet.redirect(skynet.self(), OTHER, "error", 0, "it is about to end")
	test.settle()
	check.equal(#ends, 1)
	tell("die", 5, "node 5 is gone")
	test.settle()
	check.equal(ends, { "05000001 it has ended", "05000002 node 5 is gone" })
end)

case("what_ends_while_it_is_linked_unlinks", function()
	local service = child.start(function()
		skynet.start(function()
			require("skynet.link").link(0x05000001, print)
			skynet.fork(skynet.call, 0x05000002, "lua")
		end)
	end)
	test.settle()
	skynet.kill(service)
	test.settle()
	check.equal(
		tell("list"),
		table.concat({
			"link 0 :05000001 0",
			"message 10 :05000002 0",
			("unlink %d :05000001 0"):format(skynet.PTYPE_ERROR),
			tell("list"):match("message 7 :05000002 %d+"), -- the callee is told
		}, "\n")
	)
end)

case("a_node_that_is_absent_fails_calls_at_once", function()
	tell("node", 5, 0, "it burns")
	local result = begin(skynet.call, REMOTE, "lua")
	test.settle()
	check.equal(result, {
		ok = false,
		value = "call failed: service :05000001: no link to its node, number 5: it burns",
	})
	local reason
	link.link(REMOTE, function(_, why)
		reason = why
	end)
	test.settle()
	check.equal(reason, "service :05000001: no link to its node, number 5: it burns")
end)

case("a_full_node_fails_calls_and_sends", function()
	tell("node", 5, 2)
	local text = "call failed: service :05000001: its mailbox is full"
	check.raises(text, skynet.call, REMOTE, "lua")
	check.equal(skynet.send(REMOTE, "lua"), false)
end)

case("a_blocked_node_makes_tasks_wait", function()
	tell("node", 5, 3)
	local sent = begin(skynet.send, REMOTE, "lua", "one")
	local called = begin(skynet.call, REMOTE, "lua", "two")
	local redirected = begin(skynet.redirect, REMOTE, ELSEWHERE, "lua", 3, "three")
	check.equal(tell("list"), ("probe 0 :05000001 0\n"):rep(3):sub(1, -2))
	tell("answer") -- there is room at the destination, but the node is still blocked
	skynet.yield()
	check.equal(sent, {})
	check.equal(tell("list"), ("probe 0 :05000001 0\n"):rep(3):sub(1, -2))
	tell("node", 5, 1)
	for _ = 1, 3 do
		tell("answer")
	end
	test.settle()
	check.equal(sent, { ok = true, value = 0 })
	check.equal(redirected, { ok = true, value = 3 })
	local lines = tell("list")
	check.equal(select(2, lines:gsub("message 10 :05000001", "")), 3)
	for _ = 1, 3 do
		tell("answer")
	end
	test.settle()
	check.equal(called, { ok = true, value = "two" })
end)

case("the_death_of_a_blocked_node_ends_the_waits", function()
	tell("node", 5, 3)
	local sent = begin(skynet.send, REMOTE, "lua", "one")
	local called = begin(skynet.call, REMOTE, "lua", "two")
	tell("node", 5, 0, "it burns")
	tell("die", 5, "node 5 is gone")
	test.settle()
	check.equal(sent, { ok = true, value = 0 })
	check.equal(called, {
		ok = false,
		value = "call failed: service :05000001: no link to its node, number 5: it burns",
	})
end)

case("a_wait_for_a_blocked_node_has_a_deadline", function()
	tell("node", 5, 3)
	check.raises("no answer within 1.00 s", skynet.call_within, 100, REMOTE, "lua")
end)

case("a_full_mailbox_of_the_harbor_makes_tasks_wait", function()
	tell("mailbox", 1)
	skynet.send(REMOTE, "lua", "fills it")
	local sent = begin(skynet.send, REMOTE, "lua", "waits")
	check.equal(sent, {})
	check.equal(tell("list"), "message 10 :05000001 9\nprobe 0 :05000001 0")
	tell("answer")
	tell("answer")
	test.settle()
	check.equal(sent, { ok = true, value = 0 })
end)

case("one_lost_message_fails_no_call", function()
	local result = begin(skynet.call, REMOTE, "lua", "hello")
	skynet.send(REMOTE, "lua", "one way")
	tell("answer")
	for i = 1, 4 do
		skynet.send(REMOTE, "lua", i)
	end
	for _ = 1, 5 do
		tell("refuse", "its mailbox is full")
	end
	test.settle()
	check.equal(result, { ok = true, value = "hello" })
	check.equal(skynet.stat("lost"), 5)
	-- The first, the second, the fourth.
	check.equal(#test.log("message to :05000001 lost, %d so far: its mailbox is full"), 3)
end)

--- Gives a global name to a service of another node.
local function name(text, address)
	check.equal(core.command("GLOBALNAME", ("%s :%x"):format(text, address)), text)
end

case("a_call_by_an_unknown_name_waits_for_it", function()
	local result = begin(skynet.call, "UNKNOWN", "lua", "hello")
	local failed = begin(skynet.call, "UNKNOWN", "lua", "again")
	check.equal(skynet.send("UNKNOWN", "lua"), 0)
	check.equal(tell("list"), "")
	name("UNKNOWN", REMOTE)
	check.equal(
		tell("list"),
		"message 10 :05000001 6\nmessage 10 :05000001 6\nmessage 10 :05000001 0"
	)
	tell("answer")
	tell("refuse", "it does not like that")
	tell("answer")
	test.settle()
	check.equal(result, { ok = true, value = "hello" })
	check.equal(failed, { ok = false, value = "call failed: it does not like that" })
	check.equal(skynet.send("SEVENTEEN_LETTERS", "lua"), nil)
	local text = "call to invalid address SEVENTEEN_LETTERS"
	check.raises(text, skynet.call, "SEVENTEEN_LETTERS", "lua")
end)

case("a_call_by_an_unknown_name_ends_with_the_harbor", function()
	local result = begin(skynet.call, "NEVER", "lua", "hello")
	skynet.send("NEVER", "lua", "one way")
	skynet.kill(harbor)
	test.settle()
	check.equal(result, {
		ok = false,
		value = "call failed: no service has the global name NEVER: "
			.. "the harbor of this node has ended",
	})
	check.equal(#test.log("message to %S+ lost, 1 so far: no service has the global name"), 1)
	check.raises("call to invalid address NEVER", skynet.call, "NEVER", "lua")
end)

case("what_waits_for_names_is_bounded", function()
	for i = 1, 1024 do
		check.equal(skynet.send("FULL" .. i, "lua"), 0)
	end
	check.equal(skynet.send("FULL1025", "lua"), false)
	local text = "call failed: FULL1025: too much waits for names that nobody has"
	check.raises(text, skynet.call, "FULL1025", "lua")
	check.equal(skynet.send("FULL1", "lua"), 0) -- it has its place
	local most = ("x"):rep(16 << 20)
	check.equal(skynet.rawsend("FULL1", "lua", most), false)
	name("FULL1024", REMOTE)
	check.equal(skynet.send("FULL1025", "lua"), 0)
end)

case("a_call_by_name_ends_with_who_has_got_it", function()
	local service = begin(skynet.call, "FIRST", "lua")
	name("FIRST", REMOTE)
	tell("answer")
	test.settle()
	check.equal(service.ok, true)
	local node = begin(skynet.call, "SECOND", "lua")
	name("SECOND", REMOTE)
	local lost = begin(skynet.call, "THIRD", "lua")
	tell("die", 5, "node 5 is gone")
	test.settle()
	check.equal(node, { ok = false, value = "call failed: node 5 is gone" })
	check.equal(lost, {}) -- nobody has got it
	name("THIRD", ELSEWHERE)
	skynet.redirect(skynet.self(), ELSEWHERE, "error", 0, "it has died")
	test.settle()
	check.equal(lost, { ok = false, value = "call failed: it has died" })
end)

case("a_call_by_a_known_name_ends_with_its_owner", function()
	check.equal(core.command("GLOBALNAME", "KNOWN :5000001") ~= nil, true)
	local result = begin(skynet.call, "KNOWN", "lua")
	check.equal(tell("list"), "message 10 :05000001 0")
	tell("die", 5, "node 5 is gone")
	test.settle()
	check.equal(result, { ok = false, value = "call failed: node 5 is gone" })
	local again = begin(skynet.call, "KNOWN", "lua")
	skynet.term("KNOWN") -- by the name it was called with
	test.settle()
	check.equal(again.ok, false)
end)

case("traces_go_along", function()
	skynet.trace("far away")
	begin(function()
		skynet.trace()
		skynet.call(REMOTE, "lua")
	end)
	local lines = tell("list")
	check.equal(lines:match("message (%d+) :05000001 %d+\nmessage 10 :05000001 0"), "12")
end)

case("the_end_of_the_harbor_ends_what_it_keeps_in_its_mailbox", function()
	local result = begin(function()
		skynet.kill(harbor) -- with the call behind it
		return skynet.call(REMOTE, "lua")
	end)
	test.settle()
	check.equal(result, {
		ok = false,
		value = "call failed: service :05000001: no link to its node, number 5: "
			.. "the harbor of this node has ended",
	})
	harbor = assert(skynet.launch("fake_harbor")) -- another may take its place
	tell("node", 5, 1)
	local again = begin(skynet.call, REMOTE, "lua", "hello")
	tell("answer")
	test.settle()
	check.equal(again, { ok = true, value = "hello" })
end)

case("addresses_of_other_nodes_are_told_apart", function()
	check.equal({ skynet.harbor(REMOTE) }, { 5, true })
	check.equal({ skynet.harbor(skynet.self()) }, { 0, false })
	check.equal(skynet.address(REMOTE), ":05000001")
	check.equal(harbor_of_users.queryname(".nobody"), nil)
end)

return cases
