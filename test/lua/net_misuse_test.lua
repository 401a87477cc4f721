-- Wrong arguments to every function of the network's libraries, in each position: an error that
-- blames the caller and names the argument. Ids of nobody: false, nil, nothing, or an error that
-- says so. Nothing is left, and the sockets of the service go on.
local skynet = require("skynet")
local socket = require("skynet.socket")
local check = require("check")

local driver = require("skynet.socketdriver")

local modules = {
	["skynet.socket"] = socket,
	["skynet.socketdriver"] = driver,
	["skynet.netpack"] = require("skynet.netpack"),
	["skynet.dns"] = require("skynet.dns"),
	["skynet.crypt"] = require("skynet.crypt"),
	["md5"] = require("md5"),
	["skynet.socketchannel"] = require("skynet.socketchannel"),
	["snax.gateserver"] = require("snax.gateserver"),
	["snax.msgserver"] = require("snax.msgserver"),
}

local cases = {}
local function case(name, body)
	cases[#cases + 1] = { name, body }
end

-- Stands for an argument that is not there.
local NOTHING <const> = setmetatable({}, { __tostring = function()
	return "nothing"
end })

-- What no parameter of a kind may be. Of those that may be missing, NOTHING is not tried.
local WRONG <const> = {
	id = { NOTHING, {}, "text", 1.5, true },
	address = { NOTHING, {}, true, print, "127.0.0.1\0", "127.0.0.1:9\0" },
	port = { {}, true, "http", 1.5, -1, 65536 },
	bytes = { NOTHING, true, print, { 1 } },
	text = { NOTHING, {}, true, print },
	count = { {}, true, "many", 1.5, -1 },
	f = { NOTHING, {}, 1, "text", true },
	list = { NOTHING, 1, "text", true },
	options = {
		1,
		"text",
		true,
		{ odd = 1 },
		{ timeout = 1 << 31 },
		{ tls = 1 },
		{ tls = { odd = "x" } },
	},
	cs = { {}, "soon", 1.5, -1, math.maxinteger },
	buffer = { NOTHING, {}, 1, "text", io.stdout },
	queue = { {}, 1, "text", io.stdout },
	pointer = { NOTHING, {}, 1, "text", io.stdout },
	size = { NOTHING, {}, "text", 1.5, -1 },
	eight = { NOTHING, {}, true, "7 bytes", "9  bytes." },
	role = { NOTHING, {}, true, "both" },
	tls = { 1, "text", false, { nonsense = "x" }, { verify = "maybe" } },
	from = { {}, true, "", "1234567", ("\2"):rep(7), ("\1"):rep(19) },
	what = { NOTHING, {}, "text", 1.5, -1, 4 },
	padding = { {}, true, "pkcs7", 2, -1 },
	conf = { NOTHING, 1, "text", true },
	name = { NOTHING, {}, true, 5 },
	ip = { {}, true, 5, "", "name", "1.2.3", "1.2.3.4:5" },
	header = { NOTHING, {}, true, "", "12345" },
	separator = { {}, true, "" },
}

-- The parameters of each function, their kinds and names: "kind", "kind=name", "kind?": may be
-- missing.
local FUNCTIONS <const> = {
	["skynet.socket"] = {
		open = "address port? options?",
		bind = "id=descriptor",
		stdin = "",
		listen = "address=host port? count?=backlog options?",
		start = "id f?",
		secure = "id role tls? cs?=timeout",
		read = "id count?",
		readline = "id separator?",
		readall = "id",
		block = "id",
		write = "id bytes",
		lwrite = "id bytes",
		broadcast = "list bytes",
		close = "id",
		shutdown = "id",
		close_fd = "id",
		abandon = "id",
		pause = "id",
		nodelay = "id",
		invalid = "id",
		disconnected = "id",
		limit = "id size",
		timeout = "id cs?",
		warning = "id f?",
		onclose = "id f?",
		on_ready = "f",
		header = "header",
		netstat = "",
		resolve = "text",
		udp = "f address?=host port?",
		udp_listen = "address=host port f",
		udp_dial = "address=host port f",
		udp_connect = "udp_id=id address=host port f?",
		sendto = "udp_id=id from bytes",
		udp_address = "from",
	},
	["skynet.socketdriver"] = {
		connect = "address port options?",
		listen = "address port count? options?",
		bind = "id",
		watch = "id",
		rearm = "id what",
		start = "id",
		pause = "id",
		close = "id",
		shutdown = "id",
		nodelay = "id",
		send = "id bytes",
		lsend = "id bytes",
		share = "bytes",
		broadcast = "list bytes",
		secure = "id role tls?",
		tls_info = "id",
		tls_reload = "",
		udp = "address? port?",
		udp_listen = "address port",
		udp_dial = "address port",
		udp_connect = "id address port",
		udp_send = "id from bytes",
		udp_address = "from",
		buffer = "",
		push = "buffer any pointer size",
		pop = "buffer any size",
		readline = "buffer any separator",
		readall = "buffer",
		clear = "queue=buffer",
		unpack = "any size",
		str2p = "text",
		drop = "pointer",
		header = "header",
		info = "",
		resolve = "text",
	},
	["skynet.netpack"] = {
		filter = "queue any size",
		pop = "queue",
		clear = "queue",
		pack = "text",
		tostring = "pointer size",
	},
	["skynet.dns"] = {
		server = "ip port?",
		resolve = "name any cs?=limit_cs",
		flush = "",
	},
	["skynet.crypt"] = {
		randomkey = "",
		hashkey = "text",
		desencode = "eight text padding?",
		desdecode = "eight text padding?",
		hexencode = "text",
		hexdecode = "text",
		hmac64 = "eight eight",
		hmac64_md5 = "eight eight",
		hmac_hash = "eight text",
		dhexchange = "eight",
		dhsecret = "eight eight",
		base64encode = "text",
		base64decode = "text",
		sha1 = "text",
		hmac_sha1 = "text text",
		hmac_sha256 = "text text",
		xor_str = "text text",
		equals = "text text",
	},
	md5 = {
		sum = "text",
		sumhexa = "text",
		hmacmd5 = "text text",
		exor = "text text",
		crypt = "text text text?",
		decrypt = "text text",
	},
	["skynet.socketchannel"] = {
		channel = "conf=options",
	},
	["snax.gateserver"] = {
		start = "conf=handler",
		openclient = "id=fd",
		closeclient = "id=fd",
	},
	["snax.msgserver"] = {
		start = "conf",
		username = "text=uid text=subid text=server",
		userid = "text=username",
		login = "text=username eight=secret",
		logout = "text=username",
		ip = "text=username",
	},
}

-- Two ends of a connection, a UDP socket, and what else is right.
local near, far, udp_id
local socket_count -- before these
local GOOD <const> = {
	address = "127.0.0.1",
	port = 9,
	bytes = "bytes",
	text = "text",
	count = 1,
	f = print,
	role = "client",
	from = "\1\0\9\127\0\0\1",
	what = 1,
	eight = "8 bytes.",
	any = {},
	size = 1,
	name = "localhost",
	header = "x",
	separator = "\n",
	list = {},
	ip = "127.0.0.1",
	conf = {},
}

local function open()
	local token = {}
	socket_count = #socket.netstat()
	local listener, _, port = socket.listen("127.0.0.1", 0)
	socket.start(listener, function(id)
		far = id
		skynet.wakeup(token)
	end)
	near = assert(socket.open("127.0.0.1", port))
	if not far then
		skynet.wait(token)
	end
	socket.start(far)
	socket.close(listener)
	udp_id = socket.udp(print, "127.0.0.1", 0)
	GOOD.id, GOOD.udp_id = near, udp_id
	GOOD.buffer = driver.buffer()
	GOOD.pointer = driver.str2p("text")
	WRONG.udp_id = WRONG.id
end

-- Closes all, and waits until the node has no socket more than before.
local function close()
	socket.close(near)
	socket.close(far)
	socket.close(udp_id)
	driver.drop(GOOD.pointer)
	near, far = nil, nil
	while #socket.netstat() > socket_count do -- else the case is late
		skynet.sleep(1)
	end
end

local function parse(parameters)
	local list = {}
	for kind, optional, name in parameters:gmatch("([%w_]+)(%??)=?([%w_]*)") do
		list[#list + 1] = {
			kind = kind,
			is_optional = optional == "?",
			name = name ~= "" and name or kind,
		}
	end
	return list
end

-- Calls f with one wrong argument, all others being right.
local function try(label, f, parameters, position, wrong)
	local arguments = { n = #parameters }
	for i, parameter in ipairs(parameters) do
		arguments[i] = GOOD[parameter.kind]
	end
	if wrong == NOTHING then
		arguments[position] = nil
	else
		arguments[position] = wrong
	end
	local name = parameters[position].name
	local ok, text = pcall(check.misuse, "", f, table.unpack(arguments, 1, arguments.n))
	local where = ("%s, argument %d, %s"):format(label, position, check.describe(wrong))
	check.ok(ok, where .. ": " .. tostring(text))
	text = select(2, pcall(f, table.unpack(arguments, 1, arguments.n)))
	local is_named = text:find("#" .. position, 1, true)
		or text:find("'" .. name .. "'", 1, true)
		or text:find("Invalid")
		or text:find("does not hold")
		or text:find("not a socket message")
	check.ok(is_named, where .. " is not named: " .. text)
end

-- Tries all that one parameter may not be. Adds what goes wrong to problems.
local function try_all(module, name, parameters, position, problems)
	local parameter = parameters[position]
	local label = module .. "." .. name
	for _, wrong in ipairs(WRONG[parameter.kind] or {}) do
		if not (parameter.is_optional and wrong == NOTHING) then
			local f = modules[module][name]
			local ok, problem = pcall(try, label, f, parameters, position, wrong)
			if not ok then
				problems[#problems + 1] = problem
			end
		end
	end
end

for module, functions in pairs(FUNCTIONS) do
	case("wrong_arguments_to_" .. module:gsub("%W", "_") .. "_are_named", function()
		open()
		local problems = {}
		for name, text in pairs(functions) do
			local parameters = parse(text)
			for position = 1, #parameters do
				try_all(module, name, parameters, position, problems)
			end
		end
		socket.write(near, "still there\n")
		check.equal(socket.readline(far), "still there")
		close()
		check.equal(#problems, 0, table.concat(problems, "\n"))
	end)
end

case("every_public_function_is_tried", function()
	for module, functions in pairs(FUNCTIONS) do
		for name, value in pairs(modules[module]) do
			if type(value) == "function" then
				check.ok(functions[name], module .. "." .. name)
			end
		end
		for name in pairs(functions) do
			check.ok(modules[module][name], module .. "." .. name)
		end
	end
end)

-- What is said of an id that nobody holds: false, nil, nothing; or RAISES.
local RAISES <const> = {}
local OF_NOBODY <const> = {
	["skynet.socket"] = {
		start = { nil },
		secure = { RAISES, "client", { verify = false } },
		read = { RAISES },
		readline = { RAISES },
		readall = { RAISES },
		block = { RAISES },
		write = { false, "text" },
		lwrite = { false, "text" },
		close = {},
		shutdown = {},
		close_fd = {},
		abandon = {},
		pause = {},
		nodelay = {},
		invalid = { true },
		disconnected = {},
		limit = { RAISES, 1 },
		timeout = { RAISES, 1 },
		warning = { RAISES, print },
		onclose = { RAISES, print },
		udp_connect = { RAISES, "127.0.0.1", 9 },
		sendto = { false, GOOD.from, "text" },
	},
	["skynet.socketdriver"] = {
		rearm = { false, 1 },
		pause = {},
		close = {},
		shutdown = {},
		nodelay = {},
		send = { false, "text" },
		lsend = { false, "text" },
		secure = { false, "client", { verify = false } },
		tls_info = {},
		udp_send = { false, GOOD.from, "text" },
	},
	["snax.gateserver"] = { openclient = {}, closeclient = {} },
}

local function try_of_nobody(label, f, id, expected, ...)
	local ok, result = pcall(f, id, ...)
	if expected == RAISES then
		check.equal(ok, false, label)
		check.misuse("does not hold socket", f, id, ...)
	else
		check.ok(ok, label .. ": " .. tostring(result))
		check.equal(result, expected, label)
	end
end

-- Whether 0 and less are no ids at all for a function, which raises then.
local function refuses_zero(module, name)
	return module == "snax.gateserver" or name == "start"
end

case("ids_of_nobody_do_no_harm", function()
	open()
	local gone = socket.udp(print)
	socket.close(gone)
	for module, functions in pairs(OF_NOBODY) do
		for name, row in pairs(functions) do
			for _, id in ipairs({ gone, 1 << 30, 0, -1 }) do
				local label = ("%s.%s(%d)"):format(module, name, id)
				if id > 0 or not refuses_zero(module, name) then
					local f = modules[module][name]
					try_of_nobody(label, f, id, table.unpack(row, 1, 3))
				end
			end
		end
	end
	check.misuse("bad argument", socket.start, 0)
	check.equal(socket.broadcast({ gone, 0, -1, 1 << 30 }, "text"), 0)
	socket.write(near, "still there\n")
	check.equal(socket.readline(far), "still there")
	close()
end)

case("a_start_that_raises_leaves_no_callback_behind", function()
	open()
	local told = require("skynet.socket.told")
	check.misuse("socket is not closed", socket.start, near, print)
	check.equal(told.find(near), nil)
	check.misuse("bad argument", socket.start, 1 << 40, print)
	check.equal(told.find(1 << 40), nil)
	close()
end)

local CONFS <const> = {
	{ "'host': a string", { port = 1 } },
	{ "'host': a string", { host = {} } },
	{ "'port': a port", { host = "x", port = true } },
	{ "'backup': a list", { host = "x", backup = { { port = 1 } } } },
	{ "'backup': a list", { host = "x", backup = { { host = "x", port = 0 } } } },
	{ "'options': a table", { host = "x", options = true } },
	{ "'options.timeout': hundredths", { host = "x", options = { timeout = -1 } } },
	{ "'overload': a function", { host = "x", overload = 1 } },
	{ "'socket_read': a function", { host = "x", socket_read = {} } },
	{ "'socket_readline': a function", { host = "x", socket_readline = "x" } },
}

case("fields_of_a_channel_are_named", function()
	local new = require("skynet.socketchannel").channel
	for _, row in ipairs(CONFS) do
		check.misuse(row[1], new, row[2])
	end
end)

return cases
