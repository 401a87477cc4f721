-- skynet.datacenter.entries: what a tree is written down as, and read from.
local skynet = require("skynet")
local check = require("check")
local entries = require("skynet.datacenter.entries")
local paths = require("skynet.registry.etcd_paths")
local tree = require("skynet.datacenter.tree")

local cases = {}
local function case(name, body)
	cases[#cases + 1] = { name, body }
end

--- A tree whose sets are written down in `values`, by their paths.
local function new_world()
	return { root = {}, entries = entries.new(), values = {} }
end

local function is_below(path, top)
	return path:sub(1, #top + 1) == top .. "/"
end

local function write(values, change)
	local path = paths.format(change.keys, change.count)
	if change.is_below then
		for other in pairs(values) do
			values[other] = not is_below(other, path) and values[other] or nil
		end
	else
		values[path] = change.bytes
	end
end

--- Sets a value; keys and value as in datacenter.set.
local function set(world, ...)
	local count = select("#", ...) - 1
	local keys, value = { ... }, (select(count + 1, ...))
	local bytes
	if value ~= nil then
		bytes = skynet.packstring(value)
	end
	local changes = world.entries:plan(world.root, keys, count, bytes)
	for _, change in ipairs(changes) do
		write(world.values, change)
	end
	if #changes > 0 then
		world.entries:apply(world.root, keys, count, bytes)
	end
end

--- What somebody else reads there.
local function read(values)
	local list, other = {}, { root = {}, entries = entries.new(), values = values }
	for path in pairs(values) do
		list[#list + 1] = path
	end
	table.sort(list)
	for _, path in ipairs(list) do
		local keys, count = paths.parse(path)
		other.entries:apply(other.root, keys, count, values[path])
	end
	return other
end

local function count_entries(world)
	local count = 0
	for _ in pairs(world.values) do
		count = count + 1
	end
	return count
end

case("each_set_is_an_entry", function()
	local world = new_world()
	set(world, "a", 1)
	set(world, "a", 2)
	check.equal(count_entries(world), 1)
	set(world, "b", "c", 3) -- and the branch
	check.equal(count_entries(world), 3)
	set(world, "b", "c", nil)
	check.equal(read(world.values).root, { a = 2, b = {} })
	set(world, "b", nil)
	set(world, "a", nil)
	check.equal(count_entries(world), 0)
end)

case("a_table_is_one_entry_and_what_is_set_below_others", function()
	local world = new_world()
	set(world, "t", { 1, 2, x = { y = 1, z = 2 } })
	check.equal(count_entries(world), 1)
	set(world, "t", "x", "y", 5)
	set(world, "t", 3, 3)
	check.equal(read(world.values).root, { t = { 1, 2, 3, x = { y = 5, z = 2 } } })
	set(world, "t", "x", nil)
	check.equal(read(world.values).root, { t = { 1, 2, 3 } })
	set(world, "t", "x", "y", 6)
	check.equal(read(world.values).root, { t = { 1, 2, 3, x = { y = 6 } } })
	set(world, "t", {})
	check.equal(count_entries(world), 1)
end)

case("what_comes_and_goes_below_a_table_leaves_nothing", function()
	local world = new_world()
	set(world, "room", { size = 4, seats = {} })
	for i = 1, 100 do
		set(world, "room", i, { "somebody" })
		set(world, "room", i, 1, "somebody else")
		set(world, "room", "seats", i, true)
		set(world, "room", i, nil)
		set(world, "room", "seats", i, nil)
	end
	check.equal(count_entries(world), 1)
	for _ = 1, 10 do
		set(world, "room", "size", nil)
		set(world, "room", "size", 5)
	end
	set(world, "room", "size", nil)
	check.equal(count_entries(world), 2) -- a hole in place of the size
	check.equal(read(world.values).root, { room = { seats = {} } })
end)

case("holes_are_known_by_who_reads_them", function()
	local world = new_world()
	set(world, "t", { a = 1, b = { c = 2 } })
	set(world, "t", "a", nil)
	local other = read(world.values)
	set(other, "t", "b", "c", nil)
	set(other, "t", "a", 5)
	set(other, "t", "a", nil)
	check.equal(read(other.values).root, { t = { b = {} } })
	set(other, "t", nil)
	check.equal(other.values, {})
end)

case("what_is_not_there_is_deleted_without_a_change", function()
	local world = new_world()
	set(world, "a", nil)
	check.equal(world.values, {})
	check.equal(world.root, {})
	set(world, "a", "b", nil) -- but it makes the branch, as it does in memory
	local plain = {}
	tree.set(plain, { "a", "b" }, 2, nil)
	check.equal(world.root, plain)
	check.equal(read(world.values).root, plain)
end)

case("below_a_value_there_is_nothing", function()
	local world = new_world()
	set(world, "a", false)
	check.raises("'a' holds a value", set, world, "a", "b", 1)
	check.raises("'a' holds a value", set, world, "a", "b", nil)
	check.equal(read(world.values).root, { a = false })
end)

-- All that look alike, or are the same.
local KEYS <const> = { "a", "a/b", "", "1", 1, 1.5, true, "true", "#1", "?true", "%", "\0\xff" }

local function random_key()
	return KEYS[math.random(#KEYS)]
end

local function random_value(depth)
	local kind = math.random(10)
	if kind <= 2 then
		return nil
	elseif kind <= 5 or depth > 2 then
		return ({ 1, 2.5, "", "text\0", false, math.mininteger, math.huge })[math.random(7)]
	end
	local value = {}
	for _ = 1, math.random(0, 3) do
		value[random_key()] = random_value(depth + 1)
	end
	return value
end

--- Sets at random keys in both; where one raises, the other one does.
local function random_set(world, plain)
	local keys, count = {}, math.random(4)
	for i = 1, count do
		keys[i] = random_key()
	end
	local value = random_value(0)
	keys[count + 1] = value
	local ok = pcall(set, world, table.unpack(keys, 1, count + 1))
	local copy = value ~= nil and skynet.unpack(skynet.packstring(value)) or value
	check.equal(pcall(tree.set, plain, keys, count, copy), ok)
end

case("whatever_is_set_is_read_again", function()
	for _ = 1, 20 do
		local world, plain = new_world(), {}
		for i = 1, 100 do
			random_set(world, plain)
			if i % 10 == 0 then
				check.equal(read(world.values).root, plain)
				skynet.yield()
			end
			if i % 50 == 0 then
				world = read(world.values) -- another one goes on
			end
		end
		check.equal(world.root, plain)
	end
end)

return cases
