-- skynet.socketchannel, against servers in the test itself.
local skynet = require("skynet")
local socket = require("skynet.socket")
local socketchannel = require("skynet.socketchannel")
local test = require("skynet.test")
local check = require("check")
local child = require("child")
local log = require("log")
local tasks = require("tasks")

local cases = {}
local function case(name, body)
	cases[#cases + 1] = { name, body }
end

-- Servers --------------------------------------------------------------------------------------

--- Listens on a free port, and runs handle(id, n) for the n-th connection in a task of its own.
--- Returns the port, and a table with the ids of all connections so far.
local function serve(handle)
	local ids = {}
	local listener, _, port = socket.listen("127.0.0.1", 0)
	socket.start(listener, function(id)
		ids[#ids + 1] = id
		local number = #ids
		socket.start(id)
		handle(id, number)
	end)
	return port, ids, listener
end

--- For each line the server gets, it answers with that line.
local function echo(id)
	while true do
		local line = socket.readline(id)
		if not line then
			break
		end
		socket.write(id, line .. "\n")
	end
	socket.close(id)
end

--- A server that reads and never answers. Returns its port, and whether a connection was closed.
local function serve_silence()
	local closed = {}
	local port, ids = serve(function(id, number)
		while socket.read(id) do
			closed[number] = false
		end
		closed[number] = true
		socket.close(id)
	end)
	return port, ids, closed
end

--- A port on which nobody listens.
local function dead_port()
	local listener, _, port = socket.listen("127.0.0.1", 0)
	socket.close(listener)
	return port
end

-- Reading answers ------------------------------------------------------------------------------

local function line(sock)
	return true, sock:readline()
end

--- Session mode: "SESSION ok|error|more TEXT".
local function by_session(sock)
	local session, kind, text = sock:readline():match("^(%d+) (%a+) (.*)$")
	return assert(math.tointeger(session)), kind ~= "error", text, kind == "more"
end

local function channel_to(port, options)
	local all = { host = "127.0.0.1", port = port }
	for name, value in pairs(options or {}) do
		all[name] = value
	end
	return socketchannel.channel(all)
end

--- f(...) raises an error of the channel whose reason has the pattern in it.
local function raises_failure(pattern, f, ...)
	local ok, reason = pcall(f, ...)
	check.equal(ok, false, "nothing raised")
	check.ok(reason == socketchannel.error, "not the socket error: " .. tostring(reason))
	check.matches(tostring(reason), "^%[Error: socket%]")
	check.matches(tostring(reason), pattern)
	return reason
end

-- Order mode -----------------------------------------------------------------------------------

case("a request gets its answer", function()
	local channel = channel_to(serve(echo))
	check.equal(channel:request("one\n", line), "one")
	check.equal(channel:request({ "t", "wo\n" }, line), "two")
end)

case("requests of a hundred tasks share one connection and keep their order", function()
	local port, ids = serve(echo)
	local channel = channel_to(port)
	local bodies = {}
	for i = 1, 100 do
		bodies[i] = function()
			for j = 1, 5 do
				local text = i .. "/" .. j
				check.equal(channel:request(text .. "\n", line), text)
			end
		end
	end
	for _, result in ipairs(tasks.together(table.unpack(bodies))) do
		check.ok(result[1], result[2])
	end
	check.equal(#ids, 1)
end)

case("a request without answer is only sent", function()
	local got = {}
	local port = serve(function(id)
		got[#got + 1] = socket.readline(id)
		got[#got + 1] = socket.readline(id)
		socket.write(id, "done\n")
	end)
	local channel = channel_to(port)
	check.equal(channel:request("one\n"), nil)
	check.equal(channel:request("two\n", line), "done")
	check.equal(got, { "one", "two" })
end)

case("an answer that says so is raised as it is", function()
	local channel = channel_to(serve(echo))
	local fault = { 42 }
	local function raise(value)
		return function(sock)
			sock:readline()
			return false, value
		end
	end
	local ok, reason = pcall(channel.request, channel, "x\n", raise("no such key"))
	check.equal({ ok, reason }, { false, "no such key" })
	ok, reason = pcall(channel.request, channel, "x\n", raise(fault))
	check.ok(not ok and rawequal(reason, fault))
	check.equal(channel:request("x\n", line), "x")
end)

case("an answer in parts is a list", function()
	local channel = channel_to(serve(echo))
	local function parts(sock)
		local text = sock:readline()
		return true, text, text ~= "end"
	end
	check.equal(channel:request("a\nb\nend\n", parts), { "a", "b", "end" })
	check.equal(channel:request("end\n", parts), "end")
end)

case("padding follows its request", function()
	local channel = channel_to(serve(echo))
	check.equal(channel:request("a", line, { "b", "c\n" }), "abc")
end)

-- If that were found behind the request, this would be answered: to the next one.
case("a request with bad pieces is not sent at all", function()
	local channel = channel_to(serve(echo))
	check.equal(channel:request("first\n", line), "first")
	check.misuse("'padding': a list", channel.request, channel, "bad\n", line, { "x\n", 1 })
	check.misuse("'padding': a list", channel.request, channel, "bad\n", line, { { 1 } })
	check.misuse("'request': bytes", channel.request, channel, { "bad\n", 1 }, line)
	check.equal(channel:request("second\n", line), "second")
	channel:close()
end)

case("what is read has the length that was asked for", function()
	local channel = channel_to(serve(echo))
	local got = channel:request("hello world\n", function(sock)
		return true, { sock:read(5), sock:readline("o"), sock:read(4) }
	end)
	check.equal(got, { "hello", " w", "rld\n" })
end)

case("an error in a response function closes the connection", function()
	local port, ids = serve(echo)
	local channel = channel_to(port)
	channel:connect()
	local results = tasks.together(function()
		channel:request("one\n", function(sock)
			sock:readline()
			error("bad answer")
		end)
	end, function()
		channel:request("two\n", line)
	end)
	check.matches(results[1][2], "bad answer")
	check.matches(results[2][2], "bad answer")
	check.equal(channel:request("three\n", line), "three")
	check.equal(#ids, 2)
end)

case("response waits for what a server sends by itself", function()
	local port = serve(function(id)
		socket.write(id, "news 1\nnews 2\n")
		echo(id)
	end)
	local channel = channel_to(port)
	check.equal(channel:response(line), "news 1")
	check.equal(channel:response(line), "news 2")
end)

-- Session mode ---------------------------------------------------------------------------------

case("answers in any order find their tasks", function()
	local count = 100
	local port = serve(function(id)
		local lines = {}
		for i = 1, count do
			lines[i] = socket.readline(id)
		end
		for i = count, 1, -1 do
			socket.write(id, ("%s ok answer %s\n"):format(lines[i], lines[i]))
		end
	end)
	local channel = channel_to(port, { response = by_session })
	local bodies = {}
	for i = 1, count do
		bodies[i] = function()
			check.equal(channel:request(i .. "\n", i), "answer " .. i)
		end
	end
	for _, result in ipairs(tasks.together(table.unpack(bodies))) do
		check.ok(result[1], result[2])
	end
end)

case("in session mode parts of answers may be mixed, and one may be an error", function()
	local port = serve(function(id)
		socket.readline(id)
		socket.readline(id)
		socket.write(id, "1 more a\n2 more x\n1 more b\n2 error y\n1 ok c\n")
	end)
	local channel = channel_to(port, { response = by_session })
	local results = tasks.together(function()
		return channel:request("1\n", 1)
	end, function()
		return channel:request("2\n", 2)
	end)
	check.equal(results[1][2], { "a", "b", "c" })
	check.equal({ results[2][1], results[2][2] }, { false, "y" })
end)

case("an answer for nobody is logged and skipped", function()
	local mark = log.mark()
	local port = serve(function(id)
		socket.readline(id)
		socket.write(id, "99 ok stray\n1 ok mine\n")
	end)
	local channel = channel_to(port, { response = by_session })
	check.equal(channel:request("1\n", 1), "mine")
	log.wait(mark, "socket: unknown session : ?99")
end)

case("a session that waits already is refused", function()
	local channel = channel_to(serve_silence(), { response = by_session })
	local finish = tasks.begin(channel.request, channel, "1\n", 1)
	skynet.sleep(10)
	check.misuse("session 1 waits for an answer already", channel.request, channel, "1\n", 1)
	channel:close()
	check.equal((finish()), false)
end)

case("in session mode an error in the response function fails all who wait", function()
	local port = serve(function(id)
		socket.readline(id)
		socket.readline(id)
		socket.write(id, "garbage\n")
		socket.read(id)
	end)
	local channel = channel_to(port, { response = by_session })
	local results = tasks.together(function()
		channel:request("1\n", 1)
	end, function()
		channel:request("2\n", 2)
	end)
	for _, result in ipairs(results) do
		check.equal(result[1], false)
		check.matches(tostring(result[2]), "assertion failed")
	end
end)

-- Connections that end -------------------------------------------------------------------------

case("a connection that is lost at any point fails who waits, and the next request reconnects",
	function()
		local answers = { "", "he", "hello" }
		local port, ids = serve(function(id, number)
			socket.readline(id)
			if answers[number] then
				socket.write(id, answers[number])
				socket.close(id)
			else
				socket.write(id, "hello\n")
				echo(id)
			end
		end)
		local channel = channel_to(port)
		for _ = 1, #answers do
			raises_failure("closed", channel.request, channel, "x\n", line)
		end
		check.equal(channel:request("x\n", line), "hello")
		check.equal(#ids, #answers + 1)
	end
)

case("an answer may come in any pieces, and end in any of them", function()
	local answer <const> = "1 more first\n1 ok second\n"
	local cut
	local port = serve(function(id)
		socket.readline(id)
		for i = 1, cut do
			socket.write(id, answer:sub(i, i))
			skynet.yield()
		end
		socket.close(id)
	end)
	local function in_order(sock)
		local _, ok, text, has_more = by_session(sock)
		return ok, text, has_more
	end
	for _, response in ipairs({ false, by_session }) do
		local channel = channel_to(port, { response = response or nil })
		local reader = response and 1 or in_order
		for size = 0, #answer do
			cut = size
			local ok, result = pcall(channel.request, channel, "x\n", reader)
			if size == #answer then
				check.equal({ ok, result }, { true, { "first", "second" } })
			else
				check.ok(not ok and result == socketchannel.error, size)
			end
		end
	end
end)

--- A server on whose connections anything may happen: answers that are late, missing, or for
--- others, and ends at any point.
local function serve_chaos()
	local function answer(id, text)
		local luck = test.random(1, 20)
		if luck == 1 then
			socket.close(id)
		elseif luck == 2 then
			socket.write(id, text:sub(1, test.random(1, #text)))
			socket.close(id)
		elseif luck == 3 then
			skynet.sleep(test.random(1, 100))
			socket.write(id, text)
		elseif luck ~= 4 then
			socket.write(id, text)
		end
	end
	return serve(function(id)
		repeat
			local text = socket.readline(id)
			if not text then
				socket.close(id)
				return
			end
			answer(id, ("%s ok %s\n"):format(text, text))
		until socket.invalid(id)
	end)
end

for _, mode in ipairs({ "order", "session" }) do
	case("whatever happens, each request ends in time with its own answer: " .. mode, function()
		local port, ids = serve_chaos()
		local response = mode == "session" and by_session or nil
		local channel = channel_to(port, { response = response, timeout = 50 })
		local last, answered, failed = 0, 0, 0
		local function ask()
			last = last + 1
			local text = tostring(last)
			local function own(sock)
				local session, ok, answer = by_session(sock)
				assert(tostring(session) == text, "not the answer to this request")
				return ok, answer
			end
			local begin_cs = skynet.now()
			local key = response and last or own
			local ok, result = pcall(channel.request, channel, text .. "\n", key)
			check.ok(skynet.now() - begin_cs <= 51, "late")
			if ok then
				check.equal(result, text)
				answered = answered + 1
			else
				failed = failed + 1
			end
		end
		local bodies = {}
		for i = 1, 20 do
			bodies[i] = function()
				for _ = 1, 20 do
					ask()
					skynet.sleep(test.random(0, 3))
				end
			end
		end
		for _, result in ipairs(tasks.together(table.unpack(bodies))) do
			check.ok(result[1], result[2])
		end
		check.equal(answered + failed, 400)
		check.ok(answered > 0 and failed > 0)
		channel:close()
		skynet.sleep(200)
		for _, id in ipairs(ids) do
			check.ok(socket.invalid(id), "the server's end is closed")
		end
	end)
end

case("all who wait on a lost connection raise", function()
	local port = serve(function(id)
		for _ = 1, 10 do
			socket.readline(id)
		end
		socket.write(id, "first\n")
		socket.close(id)
	end)
	local channel = channel_to(port)
	local bodies = {}
	for i = 1, 10 do
		bodies[i] = function()
			return channel:request("x\n", line)
		end
	end
	local results = tasks.together(table.unpack(bodies))
	check.equal({ results[1][1], results[1][2] }, { true, "first" })
	for i = 2, 10 do
		check.equal(results[i][1], false)
		check.ok(results[i][2] == socketchannel.error)
	end
end)

case("a connection that was closed while nothing waits costs no request", function()
	local closes
	local port, ids = serve(function(id, number)
		local text = socket.readline(id)
		socket.write(id, text .. "\n")
		if number == 1 then
			socket.close(id)
			closes = true
		else
			echo(id)
		end
	end)
	local channel = channel_to(port)
	check.equal(channel:request("one\n", line), "one")
	skynet.sleep(10)
	check.ok(closes)
	check.equal(channel:request("two\n", line), "two")
	check.equal(#ids, 2)
end)

case("connect once raises when nobody listens", function()
	local channel = channel_to(dead_port())
	raises_failure("refused", channel.connect, channel, true)
	raises_failure("refused", channel.request, channel, "x\n", line)
end)

case("connect tries again, later and later, until the server is there", function()
	local mark = log.mark()
	local port = dead_port()
	local channel = channel_to(port)
	local begin_cs = skynet.now()
	local finish = tasks.begin(channel.connect, channel)
	skynet.sleep(250)
	local listener = socket.listen("127.0.0.1", port)
	socket.start(listener, function(id)
		socket.start(id)
		echo(id)
	end)
	local ok, result = finish()
	check.equal({ ok, result }, { true, true })
	check.ok(skynet.now() - begin_cs >= 300, "0 + 1 + 2 s")
	check.equal(channel:request("x\n", line), "x")
	local lines = log.lines(mark, "trying again in")
	check.equal(#lines, 3)
	for i = 1, 3 do
		check.matches(lines[i], ("trying again in %d s"):format(i - 1))
	end
end)

case("a request during a pause makes one round, without ending the waiting", function()
	local channel = channel_to(dead_port())
	local is_over = false
	local finish = tasks.begin(channel.connect, channel)
	skynet.sleep(50)
	raises_failure("refused", channel.request, channel, "x\n", line)
	check.ok(not is_over)
	channel:close()
	local ok, reason = finish()
	check.equal(ok, false)
	check.matches(tostring(reason), "closed")
end)

case("the backup is tried behind the host, without repetition", function()
	local mark = log.mark()
	local bad = dead_port()
	local good = serve(echo)
	local channel = channel_to(bad, {
		backup = {
			"127.0.0.1", -- the same port
			{ host = "127.0.0.1", port = bad },
			{ host = "127.0.0.1", port = good },
		},
	})
	check.equal(channel:request("x\n", line), "x")
	check.equal(#log.lines(mark, "connect to backup host 127.0.0.1 " .. good), 1)
	check.equal(#log.lines(mark, "connect to backup host"), 1)
end)

case("changebackup counts from the next connect on", function()
	local channel = channel_to(dead_port())
	raises_failure("refused", channel.connect, channel, true)
	channel:changebackup({ { host = "127.0.0.1", port = serve(echo) } })
	check.equal(channel:request("x\n", line), "x")
	channel:changebackup()
	channel:close()
	raises_failure("refused", channel.connect, channel, true)
end)

case("an address that is none is a failure with its reason", function()
	local channel = socketchannel.channel({ host = "no port" })
	raises_failure("no port", channel.connect, channel, true)
end)

case("changehost fails who waits, and goes there", function()
	local silent = serve_silence()
	local channel = channel_to(silent)
	local finish = tasks.begin(channel.request, channel, "x\n", line)
	skynet.sleep(10)
	channel:changehost("127.0.0.1", serve(echo))
	local ok, reason = finish()
	check.ok(not ok and reason == socketchannel.error)
	check.matches(tostring(reason), "host was changed")
	check.equal(channel:request("x\n", line), "x")
end)

case("close fails who waits and who asks, until connect", function()
	local port, _, closed = serve_silence()
	local channel = channel_to(port)
	local finish = tasks.begin(channel.request, channel, "x\n", line)
	skynet.sleep(10)
	channel:close()
	check.equal((finish()), false)
	skynet.sleep(10)
	check.equal(closed, { true })
	raises_failure("the channel is closed", channel.request, channel, "x\n", line)
	raises_failure("the channel is closed", channel.response, channel, line)
	channel:close()
	channel:connect(true)
	channel:close()
end)

case("close while it connects fails who waits for the connection", function()
	local channel = channel_to(dead_port())
	local finish = tasks.begin(channel.connect, channel)
	skynet.sleep(150)
	channel:close()
	check.equal((finish()), false)
end)

--- Two requests wait for a connection. As soon as it is there, the first one's task does something
--- to the channel, in the same turn. Returns how the second one's request ends.
local function disturbed(disturb)
	local channel = channel_to(serve(echo))
	tasks.begin(function()
		channel:request("first\n")
		disturb(channel)
	end)
	local finish = tasks.begin(channel.request, channel, "second\n", line)
	return finish()
end

case("close behind a new connection fails who is about to use it", function()
	local ok, reason = disturbed(function(channel)
		channel:close()
	end)
	check.equal(ok, false)
	check.equal(tostring(reason), "[Error: socket] the channel is closed")
end)

case("changehost behind a new connection takes along who is about to use it", function()
	local other = serve(function(id)
		socket.write(id, "other " .. socket.readline(id) .. "\n")
		socket.close(id)
	end)
	local ok, answer = disturbed(function(channel)
		channel:changehost("127.0.0.1", other)
	end)
	check.equal(answer, "other second")
	check.equal(ok, true)
end)

case("a host that is changed over and over does not prolong a request", function()
	local channel
	local port = serve(echo)
	channel = channel_to(port, {
		auth = function()
			skynet.sleep(80)
		end,
	})
	tasks.begin(function()
		channel:request("first\n")
		channel:changehost("127.0.0.1", port)
	end)
	local begin_cs = skynet.now()
	local finish = tasks.begin(channel.request, channel, "second\n", line, nil, 100)
	local ok, reason = finish()
	check.equal(ok, false)
	check.matches(tostring(reason), "no connection within 1.00 s")
	check.equal(skynet.now() - begin_cs, 100)
	channel:close()
end)

-- Auth -----------------------------------------------------------------------------------------

case("auth comes before all requests, after each connect", function()
	local seen = {}
	local port = serve(function(id, number)
		seen[number] = {}
		for _ = 1, 3 do
			local text = socket.readline(id)
			table.insert(seen[number], text)
			socket.write(id, text .. "\n")
		end
		socket.close(id)
	end)
	local channel = channel_to(port, {
		auth = function(channel)
			check.equal(channel:request("user\n", line), "user")
			skynet.sleep(10)
			check.equal(channel:request("password\n", line), "password")
		end,
	})
	local results = tasks.together(function()
		return channel:request("a\n", line)
	end, function()
		skynet.sleep(5)
		return pcall(channel.request, channel, "b\n", line)
	end)
	check.equal(results[1][2], "a")
	skynet.sleep(10)
	check.equal(channel:request("c\n", line), "c")
	check.equal(seen[1], { "user", "password", "a" })
	check.equal(seen[2], { "user", "password", "c" })
end)

case("an address that refuses auth is passed over", function()
	local mark = log.mark()
	local port = serve(echo)
	local good = serve(function(id)
		socket.readline(id)
		socket.write(id, "welcome\n")
		echo(id)
	end)
	local channel = channel_to(port, {
		auth = function(channel)
			if channel:request("let me in\n", line) ~= "welcome" then
				error("not welcome", 0)
			end
		end,
	})
	raises_failure("auth failed: not welcome", channel.connect, channel, true)
	channel:changebackup({ { host = "127.0.0.1", port = good } })
	check.equal(channel:request("x\n", line), "x")
	log.wait(mark, "socket: auth failed not welcome")
end)

case("a connection that is lost in auth is a failed auth", function()
	local port = serve(function(id)
		socket.readline(id)
		socket.close(id)
	end)
	local channel = channel_to(port, {
		auth = function(channel)
			channel:request("user\n", line)
		end,
	})
	raises_failure("auth failed", channel.connect, channel, true)
end)

case("an auth that does not end has a limit", function()
	local channel = channel_to(serve_silence(), {
		options = { timeout = 500 },
		auth = function(channel)
			channel:request("user\n", line)
		end,
	})
	raises_failure("auth failed: not done within 5.00 s", channel.request, channel, "x\n", line)
end)

case("close during auth ends it", function()
	local step = "before"
	local channel = channel_to(serve(echo), {
		auth = function()
			step = "in"
			skynet.sleep(100)
			step = "behind"
		end,
	})
	local finish = tasks.begin(channel.request, channel, "x\n", line)
	skynet.sleep(10)
	channel:close()
	check.equal((finish()), false)
	skynet.sleep(200)
	check.equal(step, "in")
end)

case("auth may change the host", function()
	local second = serve(echo)
	local first, ids = serve(echo)
	local hosts = 0
	local channel
	channel = channel_to(first, {
		auth = function(same)
			check.ok(rawequal(same, channel))
			hosts = hosts + 1
			if hosts == 1 then
				channel:changehost("127.0.0.1", second)
			end
			check.equal(channel:request("auth\n", line), "auth")
		end,
	})
	check.equal(channel:request("x\n", line), "x")
	check.equal(hosts, 2)
	check.equal(#ids, 1)
end)

case("an auth that always changes the host fails", function()
	local port = serve(echo)
	local channel = channel_to(port, {
		auth = function(channel)
			channel:changehost("127.0.0.1", port)
		end,
	})
	raises_failure("host was changed 16 times", channel.connect, channel, true)
end)

case("in session mode auth may use sessions", function()
	local port = serve(function(id)
		while true do
			local text = socket.readline(id)
			if not text then
				break
			end
			socket.write(id, text .. " ok " .. text .. "\n")
		end
	end)
	local channel = channel_to(port, {
		response = by_session,
		auth = function(channel)
			check.equal(channel:request("1\n", 1), "1")
		end,
	})
	check.equal(channel:request("2\n", 2), "2")
end)

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
	local piece = ("x"):rep(1024 * 1024)
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
	local piece = ("x"):rep(1024 * 1024)
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

case("wrong arguments blame the caller", function()
	local new = socketchannel.channel
	check.misuse("'options': a table expected", new, nil)
	check.misuse("'host': a string expected", new, { port = 1 })
	check.misuse("'port': a port in", new, { host = "x", port = "y" })
	check.misuse("'port': a port in", new, { host = "x", port = 0 })
	check.misuse("'port': a port in", new, { host = "x", port = 65536 })
	check.misuse("'backup': a list", new, { host = "x", port = 1, backup = "y" })
	check.misuse("'backup': a list", new, { host = "x", port = 1, backup = { 1 } })
	check.misuse("'timeout': hundredths", new, { host = "x", port = 1, timeout = 0.5 })
	check.misuse("'response': a function", new, { host = "x", port = 1, response = 1 })
	check.misuse("'auth': a function", new, { host = "x", port = 1, auth = 1 })
	local channel = new({ host = "127.0.0.1", port = 1 })
	check.misuse("'request': bytes", channel.request, channel)
	check.misuse("'request': bytes", channel.request, channel, true)
	check.misuse("'answer': a function", channel.request, channel, "x", 1)
	check.misuse("'padding': a list", channel.request, channel, "x", line, "y")
	check.misuse("'timeout': hundredths", channel.request, channel, "x", line, nil, 0)
	check.misuse("'answer': a function", channel.response, channel)
	check.misuse("'host': a string", channel.changehost, channel)
	check.misuse("'port': a port", channel.changehost, channel, "x", -1)
	check.misuse("'backup': a list", channel.changebackup, channel, 1)
	local by = new({ host = "127.0.0.1", port = 1, response = by_session })
	check.misuse("'answer': a session", by.response, by)
end)

case("the error of all channels is one value", function()
	check.equal(tostring(socketchannel.error), "[Error: socket]")
	check.ok(socketchannel.error ~= "[Error: socket]")
	check.ok(socketchannel.error ~= {})
	check.ok(socketchannel.error ~= nil)
end)

return cases
