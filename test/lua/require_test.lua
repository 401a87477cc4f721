-- `require` in a task: modules that wait while they are loaded, circles, failures, init functions.
local skynet = require("skynet")
local check = require("check")
local together = require("tasks").together

local cases = {}
local function case(name, body)
	cases[#cases + 1] = { name, body }
end

-- Modules of this test: name -> source. Their searcher is an ordinary one, behind the files'.
local sources = {}
-- What modules and tests tell each other.
local world = { order = {}, skynet = skynet }

table.insert(package.searchers, function(name)
	local source = sources[name]
	if not source then
		return "no module '" .. name .. "' of the test"
	end
	local environment = setmetatable({ world = world }, { __index = _G })
	return assert(load(source, "=" .. name, "t", environment)), "data of " .. name
end)

local count = 0

--- Adds a module and returns its name. @ in the source stands for the name.
local function module(source)
	count = count + 1
	local name = "test_module_" .. count
	sources[name] = source:gsub("@", name)
	return name
end

local function note(word)
	table.insert(world.order, word)
end
world.note = note

case("a_chunk_may_wait_and_gets_its_name_and_place", function()
	local name = module([[
		world.skynet.sleep(1)
		world.arguments = table.pack(...)
		return { name = ... }
	]])
	local first, place = require(name)
	check.equal(first, { name = name })
	check.equal(place, "data of " .. name)
	check.equal(world.arguments, { name, "data of " .. name, n = 2 })
	check.equal(table.pack(require(name)), { first, n = 1 })
	check.ok(rawequal(require(name), first), "the same module")
end)

case("a_file_on_package_path_is_found", function()
	local path = os.tmpname()
	local file <close> = assert(io.open(path, "w"))
	file:write("local skynet = require('skynet') skynet.yield() return { ... }")
	file:close()
	local former = package.path
	package.path = "/tmp/?;" .. package.path
	local name = path:match("[^/]+$")
	local ok, value = pcall(require, name)
	package.path = former
	os.remove(path)
	check.equal({ ok, value }, { true, { name, path } })
end)

case("no_value_counts_as_true", function()
	check.equal(require(module("world.skynet.yield()")), true)
	local own = module("package.loaded['@'] = 'its own'")
	check.equal(require(own), "its own")
	check.equal(require(module("return false")), false)
end)

case("others_wait_for_a_module_that_is_being_loaded", function()
	world.order = {}
	local name = module([[
		world.note("begins")
		world.skynet.sleep(2)
		world.note("ends")
		return {}
	]])
	local function use()
		local value = require(name)
		note("has it")
		return value
	end
	local results = together(use, use, use)
	check.equal(world.order, { "begins", "ends", "has it", "has it", "has it" })
	for i = 1, 3 do
		check.ok(results[i][1], results[i][2])
		check.ok(rawequal(results[i][2], require(name)), "the same for all")
	end
end)

case("a_module_that_is_being_loaded_is_not_seen_before_its_inits_are_done", function()
	local name = module([[
		world.skynet.init(function() world.skynet.sleep(1) world.ready = true end)
		return {}
	]])
	local function use()
		local _ = require(name)
		return world.ready
	end
	local results = together(use, use)
	check.equal(results, { { true, true, n = 2 }, { true, true, n = 2 } })
end)

case("who_waits_for_a_module_that_fails_is_told", function()
	local name = module("world.skynet.sleep(1) error('bad module')")
	local function use()
		require(name)
	end
	local results = together(use, use)
	check.equal({ results[1][1], results[2][1] }, { false, false })
	check.matches(results[1][2], "^" .. name .. ":1: bad module$")
	check.matches(results[2][2], "require " .. name .. " failed, .*bad module")
	check.matches(results[2][2], "^%S*require_test.lua:%d+: ")
	sources[name] = "return 'mended'"
	check.equal(require(name), "mended")
end)

case("a_circle_raises", function()
	local a, b = module(""), module("")
	sources[a] = "world.skynet.yield() require('" .. b .. "')"
	sources[b] = "world.skynet.yield() require('" .. a .. "')"
	local text = check.raises("circular dependency: '" .. a .. "'", require, a)
	check.matches(text, "^" .. b .. ":1: ")
	local own = module("require('@')")
	check.raises("circular dependency", require, own)
end)

case("a_circle_over_two_tasks_raises", function()
	local a, b = module(""), module("")
	sources[a] = "world.skynet.sleep(1) require('" .. b .. "')"
	sources[b] = "world.skynet.sleep(1) require('" .. a .. "')"
	local results = together(function()
		require(a)
	end, function()
		require(b)
	end)
	check.equal({ results[1][1], results[2][1] }, { false, false })
	local texts = results[1][2] .. results[2][2]
	check.matches(texts, "circular dependency")
	check.matches(texts, "require %S+ failed")
end)

case("a_circle_through_a_coroutine_of_the_task_raises", function()
	world.coroutine = require("skynet.coroutine")
	local name = module([[
		local ok, reason = world.coroutine.resume(world.coroutine.create(require), "@")
		error(reason)
	]])
	check.raises("circular dependency: '" .. name .. "'", require, name)
end)

case("init_functions_run_before_require_returns", function()
	world.order = {}
	local inner = module([[
		world.skynet.init(function() world.note("inner init") end)
		world.note("inner")
	]])
	local outer = module(([[
		world.skynet.init(function()
			world.note("outer init 1")
			world.skynet.sleep(1)
			world.skynet.init(function() world.note("outer init 3") end)
			world.module = require("@")
		end)
		world.skynet.init(function() world.note("outer init 2") end)
		require("%s")
		world.note("outer")
		return "value"
	]]):format(inner))
	check.equal(require(outer), "value")
	note("returned")
	check.equal(world.order, {
		"inner",
		"inner init",
		"outer",
		"outer init 1",
		"outer init 2",
		"outer init 3",
		"returned",
	})
	check.equal(world.module, "value")
	check.misuse("skynet%.init is too late", skynet.init, print)
end)

case("an_init_function_that_raises_fails_the_module", function()
	local name = module([[
		world.skynet.init(function() world.skynet.yield() error("bad init") end)
		return {}
	]])
	local function use()
		return require(name)
	end
	local results = together(use, use)
	check.matches(results[1][2], "bad init")
	check.matches(results[2][2], "require " .. name .. " failed")
	check.equal(package.loaded[name], nil)
	check.misuse("skynet%.init is too late", skynet.init, print)
end)

case("a_module_that_is_nowhere_raises_with_the_places_tried", function()
	local text = check.raises("module 'no%.such' not found:", require, "no.such")
	check.matches(text, "\n\tno field package.preload%['no.such'%]")
	check.matches(text, "\n\tno file './lualib/no/such.lua'")
	check.matches(text, "no module 'no.such' of the test")
	check.misuse("module 'no%.such' not found:", require, "no.such")
	check.misuse("string expected", require)
end)

case("modules_in_c_and_in_preload_are_found", function()
	check.equal(type(require("skynet.socketdriver")), "table")
	package.preload.test_preloaded = function(...)
		skynet.yield()
		return { ... }
	end
	check.equal(require("test_preloaded"), { "test_preloaded", ":preload:" })
end)

case("where_lua_can_not_wait_a_module_that_waits_raises", function()
	local name = module("world.skynet.yield()")
	local function from_c(word)
		word:gsub(".+", require)
	end
	check.raises("can't wait here", from_c, name)
	check.raises("coroutine of your own", coroutine.wrap(require), name)
	check.equal(require(name), true)
	local plain = module("return 'plain'")
	from_c(plain)
	check.equal(package.loaded[plain], "plain")
	check.equal(coroutine.wrap(require)(module("return 'own'")), "own")
end)

return cases
