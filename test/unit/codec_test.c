/* codec_test.c: the "lua" format byte by byte, there and back, and what does not fit. The cases
 * cases are Lua texts; pack, unpack and tohex are what this file gives them. */
#include "../../service-src/snlua/codec.c"

#include "unit.h"

#include <lualib.h>
#include <stdio.h>

static struct codec_buffer scratch;
static size_t used_bytes; /* by the Lua state */
static size_t peak_bytes;

static void *
counting_alloc(void *ud, void *block, size_t old_size, size_t size)
{
	(void)ud;
	used_bytes -= block ? old_size : 0;
	if (size == 0) {
		free(block);
		return NULL;
	}
	used_bytes += size;
	peak_bytes = used_bytes > peak_bytes ? used_bytes : peak_bytes;
	return realloc(block, size);
}

/* pack(...): a string */
static int
l_pack(lua_State *L)
{
	size_t base = scratch.size;
	codec_pack(L, 1, &scratch);
	lua_pushlstring(L, scratch.data + base, scratch.size - base);
	scratch.size = base;
	return 1;
}

/* unpack(string): its values. They are read from a block of exactly that size, so that the address
 * sanitizer sees a read behind it. */
static int
l_unpack(lua_State *L)
{
	size_t size;
	const char *bytes = luaL_checklstring(L, 1, &size);
	char *block = lua_newuserdatauv(L, size, 0);
	memcpy(block, bytes, size);
	return codec_unpack(L, block, size);
}

static int
l_tohex(lua_State *L)
{
	size_t size;
	const char *bytes = luaL_checklstring(L, 1, &size);
	luaL_Buffer text;
	luaL_buffinit(L, &text);
	for (size_t i = 0; i < size; i++) {
		char digits[3];
		(void)snprintf(digits, sizeof digits, "%02X", (unsigned char)bytes[i]);
		luaL_addlstring(&text, digits, 2);
	}
	luaL_pushresult(&text);
	return 1;
}

static int
l_fromhex(lua_State *L)
{
	luaL_Buffer bytes;
	const char *text = luaL_checkstring(L, 1);
	luaL_buffinit(L, &bytes);
	for (; text[0] && text[1]; text += 2) {
		char digits[3] = {text[0], text[1], '\0'};
		luaL_addchar(&bytes, (char)strtoul(digits, NULL, 16));
	}
	luaL_pushresult(&bytes);
	return 1;
}

static int
l_pointer(lua_State *L)
{
	lua_pushlightuserdata(L, (void *)(uintptr_t)luaL_checkinteger(L, 1));
	return 1;
}

/* Bytes in use after a full collection; then counts the peak anew. */
static int
l_used(lua_State *L)
{
	(void)lua_gc(L, LUA_GCCOLLECT);
	(void)lua_gc(L, LUA_GCCOLLECT);
	peak_bytes = used_bytes;
	lua_pushinteger(L, (lua_Integer)used_bytes);
	return 1;
}

static int
l_peak(lua_State *L)
{
	lua_pushinteger(L, (lua_Integer)peak_bytes);
	return 1;
}

static void
run(lua_State *L, const char *text)
{
	if (luaL_loadbuffer(L, text, strlen(text), "=case") != LUA_OK ||
	    lua_pcall(L, 0, 0, 0) != LUA_OK)
		fail_msg("%s", lua_tostring(L, -1));
	assert_int_equal(lua_gettop(L), 0);
}

