-- skynet.harbor on a node without a network: global names that one may wait for.
local skynet = require("skynet")
require("skynet.manager")
local harbor = require("skynet.harbor")
local test = require("skynet.test")
local check = require("check")
local child = require("child")

local cases = {}
local function case(name, body)
	cases[#cases + 1] = { name, body }
end

--- Queries the name in a task. Returns a table that will hold the result.
local function begin_query(name)
	local result = {}
	skynet.fork(function()
		result.ok, result.address = pcall(harbor.queryname, name)
	end)
	skynet.yield()
	return result
end

local function idle()
	skynet.start(function()
		skynet.dispatch("lua", function(_, _, name)
			skynet.retpack(name and require("skynet.harbor").globalname(name))
		end)
	end)
end

case("a_name_that_is_registered_is_known_at_once", function()
	harbor.globalname("ME")
	check.equal(harbor.queryname("ME"), skynet.self())
	local service = child.start(idle)
	harbor.globalname("OTHER", service)
	check.equal(harbor.queryname("OTHER"), service)
	check.equal(skynet.call("OTHER", "lua"), nil)
	check.equal(skynet.localname(".cslave"), nil) -- nobody has waited: nobody was needed
end)

case("queryname_waits_until_the_name_is_registered", function()
	local first, second, other = begin_query("LATE"), begin_query("LATE"), begin_query("NEVER")
	test.settle()
	check.equal(first, {})
	local service = child.start(idle)
	skynet.call(service, "lua", "LATE")
	test.settle()
	check.equal(first, { ok = true, address = service })
	check.equal(second, { ok = true, address = service })
	check.equal(other, {})
	skynet.register("NEVER")
	test.settle()
	check.equal(other, { ok = true, address = skynet.self() })
end)

case("a_name_whose_owner_is_gone_is_waited_for", function()
	local service = child.start(idle)
	harbor.globalname("MORTAL", service)
	skynet.kill(service)
	local result = begin_query("MORTAL")
	test.settle()
	check.equal(result, {})
	harbor.globalname("MORTAL")
	test.settle()
	check.equal(result, { ok = true, address = skynet.self() })
end)

case("who_dies_waiting_holds_up_nobody", function()
	local service = child.start(function()
		skynet.start(function()
			skynet.fork(require("skynet.harbor").queryname, "TARDY")
		end)
	end)
	local result = begin_query("TARDY")
	skynet.kill(service)
	harbor.globalname("TARDY")
	test.settle()
	check.equal(result, { ok = true, address = skynet.self() })
end)

case("local_names_are_not_waited_for", function()
	check.equal(harbor.queryname(".nobody"), nil)
	skynet.register(".somebody")
	check.equal(harbor.queryname(".somebody"), skynet.self())
end)

case("no_other_node_is_ever_there", function()
	harbor.link(3) -- returns at once
	check.raises("there is no node 3: this node has no network", harbor.connect, 3)
	check.equal(#test.log("Can't connect to other harbor in single node mode"), 1)
	check.raises("there is no master", harbor.linkmaster)
end)

case("the_service_answers_as_users_know_it", function()
	harbor.link(1)
	local function ask(...)
		return skynet.call(".cslave", "lua", ...)
	end
	check.equal(ask("LINK", 2), nil)
	check.raises("no network", ask, "CONNECT", 2)
	check.raises("no master", ask, "LINKMASTER")
	harbor.globalname("BYHAND")
	check.equal(ask("QUERYNAME", "BYHAND"), skynet.self())
	check.raises("Unknown command NO SUCH", ask, "NO SUCH")
end)

case("misuse_is_told", function()
	check.misuse("'name': string expected, got nil", harbor.globalname)
	check.misuse("%.me is a local name", harbor.globalname, ".me")
	check.raises("a global name has 1 to 16 characters", harbor.globalname, "SEVENTEEN_LETTERS")
	check.misuse("'name': string expected, got number", harbor.queryname, 1)
	for _, id in ipairs({ 0, 256, 1.5, "1" }) do
		check.misuse("'id': a node, 1 to 255, expected", harbor.connect, id)
		check.misuse("'id': a node, 1 to 255, expected", harbor.link, id)
	end
end)

return cases
