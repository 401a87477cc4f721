-- Bad arguments to every function of `skynet`: an error that blames the caller and names the
-- argument, and a service that goes on.
local skynet = require("skynet")
require("skynet.manager")
local check = require("check")

local cases = {}

--- One case for a function: each row is a pattern and the arguments.
local function case(name, rows)
	cases[#cases + 1] = {
		name .. "_refuses_bad_arguments",
		function()
			for _, row in ipairs(rows) do
				check.misuse(
					row[1],
					skynet[name],
					table.unpack(row, 2, row.n or #row)
				)
			end
			skynet.yield()
		end,
	}
end

local self <const> = skynet.self()

-- What is wrong with an address, a type, or a message is the same everywhere.
local function sending(...)
	local rows = {
		{ "dest address type %(nil%) must be a string or number", nil, "lua", n = 3 },
		{ "dest address type %(no value%) must be a string or number" },
		{ "dest address type %(table%) must be a string or number", {}, "lua" },
		{ "dest address type %(boolean%) must be a string or number", true, "lua" },
		{ "Invalid service address 0", 0, "lua" },
		{ "Invalid service address %-1", -1, "lua" },
		{ "Invalid service address 1%.5", 1.5, "lua" },
		{ "Invalid service address 4294967296", 1 << 32, "lua" },
		{ "Invalid service address 0", "0", "lua" },
		{ "Invalid service address :zz", ":zz", "lua" },
		{ "bad argument #2", self },
		{ "bad argument #2", self, {} },
		{ "bad argument #2.*no protocol 'nothing' is registered", self, "nothing" },
		{ "bad argument #2.*no protocol '99' is registered", self, 99 },
		{ "bad argument #2.*no protocol '%-1' is registered", self, -1 },
	}
	for _, row in ipairs({ ... }) do
		rows[#rows + 1] = row
	end
	return rows
end

local RAW <const> = {
	{
		"invalid param number: a message is a string, or a lightuserdata and a size",
		self,
		"lua",
		5,
	},
	{ "invalid param table", self, "lua", {} },
	{ "invalid param userdata", self, "lua", io.stdout },
}

case("send", sending({ "Unsupport type function", self, "lua", print }))
case("call", sending({ "Unsupport type thread", self, "lua", coroutine.create(print) }))
case("rawsend", sending(table.unpack(RAW)))
case("rawcall", sending(table.unpack(RAW)))
do
	local rows = sending({ "Unsupport type thread", self, "lua", coroutine.create(print) })
	local within, traced = {}, {}
	for i, row in ipairs(rows) do
		local pattern = row[1]:gsub("#2", "#3")
		within[i] = { pattern, 100, table.unpack(row, 2, row.n) }
		within[i].n = row.n and row.n + 1
	end
	within[#within + 1] = { "bad argument #1.*number expected", nil, self, "lua", n = 4 }
	within[#within + 1] = { "bad argument #1.*2%^31%-1 hundredths", 0, self, "lua" }
	within[#within + 1] = { "bad argument #1.*2%^31%-1 hundredths", -1, self, "lua" }
	within[#within + 1] = { "bad argument #1.*2%^31%-1 hundredths", 1 << 31, self, "lua" }
	within[#within + 1] = { "bad argument #1.*number expected", true, self, "lua" }
	case("call_within", within)
	for i, row in ipairs(sending(table.unpack(RAW))) do
		local pattern = row[1]:gsub("#2", "#3")
		traced[i] = { pattern, "tag", table.unpack(row, 2, row.n) }
		traced[i].n = row.n and row.n + 1
	end
	traced[#traced + 1] = { "bad argument #1.*string expected", {}, self, "lua" }
	case("tracecall", traced)
end
case("call_timeout", {
	{ "bad argument #1.*2%^31%-1 hundredths", 0 },
	{ "bad argument #1.*number expected", true },
	{ "bad argument #1.*number expected", "soon" },
})
case("redirect", {
	{ "dest address type %(nil%)", nil, 0, "lua", 0, n = 5 },
	{ "Invalid service address 0", 0, 0, "lua", 0 },
	{ "bad argument #2", self, ".name", "lua", 0 },
	{ "bad argument #2", self, nil, "lua", 0 },
	{ "bad argument #3", self, 0 },
	{ "bad argument #3.*no protocol 'nothing'", self, 0, "nothing", 0 },
	{ "bad argument #4", self, 0, "lua", "session" },
	{ "bad argument #4", self, 0, "lua", 1 << 31 },
	{ "invalid param boolean", self, 0, "lua", 0, true },
})
case("forward", {
	{ "dest address type", n = 1 },
	{ "Invalid service address 0", 0 },
	{ "only a handler can forward its request", self },
})
for _, name in ipairs({ "enter_group", "leave_group", "clear_group", "query_group" }) do
	case(name, { { "bad argument 'number'", "1" }, { "bad argument 'number'", n = 1 } })
end
case("ret", {
	{ "invalid param table", {} },
	{ "invalid param number", 42 },
	{ "No session" },
	{ "No session", "text" },
})
case("retpack", {
	{ "Unsupport type function", print },
	{ "No session" },
})
case("response", {
	{ "bad argument #1.*function expected", "pack" },
	{ "no session" },
})
case("pack", { { "Unsupport type userdata", io.stdout } })
case("packstring", { { "Unsupport type userdata", io.stdout } })
case("unpack", {
	{ "bad argument #1", 42 },
	{ "bad argument #1", {} },
	{ "Invalid serialize stream 1", "\7" },
})
case("tostring", {
	{ "bad argument #1", "text" },
	{ "bad argument #1", {} },
})
case("trash", {
	{ "skynet.trash invalid param nil", nil, n = 2 },
	{ "skynet.trash invalid param table", {} },
})
case("trace", { { "bad argument #1.*string expected", {} } })
case("traceproto", {
	{ "bad argument #1" },
	{ "bad argument #1.*no protocol 'nothing'", "nothing", true },
	{ "bad argument #2.*true, false or nil expected", "lua", 1 },
})
case("tracelog", {
	{ "bad argument #1.*string expected" },
	{ "bad argument #2.*string expected", "tag" },
	{ "bad argument #3.*number expected", "tag", "text", "here" },
	{ "bad argument #4.*number expected", "tag", "text", coroutine.create(print), {} },
	{ "bad argument #3.*not a stack level", "tag", "text", -2 },
})
case("trace_timeout", { { "bad argument #1.*value expected" } })
case("term", {
	{ "dest address type %(nil%) must be a string or number", nil, n = 2 },
	{ "Invalid service address 0", 0 },
})
case("dispatch_message", {
	{ "bad argument #1.*number expected" },
	{ "bad argument #1.*not a message type", 256, nil, 0, 0, 0 },
	{ "bad argument #2.*lightuserdata", 10, {}, 4, 0, 0 },
	{ "bad argument #3.*size", 10, nil, 4, 0, 0 },
	{ "bad argument #4.*number expected", 10, nil, 0 },
	{ "bad argument #4.*not a session", 10, nil, 0, 1 << 31, 0 },
	{ "bad argument #5.*number expected", 10, nil, 0, 0 },
	{ "bad argument #5.*not an address", 10, nil, 0, 0, -1 },
})
case("start", { { "bad argument #1.*function expected", nil, n = 2 } })
case("init_service", { { "bad argument #1.*function expected", "text" } })
case("init", { { "bad argument #1.*function expected", "text" } })
case("fork", {
	{ "bad argument #1.*function expected", nil, n = 2 },
	{ "bad argument #1.*function expected", "text", 1 },
})
case("timeout", {
	{ "bad argument #1.*number expected", nil, print, n = 3 },
	{ "bad argument #1.*integer", 1.5, print },
	{ "bad argument #1.*2%^31%-1", 1 << 31, print },
	{ "bad argument #2.*function expected", 1 },
	{ "bad argument #2.*function expected", 1, "text" },
})
case("timeout_ms", {
	{ "bad argument #1.*number expected", nil, print, n = 3 },
	{ "bad argument #1.*integer", 1.5, print },
	{ "bad argument #1.*2%^53", 1 << 54, print },
	{ "bad argument #2.*function expected", 1 },
})
case("sleep_ms", {
	{ "bad argument #1.*number expected" },
	{ "bad argument #1.*integer", 1.5 },
	{ "bad argument #1.*2%^53", math.maxinteger },
})
for _, name in ipairs({ "interval", "interval_ms" }) do
	case(name, {
		{ "bad argument #1.*integer expected, got nil", nil, print, n = 3 },
		{ "bad argument #1.*integer expected, got float", 1.5, print },
		{ "bad argument #1.*at least 1", 0, print },
		{ "bad argument #1.*at least 1", -1, print },
		{ "bad argument #1.*at least 1", math.maxinteger, print },
		{ "bad argument #2.*function expected, got nil", 1, nil, n = 3 },
	})
end
case("cancel", {
	{ "bad argument #1.*timeout or interval.*got nil" },
	{ "bad argument #1.*timeout or interval.*got table", {} },
	{ "bad argument #1.*timeout or interval.*got number", 1.5 },
})
case("task", {
	{ "bad argument #1 to 'task'.*got boolean", true },
	{ "bad argument #1 to 'task'.*got string", "start" },
	{ "bad argument #1 to 'task'.*got number", 1.5 },
})
case("killthread", {
	{ "bad argument #1 to 'killthread'.*got nil" },
	{ "bad argument #1 to 'killthread'.*got table", {} },
})
case("sleep", {
	{ "bad argument #1.*number expected" },
	{ "bad argument #1.*number expected", {} },
	{ "bad argument #1.*integer", 1.5 },
	{ "bad argument #1.*2%^31%-1", 1 << 31 },
	{ "bad argument #1.*2%^31%-1", math.maxinteger },
})
case("wakeup", { { "bad argument #1.*value expected" } })
case("newservice", {
	{ "bad argument #1.*string expected" },
	{ "bad argument #1.*string expected", {} },
	{ "bad argument #2.*string or number expected, got boolean", "script", true },
	{ "bad argument #3.*string or number expected, got table", "script", "x", {} },
	{ "bad argument #2.*string or number expected, got nil", "script", nil, "x" },
})
case("newservice_within", {
	{ "bad argument #1.*number expected", nil, "script", n = 2 },
	{ "bad argument #1.*2%^31%-1 hundredths", 0, "script" },
	{ "bad argument #2.*string expected", false },
	{ "bad argument #3.*string or number expected, got boolean", 1, "script", true },
	{ "bad argument #4.*string or number expected, got table", false, "script", "x", {} },
})
case("launch", {
	{ "bad argument #1.*string expected" },
	{ "bad argument #2.*string or number expected, got function", "snlua", print },
	{ "bad argument #2.*string or number expected, got nil", "snlua", nil, "x" },
})
case("kill", {
	{ "dest address type %(nil%) must be a string or number", nil, n = 2 },
	{ "Invalid service address 0", 0 },
	{ "can't kill %.nobody", ".nobody" },
})
case("abort", { { "bad argument #1.*number expected", "at once" } })
case("register", { { "bad argument #1.*string expected" }, { "1 to 16 characters", ":name" } })
case("name", {
	{ "bad argument #1.*string expected", nil, self, n = 3 },
	{ "dest address type %(nil%)", ".x", nil, n = 3 },
	{ "1 to 16 characters", ":name", self },
})
case(
	"localname",
	{ { "bad argument #1.*string expected" }, { "bad argument #1.*string expected", {} } }
)
case("address", { { "bad argument #1.*value expected" } })
case(
	"harbor",
	{ { "bad argument #1.*number expected", "x" }, { "bad argument #1.*number expected" } }
)
case("getenv", { { "bad argument #1.*string expected" } })
case("setenv", {
	{ "bad argument #1.*string expected" },
	{ "bad argument #2.*string expected", "test_misuse" },
	{ "bad argument #2.*string expected", "test_misuse", true },
})
case("mailbox", {
	{ "bad argument #1.*table expected" },
	{ "field 'limit' must be an integer in 0..65535", { limit = 70000 } },
	{ "field 'limit' must be", { limit = "many" } },
	{ "field 'warning' must be", { warning = -1 } },
	{ "field 'policy' must be", { policy = "panic" } },
	{ "field 'policy' must be", { policy = 1 } },
	{ "field 'overload' must be a function, not a number", { overload = 1 } },
})

case("stat", { { "bad argument #1.*string expected" } })
case("memlimit", { { "bad argument #1" }, { "bad argument #1.*number of bytes", 0 } })
case("register_protocol", { { "bad argument #1.*table expected" } })
case("dispatch", {
	{ "bad argument #1" },
	{ "bad argument #1", {} },
	{ "bad argument #2.*function expected", "lua", "text" },
	{ "bad argument #1.*no protocol 'nothing'", "nothing", print },
})
case("dispatch_unknown_request", { { "bad argument #1.*function expected" } })
case("dispatch_unknown_response", { { "bad argument #1.*function expected" } })

local function plain(name, body)
	cases[#cases + 1] = { name, body }
end

plain("a_size_that_is_not_the_block_s_is_refused", function()
	local pointer, size = skynet.pack("text")
	for _, name in ipairs({ "unpack", "tostring" }) do
		check.misuse("bad argument #2.*number expected", skynet[name], pointer)
		check.misuse("%-1", skynet.unpack, pointer, -1)
		check.misuse("bad argument #2", skynet.tostring, pointer, -1)
	end
	for _, name in ipairs({ "send", "call" }) do
		check.misuse(
			"bad argument #4.*number expected",
			skynet["raw" .. name],
			self,
			"lua",
			pointer
		)
		check.misuse(
			"bad argument #4.*negative",
			skynet["raw" .. name],
			self,
			"lua",
			pointer,
			-1
		)
	end
	check.misuse("bad argument #2", skynet.trash, pointer)
	skynet.trash(pointer, size)
end)

case("request", {
	{ "a table .* expected, got number", 1 },
	{ "address, type, %.%.%. } expected", { 1 } },
})

case("uniqueservice", {
	{ "'name': string expected, got nil" },
	{ "'name': string expected, got table", {} },
	{ "'name': string expected, got nil", true },
	{ "bad argument '2' of 'x': string or number expected, got table", "x", 1, {} },
	{ "a name without blanks expected", "two words" },
})

case("queryservice", {
	{ "'name': string expected, got nil" },
	{ "'name': string expected, got boolean", true, true },
	{ "a name without blanks expected", "" },
})

case("monitor", {
	{ "'name': string expected, got nil" },
	{ "'name': string expected, got number", 1, true },
})

case("forward_type", {
	{ "'map': table expected, got nil" },
	{ "'map': numbers of message types expected, 0 to 255", { [256] = 1 }, print },
	{ "'map': numbers of message types expected, 0 to 255", { [1] = "lua" }, print },
	{ "'f': function expected, got nil", {} },
})

case("filter", {
	{ "'filter': function expected, got nil" },
	{ "'f': function expected, got table", print, {} },
})

case("link", {
	{ "'address': a handle expected, got nil" },
	{ "'address': a handle expected, got string", ".name", print },
	{ "'f': function expected, got nil", 1 },
})

case("info_func", {
	{ "'f': function expected, got nil" },
})

case("remote_create", {
	{ "'object': table expected, got number", 1 },
	{ "'object': it is a remote object already", { __remote = 1 } },
	{ "bad argument 'number'", {}, -1 },
})

case("remote_release", {
	{ "'object': not a remote object of this service" },
	{ "'object': not a remote object of this service", {} },
})

case("remote_handle", {
	{ "'address': a handle expected, got nil" },
	{ "'number': an integer of 32 bits expected, got 1.5", self, 1.5 },
})

case("remote_bind", {
	{ "'handle': that of a remote object expected, got nil" },
	{ "'handle': that of a remote object expected, got 1", 1 },
})

plain("every_public_function_is_tested_here", function()
	-- Those that take no arguments, take any, or end something.
	local others = [[context endless error exit genid hpc ignoreret mqlen now pcall remote_root
		self starttime time tracetag uniqtask wait yield]]
	for name, value in pairs(skynet) do
		if type(value) == "function" and not others:find("%f[%w]" .. name .. "%f[%W]") then
			local is_tested = false
			for _, row in ipairs(cases) do
				is_tested = is_tested or row[1] == name .. "_refuses_bad_arguments"
			end
			check.ok(is_tested, name)
		end
	end
end)

return cases