/* What all cases may use. */
static const char prelude[] =
	"function raises(text, f, ...)\n"
	"	scratch_reset()\n"
	"	local ok, message = pcall(f, ...)\n"
	"	scratch_reset()\n"
	"	if ok or not tostring(message):find(text, 1, true) then\n"
	"		error(('wanted an error with %q, got %s'):format(text, message), 2)\n"
	"	end\n"
	"end\n"
	"function broken(hex)\n"
	"	raises('Invalid serialize stream ' .. #hex // 2 .. ' (line:', unpack, "
	"fromhex(hex))\n"
	"end\n"
	"function same(a, b)\n"
	"	if type(a) ~= 'table' or type(b) ~= 'table' then\n"
	"		return math.type(a) == math.type(b) and (a == b or a ~= a and b ~= b)\n"
	"	end\n"
	"	for k, v in next, a do\n"
	"		if not same(v, b[k]) then return false end\n"
	"	end\n"
	"	for k in next, b do\n"
	"		if a[k] == nil then return false end\n"
	"	end\n"
	"	return getmetatable(b) == nil\n"
	"end\n"
	"function nest(depth)\n"
	"	local t = {}\n"
	"	for _ = 2, depth do t = { t } end\n"
	"	return t\n"
	"end\n";

static int
l_scratch_reset(lua_State *L)
{
	(void)L;
	scratch.size = 0;
	return 0;
}

static int
setup(void **state)
{
	static const luaL_Reg functions[] = {
		{"pack", l_pack},	{"unpack", l_unpack},
		{"tohex", l_tohex},	{"fromhex", l_fromhex},
		{"pointer", l_pointer}, {"used", l_used},
		{"peak", l_peak},	{"scratch_reset", l_scratch_reset},
		{NULL, NULL},
	};
	used_bytes = 0;
	lua_State *L = lua_newstate(counting_alloc, NULL);
	luaL_openlibs(L);
	lua_pushglobaltable(L);
	luaL_setfuncs(L, functions, 0);
	lua_settop(L, 0);
	run(L, prelude);
	*state = L;
	return 0;
}

static int
teardown(void **state)
{
	lua_close(*state);
	assert_int_equal(used_bytes, 0);
	codec_buffer_free(&scratch);
	assert_null(scratch.data);
	return 0;
}

/* --- the format ---------------------------------------------------------------------------- */

struct row {
	const char *values;
	const char *hex; /* ends with '*' when only the beginning is given */
	size_t size;
};

static const struct row rows[] = {
	{"", "", 0},
	{"nil", "00", 1},
	{"nil, nil", "0000", 2},
	{"false", "01", 1},
	{"true", "09", 1},
	{"0", "02", 1},
	{"1", "0A01", 2},
	{"255", "0AFF", 2},
	{"256", "120001", 3},
	{"65535", "12FFFF", 3},
	{"65536", "2200000100", 5},
	{"(1 << 31) - 1", "22FFFFFF7F", 5},
	{"-1", "22FFFFFFFF", 5},
	{"-(1 << 31)", "2200000080", 5},
	{"1 << 31", "320000008000000000", 9},
	{"-(1 << 31) - 1", "32FFFFFF7FFFFFFFFF", 9},
	{"math.maxinteger", "32FFFFFFFFFFFFFF7F", 9},
	{"math.mininteger", "320000000000000080", 9},
	{"1.5", "42000000000000F83F", 9},
	{"0.0", "420000000000000000", 9},
	{"2.0", "420000000000000040", 9},
	{"-1/0", "42000000000000F0FF", 9},
	{"pointer(0x1122334455667788)", "038877665544332211", 9},
	{"pointer(0)", "030000000000000000", 9},
	{"''", "04", 1},
	{"'a'", "0C61", 2},
	{"'\\0\\xff'", "1400FF", 3},
	{"('x'):rep(31)", "FC7878*", 32},
	{"('x'):rep(32)", "1520007878*", 35},
	{"('x'):rep(65535)", "15FFFF7878*", 65538},
	{"('x'):rep(65536)", "25000001007878*", 65541},
	{"{}", "0600", 2},
	{"{ 1, 2 }", "160A010A0200", 6},
	{"{ x = 2 }", "060C780A0200", 6},
	{"{ false, nil, 3 }", "1E01000A0300", 6},
	{"{ {}, { {} } }",
	 "1606000E060000"
	 "00",
	 8},
	{"{ [-1] = true }", "0622FFFFFFFF0900", 8},
	{"{ [1.5] = 0 }", "0642000000000000F83F0200", 12},
	{"table.move({ true }, 1, 1, 1, (function() local t = {} for i = 1, 30 do t[i] = true end "
	 "return t end)())",
	 "F609090909*", 32},
	{"(function() local t = {} for i = 1, 31 do t[i] = true end return t end)()",
	 "FE0A1F090909*", 35},
	{"(function() local t = {} for i = 1, 256 do t[i] = true end return t end)()",
	 "FE120001090909*", 261},
	{"setmetatable({ 1, 2 }, { __index = { x = 1 } })", "160A010A0200", 6},
	{"setmetatable({ 1 }, { __pairs = function() return next, { 7 } end })", "060A010A0700", 6},
	{"setmetatable({ 1 }, { __pairs = function() return function() end end })", "0600", 2},
	{"1, 'a', { true, x = 2 }", "0A010C610E090C780A0200", 11},
};

