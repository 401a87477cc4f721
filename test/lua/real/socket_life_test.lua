-- Services that end while they wait for the network, in every way they can, and many connections of
-- several services at once: no socket, no descriptor and no memory is left, and nobody else is
-- disturbed. With real threads: an end may meet what has just come.
local skynet = require("skynet")
require("skynet.manager")
local memory = require("skynet.memory")
local socket = require("skynet.socket")
local test = require("skynet.test")
local child = require("child")

local SERVICES <const> = 4
local ROUNDS <const> = 2
--- Sanitizers bring an allocator of their own.
local IS_SANITIZED <const> = not pcall(memory.jestat)
--- What a round may leave behind more than another did: the tables of the test and of the core.
local NOISE_BYTES <const> = 512 * 1024
--- Written to somebody who does not read: more than the system takes.
local UNREAD_BYTES <const> = 8 << 20

-- The peer ---------------------------------------------------------------------------------------

local accepted -- how many since the last look
local unread -- connections that nobody reads, or nil: all are read
local changed = {}

local function take(id)
	accepted = accepted + 1
	skynet.wakeup(changed)
	if unread then
		unread[#unread + 1] = id
		return
	end
	socket.start(id)
	while socket.read(id) do
		skynet.yield()
	end
	socket.close(id)
end

--- Somebody who accepts, reads, and says nothing.
local function serve_silence()
	local listener, _, port = socket.listen("127.0.0.1", 0, 1024)
	socket.start(listener, take)
	return listener, port
end

--- Somebody who gets datagrams and says nothing.
local function serve_datagrams()
	local id = socket.udp(function() end, "127.0.0.1", 0)
	for _, info in ipairs(socket.netstat()) do
		if info.id == id then
			return id, math.tointeger(tonumber(info.peer:match(":(%d+)$")))
		end
	end
	error("the socket is not in the list")
end

--- Nobody: a port where nothing listens.
local function dead_port()
	local listener, _, port = socket.listen("127.0.0.1", 0)
	socket.close(listener)
	return port
end

-- Who ends ---------------------------------------------------------------------------------------

--- Waits in one of the ways, in several tasks. Told "cut", it ends these; told "exit", itself.
local function victim(way, port, dead, datagrams)
	local skynet = require("skynet") -- luacheck: ignore 431
	local socket = require("skynet.socket") -- luacheck: ignore 431
	local socketchannel = require("skynet.socketchannel")
	local dns = require("skynet.dns")
	local address <const> = "127.0.0.1:" .. port
	local ways = {}

	local function reading(name, ...)
		local arguments = table.pack(...)
		ways[name] = function()
			local id = assert(socket.open(address))
			socket[name](id, table.unpack(arguments, 1, arguments.n))
		end
	end
	reading("read", 1000)
	reading("readline")
	reading("readall")
	reading("block")

	function ways.handshake()
		socket.open(address, { tls = { verify = false } })
	end

	function ways.secure()
		local id = assert(socket.open(address))
		socket.secure(id, "client", { verify = false })
	end

	function ways.connect() -- over and over
		while true do
			local id = assert(socket.open(address))
			socket.write(id, "x")
			socket.close(id)
		end
	end

	function ways.listen()
		local listener, ip, own_port = socket.listen("127.0.0.1", 0)
		socket.start(listener, function(id)
			socket.start(id)
			socket.read(id)
		end)
		socket.readline(assert(socket.open(ip, own_port)))
	end

	function ways.abandoned() -- accepted, and started by nobody
		local listener, ip, own_port = socket.listen("127.0.0.1", 0)
		socket.start(listener, print)
		socket.readline(assert(socket.open(ip, own_port)))
	end

	function ways.closing() -- another task reads
		local id = assert(socket.open(address))
		skynet.fork(socket.read, id)
		skynet.yield()
		socket.close(id)
	end

	function ways.unread()
		local id = assert(socket.open(address))
		socket.warning(id, function() end)
		socket.write(id, ("x"):rep(8 << 20))
		socket.readline(id)
	end

	function ways.datagrams()
		local id = socket.udp(function() end)
		socket.udp_connect(id, "127.0.0.1", math.tointeger(tonumber(datagrams)))
		while socket.write(id, "x") do
			skynet.sleep(1)
		end
	end

	local function channel(options)
		options.host, options.port = "127.0.0.1", math.tointeger(tonumber(port))
		return socketchannel.channel(options)
	end

	function ways.request()
		channel({}):request("x", function(sock)
			return true, sock:read(1)
		end)
	end

	function ways.session()
		local one = channel({
			response = function(sock)
				return sock:readline(), true, "x"
			end,
		})
		one:request("x", "session")
	end

	function ways.auth()
		local one = channel({
			auth = function(self)
				self:request("x", function(sock)
					return true, sock:readline()
				end)
			end,
		})
		one:connect(true)
	end

	function ways.retry()
		local one = channel({})
		one:changehost("127.0.0.1", math.tointeger(tonumber(dead)))
		one:connect()
	end

	function ways.resolve()
		dns.server("127.0.0.1", math.tointeger(tonumber(datagrams)))
		dns.resolve("nobody.answers.test")
	end

	local tasks = {}
	local commands = { exit = skynet.exit }
	function commands.cut()
		for _, task in ipairs(tasks) do
			skynet.killthread(task)
		end
		skynet.exit()
	end
	skynet.start(function()
		skynet.dispatch("lua", function(_, _, command)
			commands[command]()
		end)
		for i = 1, 2 do
			tasks[i] = skynet.fork(ways[way])
		end
	end)
end

-- How many connections of each service the peer sees before its end, at least.
local WAYS <const> = {
	read = 2,
	readline = 2,
	readall = 2,
	block = 2,
	handshake = 2,
	secure = 2,
	connect = 20,
	listen = 0,
	abandoned = 0,
	closing = 2,
	unread = 2,
	datagrams = 0,
	request = 2,
	session = 2,
	auth = 2,
	retry = 0,
	resolve = 0,
}

local ENDS <const> = {
	kill = skynet.kill,
	exit = function(address)
		skynet.send(address, "lua", "exit")
	end,
	cut = function(address)
		skynet.send(address, "lua", "cut")
	end,
}

-- The cases --------------------------------------------------------------------------------------

local pid = assert(io.open("/proc/self/stat")):read("n")

local function descriptor_count()
	local list <close> = assert(io.popen(("ls /proc/%d/fd | wc -l"):format(pid)))
	return list:read("n")
end

--- Waits until the node has no more sockets than that, and no more descriptors.
local function wait_for_base(sockets, descriptors)
	while #socket.netstat() > sockets do
		skynet.sleep(1)
	end
	while descriptor_count() > descriptors do -- which is dear, and true soon
		skynet.sleep(10)
	end
end

local function drain(id)
	socket.start(id)
	local size = 0
	local bytes = socket.read(id)
	while bytes do
		size = size + #bytes
		bytes = socket.read(id)
	end
	test.ok(size <= UNREAD_BYTES)
	socket.close(id)
end

--- What nobody has read is read after all, or never will be.
local function let_go()
	local ids = unread or {}
	unread = nil
	for i, id in ipairs(ids) do
		if i % 2 == 0 then
			skynet.fork(drain, id)
		else
			socket.close_fd(id)
		end
	end
end

--- Services wait in that way, and end: at once, or when the peer has seen them.
local function end_while_waiting(way, finish, is_at_once)
	accepted, unread = 0, way == "unread" and {} or nil
	local sockets, descriptors = #socket.netstat(), descriptor_count()
	local listener, port = serve_silence()
	local datagram_id, datagram_port = serve_datagrams()
	local key, victims = child.key(victim), {}
	for i = 1, SERVICES do
		victims[i] = skynet.newservice("script", key, way, port, dead_port(), datagram_port)
	end
	while not is_at_once and accepted < SERVICES * WAYS[way] do
		skynet.sleep(10, changed)
	end
	for _, address in ipairs(victims) do
		finish(address)
	end
	let_go()
	wait_for_base(sockets + 2, descriptors + 2)
	socket.close(listener)
	socket.close(datagram_id)
	wait_for_base(sockets, descriptors)
end

--- What services are charged for, when nobody has anything left to free. Waits: a turn is charged
--- at its end.
local function total()
	skynet.sleep(1)
	collectgarbage()
	collectgarbage()
	local log = memory.info()[skynet.localname(".logger")]
	return memory.total() - log
end

for way in pairs(WAYS) do
	test.case("services_end_while_they_wait_in_" .. way, function()
		for name, finish in pairs(ENDS) do
			-- Many bytes take long there.
			if not IS_SANITIZED or name == "kill" or way ~= "unread" then
				end_while_waiting(way, finish, false)
				end_while_waiting(way, finish, true)
			end
		end
		if IS_SANITIZED then
			return -- nothing is charged
		end
		local before = total()
		for _ = 1, ROUNDS do
			end_while_waiting(way, skynet.kill, false)
		end
		local grown = total() - before
		test.ok(grown < NOISE_BYTES, ("%d bytes are left"):format(grown))
	end)
end

-- Many at once -----------------------------------------------------------------------------------

local function echo_server()
	local skynet = require("skynet") -- luacheck: ignore 431
	local socket = require("skynet.socket") -- luacheck: ignore 431
	skynet.start(function()
		local listener, _, port = socket.listen("127.0.0.1", 0, 1024)
		socket.start(listener, function(id)
			socket.start(id)
			while true do
				local line = socket.readline(id)
				if not line then
					break
				end
				socket.write(id, line .. "\n")
			end
			socket.close(id)
		end)
		skynet.dispatch("lua", function()
			skynet.retpack(port)
		end)
	end)
end

--- Opens so many connections at once, talks on each, closes them.
local function caller()
	local skynet = require("skynet") -- luacheck: ignore 431
	local socket = require("skynet.socket") -- luacheck: ignore 431
	local function talk(port, i)
		local id = assert(socket.open("127.0.0.1", port))
		socket.write(id, i .. "\n")
		assert(socket.readline(id) == tostring(i))
		if i % 2 == 0 then
			socket.close(id)
		else
			socket.shutdown(id)
			assert(not socket.read(id))
			socket.close(id)
		end
	end
	skynet.start(function()
		skynet.dispatch("lua", function(_, _, port, count)
			local left, done = count, {}
			for i = 1, count do
				skynet.fork(function()
					talk(port, i)
					left = left - 1
					if left == 0 then
						skynet.wakeup(done)
					end
				end)
			end
			skynet.wait(done)
			skynet.retpack(true)
		end)
	end)
end

test.case("a_thousand_connections_of_several_services_leave_nothing", function()
	local sockets, descriptors = #socket.netstat(), descriptor_count()
	local server = child.start(echo_server)
	local port = skynet.call(server, "lua")
	local callers = {}
	for i = 1, 4 do
		callers[i] = child.start(caller)
	end
	for _ = 1, 2 do
		local requests <close> = skynet.request()
		for _, address in ipairs(callers) do
			requests:add({ address, "lua", port, 250 })
		end
		for _, answer in requests:select() do
			test.ok(answer and answer[1])
		end
		wait_for_base(sockets + 1, descriptors + 1)
	end
	skynet.kill(server)
	for _, address in ipairs(callers) do
		skynet.kill(address)
	end
	wait_for_base(sockets, descriptors)
end)
