-- skynet.service: services written as functions in other services.
local skynet = require("skynet")
require("skynet.manager")
local service = require("skynet.service")
local check = require("check")

local cases = {}
local function case(name, body)
	cases[#cases + 1] = { name, body }
end

local function echo(...)
	local skynet = require("skynet") -- luacheck: ignore
	local values = table.pack(...)
	skynet.dispatch("lua", function(_, _, word)
		if word == "exit" then
			skynet.exit()
		end
		skynet.retpack(values)
	end)
end

case("the_function_gets_its_values_and_may_wait", function()
	local address = service.new("echo", echo, 1, nil, { x = "y" }, nil)
	check.equal(skynet.call(address, "lua"), { 1, nil, { x = "y" }, nil, n = 4 })
	check.equal(
		skynet.call(".launcher", "lua", "LIST")[skynet.address(address)],
		"snlua service_cell echo"
	)
	local waiting = service.new("waiting", function()
		require("skynet").sleep(1)
		SLEPT = true -- luacheck: ignore
		require("skynet").dispatch("lua", function()
			require("skynet").retpack(SLEPT) -- luacheck: ignore
		end)
	end)
	check.equal(skynet.call(waiting, "lua"), true)
end)

case("the_second_call_gives_the_same_service", function()
	local address = service.new("same", echo, "first")
	check.equal(service.new("same", echo, "second"), address)
	check.equal(skynet.call(address, "lua"), { "first", n = 1 })
	check.equal(service.query("same"), address)
	check.equal(service.close("same"), true)
end)

case("the_function_may_be_a_whole_script", function()
	local address = service.new("script", function()
		local skynet = require("skynet") -- luacheck: ignore
		local order = {}
		skynet.init(function()
			order[#order + 1] = "init"
		end)
		skynet.start(function()
			skynet.yield()
			order[#order + 1] = "start"
			skynet.dispatch("lua", function()
				skynet.retpack(order)
			end)
		end)
		order[#order + 1] = "main"
	end)
	check.equal(skynet.call(address, "lua"), { "main", "init", "start" })
end)

case("a_function_that_uses_nothing_may_be_a_service", function()
	local address = service.new("nothing", function() end)
	local text = check.raises("has no handler", skynet.call, address, "lua")
	check.matches(text, "call failed: nothing %(:%x+%): the service 'nothing' has no handler")
	service.close("nothing")
end)

case("a_failed_start_is_remembered_and_leaves_no_service", function()
	local function fail()
		require("skynet").yield()
		error("no such item", 0)
	end
	check.raises("service_test.lua:%d+: call failed: .*: no such item", function()
		service.new("failing", fail)
	end)
	check.raises("no such item", service.new, "failing", echo)
	check.raises("no such item", service.query, "failing")
	check.equal(service.close("failing"), false)
	for _, text in pairs(skynet.call(".launcher", "lua", "LIST")) do
		check.ok(not text:find("service_cell failing"), text)
	end
end)

case("one_that_exits_while_it_starts_has_failed", function()
	check.raises("call failed", service.new, "leaving", function()
		require("skynet").exit()
	end)
end)

case("a_query_waits_until_it_is_there", function()
	local found
	skynet.fork(function()
		found = service.query("later")
		skynet.wakeup("found")
	end)
	skynet.yield()
	check.equal(found, nil)
	local address = service.new("later", echo)
	if not found then
		skynet.wait("found")
	end
	check.equal(found, address)
	service.close("later")
end)

case("close_ends_it_and_the_name_is_free", function()
	local address = service.new("closing", echo)
	check.equal(service.close("closing"), true)
	check.equal(skynet.send(address, "lua"), nil)
	check.equal(service.close("closing"), false)
	check.equal(service.close("never there"), false)
	local other = service.new("closing", echo, "anew")
	check.ok(other ~= address, "another one")
	check.equal(skynet.call(service.query("closing"), "lua"), { "anew", n = 1 })
	service.close("closing")
end)

case("close_waits_for_the_start_to_end", function()
	local closed
	skynet.fork(service.new, "starting", function()
		require("skynet").sleep(2)
	end)
	skynet.fork(function()
		closed = service.close("starting")
		skynet.wakeup("closed")
	end)
	skynet.wait("closed")
	check.equal(closed, true)
end)

case("functions_that_see_their_surroundings_are_refused", function()
	local function uses_check()
		return check
	end
	local function uses_skynet()
		print(skynet)
	end
	check.misuse("uses 'check', a local of the code around", service.new, "bad", uses_check)
	check.misuse("it uses 'skynet'", service.new, "bad", uses_skynet)
	check.misuse("'f': function expected, got nil", service.new, "bad")
	check.misuse("written in Lua expected", service.new, "bad", print)
	check.misuse("'name': string expected, got nil", service.new)
	check.misuse("'name': string expected, got nil", service.query)
	check.misuse("'name': string expected, got number", service.close, 1)
	check.raises("Unsupport type", service.new, "bad", echo, print)
end)

return cases
