-- skynet.remote: objects whose methods other services call.
local skynet = require("skynet")
require("skynet.manager")
local test = require("skynet.test")
local check = require("check")
local child = require("child")

local cases = {}
local function case(name, body)
	cases[#cases + 1] = { name, body }
end

--- Makes counters, and lends them.
local function bank()
	local counters, command = {}, {}

	local methods = {}
	local class = { __index = methods }

	function methods:add(n)
		self.value = self.value + n
		return self.value, self
	end

	function methods.later(_, cs)
		skynet.sleep(cs)
		return "late", nil, nil
	end

	function methods.fail()
		error("no money")
	end

	function methods.fail_with_table()
		error({ "no money" })
	end

	function methods.is_home(_, object)
		for _, counter in ipairs(counters) do
			if rawequal(counter, object) then
				return true
			end
		end
		return false
	end

	function methods.visit(_, visitor, ...)
		return visitor:welcome(...)
	end

	function methods.end_service()
		skynet.exit()
	end

	function command.make(number)
		local counter = setmetatable({ value = 0 }, class)
		counters[#counters + 1] = skynet.remote_create(counter, number)
		return counter
	end

	function command.all()
		return { list = counters, named = { first = counters[1] } }
	end

	function command.release(object)
		skynet.remote_release(object)
		return object
	end

	function command.is_home(object)
		return methods.is_home(nil, object)
	end

	skynet.start(function()
		skynet.dispatch("lua", function(_, _, name, ...)
			skynet.retpack(command[name](...))
		end)
	end)
end

local function ask(service, ...)
	return skynet.call(service, "lua", ...)
end

case("a_method_is_called_where_the_object_lives", function()
	local service = child.start(bank)
	local counter = ask(service, "make")
	check.equal(tostring(counter), ("[remote :%08x %d]"):format(service, 1 << 31))
	check.equal(counter.__remote, service << 32 | 1 << 31)
	check.equal(counter:add(3), 3)
	local value, same = counter:add(4)
	check.equal(value, 7)
	check.ok(rawequal(same, counter), "one object is one reference")
	check.equal(table.pack(counter:later(5)), { "late", n = 3 })
	check.equal(skynet.remote_bind(counter.__remote), counter)
end)

case("references_travel_in_tables_and_come_home_as_the_object", function()
	local service = child.start(bank)
	local one, two = ask(service, "make"), ask(service, "make")
	local all = ask(service, "all")
	check.ok(rawequal(all.list[1], one) and rawequal(all.list[2], two))
	check.ok(rawequal(all.named.first, one))
	check.ok(one:is_home(two))
	check.ok(ask(service, "is_home", one))
	check.equal(one:is_home({}), false)
	-- as a key, deep inside, and through a service that has never heard of remote objects
	local echo = child.start(function()
		skynet.dispatch("lua", function(_, _, ...)
			skynet.retpack(...)
		end)
		skynet.start(function() end)
	end)
	local answer = ask(echo, { { { [one] = two } } })
	check.ok(rawequal(answer[1][1][one], two))
	check.equal(two:add(2), 2)
end)

case("an_object_of_ones_own_is_called_as_any_table", function()
	local mine = skynet.remote_create({
		welcome = function(self, ...)
			return self.name, ...
		end,
		name = "mine",
	})
	local counter = ask(child.start(bank), "make")
	check.equal({ counter:visit(mine, 1, nil, 3) }, { "mine", 1, nil, 3 })
	check.ok(rawequal(skynet.remote_bind(mine.__remote), mine))
	local empty = skynet.remote_create()
	check.equal(empty.__remote, mine.__remote + 1)
	local numbered = skynet.remote_create({}, 5)
	check.equal(numbered.__remote, skynet.remote_handle(skynet.self(), 5))
end)

case("objects_are_passed_on_from_service_to_service", function()
	local first, second = child.start(bank), child.start(bank)
	local one = ask(first, "make")
	local visitor = child.start(function()
		skynet.start(function()
			skynet.dispatch("lua", function(_, _, counter)
				skynet.retpack(counter:add(10)) -- it has not required skynet.remote
			end)
		end)
	end)
	local value, same = ask(visitor, one)
	check.equal(value, 10)
	check.ok(rawequal(same, one))
	check.equal(ask(second, "make"):is_home(one), false)
end)

case("references_travel_through_the_datacenter_and_channels", function()
	local counter = ask(child.start(bank), "make")
	local datacenter = require("skynet.datacenter")
	datacenter.set("objects", "counter", counter)
	check.ok(rawequal(datacenter.get("objects", "counter"), counter))
	check.ok(rawequal(datacenter.get("objects").counter, counter))
	local heard
	local channel = require("skynet.multicast").new({
		dispatch = function(_, _, object)
			heard = object
		end,
	})
	channel:subscribe()
	channel:publish(counter)
	test.settle()
	check.ok(rawequal(heard, counter))
	check.equal(heard:add(1), 1)
end)

case("what_a_method_raises_reaches_the_caller_with_its_place", function()
	local counter = ask(child.start(bank), "make")
	local problem = check.raises("no money", counter.fail, counter)
	check.matches(problem, "call failed: script")
	check.matches(problem, "remote_objects_test.lua:%d+: no money")
	check.matches(problem, "\n\tin script %(:%x+%):\n")
	check.raises("call failed", counter.fail_with_table, counter)
	check.raises("has no method 'steal'", counter.steal, counter)
	check.raises("has no method 'value'", counter.value, counter)
	check.equal(counter.__gc, nil)
	check.equal(counter[1], nil)
	check.raises("has no method '__index'", skynet.call, counter.__remote >> 32, "remote",
		counter.__remote & 0xffffffff, "__index")
	local _, blamed = pcall(function()
		counter:fail()
	end)
	check.matches(blamed, "^test/lua/remote_objects_test.lua:%d+: call failed: script")
	check.equal(counter:add(1), 1)
end)

case("calls_fail_when_the_owner_ends", function()
	local service = child.start(bank)
	local counter = ask(service, "make")
	skynet.fork(function()
		skynet.sleep(1)
		skynet.kill(service)
	end)
	check.raises("it was killed by", counter.later, counter, 1000)
	check.raises("call to invalid address", counter.add, counter, 1)
	local other = ask(child.start(bank), "make")
	check.raises("it has ended before it answered", other.end_service, other)
end)

case("a_released_object_is_a_table_again", function()
	local service = child.start(bank)
	local counter = ask(service, "make", 7)
	check.equal(ask(service, "release", counter), { value = 0 })
	check.raises("there is no object 7: it was released, or never was", counter.add, counter, 1)
	check.raises("not a remote object of this service", ask, service, "release", counter)
	local again = ask(service, "make", 7) -- its number is free
	check.ok(rawequal(again, counter))
	check.equal(counter:add(1), 1)
	-- and what was on its way home while it was released
	local mine = skynet.remote_create({})
	local handle = mine.__remote
	skynet.remote_release(mine)
	check.equal(mine, {})
	local gone = skynet.remote_bind(handle)
	check.raises("it was released", gone.anything, gone)
	check.ok(skynet.remote_create(mine).__remote ~= handle, "numbers are drawn once")
end)

case("references_are_collected_and_methods_too", function()
	local service = child.start(bank)
	local seen = setmetatable({}, { __mode = "k" })
	for i = 1, 100 do
		local counter = ask(service, "make")
		seen[counter] = counter["method" .. i]
	end
	collectgarbage()
	collectgarbage()
	check.equal(next(seen), nil)
end)

case("a_service_that_does_not_use_them_packs_what_it_likes", function()
	local plain = child.start(function()
		skynet.start(function()
			skynet.dispatch("lua", function()
				skynet.ret(skynet.pack({ __remote = 1 << 40 | 1 }))
			end)
		end)
	end)
	check.equal(ask(plain), { __remote = 1 << 40 | 1 })
	skynet.remote_create()
	local name = { __remote = "no number" }
	check.equal(skynet.unpack(skynet.packstring(name)), name)
end)

case("the_bytes_are_kind_7_and_a_handle", function()
	local object = skynet.remote_create({}, 9)
	local bytes = skynet.packstring(object)
	check.equal(bytes, "\7" .. string.pack("<i8", object.__remote))
	for size = 1, #bytes - 1 do
		check.raises("Invalid serialize stream", skynet.unpack, bytes:sub(1, size))
	end
	check.raises("Invalid serialize stream", skynet.unpack, "\15" .. bytes:sub(2))
	check.raises("a reference to no service: 9", skynet.unpack, "\7" .. string.pack("<i8", 9))
	local deep = { object }
	for _ = 1, 31 do
		deep = { deep }
	end
	check.raises("too depth table", skynet.packstring, deep)
	check.ok(skynet.packstring(deep[1]))
end)

case("the_root_knows_objects_by_name", function()
	local root = skynet.remote_root()
	check.equal(root, skynet.remote_bind(0))
	check.equal(root.__remote & 0xffffffff, 0)
	local service = child.start(bank)
	local counter = ask(service, "make")
	root:register("bank", counter)
	root:register("bank", counter) -- once more is nothing
	check.ok(rawequal(root:query("bank"), counter))
	check.raises("the name 'bank' is that of another object", root.register, root, "bank",
		skynet.remote_create())
	check.equal(root:query("nobody"), nil)
	check.equal({ root:echo(1, { counter }) }, { 1, { counter } })
	root:unregister("bank")
	root:unregister("bank")
	check.equal(root:query("bank"), nil)
	check.raises("'name': string expected, got nil", root.query, root)
	check.raises("'object': a remote object expected, got number", root.register, root, "x", 1)
	check.raises("'object': a remote object expected, got table", root.register, root, "x", {})
end)

case("names_at_the_root_end_with_the_service_of_their_object", function()
	local root = skynet.remote_root()
	local service = child.start(bank)
	local counter = ask(service, "make")
	root:register("mortal", counter)
	root:register("other", ask(child.start(bank), "make"))
	skynet.kill(service)
	test.settle()
	check.equal(root:query("mortal"), nil)
	check.ok(root:query("other"))
	root:register("mortal", root) -- which is at home there
	check.ok(rawequal(root:query("mortal"), root))
	-- the object of a service that is dead already
	root:register("dead", counter)
	test.settle()
	check.equal(root:query("dead"), nil)
end)

case("misuse_is_told", function()
	check.misuse("'object': table expected, got number", skynet.remote_create, 1)
	local object = skynet.remote_create()
	check.misuse("it is a remote object already", skynet.remote_create, object)
	for _, number in ipairs({ -1, 1 << 31, 1.5, "1" }) do
		check.misuse("bad argument 'number'", skynet.remote_create, {}, number)
	end
	skynet.remote_create({}, 1)
	check.misuse("there is an object 1 already", skynet.remote_create, {}, 1)
	check.misuse("not a remote object of this service", skynet.remote_release, {})
	check.misuse("not a remote object of this service", skynet.remote_release, 1)
	check.misuse("not a remote object of this service", skynet.remote_release,
		{ __remote = object.__remote })
	for _, handle in ipairs({ 1, -1 >> 32, 1.5, "x" }) do
		check.misuse("bad argument 'handle'", skynet.remote_bind, handle)
	end
	check.misuse("bad argument 'address'", skynet.remote_handle, 0, 1)
	check.misuse("bad argument 'number'", skynet.remote_handle, 1, 1 << 32)
	local counter = ask(child.start(bank), "make")
	check.misuse("with a colon", counter.add, 3)
	check.raises("field 'value' cannot be set", function()
		counter.value = 3
	end)
	check.misuse("it is a remote object already", skynet.remote_create, counter)
	check.raises("a number and a name expected", skynet.call, counter.__remote >> 32, "remote",
		"1", "add")
end)

return cases
