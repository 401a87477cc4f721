-- skynet.socket, through real connections of one service with itself.
local skynet = require("skynet")
require("skynet.manager")
local driver = require("skynet.socketdriver")
local socket = require("skynet.socket")
local test = require("skynet.test")

local KIB <const> = 1024
local MIB <const> = 1024 * KIB

--- So many MiB of text, built in large steps: what copies bytes one by one is slow under sanitizers.
local function mebibytes(count)
	return ("x"):rep(KIB):rep(count * KIB)
end

--- Two ends of a new connection. The far one is what the listener has accepted.
local function connect()
	local far
	local token = {}
	local listener, _, port = socket.listen("127.0.0.1", 0)
	socket.start(listener, function(id)
		far = id
		skynet.wakeup(token)
	end)
	local near = assert(socket.open("127.0.0.1", port))
	if not far then
		skynet.wait(token)
	end
	test.equal(socket.start(far), far)
	socket.close(listener)
	return near, far
end

--- Runs f(...) in a task of its own. Returns a function that waits for its results.
local function spawn(f, ...)
	local results
	local token = {}
	skynet.fork(function(...)
		results = table.pack(f(...))
		skynet.wakeup(token)
	end, ...)
	return function()
		if not results then
			skynet.wait(token)
		end
		return table.unpack(results, 1, results.n)
	end
end

local function close(...)
	for _, id in ipairs({ ... }) do
		socket.close(id)
	end
end

-- Opening ---------------------------------------------------------------------------------------

test.case("a connection is opened by host and port, or by one text", function()
	local accepted = 0
	local listener, ip, port = socket.listen("127.0.0.1:0")
	test.equal(ip, "127.0.0.1")
	test.equal(socket.start(listener, function(id, address)
		test.matches(address, "^127%.0%.0%.1:%d+$")
		accepted = accepted + 1
		socket.close_fd(id)
	end), listener)
	for _, address in ipairs({ { ip, port }, { ip .. ":" .. port }, { "localhost", port } }) do
		local id = assert(socket.open(table.unpack(address)))
		test.equal(socket.read(id), false)
		socket.close(id)
	end
	test.equal(accepted, 3)
	close(listener)
end)

test.case("what cannot be opened is told", function()
	local listener, _, port = socket.listen("127.0.0.1", 0)
	test.raises("Listen error", socket.listen, "127.0.0.1", port)
	socket.close(listener)
	local id, reason = socket.open("127.0.0.1", port)
	test.equal(id, nil)
	test.matches(reason, "refused")
	test.raises("Invalid port", socket.open, "127.0.0.1", 0)
	test.raises("Invalid address nothing", socket.open, "nothing")
	test.raises("Invalid port in address 127.0.0.1:x", socket.open, "127.0.0.1:x")
	test.raises("timeout", socket.open, "127.0.0.1", port, { timeout = "long" })
	test.raises("'options' %(table expected", socket.open, "127.0.0.1", port, 7)
	test.raises("'f' %(function expected", socket.start, 1, "f")
	id, reason = socket.bind(12345)
	test.equal(id, nil)
	test.ok(reason)
end)

test.case("start takes over what is there, and tells why it cannot", function()
	local near, far = connect()
	test.raises("socket is not closed", socket.start, far)
	local id, reason = socket.start(60000)
	test.equal(id, nil)
	test.equal(reason, "invalid socket")
	test.equal(socket.invalid(60000), true)
	socket.abandon(far)
	test.equal(socket.invalid(far), true)
	test.equal(socket.start(far), far)
	socket.write(near, "still there")
	test.equal(socket.read(far), "still there")
	socket.close(near)
	test.equal(socket.read(far), false)
	socket.abandon(far)
	id, reason = socket.start(far)
	test.equal(id, nil)
	test.equal(reason, "socket closed")
	test.equal(socket.invalid(far), true)
end)

