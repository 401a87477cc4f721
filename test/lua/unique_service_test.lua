-- Services of which a node has one of a kind: skynet.uniqueservice, queryservice and `.service`.
local skynet = require("skynet")
require("skynet.manager")
local check = require("check")
local child = require("child")
local log = require("log")

local cases = {}
local function case(name, body)
	cases[#cases + 1] = { name, body }
end

local function ask(...)
	return skynet.call(".service", "lua", ...)
end

-- A script of its own for each test, because a unique service is known by its script's name.
local folder = os.tmpname()
os.remove(folder)
assert(os.execute("mkdir " .. folder))

local function write_script(name, body)
	local file <close> = assert(io.open(("%s/%s.lua"):format(folder, name), "w"))
	file:write("local skynet = require('skynet')\n", body)
	return name
end

-- The node's templates are fixed, so the scripts are run by their path.
local function kind(name, body)
	write_script(name, body)
	local depth = ("../"):rep(20)
	return depth .. folder:sub(2) .. "/" .. name
end

local ECHO <const> = [[
local words = { ... }
skynet.dispatch("lua", function() skynet.retpack(words) end)
skynet.start(function() end)
]]

case("the_first_caller_starts_it_and_all_get_the_same", function()
	local name = kind("first", ECHO)
	local service = skynet.uniqueservice(name, "a", 1)
	check.equal(math.type(service), "integer")
	check.equal(skynet.uniqueservice(name, "b"), service)
	check.equal(skynet.queryservice(name), service)
	check.equal(skynet.call(service, "lua"), { "a", "1" })
	check.equal(ask("LAUNCH", name), service)
	check.equal(ask("QUERY", name), service)
	check.equal(ask("LIST")[name], skynet.address(service))
end)

case("a_deadline_blames_the_caller", function()
	local name = kind("never_ready", [[
		skynet.start(function() skynet.wait("never") end)
	]])
	local service = require("skynet.service")
	local function never()
		require("skynet").wait("never")
	end
	service.close("nobody") -- now the provider is there
	local text = "call failed: snlua service_%w+ %(:%x+%): no answer within 0%.02 s$"
	local former = skynet.call_timeout(2)
	check.misuse(text, skynet.uniqueservice, name)
	check.misuse(text, skynet.queryservice, name)
	check.misuse(text, skynet.uniqueservice, true, name)
	check.misuse(text, service.new, "never", never)
	check.misuse(text, service.query, "never")
	check.misuse(text, service.close, "never")
	skynet.call_timeout(former)
end)

case("who_asks_while_it_starts_waits", function()
	local name = kind("slow", [[
		skynet.start(function()
			skynet.dispatch("lua", function() skynet.wakeup("go") end)
			skynet.error("slow service waits")
			skynet.wait("go")
		end)
	]])
	local mark = log.mark()
	local results, done = {}, {}
	for i = 1, 3 do
		skynet.fork(function()
			local start = i == 2 and skynet.queryservice or skynet.uniqueservice
			results[i] = start(name)
			skynet.wakeup(done)
		end)
	end
	local line = log.wait(mark, "slow service waits")
	local list = ask("LIST")
	check.matches(list[name], "^Init as " .. line:match("^%[(:%x+)%]") .. "\nstack traceback:")
	check.matches(list[name], "slow.lua:%d+: in function")
	check.matches(list[name], "\nLaunching from " .. skynet.address(skynet.self()))
	check.matches(list[name], "Querying:\n" .. skynet.address(skynet.self()))
	check.equal(results, {})
	local address = tonumber(line:match("^%[:(%x+)%]"), 16)
	skynet.send(address, "lua")
	while #results < 3 do
		skynet.wait(done)
	end
	check.equal(results, { address, address, address })
	check.equal(ask("LIST")[name], skynet.address(address))
end)

case("a_query_waits_until_somebody_starts_it", function()
	local name = kind("later", ECHO)
	local found
	skynet.fork(function()
		found = skynet.queryservice(name)
		skynet.wakeup("found")
	end)
	skynet.yield()
	check.matches(ask("LIST")[name], "^Querying:\n" .. skynet.address(skynet.self()))
	check.equal(found, nil)
	local service = skynet.uniqueservice(name)
	if not found then
		skynet.wait("found")
	end
	check.equal(found, service)
end)

case("a_failed_start_is_remembered", function()
	local name = kind("failing", "error('not today')")
	local text = check.raises("call failed: .*not today", skynet.uniqueservice, name)
	write_script("failing", ECHO)
	check.equal(check.raises("not today", skynet.uniqueservice, name), text)
	check.equal(check.raises("not today", skynet.queryservice, name), text)
	check.misuse("not today", skynet.uniqueservice, name)
	check.matches(ask("LIST")[name], "^Error: call failed: .*not today")
	check.equal(table.pack(ask("LAUNCH", name)), { nil, text, n = 2 })
	check.raises("no_such_service", skynet.uniqueservice, "no_such_service")
end)

case("one_that_exits_while_it_starts_has_failed", function()
	local name = kind("leaving", "skynet.start(skynet.exit)")
	check.raises("has ended by itself", skynet.uniqueservice, name)
	check.raises("has ended by itself", skynet.queryservice, name)
end)

case("all_who_wait_for_a_failing_start_are_told", function()
	local name = kind("failing_late", [[
		skynet.start(function()
			skynet.yield()
			error("late")
		end)
	]])
	local count, done = 0, {}
	for i = 1, 3 do
		skynet.fork(function()
			local start = i == 1 and skynet.queryservice or skynet.uniqueservice
			local ok = pcall(start, name)
			count = count + (ok and 0 or 1)
			skynet.wakeup(done)
		end)
	end
	while count < 3 do
		skynet.wait(done)
	end
end)

case("an_at_sign_makes_another_one_of_the_kind", function()
	local name = kind("twice", ECHO)
	local plain = skynet.uniqueservice(name)
	local other = skynet.uniqueservice("@" .. name, "other")
	check.ok(plain ~= other, "they differ")
	check.equal(skynet.call(other, "lua"), { "other" })
	check.equal(ask("LIST")["@" .. name], skynet.address(other))
	-- Without a network of nodes this node manages those of the whole network.
	check.equal(skynet.uniqueservice(true, name), other)
	check.equal(skynet.queryservice(true, name), other)
	check.equal(ask("GLAUNCH", name), other)
	check.equal(ask("GQUERY", name), other)
end)

case("the_monitor_is_told_of_every_service_that_ends", function()
	local name = kind("watch", [[
		local dead, waiting = {}, nil
		skynet.register_protocol({
			name = "client",
			id = skynet.PTYPE_CLIENT,
			dispatch = function(session, source)
				dead[#dead + 1] = { session = session, source = source }
				if waiting then waiting(true, dead) end
			end,
		})
		skynet.dispatch("lua", function(_, _, word)
			if word == "forget" then
				dead = {}
				skynet.retpack()
			else
				waiting = skynet.response()
			end
		end)
		skynet.start(function() end)
	]])
	local monitor = skynet.monitor(name)
	check.equal(monitor, skynet.uniqueservice(true, name))
	check.equal(skynet.monitor(name, true), monitor)
	local core = require("skynet.core")
	check.equal(core.addresscommand("MONITOR"), monitor)
	for _, way in ipairs({ "kill", "exit" }) do
		local service = child.start(function()
			skynet.dispatch("lua", function()
				skynet.exit()
			end)
			skynet.start(function() end)
		end)
		skynet.call(monitor, "lua", "forget")
		skynet.fork(function()
			if way == "kill" then
				skynet.kill(service)
			else
				skynet.send(service, "lua")
			end
		end)
		local dead = skynet.call(monitor, "lua")
		check.equal(dead, { { session = 0, source = service } })
	end
end)

case("newservice_is_not_known_here", function()
	local service = child.start(function()
		skynet.start(function() end)
	end)
	for _, text in pairs(ask("LIST")) do
		check.ok(text ~= skynet.address(service), text)
	end
	skynet.kill(service)
end)

case("bad_requests_are_refused", function()
	check.raises("call failed: .*: Unknown command NO SUCH", ask, "NO SUCH")
	check.raises("call failed: .*: Unknown command nil", ask)
	for got, name in pairs({ ["got table"] = {}, ['got "two words"'] = "two words" }) do
		for _, command in ipairs({ "LAUNCH", "QUERY", "GLAUNCH", "GQUERY" }) do
			local address, reason = ask(command, name)
			check.equal(address, nil)
			check.matches(reason, "'name': a name without blanks expected, " .. got)
		end
	end
	check.matches(select(2, ask("LAUNCH")), "expected, got nil")
	check.equal(type(ask("LIST")), "table")
	skynet.send(".service", "lua", "LIST")
end)

case("the_scripts_are_removed", function()
	assert(os.execute("rm -r " .. folder))
end)

return cases
