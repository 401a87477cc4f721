-- Services on several threads call other nodes while these come and go, and the harbor with them:
-- every call ends. The harbor is a puppet (test/service-src/fake_harbor.c).
local skynet = require("skynet")
require("skynet.manager")
local check = require("check")
local child = require("child")

local CALLERS <const>, ROUNDS <const> = 4, 300

skynet.register_protocol({
	name = "text",
	id = skynet.PTYPE_TEXT,
	pack = tostring,
	unpack = skynet.tostring,
})

--- Calls a service of node 5, and tells how many calls were answered and how many failed.
local function caller()
	local function is_failure(text)
		return text:find("call failed: ", 1, true)
			or text:find("call to invalid address NAME", 1, true)
	end

	skynet.start(function()
		skynet.dispatch("lua", function(_, _, rounds)
			local answered, failed = 0, 0
			for i = 1, rounds do
				skynet.send(0x05000001, "lua", "one way")
				local address = i % 7 == 0 and "NAME" or 0x05000001
				local ok, answer = pcall(skynet.call, address, "lua", i)
				if ok and answer == i then
					answered = answered + 1
				elseif is_failure(tostring(answer)) then
					failed = failed + 1
				else
					skynet.error("unexpected", ok, answer)
				end
			end
			skynet.retpack(answered, failed)
		end)
	end)
end

local function new_harbor()
	local harbor = assert(skynet.launch("fake_harbor"))
	skynet.call(harbor, "text", "auto")
	return harbor
end

local function every_call_ends(policy)
	local harbor = new_harbor()
	local answered, failed, working = 0, 0, CALLERS
	for _ = 1, CALLERS do
		local service = child.start(caller)
		skynet.fork(function()
			local good, bad = skynet.call(service, "lua", ROUNDS)
			answered, failed, working = answered + good, failed + bad, working - 1
		end)
	end
	while working > 0 do
		for _, command in ipairs({ "node 5 1", policy, "node 5 1", "node 5 0 it burns" }) do
			skynet.call(harbor, "text", command)
			skynet.sleep(1)
		end
		skynet.call(harbor, "text", "die 5 node 5 is gone")
		skynet.kill(harbor)
		harbor = new_harbor()
	end
	skynet.kill(harbor)
	check.equal(answered + failed, CALLERS * ROUNDS)
end

return {
	{
		"every_call_ends_whatever_becomes_of_a_full_node",
		function()
			every_call_ends("node 5 2")
		end,
	},
	{
		"every_call_ends_whatever_becomes_of_a_blocked_node",
		function()
			every_call_ends("node 5 3")
		end,
	},
}
