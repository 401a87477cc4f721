-- skynet.socket: UDP, Unix-domain sockets, many at once, looking.
local skynet = require("skynet")
require("skynet.manager")
local socket = require("skynet.socket")
local datagrams = require("datagrams")
local test = require("skynet.test")

--- Collects what a function of a UDP socket gets.
local function inbox()
	local letters = {}
	local token = {}
	local function put(data, from)
		letters[#letters + 1] = { data = data, from = from }
		skynet.wakeup(token)
	end
	local function take()
		if #letters == 0 then
			skynet.wait(token)
		end
		local letter = table.remove(letters, 1)
		return letter.data, letter.from
	end
	return put, take
end

-- UDP -------------------------------------------------------------------------------------------

test.case("datagrams go there and back", function()
	local server_put, server_take = inbox()
	local client_put, client_take = inbox()
	local server, port = datagrams.listen(socket.udp_listen, server_put)
	local client = socket.udp(client_put)
	socket.udp_connect(client, "127.0.0.1", port)
	test.equal(socket.write(client, "question"), true)
	local data, from = server_take()
	test.equal(data, "question")
	local ip, client_port = socket.udp_address(from)
	test.equal(ip, "127.0.0.1")
	test.ok(client_port > 0)
	test.equal(socket.sendto(server, from, "answer"), true)
	data, from = client_take()
	test.equal(data, "answer")
	test.equal(select(2, socket.udp_address(from)), port)
	socket.write(client, "")
	test.equal(server_take(), "")
	local long = ("x"):rep(65507)
	socket.write(client, long)
	test.ok(server_take() == long)
	socket.close(client)
	socket.close(server)
	test.equal(socket.invalid(client), true)
	test.equal(socket.write(client, "late"), false)
end)

test.case("a UDP socket may have a default peer, and a new function", function()
	local first_put, first_take = inbox()
	local second_put, second_take = inbox()
	local put, take = inbox()
	local server, port
	server, port = datagrams.listen(socket.udp_listen, function(data, from)
		put(data)
		socket.sendto(server, from, data:upper())
	end)
	local client = socket.udp_dial("127.0.0.1", port, first_put)
	socket.write(client, "one")
	test.equal(take(), "one")
	test.equal(first_take(), "ONE")
	socket.udp_connect(client, "127.0.0.1", port, second_put)
	socket.write(client, "two")
	test.equal(second_take(), "TWO")
	socket.close(client)
	socket.close(server)
end)

test.case("a datagram for the other family is dropped, with a line", function()
	local id = socket.udp(print, "127.0.0.1", 0)
	local to_v6 = "\2\0\9" .. ("\0"):rep(15) .. "\1"
	test.equal(socket.sendto(id, to_v6, "text"), false)
	test.logged(("udp %d drops 4 bytes to ::1:9: it sends to IPv4 only"):format(id))
	socket.close(id)
end)

test.case("wrong UDP sockets raise", function()
	local id, port = datagrams.listen(socket.udp_listen, print)
	test.raises("udp listen host failed", socket.udp_listen, "127.0.0.1", port, print)
	test.raises("udp init failed", socket.udp, print, "127.0.0.1", port)
	test.raises("port", socket.udp_listen, "127.0.0.1", 0, print)
	test.raises("'f' %(function expected", socket.udp, "127.0.0.1", port)
	test.raises("'f' %(function expected", socket.udp_listen, "127.0.0.1", port)
	test.raises("'f' %(function expected", socket.udp_dial, "127.0.0.1", port)
	test.raises("does not hold", socket.udp_connect, 60000, "127.0.0.1", port)
	test.raises("UDP socket: there is nothing to read", socket.read, id)
	socket.close(id)
end)

-- Unix-domain sockets ---------------------------------------------------------------------------

test.case("a path is an address, too", function()
	local path = os.tmpname()
	os.remove(path)
	local listener, ip, port = socket.listen("unix:" .. path)
	test.equal(ip, "unix:" .. path)
	test.equal(port, 0)
	socket.start(listener, function(id, address)
		test.matches(address, "^unix:")
		socket.start(id)
		socket.write(id, "echo: " .. socket.readline(id) .. "\n")
		socket.close(id)
	end)
	local id = assert(socket.open("unix:" .. path))
	socket.write(id, "hello\n")
	test.equal(socket.readline(id), "echo: hello")
	test.equal(socket.read(id), false)
	socket.close(id)
	id = assert(socket.open("unix:" .. path, { timeout = 100 }))
	socket.close(id)
	socket.close(listener)
	os.remove(path)
	test.equal(socket.open("unix:" .. path), nil)
end)

-- Options ---------------------------------------------------------------------------------------

test.case("listeners may share a port", function()
	local options = { shares_port = true }
	local first, _, port = socket.listen("127.0.0.1", 0, nil, options)
	local second = socket.listen("127.0.0.1", port, nil, options)
	test.raises("Listen error", socket.listen, "127.0.0.1", port)
	socket.close(first)
	socket.close(second)
end)

test.case("unknown options raise", function()
	test.raises("colour", socket.open, "127.0.0.1", 1, { colour = "red" })
	test.raises("colour", socket.listen, "127.0.0.1", 0, nil, { colour = "red" })
	test.raises("table expected", socket.listen, "127.0.0.1", 0, nil, "red")
end)

-- Descriptors of others -------------------------------------------------------------------------

test.case("the standard input is read, and stays open", function()
	local id = assert(socket.stdin())
	local found
	for _, info in ipairs(socket.netstat()) do
		found = found or info.id == id and info.type
	end
	test.equal(found, "BIND")
	test.raises("", socket.start, id)
	socket.close(id)
	test.equal(socket.invalid(id), true)
	local again = assert(socket.stdin()) -- descriptor 0 is there still
	socket.close(again)
end)

-- Many ------------------------------------------------------------------------------------------

test.case("the same bytes go to many", function()
	local count = 20
	local accepted = {}
	local listener, _, port = socket.listen("127.0.0.1", 0)
	socket.start(listener, function(id)
		socket.start(id)
		accepted[#accepted + 1] = id
	end)
	local clients = {}
	for i = 1, count do
		clients[i] = assert(socket.open("127.0.0.1", port))
	end
	test.eventually(function()
		return #accepted == count
	end)
	socket.broadcast(accepted, "to all")
	for _, id in ipairs(clients) do
		test.equal(socket.read(id, 6), "to all")
		socket.close(id)
	end
	for _, id in ipairs(accepted) do
		socket.close(id)
	end
	socket.close(listener)
end)

-- Looking ---------------------------------------------------------------------------------------

test.case("all sockets of the node can be listed", function()
	local listener, _, port = socket.listen("127.0.0.1", 0)
	local found = {}
	for _, entry in ipairs(socket.netstat()) do
		found[entry.id] = entry
	end
	test.equal(found[listener].type, "LISTEN")
	test.equal(found[listener].sock, "127.0.0.1:" .. port)
	test.equal(found[listener].address, skynet.self())
	socket.close(listener)
	for _, entry in ipairs(socket.netstat()) do
		test.ok(entry.id ~= listener)
	end
	test.equal(socket.resolve("127.0.0.1"), { "127.0.0.1" })
end)

test.case("a callback that raises hurts nobody else", function()
	local count = 0
	local listener, _, port = socket.listen("127.0.0.1", 0)
	socket.start(listener, function(id)
		count = count + 1
		socket.close_fd(id)
		error("on purpose")
	end)
	for i = 1, 2 do
		local id = assert(socket.open("127.0.0.1", port))
		test.equal(socket.read(id), false)
		socket.close(id)
		test.equal(count, i)
	end
	test.logged("on purpose")
	socket.close(listener)
end)
