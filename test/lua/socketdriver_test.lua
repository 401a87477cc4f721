-- skynet.socketdriver, through real connections of one service with itself.
local skynet = require("skynet")
require("skynet.manager")
local driver = require("skynet.socketdriver")
local check = require("check")
local child = require("child")
local datagrams = require("datagrams")
local log = require("log")

local DATA <const>, CONNECT <const>, CLOSE <const>, ACCEPT <const>, ERROR <const> = 1, 2, 3, 4, 5
local UDP <const>, READY <const> = 6, 8

local cases = {}
local function case(name, body)
	cases[#cases + 1] = { name, body }
end

-- Events that nobody has taken yet, in their order.
local events = {}
local token = {}

skynet.register_protocol({
	name = "socket",
	id = skynet.PTYPE_SOCKET,
	unpack = driver.unpack,
	dispatch = function(_, _, type, id, number, text, address)
		if type == DATA or type == UDP then
			local pointer = text
			text = skynet.tostring(pointer, number)
			driver.drop(pointer, number)
		end
		events[#events + 1] =
			{ type = type, id = id, number = number, text = text, address = address }
		skynet.wakeup(token)
	end,
})

--- Waits for the next event of a socket, which must be of that type.
local function expect(type, id)
	while true do
		for i, event in ipairs(events) do
			if event.id == id then
				check.equal(
					event.type,
					type,
					"the type of the event " .. tostring(event.text)
				)
				return table.remove(events, i)
			end
		end
		skynet.wait(token)
	end
end

--- Waits until so many bytes have come to a socket. Returns them.
local function receive(id, size)
	local pieces = {}
	while size > 0 do
		local event = expect(DATA, id)
		check.equal(#event.text, event.number)
		pieces[#pieces + 1] = event.text
		size = size - #event.text
	end
	return table.concat(pieces)
end

local function listen()
	local listener = driver.listen("127.0.0.1", 0)
	local event = expect(CONNECT, listener)
	check.equal(event.text, "127.0.0.1")
	driver.start(listener)
	check.equal(expect(CONNECT, listener).text, "start")
	return listener, event.number
end

--- Two ends of a new connection, and its listener.
local function connect()
	local listener, port = listen()
	local near = driver.connect("127.0.0.1", port)
	expect(CONNECT, near)
	local event = expect(ACCEPT, listener)
	check.matches(event.text, "^127%.0%.0%.1:%d+$")
	local far = event.number
	driver.start(far)
	check.equal(expect(CONNECT, far).text, "start")
	return near, far, listener
end

local function close(...)
	for _, id in ipairs({ ... }) do
		driver.shutdown(id)
	end
	for _, id in ipairs({ ... }) do
		expect(CLOSE, id)
	end
end

case("bytes_go_both_ways", function()
	local near, far, listener = connect()
	check.equal(driver.send(near, "hello"), true)
	check.equal(receive(far, 5), "hello")
	check.equal(driver.send(far, "world"), true)
	check.equal(receive(near, 5), "world")
	close(near, far, listener)
end)

case("what_is_sent_may_be_a_text_a_table_or_a_block", function()
	local near, far, listener = connect()
	driver.nodelay(near)
	check.equal(driver.send(near, { "a", "bc", "", "def" }), true)
	check.equal(driver.send(near, driver.str2p("block")), true)
	check.equal(driver.send(near, skynet.pack("packed")), true)
	check.equal(driver.send(near, 42), true)
	check.equal(driver.send(near, ""), true)
	check.equal(driver.send(near, {}), true)
	check.equal(driver.send(near, driver.str2p("")), true)
	check.equal(driver.lsend(near, "low"), true)
	local expected = "abcdefblock" .. skynet.packstring("packed") .. "42low"
	check.equal(receive(far, #expected), expected)
	close(near, far, listener)
end)

case("large_output_arrives_whole", function()
	local near, far, listener = connect()
	local piece = {}
	for i = 1, 4096 do
		piece[i] = ("%08d"):format(i)
	end
	local text = table.concat(piece)
	local expected = text:rep(100)
	for _ = 1, 100 do
		check.equal(driver.send(near, text), true)
	end
	local received = {}
	local size = 0
	while size < #expected do
		while not events[1] do
			skynet.wait(token)
		end
		local event = table.remove(events, 1)
		if event.type == DATA and event.id == far then
			received[#received + 1] = event.text
			size = size + #event.text
		end -- else a warning about how much waits
	end
	check.ok(table.concat(received) == expected, "the same bytes")
	events = {}
	driver.shutdown(near)
	driver.shutdown(far)
	driver.shutdown(listener)
end)

case("close_sends_what_waits_and_ends_the_other_side", function()
	events = {}
	local near, far, listener = connect()
	driver.send(near, "last words")
	driver.close(near)
	expect(CLOSE, near)
	check.equal(receive(far, 10), "last words")
	expect(CLOSE, far)
	check.equal(driver.send(near, "x"), false)
	driver.close(far)
	driver.close(listener)
	expect(CLOSE, listener)
end)

case("pause_stops_reading_until_start", function()
	local near, far, listener = connect()
	driver.pause(far)
	driver.send(near, "while paused")
	driver.send(far, "other way")
	check.equal(receive(near, 9), "other way")
	for _, event in ipairs(events) do
		check.ok(event.id ~= far, "nothing is read")
	end
	driver.start(far)
	check.equal(expect(CONNECT, far).type, CONNECT)
	check.equal(receive(far, 12), "while paused")
	close(near, far, listener)
end)

case("a_connection_that_is_refused_is_an_error", function()
	local listener, port = listen()
	close(listener)
	local near = driver.connect("127.0.0.1", port)
	check.matches(expect(ERROR, near).text, "%a")
end)

case("addresses_come_in_two_forms", function()
	local listener = driver.listen("127.0.0.1:0")
	local port = expect(CONNECT, listener).number
	driver.start(listener)
	expect(CONNECT, listener)
	for _, host in ipairs({ "127.0.0.1", "127.0.0.1:" .. port, "[127.0.0.1]:" .. port }) do
		local near = driver.connect(host, host == "127.0.0.1" and port or nil)
		expect(CONNECT, near)
		driver.shutdown(near)
		expect(CLOSE, near)
		driver.shutdown(expect(ACCEPT, listener).number)
	end
	close(listener)
	events = {}
end)

case("bad_addresses_are_refused", function()
	for _, f in ipairs({ driver.connect, driver.listen }) do
		check.misuse("bad argument #1", f)
		check.misuse("bad argument #1", f, {})
		check.misuse("Invalid address no port", f, "no port")
		check.misuse("Invalid address %[::1%.", f, "[::1")
		check.misuse("Invalid address %[::1%]%.", f, "[::1]")
		check.misuse("Invalid port in address", f, "host:")
		check.misuse("Invalid port in address", f, "host:12x")
		check.misuse("Invalid port in address", f, "host:65536")
		check.misuse("Invalid port in address", f, "host:-1")
		check.misuse("Invalid address x+%.", f, ("x"):rep(1000), 80)
		check.misuse("Invalid address x+:80%.", f, ("x"):rep(1000) .. ":80")
		check.misuse("bad argument #2", f, "127.0.0.1", "http")
		check.misuse("bad argument #2.*0%.%.65535", f, "127.0.0.1", 65536)
		check.misuse("bad argument #2.*0%.%.65535", f, "127.0.0.1", -1)
		check.misuse("bad argument #2.*0%.%.65535", f, "127.0.0.1", 1 << 32)
	end
	check.misuse("Invalid port", driver.connect, "127.0.0.1", 0)
	check.misuse("bad argument #3", driver.listen, "127.0.0.1", 0, -1)
end)

case("a_port_in_use_is_an_error_that_names_it", function()
	local listener, port = listen()
	local mark = log.mark()
	check.misuse(
		("Listen error: 127%%.0%%.0%%.1 port %d"):format(port),
		driver.listen,
		"127.0.0.1",
		port
	)
	log.wait(mark, tostring(port))
	close(listener)
end)

case("other_bad_arguments_are_refused", function()
	local near, far, listener = connect()
	check.misuse("bad argument #2", driver.send, near)
	check.misuse("bad argument #2", driver.send, near, true)
	check.misuse("bad argument #1", driver.send, "id", "text")
	check.misuse("bad argument #1", driver.send, 1.5, "text")
	check.misuse("bad argument #1.*not the id of a socket", driver.send, 1 << 32 | near, "text")
	check.misuse("Invalid strings table", driver.send, near, { "a", 5 })
	check.misuse("Invalid strings table", driver.send, near, { "a", {} })
	local pointer, size = skynet.pack("x")
	check.misuse("bad argument #3", driver.send, near, pointer)
	check.misuse("bad argument #3.*not the size", driver.send, near, pointer, -1)
	check.equal(driver.send(near, pointer, size), true)
	receive(far, size)
	for _, name in ipairs({ "start", "pause", "close", "shutdown", "nodelay", "bind" }) do
		check.misuse("bad argument #1", driver[name])
		check.misuse("bad argument #1", driver[name], "text")
	end
	for _, name in ipairs({ "pause", "close", "shutdown", "nodelay" }) do
		driver[name](1 << 30) -- there is no such socket: nothing happens
		driver[name](-1)
		driver[name](0)
	end
	check.equal(driver.send(1 << 30, "text"), false)
	check.equal(driver.send(1 << 30, driver.str2p("text")), false)
	check.equal(driver.lsend(0, { "text" }), false)
	check.misuse("bad argument #1", driver.str2p)
	check.misuse("bad argument #1", driver.drop, "text")
	check.misuse("not a socket message", driver.unpack, "text", 4)
	check.misuse("not a socket message", driver.unpack, nil, 100)
	check.misuse("bad argument #2", driver.unpack, nil)
	close(near, far, listener)
end)

case("options_are_named", function()
	local listener = driver.listen("127.0.0.1", 0, nil, { shares_port = true })
	local port = expect(CONNECT, listener).number
	local second = driver.listen("127.0.0.1", port, 0, { shares_port = true })
	expect(CONNECT, second)
	local third = driver.listen("127.0.0.1:0", nil, nil, {})
	expect(CONNECT, third)
	close(listener, second, third)
	for options, pattern in pairs({
		[{ speed = 1 }] = "listen has no option 'speed'",
		[{ "shares_port" }] = "listen has no option '1'",
		[{ shares_port = 1 }] = "option 'shares_port' is a number, not true or false",
		fast = "table expected",
	}) do
		pattern = "bad argument #4.*" .. pattern
		check.misuse(pattern, driver.listen, "127.0.0.1", 0, nil, options)
	end
	check.misuse(
		"bad argument #3.*connect has no option 'shares_port'",
		driver.connect,
		"127.0.0.1",
		80,
		{ shares_port = true }
	)
end)

case("a_unix_domain_host_needs_no_port", function()
	local host = ("unix:@skynet socketdriver_test %d"):format(skynet.self())
	local listener = driver.listen(host)
	check.equal(expect(CONNECT, listener).text, host)
	driver.start(listener)
	expect(CONNECT, listener)
	local near = driver.connect(host)
	expect(CONNECT, near)
	local accepted = expect(ACCEPT, listener)
	check.equal(accepted.text, "unix:")
	driver.start(accepted.number)
	expect(CONNECT, accepted.number)
	driver.send(near, "hello")
	check.equal(receive(accepted.number, 5), "hello")
	close(near, accepted.number)
	near = driver.connect(host, 5) -- it does not count
	expect(CONNECT, near)
	driver.shutdown(expect(ACCEPT, listener).number)
	events = {}
	close(near, listener)
	check.misuse("Invalid address", driver.connect, "unix:" .. ("x"):rep(300))
end)

case("a_broadcast_reaches_all", function()
	local first, second, listener = connect()
	check.equal(driver.broadcast({ first, 1 << 30, second, first }, "text"), 3)
	check.equal(receive(second, 8), "texttext")
	check.equal(receive(first, 4), "text")
	check.equal(driver.broadcast({ first }, { "a", "b" }), 1)
	check.equal(driver.broadcast({ first }, driver.str2p("block")), 1)
	check.equal(receive(second, 7), "abblock")
	check.equal(driver.broadcast({}, "nobody"), 0)
	check.equal(driver.broadcast({ first }, ""), 1)
	check.misuse("bad argument #1", driver.broadcast, first, "text")
	local pattern = "element 2 is not the id of a socket: text"
	check.misuse(pattern, driver.broadcast, { first, "text" }, "x")
	check.misuse("element 1 is not the id of a socket", driver.broadcast, { first + 0.5 }, "x")
	check.misuse("element 1 is not the id", driver.broadcast, { 1 << 32 | first }, "x")
	check.misuse("bad argument #2", driver.broadcast, { first })
	check.misuse("Invalid strings table", driver.broadcast, { first }, { 1 })
	close(first, second, listener)
end)

case("what_is_shared_can_be_sent_again_and_again", function()
	local near, far, listener = connect()
	local shared = driver.share({ "sha", "red" })
	check.ok(driver.share(shared) == shared, "it is shared already")
	check.equal(driver.send(near, shared), true)
	check.equal(driver.lsend(near, shared), true)
	check.equal(driver.broadcast({ near, near }, shared), 2)
	check.equal(driver.send(1 << 30, shared), false)
	check.equal(receive(far, 24), ("shared"):rep(4))
	check.equal(driver.send(near, driver.share("freed at once")), true)
	collectgarbage()
	check.equal(receive(far, 13), "freed at once")
	check.misuse("bad argument #1", driver.share)
	local pointer, size = driver.str2p("x")
	check.misuse("bad argument #2", driver.share, pointer, "size")
	driver.drop(pointer, size)
	check.equal(getmetatable(driver.share("")), false)
	close(near, far, listener)
end)

case("datagrams_go_both_ways", function()
	local server, port = datagrams.listen(driver.udp_listen)
	local client = driver.udp_dial("127.0.0.1:" .. port)
	check.equal(driver.udp_send(client, nil, "question"), true)
	local event = expect(UDP, server)
	check.equal(event.text, "question")
	local ip, from_port = driver.udp_address(event.address)
	check.equal(ip, "127.0.0.1")
	check.equal(driver.udp_send(server, event.address, { "ans", "wer" }), true)
	event = expect(UDP, client)
	check.equal(event.text, "answer")
	check.equal(select(2, driver.udp_address(event.address)), port)
	check.ok(from_port ~= port)
	local unbound = driver.udp()
	check.equal(driver.udp_send(unbound, event.address, driver.share("shared")), true)
	check.equal(expect(UDP, server).text, "shared")
	check.equal(driver.udp_send(unbound, nil, "nobody"), false)
	driver.udp_connect(unbound, "127.0.0.1", port)
	check.equal(driver.udp_send(unbound, nil, "now"), true)
	check.equal(expect(UDP, server).text, "now")
	local bound = driver.udp("127.0.0.1")
	close(server, client, unbound, bound)
end)

case("bad_addresses_of_datagrams_are_refused", function()
	local pattern = "udp listen host failed: 127%.0%.0%.1 port 0"
	check.misuse(pattern, driver.udp_listen, "127.0.0.1:0")
	check.misuse("udp init failed: www%.example%.com port 5", driver.udp, "www.example.com", 5)
	check.misuse("udp dial host failed: 127%.0%.0%.1 port 0", driver.udp_dial, "127.0.0.1", 0)
	local id = driver.udp()
	check.misuse("udp connect failed: ::1 port 5", driver.udp_connect, id, "::1", 5)
	check.misuse("bad argument #2.*not the address", driver.udp_send, id, "127.0.0.1", "x")
	check.misuse("bad argument #2.*not the address", driver.udp_send, id, ("\3"):rep(7), "x")
	check.misuse("bad argument #2.*not the address", driver.udp_send, id, "", "x")
	check.misuse("bad argument #3", driver.udp_send, id, nil)
	check.misuse("bad argument #1.*not the address", driver.udp_address, ("\2"):rep(7))
	check.equal(select(2, driver.udp_address("\1\1\2\127\0\0\1")), 258)
	check.equal((driver.udp_address("\2\0\80" .. ("\0"):rep(15) .. "\1")), "::1")
	close(id)
end)

case("info_lists_what_there_is", function()
	local near, far, listener = connect()
	driver.send(near, "12345")
	receive(far, 5)
	local found = {}
	for _, socket in ipairs(driver.info()) do
		found[socket.id] = socket
	end
	check.equal(found[listener].type, "LISTEN")
	check.equal(found[listener].accept, 1)
	check.matches(found[listener].sock, "^127%.0%.0%.1:%d+$")
	check.equal(found[listener].address, skynet.self())
	check.equal(found[near].type, "TCP")
	check.equal(found[near].write, 5)
	check.equal(found[far].read, 5)
	check.equal(found[far].wbuffer, 0)
	check.equal(found[far].reading, true)
	check.equal(found[far].writing, false)
	check.matches(found[far].peer, "^127%.0%.0%.1:%d+$")
	check.equal(math.type(found[far].rtime), "integer")
	check.equal(math.type(found[far].wtime), "integer")
	close(near, far, listener)
end)

case("resolve_knows_what_needs_no_network", function()
	check.equal(table.concat(driver.resolve("10.1.2.3"), " "), "10.1.2.3")
	check.equal(table.concat(driver.resolve("::1"), " "), "::1")
	check.ok(#driver.resolve("localhost") >= 1)
	check.misuse("cannot resolve www%.example%.com here", driver.resolve, "www.example.com")
	check.misuse("bad argument #1", driver.resolve)
end)

case("a_descriptor_can_be_watched", function()
	check.equal(driver.watch(-1), nil)
	local id = driver.watch(2) -- standard error: whatever it is, it can be written to
	check.ok(id)
	check.equal(driver.rearm(id, 2), true)
	local event = expect(READY, id)
	check.equal(event.number & 2, 2)
	check.equal(event.text, "")
	check.equal(driver.rearm(id, 0), true)
	check.misuse("bad argument #2.*not 1", driver.rearm, id, 4)
	check.misuse("bad argument #2", driver.rearm, id)
	check.equal(driver.rearm(1 << 30, 1), false)
	close(id)
	check.equal(driver.rearm(id, 1), false)
end)

case("header_reads_a_big_endian_number", function()
	check.equal(driver.header("\1"), 1)
	check.equal(driver.header("\1\2"), 258)
	check.equal(driver.header("\1\2\3"), 66051)
	check.equal(driver.header("\255\255\255\255"), 0xffffffff)
	check.misuse("Invalid header: 0 bytes", driver.header, "")
	check.misuse("Invalid header: 5 bytes", driver.header, "12345")
	check.misuse("bad argument #1", driver.header)
end)

case("sockets_end_with_their_service", function()
	local near, far, listener = connect()
	local service = child.start(function()
		local sockets = require("skynet.socketdriver")
		skynet.register_protocol({
			name = "socket",
			id = skynet.PTYPE_SOCKET,
			unpack = sockets.unpack,
			dispatch = function(_, _, type)
				if type == 2 then
					skynet.wakeup("transferred")
				end
			end,
		})
		skynet.start(function()
			skynet.dispatch("lua", function(_, _, id)
				sockets.start(id)
				skynet.wait("transferred")
				sockets.send(id, "from the child")
				skynet.retpack()
			end)
		end)
	end)
	skynet.call(service, "lua", far)
	check.equal(receive(near, 14), "from the child")
	skynet.kill(service)
	expect(CLOSE, near)
	driver.shutdown(near)
	close(listener)
end)

case("socket_messages_that_nobody_handles_are_freed", function()
	local near, far, listener = connect()
	local service = child.start(function()
		local sockets = require("skynet.socketdriver")
		skynet.start(function()
			skynet.dispatch("lua", function(_, _, id)
				sockets.start(id)
				skynet.retpack()
			end)
		end)
	end)
	local mark = log.mark()
	skynet.call(service, "lua", far)
	log.wait(mark, "Unknown request %(no protocol registered, type 6%)")
	for i = 1, 3 do
		mark = log.mark()
		driver.send(near, "nobody reads this " .. i)
		log.wait(mark, "Unknown request %(no protocol registered, type 6%)")
	end
	skynet.kill(service)
	expect(CLOSE, near)
	driver.shutdown(near)
	close(listener)
end)

case("the_driver_works_only_inside_a_service", function()
	check.equal(type(driver.send), "function")
	check.ok(package.loaded["skynet.socketdriver"] == driver)
end)

return cases
