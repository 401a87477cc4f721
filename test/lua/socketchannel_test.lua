-- skynet.socketchannel: requests, answers, and connections that end, against servers in the test.
local skynet = require("skynet")
local socket = require("skynet.socket")
local socketchannel = require("skynet.socketchannel")
local test = require("skynet.test")
local channels = require("channels")
local check = require("check")
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

-- Small things ---------------------------------------------------------------------------------

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
