-- skynet.socketchannel: how it gets a connection, and auth.
local skynet = require("skynet")
local socket = require("skynet.socket")
local socketchannel = require("skynet.socketchannel")
local channels = require("channels")
local check = require("check")
local log = require("log")
local tasks = require("tasks")

local serve <const> = channels.serve
local echo <const> = channels.echo
local serve_silence <const> = channels.serve_silence
local dead_port <const> = channels.dead_port
local line <const> = channels.line
local by_session <const> = channels.by_session
local channel_to <const> = channels.channel_to
local raises_failure <const> = channels.raises_failure

local cases = {}
local function case(name, body)
	cases[#cases + 1] = { name, body }
end

-- Connecting -----------------------------------------------------------------------------------

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

return cases
