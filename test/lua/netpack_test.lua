-- skynet.netpack: what a gate in Lua is given for each socket message, through real connections of
-- one service with itself. packets.c has a test of its own for the cutting.
local skynet = require("skynet")
local driver = require("skynet.socketdriver")
local netpack = require("skynet.netpack")
local check = require("check")

local cases = {}
local function case(name, body)
	cases[#cases + 1] = { name, body }
end

-- What filter said, oldest first: {type, id, third, fourth}; packets as {"packet", id, text}.
local events = {}
local token = {}
local queue

local function add(...)
	events[#events + 1] = { ... }
	skynet.wakeup(token)
end

local function take(type, id, third, fourth)
	if type == "data" then
		add("packet", id, netpack.tostring(third, fourth))
	elseif type == "more" then
		for socket, pointer, size in netpack.pop, queue do
			add("packet", socket, netpack.tostring(pointer, size))
		end
	elseif type then
		add(type, id, third, fourth)
	end
end

skynet.register_protocol({
	name = "socket",
	id = skynet.PTYPE_SOCKET,
	unpack = function(message, size)
		return netpack.filter(queue, message, size)
	end,
	dispatch = function(_, _, kept, ...)
		queue = kept
		take(...)
	end,
})

local function expect(type, id)
	while not events[1] do
		skynet.wait(token)
	end
	local event = table.remove(events, 1)
	check.equal(event[1], type)
	if id then
		check.equal(event[2], id)
	end
	return event
end

--- Two ends of a new connection, and its listener.
local function connect()
	local listener = driver.listen("127.0.0.1", 0)
	local init = expect("init", listener)
	check.equal(init[3], "127.0.0.1")
	driver.start(listener)
	expect("init", listener)
	local near = driver.connect("127.0.0.1", init[4])
	local far
	for _ = 1, 2 do -- in either order
		while not events[1] do
			skynet.wait(token)
		end
		if events[1][1] == "open" then
			local open = expect("open")
			far = open[2]
			check.matches(open[3], "^127%.0%.0%.1:%d+$")
		else
			expect("init", near)
		end
	end
	driver.start(far)
	check.equal(expect("init", far)[3], "start")
	return near, far, listener
end

local function close(...)
	for _, id in ipairs({ ... }) do
		driver.shutdown(id)
	end
	for _ = 1, select("#", ...) do
		expect("close")
	end
end

case("packets_are_cut_out_of_the_stream", function()
	local near, far, listener = connect()
	driver.send(near, netpack.pack("one"))
	check.equal(expect("packet", far)[3], "one")
	driver.send(near, { "\0\3two\0\0\0\5three\0\1" })
	check.equal(expect("packet", far)[3], "two")
	check.equal(expect("packet", far)[3], "")
	check.equal(expect("packet", far)[3], "three")
	driver.send(near, "4\0")
	check.equal(expect("packet", far)[3], "4")
	driver.send(near, "\2")
	driver.send(near, "55")
	check.equal(expect("packet", far)[3], "55")
	close(near, far, listener)
end)

case("the_largest_packet_fits", function()
	local near, far, listener = connect()
	local text = ("x"):rep(65535)
	driver.send(near, netpack.pack(text))
	check.ok(expect("packet", far)[3] == text, "the same bytes")
	check.misuse("Invalid size %(too long%) of data : 65536", netpack.pack, text .. "y")
	close(near, far, listener)
end)

case("what_is_incomplete_is_dropped_at_the_end", function()
	local near, far, listener = connect()
	driver.send(near, "\0\100half")
	driver.close(near)
	expect("close", near)
	expect("close", far)
	driver.shutdown(far)
	close(listener)
	check.equal(select("#", netpack.pop(queue)), 0)
end)

--- What filter says about a message that was never sent: (type, id, third, fourth).
local function filter_made(type, id, number, bytes)
	local pointer = bytes and driver.str2p(bytes)
	local address = pointer and tonumber(("%p"):format(pointer)) or 0
	local message, size = driver.str2p(string.pack("i4i4i4i4j", type, id, number, 0, address))
	local result = table.pack(netpack.filter(queue, message, size))
	driver.drop(message, size)
	queue = result[1]
	return table.unpack(result, 2, result.n)
end

local function filter_data(id, bytes)
	return filter_made(1, id, #bytes, bytes)
end

case("an_id_that_comes_back_begins_anew", function()
	local CLOSE <const>, ERROR <const> = 3, 5
	for _, ending in ipairs({ CLOSE, ERROR }) do
		check.equal(filter_data(7, "\0\5ab"), nil)
		check.equal(filter_made(ending, 7, 0), ending == CLOSE and "close" or "error")
		local type, id, pointer, size = filter_data(7, "\0\1x")
		check.equal(type, "data")
		check.equal(id, 7)
		check.equal(netpack.tostring(pointer, size), "x")
	end
end)

case("packets_that_nobody_took_come_first", function()
	check.equal(filter_data(8, "\0\1a\0\1b"), "more")
	check.equal(filter_data(9, "\0\1c"), "more")
	local texts = {}
	for id, pointer, size in netpack.pop, queue do
		texts[#texts + 1] = id .. netpack.tostring(pointer, size)
	end
	check.equal(table.concat(texts, " "), "8a 8b 9c")
end)

case("what_is_no_affair_of_a_gate_is_dropped", function()
	local UDP <const>, READY <const> = 6, 8
	check.equal(select("#", filter_made(UDP, 5, 2, "hi\1\0\1\127\0\0\1")), 0)
	check.equal(select("#", filter_made(READY, 5, 1)), 0)
	local type, id, kib = filter_made(7, 5, 1024)
	check.equal(type, "warning")
	check.equal(id, 5)
	check.equal(kib, 1024)
end)

case("an_error_is_told_with_its_text", function()
	local near, far, listener = connect()
	close(near, far, listener)
	local id = driver.connect("127.0.0.1", 1)
	check.matches(expect("error", id)[3], "%a")
end)

case("clear_drops_what_waits", function()
	netpack.clear(nil)
	netpack.clear(queue)
	check.equal(select("#", netpack.pop(queue)), 0)
	check.equal(select("#", netpack.pop(nil)), 0)
	local near, far, listener = connect() -- and the queue is of use still
	driver.send(near, "\0\1x")
	check.equal(expect("packet", far)[3], "x")
	close(near, far, listener)
end)

case("pack_and_tostring_take_pointers_too", function()
	local pointer, size = driver.str2p("block")
	local packet, packet_size = netpack.pack(pointer, size)
	check.equal(packet_size, 7)
	check.equal(netpack.tostring(packet, packet_size), "\0\5block")
	check.equal(netpack.tostring(pointer, size), "block")
	check.equal(netpack.tostring(netpack.pack("")), "\0\0")
end)

case("misuse_is_refused", function()
	check.misuse("bad argument #1", netpack.pack)
	check.misuse("bad argument #1", netpack.pack, {})
	check.misuse("bad argument #1", netpack.tostring, "text", 4)
	local pointer, size = driver.str2p("x")
	check.misuse("bad argument #2.*not the size", netpack.pack, pointer, -1)
	check.misuse("bad argument #2", netpack.tostring, pointer)
	driver.drop(pointer, size)
	check.misuse("bad argument #1", netpack.pop, "queue")
	check.misuse("bad argument #1", netpack.clear, driver.buffer())
	check.misuse("not a socket message", netpack.filter, nil, nil, 100)
	check.misuse("not a socket message", netpack.filter, nil, "text", 4)
	check.misuse("bad argument #1", netpack.filter, "queue", nil, 100)
end)

return cases