static void
each_row_of_the_format_is_as_written(void **state)
{
	lua_State *L = *state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		char text[512];
		(void)snprintf(text, sizeof text, "local s = pack(%s) return tohex(s), #s",
			       rows[i].values);
		assert_int_equal(luaL_dostring(L, text), LUA_OK);
		const char *hex = lua_tostring(L, -2);
		size_t given = strcspn(rows[i].hex, "*");
		if (strncmp(hex, rows[i].hex, given) != 0 ||
		    (rows[i].hex[given] == '\0' && hex[given] != '\0') ||
		    (size_t)lua_tointeger(L, -1) != rows[i].size)
			fail_msg("pack(%s) is %.80s, not %s", rows[i].values, hex, rows[i].hex);
		lua_settop(L, 0);
		(void)snprintf(text, sizeof text,
			       "local a, b = table.pack(%s), table.pack(unpack(pack(%s)))\n"
			       "assert(a.n == b.n)\n"
			       "return tohex(pack(table.unpack(b, 1, b.n))) == tohex(pack(%s))",
			       rows[i].values, rows[i].values, rows[i].values);
		assert_int_equal(luaL_dostring(L, text), LUA_OK);
		if (!lua_toboolean(L, -1) && !strstr(rows[i].values, "__pairs"))
			fail_msg("%s does not survive", rows[i].values);
		lua_settop(L, 0);
	}
	assert_int_equal(codec_unpack(L, NULL, 0), 0);
	assert_int_equal(lua_gettop(L), 0);
}

/* As skynet.remote does; the object of handle n is the string "object n". */
static void
references_are_packed_as_handles(void **state)
{
	lua_State *L = *state;
	static const char *const setup =
		"local object = { __remote = (1 << 40) + 7, more = print }\n"
		"assert(not pcall(pack, object))\n" /* a table as any other */
		"local ok, problem = pcall(unpack, '\\7' .. ('x'):rep(8))\n"
		"assert(not ok and problem:find('skynet.remote'))\n"; /* which is not here */
	run(L, setup);
	scratch.has_references = true;
	(void)luaL_dostring(L, "return function(handle) return 'object ' .. handle end");
	lua_setfield(L, LUA_REGISTRYINDEX, CODEC_REFERENCES);
	run(L, "local object = { __remote = (1 << 40) + 7, more = print }\n"
	       "local bytes = pack(object)\n"
	       "assert(tohex(bytes) == '070700000000010000')\n"
	       "assert(unpack(bytes) == 'object ' .. (1 << 40) + 7)\n"
	       "local list = unpack(pack({ 1, { object }, [object] = true }))\n"
	       "assert(list[2][1] == unpack(bytes) and list[unpack(bytes)])\n"
	       "assert(unpack(pack({ __remote = 1.5 })).__remote == 1.5)\n"
	       "for size = 1, #bytes - 1 do\n"
	       "	assert(not pcall(unpack, bytes:sub(1, size)))\n"
	       "end\n");
	codec_buffer_free(&scratch);
	assert_true(scratch.has_references);
	scratch.has_references = false;
}

