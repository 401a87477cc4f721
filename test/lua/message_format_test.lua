-- The "lua" message format: what packs, to which bytes, and what broken bytes do.
local skynet = require("skynet")
local check = require("check")

local cases = {}
local function case(name, body)
	cases[#cases + 1] = { name, body }
end

local function hex(text)
	return (text:gsub(".", function(byte)
		return ("%02X"):format(byte:byte())
	end))
end

local function bytes(text)
	return (text:gsub("%s", ""):gsub("..", function(pair)
		return string.char(tonumber(pair, 16))
	end))
end

local function round_trip(...)
	return skynet.unpack(skynet.packstring(...))
end

local function check_round_trip(...)
	check.equal(table.pack(round_trip(...)), table.pack(...))
end

-- The examples of docs/lua-messages.md.
local EXAMPLES <const> = {
	{ "00", nil },
	{ "01", false },
	{ "09", true },
	{ "02", 0 },
	{ "0A01", 1 },
	{ "0AFF", 255 },
	{ "120001", 256 },
	{ "12FFFF", 65535 },
	{ "2200000100", 65536 },
	{ "22FFFFFF7F", 2147483647 },
	{ "22FFFFFFFF", -1 },
	{ "2200000080", -2147483648 },
	{ "320000008000000000", 2147483648 },
	{ "32FFFFFF7FFFFFFFFF", -2147483649 },
	{ "42000000000000F83F", 1.5 },
	{ "420000000000000000", 0.0 },
	{ "04", "" },
	{ "0C61", "a" },
	{ "FC" .. ("78"):rep(31), ("x"):rep(31) },
	{ "152000" .. ("78"):rep(32), ("x"):rep(32) },
	{ "15FFFF" .. ("78"):rep(65535), ("x"):rep(65535) },
	{ "2500000100" .. ("78"):rep(65536), ("x"):rep(65536) },
	{ "0600", {} },
	{ "0E0900", { true } },
	{ "060C780A0200", { x = 2 } },
	{ "0E090C780A0200", { true, x = 2 } },
	{ "F6" .. ("02"):rep(30) .. "00", table.move({ 0 }, 1, 1, 1, {}) },
	{ "FE0A1F" .. ("02"):rep(31) .. "00", {} },
}
for i = 1, 30 do
	EXAMPLES[#EXAMPLES - 1][2][i] = 0
	EXAMPLES[#EXAMPLES][2][i] = 0
end
EXAMPLES[#EXAMPLES][2][31] = 0

case("values_become_the_documented_bytes", function()
	for _, example in ipairs(EXAMPLES) do
		check.equal(hex(skynet.packstring(example[2])), example[1])
		check.equal(table.pack(skynet.unpack(bytes(example[1]))), table.pack(example[2]))
	end
	check.equal(hex(skynet.packstring(1, "a", { true, x = 2 })), "0A010C610E090C780A0200")
	check.equal(skynet.packstring(), "")
	check.equal(select("#", skynet.unpack("")), 0)
end)

case("every_kind_of_value_survives", function()
	check_round_trip(nil)
	check_round_trip(nil, nil, 1, nil)
	check_round_trip(
		math.maxinteger,
		math.mininteger,
		1e300,
		-0.0,
		1 / 0,
		-1 / 0,
		0 / 0,
		2.0,
		2
	)
	check_round_trip("\0\1\255", "\0", ("\0"):rep(100000))
	check_round_trip({ 1, 2, 3, { 4, { 5 } }, a = { b = { c = {} } } })
	check_round_trip({ [1.5] = 1, [-1] = 2, [true] = 3, [false] = 4, [0] = 5, [1 << 40] = 6 })
	local pointer = skynet.pack()
	check.equal(round_trip(pointer), pointer)
	skynet.trash(pointer, 0)
	for shift = 0, 63 do
		local power = 1 << shift
		check_round_trip(power, power - 1, -power, power + 1)
	end
	for size = 0, 70 do
		check_round_trip(("s"):rep(size), table.pack(("a"):rep(size):byte(1, -1)))
	end
	for _, size in ipairs({ 65534, 65535, 65536, 65537, 1 << 20 }) do
		check_round_trip(("s"):rep(size))
	end
end)

case("arrays_may_have_holes", function()
	local holes = { 1, nil, 3, nil, 5 }
	check_round_trip(holes)
	check_round_trip({ nil, nil, 3 })
	check_round_trip({ n = 3, [2] = "b", [100] = "far" })
end)

case("shared_tables_are_duplicated", function()
	local shared = { 1 }
	local copy = round_trip({ shared, shared })
	check.equal(copy, { { 1 }, { 1 } })
	check.ok(copy[1] ~= copy[2], "two tables")
end)

case("metatables_are_lost_except_what_pairs_says", function()
	local plain = setmetatable({ 1, a = 2 }, {
		__index = { hidden = true },
		__len = function()
			return 9
		end,
	})
	local copy = round_trip(plain)
	check.equal(copy, { 1, a = 2 })
	check.equal(getmetatable(copy), nil)
	local proxy = setmetatable({ "not this" }, {
		__pairs = function()
			return next, { 10, 20, x = "y", nested = { 1 } }
		end,
	})
	check.equal(round_trip(proxy, 1), { 10, 20, x = "y", nested = { 1 } })
	check.equal(round_trip({ proxy, proxy }), {
		{ 10, 20, x = "y", nested = { 1 } },
		{ 10, 20, x = "y", nested = { 1 } },
	})
	local empty = setmetatable({ 1 }, { __pairs = function() return next, {} end })
	check.equal(round_trip(empty), {})
end)

case("a_pairs_function_may_pack_and_fail_at_it", function()
	local nested = setmetatable({}, {
		__pairs = function()
			skynet.packstring("something", { else_ = 1 })
			check.raises("Unsupport", skynet.packstring, "left behind", print)
			pcall(skynet.call, skynet.self(), "lua", print)
			local once = false
			return function()
				if not once then
					once = true
					pcall(skynet.retpack, "left behind", print)
					return "key", skynet.packstring("inner")
				end
			end
		end,
	})
	for _ = 1, 3 do
		check.equal(
			{ round_trip(1, nested, 2) },
			{ 1, { key = skynet.packstring("inner") }, 2 }
		)
	end
	local failing = setmetatable({}, { __pairs = function() error("in pairs") end })
	check.raises("in pairs", skynet.packstring, 1, failing)
	check.equal(round_trip("still", "right"), "still")
end)

case("what_cannot_be_packed_raises_and_names_the_type", function()
	check.raises("Unsupport type function to serialize", skynet.packstring, print)
	check.raises(
		"Unsupport type thread to serialize",
		skynet.packstring,
		{ coroutine.running() }
	)
	check.raises("Unsupport type userdata to serialize", skynet.packstring, { x = io.stdout })
	check.raises("Unsupport type function to serialize", skynet.packstring, { [print] = 1 })
	for _, f in ipairs({ skynet.pack, skynet.packstring }) do
		check.misuse("Unsupport type function", f, 1, print)
	end
	check.misuse("Unsupport type function", skynet.send, skynet.self(), "lua", print)
	check.misuse("Unsupport type function", skynet.call, skynet.self(), "lua", print)
end)

case("nesting_is_limited_to_32_tables", function()
	local function nest(depth)
		local result = {}
		for _ = 2, depth do
			result = { result }
		end
		return result
	end
	check_round_trip(nest(32))
	check.raises("serialize can't pack too depth table", skynet.packstring, nest(33))
	local cycle = {}
	cycle.cycle = cycle
	check.raises("serialize can't pack too depth table", skynet.packstring, cycle)
	local endless = setmetatable({}, {})
	getmetatable(endless).__pairs = function()
		return next, { endless }
	end
	check.raises("serialize can't pack too depth table", skynet.packstring, endless)
	check.equal(
		skynet.unpack(bytes(("0E"):rep(31) .. "06" .. "00" .. ("00"):rep(31))),
		nest(32)
	)
	check.raises(
		"Invalid serialize stream",
		skynet.unpack,
		bytes(("0E"):rep(33) .. ("00"):rep(40))
	)
end)

case("many_values_at_a_time", function()
	local many = {}
	for i = 1, 10000 do
		many[i] = i
	end
	check.equal(select("#", round_trip(table.unpack(many))), 10000)
	check.raises("stack overflow", skynet.unpack, ("\2"):rep(1100000))
	check.equal(round_trip("still alive"), "still alive")
end)

case("a_cut_message_raises_at_every_length", function()
	local whole = skynet.packstring(
		1, 300, 70000, 1 << 40, 1.5, "short", ("long"):rep(20), ("longer"):rep(20000),
		{ 1, 2, { x = "y" }, key = { 1.5 } }, true, nil, {
			table.unpack(EXAMPLES[#EXAMPLES][2]),
		}
	)
	local ends = {} -- of whole values: cut there it is a shorter message
	local values = table.pack(skynet.unpack(whole))
	for i = 0, values.n do
		ends[#skynet.packstring(table.unpack(values, 1, i))] = i
	end
	for length = 0, #whole - 1, 1 do
		if length < 300 or length > #whole - 300 or length % 997 == 0 then
			local piece = whole:sub(1, length)
			if ends[length] then
				check.equal(select("#", skynet.unpack(piece)), ends[length])
			else
				check.raises(
					"Invalid serialize stream " .. length .. " %(line:%d+%)",
					skynet.unpack,
					piece
				)
			end
		end
	end
end)

case("wrong_bytes_raise", function()
	for _, wrong in ipairs({
		"07", -- no such kind
		"1A", -- a number of 3 bytes
		"3A", -- of 7
		"4A", -- and beyond the double
		"0D", -- a long string with a length of 1 byte
		"1D00000000",
		"FE", -- an array without its size
		"FE04", -- whose size is a string
		"FE42000000000000F03F", -- or a float
		"FE22FFFFFFFF", -- or negative
		"FE22FFFFFF7F", -- or more than there is
		"FE32FFFFFFFFFFFFFF7F",
		"25FFFFFFFF",
		"0642000000000000F8FF0A0100", -- a NaN as a key
		"060A01", -- a key without a value
		"060A010A02", -- pairs without an end
	}) do
		check.raises("Invalid serialize stream", skynet.unpack, bytes(wrong))
	end
end)

case("random_bytes_never_do_harm", function()
	local seed = 4711
	local function random(n)
		seed = (seed * 1103515245 + 12345) & 0x7fffffff
		return (seed >> 8) % n
	end
	for _ = 1, 20000 do
		local piece = {}
		for i = 1, random(40) do
			piece[i] = string.char(random(256))
		end
		-- A pointer among the values is only a number, as long as nobody uses it.
		pcall(skynet.unpack, table.concat(piece))
	end
	local whole = skynet.packstring(
		{ 1, "two", { three = 4.5 } },
		("x"):rep(50),
		{ { { {} } } }
	)
	for place = 1, #whole do
		for _, byte in ipairs({ 0, 6, 7, 0x25, 0x7f, 0xfe, 0xff }) do
			pcall(
				skynet.unpack,
				whole:sub(1, place - 1) .. string.char(byte) .. whole:sub(place + 1)
			)
		end
	end
end)

case("broken_bytes_from_another_service_cost_it_its_answer_only", function()
	skynet.dispatch("lua", function(_, _, ...)
		skynet.retpack(...)
	end)
	check.raises(
		"call failed: .*Invalid serialize stream",
		skynet.rawcall,
		skynet.self(),
		"lua",
		"\7"
	)
	check.equal(skynet.call(skynet.self(), "lua", "next"), "next")
end)

case("pack_gives_a_block_and_unpack_leaves_it", function()
	local pointer, size = skynet.pack(1, { 2 })
	check.equal({ type(pointer), size }, { "userdata", 6 })
	check.equal({ skynet.unpack(pointer, size) }, { 1, { 2 } })
	check.equal({ skynet.unpack(pointer, size) }, { 1, { 2 } })
	check.equal(hex(skynet.tostring(pointer, size)), "0A010E0A0200")
	check.equal(skynet.tostring(pointer, 0), "")
	check.equal(select("#", skynet.unpack(pointer, 0)), 0)
	skynet.trash(pointer, size)
	skynet.trash("a text is no block", 1)
	check.equal(select("#", skynet.unpack(nil)), 0)
	check.equal(skynet.tostring(nil), nil)
end)

return cases
