-- skynet.socketdriver, through real connections of one service with itself.
local skynet = require("skynet")
require("skynet.manager")
local driver = require("skynet.socketdriver")
local check = require("check")
local child = require("child")
local log = require("log")

local DATA <const>, CONNECT <const>, CLOSE <const>, ACCEPT <const>, ERROR <const> = 1, 2, 3, 4, 5

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
	dispatch = function(_, _, type, id, number, text)
		if type == DATA then
			local pointer = text
			text = skynet.tostring(pointer, number)
			driver.drop(pointer, number)
		end
		events[#events + 1] = { type = type, id = id, number = number, text = text }
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