static void
random_values_come_back(void **state)
{
	run(*state, "math.randomseed(20)\n"
		    "local r = math.random\n"
		    "local value\n"
		    "local function key(depth)\n"
		    "	local k = value(depth)\n"
		    "	if k == nil or k ~= k or type(k) == 'table' then return r(40) end\n"
		    "	return k\n"
		    "end\n"
		    "local function tree(depth)\n"
		    "	local t = {}\n"
		    "	local size = r(0, 3) == 0 and r(20, 60) or r(0, 4)\n"
		    "	for i = 1, size do t[i] = value(depth + 9) end\n"
		    "	for _ = 1, r(0, 4) do t[key(99)] = value(depth + 3) end\n"
		    "	return t\n"
		    "end\n"
		    "local makers = {\n"
		    "	function() return nil end,\n"
		    "	function() return r(0, 1) == 1 end,\n"
		    "	function() return r(0) >> r(0, 63) end,\n"
		    "	function() return -(r(0) >> r(1, 63)) end,\n"
		    "	function() return (r() - 0.5) * 2.0 ^ r(-400, 400) end,\n"
		    "	function() return ({ 0.0, -0.0, 1 / 0, 0 / 0, 3.0 })[r(5)] end,\n"
		    "	function() return ('\\0q'):rep(r(0, 20)) .. r(0) end,\n"
		    "	function() return ('z'):rep(r(0, 40)) end,\n"
		    "	function() return ('z'):rep(r(20) == 1 and r(65530, 65540) or 33)\n"
		    "	end,\n"
		    "	function() return pointer(r(0)) end,\n"
		    "}\n"
		    "value = function(depth)\n"
		    "	if depth < 20 and r(3) == 1 then return tree(depth) end\n"
		    "	return makers[r(#makers)]()\n"
		    "end\n"
		    "for _ = 1, 500 do\n"
		    "	local list = { n = r(0, 6) }\n"
		    "	for i = 1, list.n do list[i] = value(0) end\n"
		    "	local back = table.pack(unpack(pack(table.unpack(list, 1, list.n))))\n"
		    "	assert(same(list, back))\n"
		    "end\n"
		    "local many = {}\n"
		    "for i = 1, 5000 do many[i] = i end\n"
		    "assert(same(many, { unpack(pack(table.unpack(many))) }))\n");
}

static void
a_float_zero_keeps_its_sign_and_a_shared_table_is_doubled(void **state)
{
	run(*state, "assert(1 / unpack(pack(-0.0)) == -1 / 0)\n"
		    "local t = { 5 }\n"
		    "local back = unpack(pack({ t, t }))\n"
		    "assert(back[1] ~= back[2] and back[1][1] == 5 and back[2][1] == 5)\n");
}

/* --- what cannot be packed ----------------------------------------------------------------- */

static void
other_types_are_refused_by_name(void **state)
{
	run(*state, "local thread = coroutine.create(print)\n"
		    "raises('Unsupport type function to serialize', pack, print)\n"
		    "raises('Unsupport type thread to serialize', pack, thread)\n"
		    "raises('Unsupport type userdata to serialize', pack, io.stdout)\n"
		    "raises('Unsupport type function to serialize', pack, 1, { { x = print } })\n"
		    "raises('Unsupport type thread to serialize', pack, { [thread] = 1 })\n");
}

static void
depth_is_limited_to_32_tables_both_ways(void **state)
{
	run(*state, "local text = pack(nest(32))\n"
		    "assert(text == ('\\14'):rep(31) .. '\\6' .. ('\\0'):rep(32))\n"
		    "assert(same(unpack(text), nest(32)))\n"
		    "raises(\"serialize can't pack too depth table\", pack, nest(33))\n"
		    "raises('Invalid serialize stream 66 (line:', unpack,\n"
		    "	('\\14'):rep(32) .. '\\6' .. ('\\0'):rep(33))\n"
		    "raises('Invalid serialize stream', unpack, ('\\14'):rep(1000000))\n"
		    "raises('Invalid serialize stream', unpack, ('\\6'):rep(1000000))\n"
		    "local loop = {}\n"
		    "loop.loop = loop\n"
		    "raises(\"can't pack too depth table\", pack, loop)\n"
		    "local a, b = {}, {}\n"
		    "a[1], b[1] = b, a\n"
		    "raises(\"can't pack too depth table\", pack, a)\n"
		    "local endless = setmetatable({}, {})\n"
		    "getmetatable(endless).__pairs = function(t) return next, { t } end\n"
		    "raises(\"can't pack too depth table\", pack, endless)\n"
		    "local key = {}\n"
		    "key[key] = 1\n"
		    "raises(\"can't pack too depth table\", pack, key)\n");
}

