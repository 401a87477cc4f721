-- skynet.socket: how tasks wait at sockets: deadlines, the end of tasks that wait, and senders
-- whose reader does not come.
local skynet = require("skynet")
require("skynet.manager")
local socket = require("skynet.socket")
local pair = require("socket_pair")
local test = require("skynet.test")

local KIB <const> = 1024
local MIB <const> = 1024 * KIB
local connect, spawn, close, mebibytes = pair.connect, pair.spawn, pair.close, pair.mebibytes

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
