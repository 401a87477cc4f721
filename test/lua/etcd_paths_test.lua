-- skynet.registry.etcd_paths: places in a tree, as keys of etcd.
local check = require("check")
local paths = require("skynet.registry.etcd_paths")

local cases = {}
local function case(name, body)
	cases[#cases + 1] = { name, body }
end

case("paths_cannot_be_mixed_up", function()
	local seen = {}
	local function add(...)
		local keys = table.pack(...)
		local path = paths.format(keys, keys.n)
		check.ok(not seen[path], path)
		seen[path] = true
		local parsed, count = paths.parse(path)
		check.equal(count, keys.n)
		for i = 1, count do
			check.ok(parsed[i] == keys[i] and type(parsed[i]) == type(keys[i]), path)
		end
	end
	add("a/b")
	add("a", "b")
	add("")
	add("", "")
	add("/")
	add("1")
	add(1)
	add(-1)
	add(1.5)
	add("1.5")
	add(0.1)
	add(1e300)
	add(-math.huge)
	add(math.huge)
	add("inf")
	add(math.mininteger)
	add(math.maxinteger)
	add(2.0 ^ 63)
	add(5e-324)
	add(true)
	add("true")
	add("?true")
	add(false, "false")
	add("%41")
	add("a", 1, true, 0.5)
	add("\0\xff \n\"\\")
	check.equal(paths.format({ 2.0 }, 1), paths.format({ 2 }, 1))
	check.equal(paths.format({ -0.0 }, 1), paths.format({ 0 }, 1))
end)

case("what_is_no_path_is_none", function()
	local texts = { "", "a", "/%2f", "/#x", "/?yes", "/%41", "/#0x1p+0", "/#01", "/a b", "/%" }
	for _, text in ipairs(texts) do
		check.equal(paths.parse(text), nil, text)
	end
end)

return cases
