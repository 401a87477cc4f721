-- What becomes of errors in the callbacks of a registry's user, and of changes that a backend tells
-- and that are none (skynet.registry.callbacks); with a backend of the test in the place of the
-- master's.
local skynet = require("skynet")
local test = require("skynet.test")
local check = require("check")
local log = require("log")
local registry = require("skynet.registry")

local cases = {}
local function case(name, body)
	cases[#cases + 1] = { name, body }
end

local INCARNATION <const> = ("a"):rep(16)

--- Opens a registry whose backend is the test: it has the callbacks in `told`.
local function open(callbacks)
	local user = { events = {}, closed = 0 }
	local options = { url = "127.0.0.1:1", id = 1 }
	for _, name in ipairs({ "on_change", "on_lost", "on_back", "on_evicted" }) do
		options[name] = function(...)
			table.insert(user.events, name)
			user.last = ...
			if callbacks and callbacks[name] then
				callbacks[name](...)
			end
		end
	end
	package.loaded["skynet.registry.master"] = {
		open = function(guarded)
			user.told = guarded
			return {
				close = function()
					user.closed = user.closed + 1
				end,
			}
		end,
	}
	registry.open(options)
	return user
end

local function change(values)
	local whole = {
		kind = "join",
		revision = 7,
		id = 3,
		incarnation = INCARNATION,
		address = "a:1",
	}
	for key, value in pairs(values) do
		whole[key] = value ~= "nil" and value or nil
	end
	return whole
end

case("callbacks_are_called_with_what_the_backend_says", function()
	local user = open()
	check.equal(user.told.id, 1)
	user.told.on_change(change({}))
	check.equal(user.last.address, "a:1")
	user.told.on_change(change({ kind = "leave", reason = "why" }))
	user.told.on_change(change({ kind = "name", name = "X", handle = 0x03000001 }))
	user.told.on_change(change({ kind = "unname", name = "X", handle = 0x03000001 }))
	user.told.on_change({ kind = "base", base = 5, revision = 7 })
	check.equal(user.last.base, 5)
	user.told.on_lost("why")
	check.equal(user.last, "why")
	user.told.on_back()
	check.equal(user.events, {
		"on_change",
		"on_change",
		"on_change",
		"on_change",
		"on_change",
		"on_lost",
		"on_back",
	})
	check.equal(user.closed, 0)
end)

case("a_node_that_cannot_take_over_a_change_is_no_member_any_more", function()
	local mark = log.mark()
	local user = open({
		on_change = function()
			error("no room for it")
		end,
	})
	user.told.on_change(change({}))
	check.equal(user.events, { "on_change", "on_evicted" })
	check.matches(user.last, "^it cannot take over what the registry tells: ")
	check.matches(user.last, "no room for it %(address=a:1 id=3 incarnation=a+ kind=join rev")
	local line = log.wait(mark, "error: registry: on_change has failed: .*no room for it")
	check.matches(line, "stack traceback")
	check.matches(line, "registry_callbacks_test")
	test.eventually(function()
		return user.closed == 1
	end)
	-- Nothing follows, whatever the backend has still to say.
	user.told.on_change(change({}))
	user.told.on_lost("x")
	user.told.on_back()
	user.told.on_evicted("x")
	check.equal(user.events, { "on_change", "on_evicted" })
	check.equal(user.closed, 1)
end)

case("a_broken_change_is_named", function()
	local broken = {
		{ change({ address = "nil" }), "its address is nil" },
		{ change({ address = "a b" }), "its address is a b" },
		{ change({ id = 256 }), "its id is 256" },
		{ change({ incarnation = "nil" }), "its incarnation is nil" },
		{ change({ revision = "nil" }), "its revision is nil" },
		{ change({ revision = 1.5 }), "its revision is 1.5" },
		{ change({ kind = "leave" }), "its reason is nil" },
		{ change({ kind = "name", name = "X" }), "its handle is nil" },
		{ change({ kind = "unname", handle = 0x01000001 }), "its name is nil" },
		{ change({ kind = "joins" }), "its kind is joins" },
		{ change({ kind = "nil" }), "its kind is nil" },
		{ { kind = "base" }, "its base is nil" },
		{ "join", "its kind is false" },
	}
	for _, pair in ipairs(broken) do
		local user = open()
		user.told.on_change(pair[1])
		check.equal(user.events, { "on_evicted" })
		check.matches(user.last, "a broken change, " .. pair[2] .. " %(")
	end
	local user = open()
	user.told.on_change()
	check.matches(user.last, "its kind is false %(nil%)")
end)

case("an_error_in_another_callback_is_logged", function()
	local mark = log.mark()
	local function fail()
		error({}) -- no text at all
	end
	local user = open({ on_lost = fail, on_back = fail, on_evicted = fail })
	user.told.on_lost("why")
	log.wait(mark, "error: registry: on_lost has failed: .*stack traceback")
	user.told.on_back()
	log.wait(mark, "error: registry: on_back has failed: .*stack traceback")
	user.told.on_change(change({}))
	user.told.on_evicted("why")
	log.wait(mark, "error: registry: on_evicted has failed: .*stack traceback")
	check.equal(user.events, { "on_lost", "on_back", "on_change", "on_evicted" })
	check.equal(user.closed, 0)
end)

case("a_callback_may_wait", function()
	local user = open({
		on_change = function()
			skynet.sleep(10)
			error("late")
		end,
	})
	user.told.on_change(change({}))
	check.matches(user.last, "late")
end)

return cases
