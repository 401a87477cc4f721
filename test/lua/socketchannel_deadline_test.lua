-- skynet.socketchannel: deadlines; tasks, channels and services that end while something waits.
local skynet = require("skynet")
local socket = require("skynet.socket")
local channels = require("channels")
local check = require("check")
local child = require("child")
local log = require("log")
local tasks = require("tasks")

local serve <const> = channels.serve
local echo <const> = channels.echo
local serve_silence <const> = channels.serve_silence
local line <const> = channels.line
local by_session <const> = channels.by_session
local channel_to <const> = channels.channel_to
local raises_failure <const> = channels.raises_failure

local cases = {}
local function case(name, body)
	cases[#cases + 1] = { name, body }
end

-- Deadlines ------------------------------------------------------------------------------------

case("a request whose time is over raises, and the next one has a new connection", function()
	local port, ids = serve(function(id, number)
		socket.readline(id)
		if number > 1 then
			socket.write(id, "answer\n")
		end
		socket.read(id)
	end)
	local channel = channel_to(port, { timeout = 200 })
	local begin_cs = skynet.now()
	local text = "no answer within 2.00 s"
	local reason = raises_failure(text, channel.request, channel, "x\n", line)
	check.equal(reason.is_timeout, true)
	check.ok(skynet.now() - begin_cs <= 210)
	check.equal(channel:request("x\n", line), "answer")
	check.equal(#ids, 2)
end)

case("a connection that owes an answer is not used again when nobody waits on it", function()
	local port, ids = serve(function(id, number)
		if number > 1 then
			echo(id)
			return
		end
		socket.readline(id)
		skynet.sleep(50)
		socket.write(id, "a\n")
		skynet.sleep(100)
		socket.write(id, "late\n")
	end)
	local channel = channel_to(port)
	channel:connect()
	local results = tasks.together(function()
		return channel:request("a\n", line)
	end, function()
		return channel:request("b\n", line, nil, 100)
	end)
	check.equal(results[1][2], "a")
	check.equal(results[2][1], false)
	check.equal(channel:request("c\n", line), "c")
	check.equal(#ids, 2)
end)

case("while others wait, a late answer is skipped", function()
	local port, ids = serve(function(id)
		for i = 1, 3 do
			socket.readline(id)
			skynet.sleep(20)
			socket.write(id, i .. "\n")
		end
		echo(id)
	end)
	local channel = channel_to(port)
	channel:connect()
	local results = tasks.together(function()
		return channel:request("a\n", line)
	end, function()
		return channel:request("b\n", line, nil, 30)
	end, function()
		return channel:request("c\n", line)
	end)
	check.equal({ results[1][1], results[1][2] }, { true, "1" })
	check.equal(results[2][1], false)
	check.matches(tostring(results[2][2]), "no answer within 0.30 s")
	check.equal({ results[3][1], results[3][2] }, { true, "3" })
	check.equal(channel:request("d\n", line), "d")
	check.equal(#ids, 1)
end)

case("an impatient request does not disturb patient ones", function()
	local port, ids = serve(function(id)
		socket.readline(id)
		skynet.sleep(500)
		socket.write(id, "first\nsecond\n")
		socket.read(id)
	end)
	local channel = channel_to(port, { timeout = 1000 })
	local finish = tasks.begin(channel.request, channel, "x\n", line)
	skynet.sleep(10)
	raises_failure("within 0.10 s", channel.request, channel, "x\n", line, nil, 10)
	local ok, text = finish()
	check.equal({ ok, text }, { true, "first" })
	check.equal(#ids, 1)
end)

case("a silent server is left even when somebody always waits", function()
	local port, ids = serve(function(id, number)
		if number == 1 then
			while socket.read(id) do
				skynet.yield()
			end
			socket.close(id)
		else
			echo(id)
		end
	end)
	local channel = channel_to(port, { timeout = 100 })
	local failed, answered = 0, 0
	local bodies = {}
	for i = 1, 10 do
		bodies[i] = function()
			skynet.sleep(i * 20)
			local ok = pcall(channel.request, channel, i .. "\n", line)
			failed = failed + (ok and 0 or 1)
			answered = answered + (ok and 1 or 0)
		end
	end
	tasks.together(table.unpack(bodies))
	check.equal(#ids, 2)
	check.ok(failed < 10 and answered > 0)
end)

case("in session mode a late answer is skipped, and the connection stays", function()
	local mark = log.mark()
	local port, ids = serve(function(id)
		socket.readline(id)
		socket.readline(id)
		socket.write(id, "2 ok b\n")
		skynet.sleep(100)
		socket.write(id, "1 ok a\n")
		socket.readline(id)
		socket.write(id, "3 ok c\n")
		socket.read(id)
	end)
	local channel = channel_to(port, { response = by_session })
	channel:connect()
	local results = tasks.together(function()
		skynet.sleep(1)
		return channel:request("1\n", 1, nil, 50)
	end, function()
		skynet.sleep(10)
		return channel:request("2\n", 2)
	end)
	check.equal(results[1][1], false)
	check.equal(results[2][2], "b")
	log.wait(mark, "unknown session : ?1")
	check.equal(channel:request("3\n", 3), "c")
	check.equal(#ids, 1)
end)

case("in session mode a server that was silent all the time is left", function()
	local port, ids = serve_silence()
	local channel = channel_to(port, { response = by_session, timeout = 100 })
	raises_failure("no answer", channel.request, channel, "1\n", 1)
	raises_failure("no answer", channel.request, channel, "2\n", 2)
	check.equal(#ids, 2)
end)

case("connecting counts as a part of the time", function()
	local channel = channel_to(serve(echo), {
		auth = function()
			skynet.sleep(1000)
		end,
	})
	local text = "no connection within 1.00 s"
	raises_failure(text, channel.request, channel, "x\n", line, nil, 100)
	raises_failure(text, channel.response, channel, line, 100)
end)

-- Tasks, channels and services that end --------------------------------------------------------

case("the answer for a killed task is skipped", function()
	local port, ids = serve(function(id)
		socket.readline(id)
		socket.readline(id)
		skynet.sleep(50)
		socket.write(id, "1\n2\n")
		echo(id)
	end)
	local channel = channel_to(port)
	channel:connect()
	local task = skynet.fork(function()
		channel:request("x\n", line)
	end)
	local finish = tasks.begin(channel.request, channel, "y\n", line)
	skynet.sleep(10)
	skynet.killthread(task)
	local ok, text = finish()
	check.equal({ ok, text }, { true, "2" })
	check.equal(#ids, 1)
end)

case("a channel that nobody holds closes", function()
	for _, response in ipairs({ false, by_session }) do
		local port, _, closed = serve_silence()
		do
			local channel = channel_to(port, { response = response or nil })
			channel:connect()
		end
		skynet.sleep(10)
		check.equal(closed[1], nil)
		collectgarbage()
		collectgarbage()
		skynet.sleep(10)
		check.equal(closed[1], true)
	end
end)

case("the connection of a service that ends is closed", function()
	local port, _, closed = serve_silence()
	local service = child.start(function(port_text)
		skynet.start(function()
			local library = require("skynet.socketchannel")
			local channel = library.channel({
				host = "127.0.0.1",
				port = math.tointeger(tonumber(port_text)),
			})
			skynet.fork(function()
				channel:request("x\n", function(sock)
					return true, sock:readline()
				end)
			end)
			skynet.dispatch("lua", function()
				skynet.exit()
			end)
		end)
	end, port)
	skynet.sleep(10)
	check.equal(closed[1], false)
	skynet.send(service, "lua")
	skynet.sleep(10)
	check.equal(closed[1], true)
end)

case("overload tells when output waits, and when it is gone", function()
	local is_reading = false
	local port = serve(function(id)
		socket.pause(id)
		while not is_reading do
			skynet.sleep(10)
		end
		while socket.read(id) do
			skynet.yield()
		end
	end)
	local told = {}
	local channel = channel_to(port, {
		overload = function(is_overloaded)
			told[#told + 1] = is_overloaded
		end,
	})
	local piece = ("x"):rep(1024):rep(1024)
	for _ = 1, 16 do
		channel:request(piece)
		skynet.sleep(1)
	end
	check.equal(told, { true })
	is_reading = true
	for _ = 1, 1000 do
		if #told > 1 then
			break
		end
		skynet.sleep(10)
	end
	check.equal(told, { true, false })
end)

case("who was told of overload is told of the end", function()
	local port = serve(function(id)
		socket.pause(id)
		skynet.sleep(100000)
	end)
	local told = {}
	local channel = channel_to(port, {
		overload = function(is_overloaded)
			told[#told + 1] = is_overloaded
		end,
	})
	local piece = ("x"):rep(1024):rep(1024)
	for _ = 1, 16 do
		channel:request(piece)
		skynet.sleep(1)
	end
	channel:close()
	skynet.sleep(1)
	check.equal(told, { true, false })
end)

case("own functions may read", function()
	local port = serve(echo)
	local channel = channel_to(port, {
		socket_read = function(sock, n)
			return "read:" .. socket.read(sock[1], n)
		end,
		socket_readline = function(sock, separator)
			return "line:" .. socket.readline(sock[1], separator)
		end,
	})
	local got = channel:request("abcdef\n", function(sock)
		return true, { sock:read(3), sock:readline("\n") }
	end)
	check.equal(got, { "read:abc", "line:def" })
end)

return cases
