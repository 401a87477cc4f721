-- The cache of compiled files: loadfile and require read a changed file anew.
local skynet = require("skynet")
local cache = require("skynet.codecache")
local check = require("check")

local cases = {}
local function case(name, body)
	cases[#cases + 1] = { name, body }
end

--- Runs body with the path of a new file and a function that (re)writes it.
local function with_file(body)
	local path = os.tmpname()
	local version = 0
	local ok, reason = pcall(body, path, function(text)
		-- A new file in place of the old one, as editors do it: never half written, with
		-- an inode of its own, so that it differs even within one tick of the clock.
		version = version + 1
		local draft = path .. "." .. version
		local file = assert(io.open(draft, "w"))
		file:write(text)
		file:close()
		assert(os.rename(draft, path))
	end)
	os.remove(path)
	if not ok then
		error(reason, 0)
	end
end

case("a_changed_file_is_seen_by_the_next_load", function()
	with_file(function(path, write)
		for i = 1, 20 do
			write("return " .. i)
			for _ = 1, 3 do
				check.equal(loadfile(path)(), i)
			end
		end
	end)
end)

case("loaded_code_keeps_running_when_the_file_changes", function()
	with_file(function(path, write)
		write("local n = ... return function() n = n + 1 return n end")
		local count = loadfile(path)(10)
		check.equal(count(), 11)
		write("return 'other'")
		check.equal(loadfile(path)(), "other")
		check.equal(count(), 12)
		local again = loadfile(path)
		check.equal(again(), "other")
		check.ok(again ~= loadfile(path), "each load makes a function of its own")
	end)
end)

case("functions_know_their_file_and_line", function()
	with_file(function(path, write)
		write("\n\nerror('here')")
		for _ = 1, 2 do
			check.raises(path:gsub("%p", "%%%0") .. ":3: here", loadfile(path))
			check.equal(debug.getinfo(loadfile(path), "S").source, "@" .. path)
		end
	end)
end)

case("mistakes_are_reported_each_time", function()
	with_file(function(path, write)
		write("local = 1")
		for _ = 1, 2 do
			local chunk, reason = loadfile(path)
			check.equal(chunk, nil)
			check.matches(reason, ":1: ")
		end
		write("return 'mended'")
		check.equal(loadfile(path)(), "mended")
		os.remove(path)
		local chunk, reason = loadfile(path)
		check.equal(chunk, nil)
		check.matches(reason, "cannot open")
	end)
	check.misuse("bad argument #1", loadfile)
end)

case("loadfile_takes_an_environment", function()
	with_file(function(path, write)
		write("x = 5 return x")
		for _ = 1, 2 do
			local env = {}
			check.equal(loadfile(path, "bt", env)(), 5)
			check.equal(env, { x = 5 })
			check.equal(rawget(_G, "x"), nil)
		end
		write("return 7") -- uses no global at all
		check.equal(loadfile(path, "bt", {})(), 7)
		check.equal(loadfile(path)(), 7)
	end)
end)

case("a_file_may_begin_with_a_hash_line", function()
	with_file(function(path, write)
		write("#!/usr/bin/env lua\nreturn 'ran'")
		check.equal(loadfile(path)(), "ran")
		check.equal(loadfile(path)(), "ran")
	end)
end)

case("clearing_the_cache_harms_nobody", function()
	with_file(function(path, write)
		write("return 'before'")
		local before = loadfile(path)
		cache.clear()
		check.equal(before(), "before")
		check.equal(loadfile(path)(), "before")
		check.equal(cache.loadfile, loadfile)
	end)
end)

case("require_finds_modules_in_the_cache", function()
	with_file(function(path, write)
		local name = path:match("[^/]+$")
		write("return { n = 1, arguments = { ... } }")
		local saved = package.path
		package.path = path:gsub("[^/]+$", "?")
		local module = require(name)
		check.equal(module, { n = 1, arguments = { name, path } })
		check.ok(require(name) == module, "loaded once")
		write("return { n = 2 }")
		check.equal(require(name).n, 1)
		check.ok(skynet.request(), "a field that is written in Lua is found nevertheless")
		package.loaded[name] = nil
		check.equal(require(name).n, 2)
		package.loaded[name] = nil
		write("local = 1")
		check.raises(
			"error loading module '" .. name .. "' from file '.*:1: ",
			require,
			name
		)
		check.raises(
			"module 'no_such_module' not found:.*no file '.*/no_such_module'",
			require,
			"no_such_module"
		)
		package.path = 5
		local ok, reason = pcall(require, "no_such_module")
		package.path = saved
		check.equal(ok, false)
		check.matches(reason, "'package.path' must be a string")
	end)
end)

case("modules_of_the_library_come_once", function()
	check.ok(require("skynet") == skynet)
	check.ok(require("skynet.manager") == skynet)
	check.equal(skynet.pcall, pcall)
end)

-- A file that was changed behind the back of the cache: the same size, time and inode.
case("the_mode_says_whether_the_cache_is_used", function()
	local function with_mode(mode, path)
		check.equal(cache.mode(mode), nil)
		check.equal(cache.mode(), mode)
		local result = loadfile(path)()
		cache.mode("ON")
		return result
	end
	with_file(function(path, write)
		local function overwrite(text)
			local file = assert(io.open(path, "r+"))
			file:write(text)
			file:close()
			assert(os.execute("touch -d @1000000000 '" .. path .. "'"))
		end
		check.equal(cache.mode(), "ON")
		write("return 1")
		overwrite("return 1")
		check.equal(with_mode("EXIST", path), 1) -- does not remember it
		overwrite("return 2")
		check.equal(with_mode("OFF", path), 2) -- nor does this
		overwrite("return 3")
		check.equal(with_mode("ON", path), 3)
		overwrite("return 4")
		check.equal(with_mode("ON", path), 3)
		check.equal(with_mode("EXIST", path), 3)
		check.equal(with_mode("OFF", path), 4)
		check.equal(with_mode("ON", path), 3)
	end)
	check.raises("bad argument #1.*invalid option 'on'", cache.mode, "on")
	check.equal(cache.mode(), "ON")
end)

return cases
