-- What `.launcher` understands, beyond what newservice does with it.
local skynet = require("skynet")
require("skynet.manager")
local check = require("check")
local child = require("child")
local log = require("log")

local cases = {}
local function case(name, body)
	cases[#cases + 1] = { name, body }
end

local function idle()
	skynet.dispatch("lua", function(_, _, does_exit)
		if does_exit then
			skynet.exit()
		end
		skynet.retpack(skynet.self())
	end)
	skynet.start(function() end)
end

local function ask(...)
	return skynet.call(".launcher", "lua", ...)
end

case("LIST_knows_what_newservice_started", function()
	local service = child.start(idle, "an", "argument")
	local list = ask("LIST")
	check.equal(
		list[skynet.address(service)],
		"snlua script " .. child.key(idle) .. " an argument"
	)
	check.equal(
		list[skynet.address(skynet.self())]:match("^snlua test_case"),
		"snlua test_case"
	)
	check.equal(ask("list"), list)
	skynet.kill(service)
	check.equal(ask("LIST")[skynet.address(service)], nil)
end)

case("what_ends_by_itself_leaves_the_list", function()
	local service = child.start(idle)
	check.raises("call failed", skynet.call, service, "lua", true)
	check.equal(ask("LIST")[skynet.address(service)], nil)
	child.start(function()
		skynet.start(skynet.exit)
	end)
	pcall(child.start, function()
		error("failed")
	end)
	for _, description in pairs(ask("LIST")) do
		check.ok(not description:find(child.key(idle), 1, true), description)
	end
end)

-- The launcher looks after what still starts a second after a launch. Services that end at that
-- moment have said so when they are gone; but their word may still be in its mailbox.
case("who_ends_as_the_launcher_looks_is_no_failure", function()
	for _ = 1, 20 do
		local ok, result = pcall(child.start, function()
			skynet.start(function()
				skynet.sleep(100)
				skynet.exit()
			end)
		end)
		check.equal({ ok, result }, { true })
	end
end)

case("KILL_ends_a_service_and_tells_what_it_was", function()
	local service = child.start(idle)
	check.equal(
		ask("KILL", service),
		{ [skynet.address(service)] = "snlua script " .. child.key(idle) }
	)
	check.raises("call to invalid address", skynet.call, service, "lua")
	check.equal(ask("LIST")[skynet.address(service)], nil)
	check.raises("call failed: .*string or number", ask, "KILL")
	check.equal(ask("LIST")[skynet.address(service)], nil)
end)

case("REMOVE_only_forgets", function()
	local service = child.start(idle)
	skynet.send(".launcher", "lua", "REMOVE", service, false)
	check.equal(ask("LIST")[skynet.address(service)], nil)
	check.equal(skynet.call(service, "lua"), service)
	skynet.kill(service)
end)

case("LAUNCH_starts_and_answers_with_the_address", function()
	local key = child.key(idle)
	local service = ask("LAUNCH", "snlua", "script", key)
	check.equal(skynet.call(service, "lua"), service)
	check.raises(
		"call failed: launcher .*: can't launch 'no_such_module a'",
		ask,
		"LAUNCH",
		"no_such_module",
		"a"
	)
	check.raises("call failed: launcher .*: can't launch 'snlua'", ask, "LAUNCH", "snlua")
	check.raises("call failed", ask, "LAUNCH")
	check.raises("call failed", ask, "LAUNCH", "snlua", true)
	skynet.kill(service)
end)

case("QUERY_finds_what_is_being_launched", function()
	local mark = log.mark()
	local session = skynet.genid() + 1
	local token, started = {}, nil
	skynet.fork(function()
		started = child.start(function()
			skynet.dispatch("lua", function()
				skynet.retpack()
				skynet.wakeup("go")
			end)
			skynet.start(function()
				skynet.error("asked for by QUERY")
				skynet.wait("go")
			end)
		end)
		skynet.wakeup(token)
	end)
	local line = log.wait(mark, "asked for by QUERY")
	local address = tonumber(line:match("^%[:(%x+)%]"), 16)
	local found = {}
	for i = 0, 9 do
		found[#found + 1] = ask("QUERY", session + i)
	end
	check.equal(found, { address })
	check.equal(started, nil)
	skynet.call(address, "lua")
	skynet.wait(token)
	check.equal(started, address)
	for i = 0, 9 do
		check.equal(ask("QUERY", session + i), nil)
	end
	skynet.kill(address)
end)

case("unknown_commands_are_told", function()
	check.equal(ask("NO SUCH COMMAND"), { "Unknown command" })
	check.raises("call failed", ask)
	check.raises("call failed", ask, {})
	skynet.send(".launcher", "lua", "nothing")
	skynet.send(".launcher", "lua")
	skynet.rawsend(".launcher", "lua", "\7")
	check.equal(type(ask("LIST")), "table")
end)

case("words_of_strangers_do_no_harm", function()
	skynet.send(".launcher", "lua", "LAUNCHOK")
	skynet.send(".launcher", "lua", "REMOVE")
	skynet.send(".launcher", "lua", "REMOVE", "text", "text")
	skynet.register_protocol({ name = "text", id = skynet.PTYPE_TEXT, pack = tostring })
	skynet.send(".launcher", "text", "")
	check.equal(ask("LIST")[skynet.address(skynet.self())] ~= nil, true)
	skynet.send(".launcher", "text", "whatever")
	check.equal(type(ask("LIST")), "table")
end)

return cases