static void
pairs_of_the_user_may_pack_and_fail(void **state)
{
	run(*state,
	    "local inner\n"
	    "local function outer(f)\n"
	    "	local meta = { __pairs = function(t)\n"
	    "		return function(_, k)\n"
	    "			inner = f(k)\n"
	    "			return next(t, k)\n"
	    "		end\n"
	    "	end }\n"
	    "	return setmetatable({ 1, x = 'y' }, meta)\n"
	    "end\n"
	    "local plain = outer(function() end)\n"
	    "local wanted = pack('before', plain, 'after')\n"
	    "local big = ('b'):rep(100000)\n" /* moves the buffer */
	    "local got = pack('before', outer(function() return pack(plain, big) end), 'after')\n"
	    "assert(got == wanted)\n"
	    "local last = inner\n"
	    "assert(last == pack(plain, big))\n"
	    "got = pack('before', outer(function() assert(not pcall(pack, 1, big, print)) end),\n"
	    "	'after')\n"
	    "assert(got == wanted)\n"
	    "got = pack('before', outer(function(k) return k and pack(outer(function()\n"
	    "	return pack(plain) end)) end), 'after')\n"
	    "assert(got == wanted)\n"
	    "raises('mine', pack, outer(function() error('mine') end))\n"
	    "raises('attempt to call', pack, setmetatable({}, { __pairs = 5 }))\n"
	    "raises('attempt to call', pack, setmetatable({}, { __pairs = function() end }))\n"
	    "raises('outside a coroutine', pack, outer(function() coroutine.yield() end))\n"
	    "assert(pack('before', plain, 'after') == wanted)\n");
	assert_int_equal(scratch.size, 0);
}

/* --- broken bytes -------------------------------------------------------------------------- */

static void
truncation_at_every_byte_raises_and_leaks_nothing(void **state)
{
	run(*state,
	    "local list = {}\n"
	    "for i = 1, 40 do list[i] = i * 7 end\n"
	    "local value = { true, 1, 256, -1, 1 << 40, 1.5, pointer(5), 'short', ('l'):rep(40),\n"
	    "	('v'):rep(65536), list, { x = { y = { list } } },\n"
	    "	[1.5] = 'f', [false] = {} }\n"
	    "local text = pack(value)\n"
	    "assert(same(value, unpack(text)))\n"
	    "local function cut(size)\n"
	    "	raises('Invalid serialize stream ' .. size .. ' (line:', unpack, text:sub(1, "
	    "size))\n"
	    "end\n"
	    "cut(1)\n"
	    "local before = used()\n"
	    "for size = 1, #text - 1 do\n"
	    "	if size < 400 or size > #text - 400 or size % 997 == 0 then cut(size) end\n"
	    "end\n"
	    "assert(used() <= before + 1024, 'bytes stay in use')\n");
}

static void
unknown_kinds_and_details_are_refused(void **state)
{
	run(*state,
	    "for detail = 0, 31 do\n"
	    "	broken(('%02X'):format(7 | detail << 3))\n"
	    "	for kind, known in pairs({\n"
	    "			[0] = { 0 }, { 0, 1 }, { 0, 1, 2, 4, 6, 8 }, { 0 },\n"
	    "			[5] = { 2, 4 } }) do\n"
	    "		local is_known = false\n"
	    "		for _, d in ipairs(known) do is_known = is_known or d == detail end\n"
	    "		local hex = ('%02X'):format(kind | detail << 3) .. ('00'):rep(8)\n"
	    "		if is_known then unpack(fromhex(hex)) else broken(hex) end\n"
	    "	end\n"
	    "end\n");
}