test.case("what a connection does can be looked at", function()
	local near, far = connect()
	local function look(id)
		for _, info in ipairs(socket.netstat()) do
			if info.id == id then
				return info
			end
		end
	end
	socket.write(near, "12345")
	test.equal(socket.read(far, 5), "12345")
	local info = look(near)
	test.equal(info.type, "TCP")
	test.equal(info.address, skynet.self())
	test.equal(info.write, 5)
	test.equal(info.wbuffer, 0)
	test.equal(info.reading, true)
	test.equal(info.writing, false)
	test.matches(info.peer, "^127%.0%.0%.1:%d+$")
	test.equal(math.type(info.rtime), "integer")
	test.equal(math.type(info.wtime), "integer")
	test.equal(look(far).read, 5)
	socket.pause(far)
	socket.write(near, mebibytes(24))
	socket.close(near)
	info = look(near)
	test.equal(info.type, "CLOSING")
	test.equal(info.writing, true)
	test.ok(info.wbuffer > 0)
	test.equal(#socket.readall(far), 24 * MIB)
	close(far)
end)

test.case("a new connection belongs to whoever starts it", function()
	local agent = test.service(function()
		skynet.start(function()
			local sockets = require("skynet.socket")
			skynet.dispatch("lua", function(_, _, id)
				sockets.start(id)
				skynet.retpack(sockets.readline(id))
				sockets.write(id, "from the agent\n")
			end)
		end)
	end)
	local near, far = connect()
	socket.abandon(far)
	socket.write(near, "to the agent\n")
	test.equal(skynet.call(agent, "lua", far), "to the agent")
	test.equal(socket.readline(near), "from the agent")
	skynet.kill(agent)
	test.equal(socket.read(near), false)
	close(near)
end)

test.case("a closed listener accepts nobody", function()
	local listener, _, port = socket.listen("127.0.0.1", 0)
	socket.start(listener, function() end)
	socket.close(listener)
	test.equal(socket.open("127.0.0.1", port), nil)
	test.raises("does not hold", socket.read, listener)
end)

test.case("a listener has nothing to read", function()
	local listener = socket.listen("127.0.0.1", 0)
	test.raises("listener: there is nothing to read", socket.read, listener)
	close(listener)
end)

-- Reading ---------------------------------------------------------------------------------------

test.case("bytes are read by count, by line, or as they come", function()
	local near, far = connect()
	socket.write(near, "abcdefline 1\nline 2--and the rest")
	test.equal(socket.read(far, 3), "abc")
	test.equal(socket.read(far, 0), "")
	test.equal(socket.read(far, 3), "def")
	test.equal(socket.readline(far), "line 1")
	test.equal(socket.readline(far, "--"), "line 2")
	test.equal(socket.block(far), true)
	test.equal(socket.read(far), "and the rest")
	local all = spawn(socket.readall, far)
	socket.write(near, "the ")
	socket.write(near, "end")
	socket.close(near)
	test.equal(all(), "the end")
	test.equal(socket.readall(far), false)
	close(far)
end)

test.case("the end is told once all that came was read", function()
	local near, far = connect()
	socket.write(near, "one\ntwo\nleft over")
	socket.close(near)
	test.equal(socket.readline(far), "one")
	test.equal(socket.read(far, 4), "two\n")
	local ok, rest = socket.read(far, 100)
	test.equal(ok, false)
	test.equal(rest, "left over")
	for _, read in ipairs({ socket.read, socket.readline }) do
		ok, rest = read(far)
		test.equal(ok, false)
		test.equal(rest, "")
	end
	test.equal(socket.read(far, 0), "")
	test.equal(socket.block(far), false)
	test.equal(socket.disconnected(far), true)
	test.equal(socket.invalid(far), false)
	close(far)
	test.equal(socket.invalid(far), true)
	test.equal(socket.disconnected(far), nil)
end)

test.case("it does not matter how the bytes are split", function()
	local near, far = connect()
	local text <const> = "one\r\n\r\r\n\ntwo||ab"
	for cut = 1, #text - 1 do
		local lines = spawn(function()
			local first = socket.readline(far, "\r\n")
			local second = socket.readline(far, "\r\n")
			local third = socket.readline(far)
			return first, second, third, socket.readline(far, "||"), socket.read(far, 2)
		end)
		socket.write(near, text:sub(1, cut))
		test.settle()
		socket.write(near, text:sub(cut + 1))
		test.equal(table.concat({ lines() }, "+"), "one+\r++two+ab", "cut at " .. cut)
	end
	close(near, far)
end)

test.case("single bytes become lines and counts", function()
	local near, far = connect()
	driver.nodelay(near)
	local read = spawn(function()
		return socket.readline(far, "<end>"), socket.read(far, 4)
	end)
	for byte in ("a<en<end<end>last"):gmatch(".") do
		socket.write(near, byte)
		skynet.yield()
	end
	local line, rest = read()
	test.equal(line, "a<en<end")
	test.equal(rest, "last")
	close(near, far)
end)

test.case("large counts and long lines arrive whole", function()
	local near, far = connect()
	local block = {}
	for i = 1, 3 * MIB // 8 do
		block[i] = ("%07d,"):format(i)
	end
	local text = table.concat(block)
	skynet.fork(function()
		socket.write(near, text)
		socket.write(near, text .. "\n")
		socket.write(near, text)
		socket.close(near)
	end)
	test.ok(socket.read(far, #text) == text)
	test.ok(socket.readline(far) == text)
	test.ok(socket.readall(far) == text)
	close(far)
end)

test.case("one task reads at a time", function()
	local near, far = connect()
	local first = spawn(socket.read, far)
	test.settle()
	test.raises("another task reads", socket.read, far)
	test.raises("another task reads", socket.readline, far)
	socket.write(near, "for the first")
	test.equal(first(), "for the first")
	close(near, far)
end)

test.case("wrong arguments raise, and change nothing", function()
	local near, far = connect()
	test.raises("number expected", socket.read, nil)
	test.raises("does not hold socket 0", socket.read, 0)
	test.raises("does not hold socket %-1", socket.read, -1)
	test.raises("does not hold", socket.read, 1 << 40)
	test.raises("a number of bytes", socket.read, far, -1)
	test.raises("empty separator", socket.readline, far, "")
	test.raises("a number of bytes", socket.limit, far, 0)
	test.raises("hundredths", socket.timeout, far, -1)
	test.raises("does not hold", socket.onclose, 60000, print)
	test.raises("does not hold", socket.warning, 60000, print)
	test.raises("Use socket.close instead", socket.close_fd, far)
	test.raises("Invalid strings table", socket.write, near, { "a", {} })
	socket.close(60000)
	socket.shutdown(60000)
	socket.abandon(60000)
	socket.pause(60000)
	test.equal(socket.write(60000, "x"), false)
	socket.write(near, "as before")
	test.equal(socket.read(far), "as before")
	close(near, far)
end)

test.case("a read waits inside of skynet.coroutine too", function()
	local coroutines = require("skynet.coroutine")
	local near, far = connect()
	local co = coroutines.wrap(function()
		coroutines.yield((socket.readline(far)))
		return (socket.read(far, 3))
	end)
	local line = spawn(co)
	test.settle()
	socket.write(near, "inside\nabc")
	test.equal(line(), "inside")
	test.equal(co(), "abc")
	close(near, far)
end)

test.case("a coroutine of one's own cannot wait, but read what is there", function()
	local near, far = connect()
	socket.write(near, "there")
	test.equal(socket.block(far), true)
	local co = coroutine.wrap(function()
		return (socket.read(far, 5))
	end)
	test.equal(co(), "there")
	test.raises("may wait", coroutine.wrap(function()
		return socket.read(far)
	end))
	socket.write(near, "and on")
	test.equal(socket.read(far), "and on")
	close(near, far)
end)

-- Deadlines -------------------------------------------------------------------------------------

test.case("a read with a deadline ends, and loses nothing", function()
	local near, far = connect()
	socket.timeout(far, 50)
	socket.write(near, "half a ")
	local line, reason = socket.readline(far)
	test.equal(line, nil)
	test.equal(reason, "timeout")
	line, reason = socket.read(far, 100)
	test.equal(line, nil)
	test.equal(reason, "timeout")
	test.equal(select(2, socket.readall(far)), "timeout")
	socket.write(near, "line\n")
	test.equal(socket.readline(far), "half a line")
	test.equal(select(2, socket.block(far)), "timeout")
	socket.timeout(far, false)
	local read = spawn(socket.read, far)
	skynet.sleep(1000)
	socket.write(near, "late")
	test.equal(read(), "late")
	close(near, far)
end)

test.case("single bytes do not put off a deadline", function()
	local near, far = connect()
	socket.timeout(far, 100)
	local begin = skynet.now()
	local is_over = false
	local read = spawn(socket.readline, far)
	skynet.fork(function()
		while not is_over do
			socket.write(near, "x")
			skynet.sleep(10)
		end
	end)
	local line, reason = read()
	is_over = true
	test.equal(line, nil)
	test.equal(reason, "timeout")
	test.equal(skynet.now() - begin, 100)
	close(near, far)
end)

-- The end of tasks ------------------------------------------------------------------------------

test.case("a task that is killed while it reads leaves the socket usable", function()
	local near, far = connect()
	for _, read in ipairs({ socket.read, socket.readline, socket.readall, socket.block }) do
		socket.timeout(far, 100)
		local co = skynet.fork(read, far)
		test.settle()
		test.equal(skynet.killthread(co), co)
		socket.write(near, "next\n")
		test.equal(socket.readline(far), "next")
	end
	skynet.sleep(200)
	close(near, far)
end)

test.case("a reading task is among the tasks", function()
	local near, far = connect()
	local before = skynet.task()
	local co = skynet.fork(function()
		socket.read(far)
	end)
	test.settle()
	test.equal(skynet.task(), before + 1)
	test.ok(skynet.task(co))
	local all = {}
	skynet.task(all)
	local is_found = false
	for name, traceback in pairs(all) do
		is_found = is_found or name:find(tostring(co), 1, true) and traceback:find("read")
	end
	test.ok(is_found)
	socket.write(near, "x")
	test.settle()
	test.equal(skynet.task(), before)
	close(near, far)
end)

test.case("who closes a coroutine that reads hurts nobody else", function()
	local near, far = connect()
	local co = skynet.fork(socket.readline, far, ("long separator "):rep(10))
	test.settle()
	coroutine.close(co)
	collectgarbage()
	socket.write(near, "some text, long separator, without one")
	socket.write(near, ("long separator "):rep(10))
	test.settle()
	socket.write(near, "end\n")
	test.matches(socket.readline(far), "end$")
	close(near, far)
end)

test.case("a connection whose opener was killed is closed", function()
	local listener, _, port = socket.listen("127.0.0.1", 0)
	local ended
	socket.start(listener, function(id)
		socket.start(id)
		ended = socket.read(id) == false
		socket.close(id)
	end)
	local co = skynet.fork(socket.open, "127.0.0.1", port)
	skynet.yield()
	skynet.killthread(co)
	test.eventually(function()
		return ended ~= nil
	end)
	test.equal(ended, true)
	close(listener)
end)

test.case("when a service ends, its sockets end, whoever waits", function()
	local near, far = connect()
	socket.abandon(far)
	local agent = test.service(function()
		skynet.start(function()
			local sockets = require("skynet.socket")
			skynet.dispatch("lua", function(_, _, id)
				sockets.start(id)
				skynet.fork(function()
					local _guard <close> = setmetatable({}, {
						__close = function()
							sockets.write(id, "last words")
							sockets.close(id)
						end,
					})
					sockets.readline(id)
				end)
				sockets.onclose(id, print)
				skynet.retpack(true)
				skynet.timeout(1, skynet.exit)
			end)
		end)
	end)
	test.ok(skynet.call(agent, "lua", far))
	socket.write(near, "unread")
	test.equal(socket.read(near), "last words")
	test.equal(socket.read(near), false)
	close(near)
end)

-- Closing ---------------------------------------------------------------------------------------

test.case("a task that reads runs before close returns", function()
	local near, far = connect()
	local events = {}
	local read = spawn(function()
		local ok, rest = socket.read(far, 100)
		events[#events + 1] = "read"
		return ok, rest
	end)
	socket.write(near, "rest")
	test.settle()
	socket.close(far)
	events[#events + 1] = "closed"
	local ok, rest = read()
	test.equal(ok, false)
	test.equal(rest, "rest")
	test.equal(table.concat(events, " "), "read closed")
	test.raises("does not hold", socket.read, far)
	close(near)
end)

test.case("what was written before close arrives", function()
	local near, far = connect()
	local text = mebibytes(3)
	socket.write(near, text)
	socket.close(near)
	test.equal(#socket.readall(far), #text)
	close(far)
end)

test.case("shutdown ends at once, and close is still needed", function()
	local near, far = connect()
	socket.write(near, mebibytes(8))
	socket.shutdown(near)
	test.equal(socket.read(near), false)
	test.equal(socket.disconnected(near), true)
	test.equal(socket.invalid(near), false)
	test.ok(#(socket.readall(far) or "") < 8 * MIB)
	close(near, far)
	test.equal(socket.invalid(near), true)
end)

test.case("a stream that has ended can still be answered", function()
	local near, far = connect()
	socket.write(near, "question")
	local answer = spawn(function()
		local question = socket.readall(far)
		local is_sent = socket.write(far, "answer to " .. question)
		socket.close(far)
		return is_sent
	end)
	socket.close(near)
	test.ok(answer() ~= nil)
end)

test.case("onclose runs once, whoever ends it", function()
	local near, far = connect()
	local ended = {}
	local function note(id)
		ended[#ended + 1] = id
	end
	socket.onclose(near, note)
	socket.onclose(far, note)
	socket.close(near)
	test.eventually(function()
		return #ended == 2
	end)
	socket.close(far)
	skynet.sleep(10)
	test.equal(#ended, 2)
	table.sort(ended)
	test.equal(ended, { math.min(near, far), math.max(near, far) })
end)

test.case("an id whose onclose has not run cannot be started", function()
	local near, far = connect()
	socket.onclose(near, function() end)
	socket.close(near)
	test.raises("socket has onclose callback", socket.start, near)
	close(far)
end)

test.case("a reader of an abandoned socket gets false", function()
	local near, far = connect()
	local read = spawn(socket.read, far)
	test.settle()
	socket.abandon(far)
	local ok, rest = read()
	test.equal(ok, false)
	test.equal(rest, "")
	socket.write(near, "for nobody")
	test.logged("socket: drop package from " .. far)
	close(near)
	driver.close(far)
end)

--- Starts the sockets that it is asked to, and echoes.
local function taker()
	local other = require("skynet.socket")
	skynet.start(function()
		skynet.dispatch("lua", function(_, _, id)
			local started = other.start(id)
			skynet.retpack(started)
			skynet.fork(function()
				local text = started and other.read(id)
				while text do
					other.write(id, text)
					text = other.read(id)
				end
			end)
		end)
	end)
end

test.case("who waits for a socket that another service takes over is told", function()
	local near, far = connect()
	local other = test.service(taker)
	local read = spawn(socket.read, far)
	local secure = spawn(socket.secure, near, "client", { verify = false })
	test.equal(skynet.call(other, "lua", far), far)
	local ok, rest = read()
	test.equal(ok, false)
	test.equal(rest, "")
	socket.close(far) -- is not ours any more: the other one keeps it
	test.equal(socket.invalid(far), true)
	skynet.call(other, "lua", near) -- gets the outcome, a failure: the other end is no server
	local secured, reason = secure()
	test.equal(secured, nil)
	test.matches(reason, "another service has taken the socket over")
	skynet.kill(other)
end)

test.case("a socket that was taken over stays with its new service", function()
	local near, far = connect()
	local other = test.service(taker)
	test.equal(skynet.call(other, "lua", far), far)
	socket.close(far)
	socket.write(near, "are you there?")
	test.equal(socket.read(near, 14), "are you there?")
	close(near)
	skynet.kill(other)
end)

-- Bounds ----------------------------------------------------------------------------------------

test.case("a sender waits for a reader that does not come", function()
	local near, far = connect()
	local text = ("0123456789abcdef"):rep(MIB // 16)
	socket.write(near, text)
	test.logged(("Pause socket %%(%d%%) size : "):format(far))
	test.settle()
	test.equal(#test.log("Resume socket"), 0)
	local pieces = {}
	local size = 0
	while size < #text do
		pieces[#pieces + 1] = assert(socket.read(far))
		test.ok(#pieces[#pieces] <= 256 * KIB, "what was kept is bounded")
		size = size + #pieces[#pieces]
		test.settle()
	end
	test.ok(table.concat(pieces) == text)
	test.equal(#test.log("Resume socket %(" .. far), 1, "told once")
	test.equal(#test.log("Pause socket %(" .. far), 1, "told once")
	close(near, far)
end)

test.case("pause stops a sender until the next read", function()
	local near, far = connect()
	socket.pause(far)
	socket.pause(far)
	socket.write(near, "later")
	test.settle()
	test.equal(socket.read(far, 5), "later")
	close(near, far)
end)

test.case("a line that is longer than the limit ends the connection", function()
	local near, far = connect()
	socket.limit(far, 1000)
	test.equal(socket.disconnected(far), false)
	local line = spawn(socket.readline, far)
	local is_closed = false
	socket.onclose(far, function()
		is_closed = true
	end)
	test.settle()
	socket.write(near, ("x"):rep(1001))
	local ok, rest = line()
	test.equal(ok, false)
	test.equal(rest, "")
	test.logged(("socket buffer overflow: fd=%d size=1001"):format(far))
	test.equal(socket.read(near), false)
	test.eventually(function()
		return is_closed
	end)
	close(near, far)
end)

test.case("what has come already counts for the limit", function()
	for _, read in ipairs({ socket.readline, socket.readall }) do
		local near, far = connect()
		socket.write(near, "a long beginning")
		test.equal(socket.block(far), true)
		socket.limit(far, 10)
		local ok, rest = read(far)
		test.equal(ok, false)
		test.equal(rest, "")
		test.equal(socket.read(near), false)
		close(near, far)
	end
end)

test.case("what is read to the end is no longer than the limit", function()
	local near, far = connect()
	socket.limit(far, 1000)
	local all = spawn(socket.readall, far)
	test.settle()
	socket.write(near, ("x"):rep(1001))
	test.equal(all(), false)
	close(near, far)
end)

test.case("a count may be larger than the limit", function()
	local near, far = connect()
	socket.limit(far, 10)
	local read = spawn(socket.read, far, 1000)
	test.settle()
	socket.write(near, ("x"):rep(1000))
	test.equal(#read(), 1000)
	socket.write(near, ("x"):rep(11))
	test.logged("socket buffer overflow")
	test.equal(socket.write(far, "closed"), false)
	close(near, far)
end)

test.case("output that nobody reads is told", function()
	local near, far = connect()
	local told = {}
	socket.warning(near, function(id, kib)
		test.equal(id, near)
		told[#told + 1] = kib
	end)
	socket.pause(far)
	local text = mebibytes(1)
	for _ = 1, 24 do
		socket.write(near, text)
	end
	test.eventually(function()
		return #told > 0
	end)
	test.ok(told[1] >= KIB)
	while #(socket.read(far, MIB) or "") > 0 and told[#told] ~= 0 do
		test.ok(true)
	end
	test.equal(told[#told], 0)
	socket.warning(near, nil)
	socket.pause(far)
	for _ = 1, 24 do
		socket.write(near, text)
	end
	test.logged(("WARNING: %%d+ K bytes need to send out %%(fd = %d%%)"):format(near))
	close(near, far)
end)

-- Writing ---------------------------------------------------------------------------------------

test.case("what is written may have many forms", function()
	local near, far = connect()
	test.equal(socket.write(near, "text "), true)
	test.equal(socket.write(near, { "list ", "of ", "texts " }), true)
	test.equal(socket.write(near, driver.str2p("block ")), true)
	test.equal(socket.lwrite(near, "low"), true)
	local expected = "text list of texts block low"
	test.equal(socket.read(far, #expected), expected)
	close(near, far)
	test.equal(socket.write(near, "x"), false)
	test.equal(socket.header("\1\2"), 258)
	test.raises("header", socket.header, "12345")
end)

-- Beside others ---------------------------------------------------------------------------------

test.case("it cannot be used beside a handler of one's own", function()
	local service = test.service(function()
		skynet.register_protocol({
			name = "socket",
			id = skynet.PTYPE_SOCKET,
			unpack = skynet.tostring,
			dispatch = function() end,
		})
		skynet.start(function()
			skynet.dispatch("lua", function()
				skynet.retpack(pcall(require, "skynet.socket"))
			end)
		end)
	end)
	local ok, reason = skynet.call(service, "lua")
	test.equal(ok, false)
	test.matches(reason, "handles the messages of sockets itself")
	test.raises("registered already", skynet.register_protocol, {
		name = "sockets",
		id = skynet.PTYPE_SOCKET,
	})
end)

test.case("messages of type socket from services are ignored", function()
	skynet.redirect(skynet.self(), skynet.self(), "socket", 0, skynet.pack("nonsense"))
	local near, far = connect()
	socket.write(near, "fine")
	test.equal(socket.read(far), "fine")
	close(near, far)
end)
