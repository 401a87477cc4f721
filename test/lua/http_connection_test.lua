-- skynet.http.connection with a server that is written here: what is sent, keeping the connection,
-- deadlines, and servers that do not behave.
local skynet = require("skynet")
local connection = require("skynet.http.connection")
local socket = require("skynet.socket")
local test = require("skynet.test")
local tasks = require("tasks")

local case <const> = test.case

--- Runs serve(id, number) for each connection, and closes it then. Returns the port.
local function listen(serve)
	local count = 0
	local listener, _, port = socket.listen("127.0.0.1", 0)
	socket.start(listener, function(id)
		count = count + 1
		socket.start(id)
		serve(id, count)
		socket.close(id)
	end)
	return port
end

--- Reads the head of a request and its body. Nil at the end of the stream.
local function read_request(id)
	local head = socket.readline(id, "\r\n\r\n")
	if not head then
		return nil
	end
	local size = tonumber(head:match("Content%-Length: (%d+)"))
	return head, size and size > 0 and socket.read(id, size) or ""
end

local function answer(id, body)
	socket.write(id, ("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s"):format(#body, body))
end

local function echo(id, number)
	local head, body = read_request(id)
	while head do
		answer(id, ("%d %s"):format(number, body))
		head, body = read_request(id)
	end
end

case("a request says what it is, and where it goes", function()
	local seen
	local port = listen(function(id)
		local head, body = read_request(id)
		seen = head .. "|" .. body
		answer(id, "done")
	end)
	local other = assert(connection.open("127.0.0.1", port))
	local head, body = other:exchange("POST", "/a?b=c", { ["X-Y"] = "z" }, "text")
	test.equal(head.status, 200)
	test.equal(body, "done")
	local expected = "POST /a?b=c HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nX-Y: z\r\n"
		.. "Content-Length: 4|text"
	test.equal(seen, expected:format(port))
	other:close()
end)

case("one connection carries one request after another", function()
	local other = assert(connection.open("127.0.0.1", listen(echo)))
	for i = 1, 5 do
		local _, body = other:exchange("POST", "/", nil, tostring(i))
		test.equal(body, ("1 %d"):format(i))
	end
	test.equal(other.is_open, true)
	other:close()
	local head, reason = other:exchange("GET", "/")
	test.equal(head, nil)
	test.equal(reason, "the connection was closed")
end)

case("a server that says so ends the connection behind its answer", function()
	local port = listen(function(id)
		read_request(id)
		socket.write(id, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nto the end")
	end)
	local other = assert(connection.open("127.0.0.1", port))
	local _, body = other:exchange("GET", "/")
	test.equal(body, "to the end")
	test.equal(other.is_open, false)
end)

case("a silent server has until the deadline", function()
	local port = listen(function(id)
		socket.readall(id)
	end)
	local other = assert(connection.open("127.0.0.1", port))
	local begin_cs = skynet.now()
	local head, reason = other:exchange("GET", "/", nil, nil, begin_cs + 50)
	test.equal(head, nil)
	test.equal(reason, "timeout")
	test.equal(skynet.now() - begin_cs, 50)
	test.equal(other.is_open, false)
end)

case("a server that sends a byte now and then does not prolong the deadline", function()
	local port = listen(function(id)
		read_request(id)
		socket.write(id, "HTTP/1.1 200 OK\r\n")
		for _ = 1, 100 do
			skynet.sleep(10)
			socket.write(id, "A: b\r\n")
		end
	end)
	local other = assert(connection.open("127.0.0.1", port))
	local begin_cs = skynet.now()
	local _, reason = other:exchange("GET", "/", nil, nil, begin_cs + 55)
	test.equal(reason, "timeout")
	test.equal(skynet.now() - begin_cs, 55)
end)

case("an end within an answer is told", function()
	local cut = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"
	for i = 0, #cut, 7 do
		local port = listen(function(id)
			read_request(id)
			socket.write(id, cut:sub(1, i))
		end)
		local other = assert(connection.open("127.0.0.1", port))
		local head, reason = other:exchange("GET", "/")
		test.equal(head, nil)
		test.matches(reason, "^the stream has ended %a+")
		test.equal(other.is_open, false)
	end
end)

case("a connection that breaks is no end of an answer, and is told by its error", function()
	local port = listen(function(id)
		socket.readline(id, "\r\n\r\n")
		socket.pause(id) -- what nobody has read makes a reset of the end
		socket.write(id, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nto the")
		socket.shutdown(id)
	end)
	local other = assert(connection.open("127.0.0.1", port))
	local head, reason = other:exchange("POST", "/", nil, ("x"):rep(1 << 20))
	test.equal(head, nil)
	test.equal(reason, "Connection reset by peer")
	test.equal(#test.log("socket: error on"), 0)
end)

case("an answer that never ends is read piece by piece", function()
	local port = listen(function(id)
		read_request(id)
		socket.write(id, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
		for i = 1, 3 do
			skynet.sleep(10)
			socket.write(id, ("2\r\n%d\n\r\n"):format(i))
		end
		socket.readall(id)
	end)
	local other = assert(connection.open("127.0.0.1", port))
	test.equal(other:send("GET", "/"), true)
	test.equal(other:read_head().status, 200)
	for i = 1, 3 do
		test.equal(other:read_piece(), ("%d\n"):format(i))
	end
	local finish = tasks.begin(other.read_piece, other)
	skynet.sleep(1000)
	other:close("enough")
	local _, piece, reason = finish()
	test.equal(piece, nil)
	test.equal(reason, "enough")
end)

case("a body over the limit ends the connection", function()
	local port = listen(function(id)
		read_request(id)
		answer(id, ("x"):rep(1000))
	end)
	local other = assert(connection.open("127.0.0.1", port))
	local head, reason = other:exchange("GET", "/", nil, nil, nil, 999)
	test.equal(head, nil)
	test.equal(reason, "the body is larger than 999 bytes")
end)

case("nobody smuggles lines into a request", function()
	local other = assert(connection.open("127.0.0.1", listen(echo)))
	test.raises("line end", other.send, other, "GET", "/ HTTP/1.1\r\nA: b")
	test.raises("line end", other.send, other, "GET", "/", { A = "b\r\nC: d" })
	test.raises("line end", other.send, other, "GET", "/", { ["A\n"] = "b" })
	other:close()
end)

case("where nobody listens there is no connection", function()
	local listener, _, port = socket.listen("127.0.0.1", 0)
	socket.close(listener)
	local options = { deadline_cs = skynet.now() + 100 }
	local other, reason = connection.open("127.0.0.1", port, options)
	test.equal(other, nil)
	test.matches(reason, "refused")
	other, reason = connection.open("127.0.0.1", port, { deadline_cs = skynet.now() })
	test.equal(other, nil)
	test.equal(reason, "timeout")
end)