static void
keys_that_no_table_has_are_refused(void **state)
{
	run(*state, "broken('0642000000000000F8FF0900')\n" /* NaN */
		    "broken('0642010000000000F07F0900')\n" /* a signalling one */
		    "broken('0642000000000000F87F')\n"
		    "assert(next(unpack(fromhex('060000'):sub(1, 2))) == nil)\n"
		    "assert(next(unpack(fromhex('060C780000'))) == nil)\n" /* x = nil */
		    "assert(unpack(fromhex('06420000000000000040090' .. '0'))[2] == true)\n"
		    "assert(select('#', unpack(fromhex('060000'))) == 2)\n");
}

static void
an_array_larger_than_the_message_is_refused_before_it_is_made(void **state)
{
	run(*state, "broken('FE')\n"
		    "broken('FE00')\n"			   /* nil elements */
		    "broken('FE42000000000000F03F0000')\n" /* 1.0 elements */
		    "broken('FE22FFFFFFFF0000')\n"	   /* -1 */
		    "broken('FE22FFFFFF7F0000')\n"
		    "broken('FE32FFFFFFFFFFFFFF7F0000')\n"
		    "broken('FE3200000000000000800000')\n"
		    "broken('FE3200000000010000000000')\n"
		    "broken('FE0A030000')\n"
		    "broken('FE0A0200')\n"
		    "broken('FE0A020000')\n" /* no end */
		    "assert(same(unpack(fromhex('FE0A02000000')), {}))\n"
		    "assert(same(unpack(fromhex('FE020C780900')), { x = true }))\n"
		    /* Each of 32 tables in each other claims all that is left. */
		    "local size = 1 << 20\n"
		    "local text = ''\n"
		    "for _ = 1, 32 do\n"
		    "	size = size - 6\n"
		    "	text = text .. string.pack('<BBi4', 0xFE, 0x22, size)\n"
		    "end\n"
		    "text = text .. ('\\7'):rep(size)\n"
		    "local before = used()\n"
		    "raises('Invalid serialize stream', unpack, text)\n"
		    "assert(peak() - before < 40 * #text, 'took ' .. (peak() - before) // #text .. "
		    "' times its size')\n");
}

static void
random_bytes_give_values_or_an_error(void **state)
{
	run(*state,
	    "require = nil\n" /* so references are broken too */
	    "math.randomseed(7)\n"
	    "local good = pack({ 1, 2.5, 'three', { four = ('4'):rep(44) }, false }, -5)\n"
	    "for _ = 1, 20000 do\n"
	    "	local bytes = { good:byte(1, -1) }\n"
	    "	for _ = 1, math.random(4) do\n"
	    "		bytes[math.random(#bytes)] = math.random(0, 255)\n"
	    "	end\n"
	    "	local results = table.pack(pcall(unpack, string.char(table.unpack(bytes))))\n"
	    "	if results[1] then\n"
	    "		pack(table.unpack(results, 1, results.n))\n"
	    "	else\n"
	    "		assert(results[2]:find('Invalid serialize stream', 1, true))\n"
	    "	end\n"
	    "end\n");
}

int
main(void)
{
#define codec_test(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		codec_test(each_row_of_the_format_is_as_written),
		codec_test(references_are_packed_as_handles),
		codec_test(random_values_come_back),
		codec_test(a_float_zero_keeps_its_sign_and_a_shared_table_is_doubled),
		codec_test(other_types_are_refused_by_name),
		codec_test(depth_is_limited_to_32_tables_both_ways),
		codec_test(pairs_of_the_user_may_pack_and_fail),
		codec_test(truncation_at_every_byte_raises_and_leaks_nothing),
		codec_test(unknown_kinds_and_details_are_refused),
		codec_test(keys_that_no_table_has_are_refused),
		codec_test(an_array_larger_than_the_message_is_refused_before_it_is_made),
		codec_test(random_bytes_give_values_or_an_error),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
