-- skynet.datacenter: a tree of values that all services share.
local skynet = require("skynet")
require("skynet.manager")
local datacenter = require("skynet.datacenter")
local check = require("check")
local child = require("child")

local cases = {}
local function case(name, body)
	cases[#cases + 1] = { name, body }
end

--- Waits for the keys in a task. Returns a function that waits for its result.
local function begin_wait(...)
	local result, done = nil, {}
	skynet.fork(function(...)
		result = table.pack(pcall(datacenter.wait, ...))
		skynet.wakeup(done)
	end, ...)
	skynet.yield()
	return function()
		if not result then
			skynet.wait(done)
		end
		return result[1], result[2]
	end
end

case("set_gives_the_former_value_and_makes_branches", function()
	check.equal(datacenter.set("a", "b", 1), nil)
	check.equal(datacenter.set("a", "b", "two"), 1)
	check.equal(datacenter.get("a", "b"), "two")
	check.equal(datacenter.get("a"), { b = "two" })
	check.equal(datacenter.get("a", "b", "c"), nil)
	check.equal(datacenter.get("nothing", "there"), nil)
	check.equal(datacenter.set("a", "b", nil), "two")
	check.equal(datacenter.get("a", "b"), nil)
	check.equal(datacenter.set(1, true, false), nil)
	check.equal(datacenter.get(1, true), false)
end)

case("tables_become_branches", function()
	datacenter.set("tree", { x = { y = 5 } })
	check.equal(datacenter.get("tree", "x", "y"), 5)
	datacenter.set("tree", "x", "z", 6)
	check.equal(datacenter.get("tree"), { x = { y = 5, z = 6 } })
end)

case("nothing_is_set_below_a_value", function()
	datacenter.set("leaf", 1)
	check.misuse("'leaf' holds a value", datacenter.set, "leaf", "below", 2)
	check.equal(datacenter.get("leaf"), 1)
end)

case("wait_waits_until_the_value_is_set", function()
	datacenter.set("there", 1)
	check.equal(datacenter.wait("there"), 1)
	local plain, deep = begin_wait("later"), begin_wait("deep", "later")
	datacenter.set("other", 1)
	datacenter.set("later", nil)
	datacenter.set("later", false)
	datacenter.set("deep", { later = 2 })
	check.equal({ plain() }, { true, false })
	check.equal({ deep() }, { true, 2 })
	local table_itself = begin_wait("whole")
	datacenter.set("whole", { 1 })
	check.equal({ table_itself() }, { true, { 1 } })
end)

case("waiting_for_what_becomes_a_branch_raises", function()
	local finish = begin_wait("branch")
	datacenter.set("branch", "below", 1)
	local ok, reason = finish()
	check.equal(ok, false)
	check.matches(reason, "has become a branch")
end)

case("who_dies_waiting_is_forgotten", function()
	local service = child.start(function()
		skynet.start(function()
			skynet.fork(function()
				require("skynet.datacenter").wait("never for the dead")
			end)
		end)
	end)
	skynet.kill(service)
	datacenter.set("never for the dead", 1)
	check.equal(datacenter.get("never for the dead"), 1)
end)

case("all_services_see_the_same", function()
	local service = child.start(function()
		skynet.start(function()
			require("skynet.datacenter").set("from", "a child", skynet.self())
		end)
	end)
	check.equal(datacenter.get("from", "a child"), service)
	check.equal(skynet.call("DATACENTER", "lua", "QUERY", "from", "a child"), service)
	check.equal(skynet.getenv("standalone"), "true")
	skynet.kill(service)
end)

case("misuse_is_told", function()
	check.misuse("'key': string, number or boolean expected, got nil", datacenter.set)
	check.misuse("'key': string, number or boolean expected, got nil", datacenter.get)
	check.misuse("'key': string, number or boolean expected, got nil", datacenter.wait)
	check.misuse("the last argument is the value", datacenter.set, "key")
	check.misuse("bad key number 2: .* got table", datacenter.get, "a", {})
	check.misuse("bad key number 2: .* got table", datacenter.wait, "a", {})
	check.misuse("bad key number 1: .* got nan", datacenter.set, 0 / 0, 1)
	check.raises("Unknown command", skynet.call, "DATACENTER", "lua", "NO SUCH")
	check.raises("a key and a value expected", skynet.call, "DATACENTER", "lua", "UPDATE", 1)
	check.raises("a key expected", skynet.call, "DATACENTER", "lua", "WAIT")
end)

return cases
