-- The service `gate`, as its users of today know it: a watchdog, an agent, and real clients.
local skynet = require("skynet")
require("skynet.manager")
local socket = require("skynet.socket")
local check = require("check")
local child = require("child")
local log = require("log")

local cases = {}
local function case(name, body)
	cases[#cases + 1] = { name, body }
end

-- What the gate has told this service, its watchdog, and has not been asked for yet.
local events = {}
local token = {}

local function note(...)
	events[#events + 1] = table.pack(...)
	skynet.wakeup(token)
end

-- Frames that were forwarded to this service.
skynet.register_protocol({
	name = "client",
	id = skynet.PTYPE_CLIENT,
	unpack = skynet.tostring,
	dispatch = function(fd, source, frame)
		skynet.ignoreret()
		note("frame", fd, frame, source)
	end,
})

--- Waits for the next event, which must be of that kind. Returns what comes with it.
local function expect(kind, fd)
	while #events == 0 do
		skynet.wait(token)
	end
	local event = table.remove(events, 1)
	check.equal(event[1], kind, "what was told")
	if fd then
		check.equal(event[2], fd, "of whom")
	end
	return table.unpack(event, 2, event.n)
end

local function expect_nothing(gate)
	skynet.call(gate, "lua", "kick", 1 << 30) -- whatever was under way has come
	skynet.sleep(2)
	check.equal(#events, 0, "what is told: " .. tostring((events[1] or {})[1]))
end

local function start_gate(conf)
	local gate = skynet.newservice("gate")
	conf.address, conf.port = conf.address or "127.0.0.1", conf.port or 0
	local ip, port = skynet.call(gate, "lua", "open", conf)
	check.equal(ip, "127.0.0.1", "where it listens")
	return gate, port
end

local function connect(port)
	return assert(socket.open("127.0.0.1", port))
end

--- A client, and the id that the watchdog was told.
local function connected(port)
	local client = connect(port)
	local fd, address = expect("open")
	assert(address:find("^127%.0%.0%.1:%d+$"), address)
	return client, fd
end

local function stop_gate(gate)
	skynet.kill(gate)
	events = {}
end

case("watchdog_hears_of_everything", function()
	local gate, port = start_gate({})
	local client, fd = connected(port)
	expect_nothing(gate)
	check.equal(skynet.call(gate, "lua", "accept", fd), nil)
	socket.write(client, string.pack(">s2", "hello") .. string.pack(">s2", ""))
	check.equal(select(2, expect("data", fd)), "hello")
	check.equal(select(2, expect("data", fd)), "", "an empty frame")
	socket.write(fd, string.pack(">s2", "answer"))
	check.equal(socket.read(client, 8), "\0\6answer")
	socket.close(client)
	expect("close", fd)
	skynet.call(gate, "lua", "kick", fd)
	expect_nothing(gate)
	stop_gate(gate)
end)

case("frames_go_to_the_agent_as_forward_says", function()
	local gate, port = start_gate({ nodelay = true })
	local client, fd = connected(port)
	skynet.call(gate, "lua", "forward", fd) -- to whoever says so, from the gate
	socket.write(client, string.pack(">s2", "one"))
	local _, frame, source = expect("frame", fd)
	check.equal(frame, "one")
	check.equal(source, gate, "the source")
	skynet.call(gate, "lua", "forward", fd, 0)
	socket.write(client, string.pack(">s2", "two"))
	check.equal(select(3, expect("frame", fd)), gate)
	skynet.call(gate, "lua", "forward", fd, 4711, skynet.self())
	socket.write(client, string.pack(">s2", "three"))
	check.equal(select(3, expect("frame", fd)), 4711)
	skynet.call(gate, "lua", "accept", fd) -- back to the watchdog
	socket.write(client, string.pack(">s2", "four"))
	check.equal(select(2, expect("data", fd)), "four")
	socket.close(client)
	expect("close", fd)
	stop_gate(gate)
end)

case("an_agent_that_knows_no_frames_says_so", function()
	local gate, port = start_gate({})
	local agent = child.start(function()
		skynet.start(function() end)
	end)
	local client, fd = connected(port)
	local mark = log.mark()
	skynet.call(gate, "lua", "forward", fd, 0, agent)
	socket.write(client, string.pack(">s2", "lost"))
	local text = "Unknown request %%(no protocol .-, type 3%%) from :%08x : 4 bytes, a frame"
	log.wait(mark, text:format(gate))
	socket.close(client)
	expect("close", fd)
	skynet.kill(agent)
	stop_gate(gate)
end)

case("kick_closes_once_what_was_written_is_out", function()
	local gate, port = start_gate({})
	local client, fd = connected(port)
	socket.write(fd, ("x"):rep(100000))
	skynet.call(gate, "lua", "kick", fd)
	expect("close", fd)
	check.equal(#socket.readall(client), 100000)
	socket.close(client)
	skynet.call(gate, "lua", "kick", fd) -- gone: nothing
	expect_nothing(gate)
	stop_gate(gate)
end)

case("commands_about_connections_that_are_gone_fail", function()
	local gate, port = start_gate({})
	check.raises("there is no such connection", skynet.call, gate, "lua", "forward", 1 << 30)
	check.raises("there is no such connection", skynet.call, gate, "lua", "accept", 1 << 30)
	check.raises("bad argument 'fd'", skynet.call, gate, "lua", "accept", "x")
	check.raises("bad argument 'client'", skynet.call, gate, "lua", "forward", 1 << 30, "x")
	check.raises("no command nonsense", skynet.call, gate, "lua", "nonsense")
	local client, fd = connected(port)
	socket.close(client)
	skynet.call(gate, "lua", "accept", fd)
	expect("close", fd)
	check.raises("there is no such connection", skynet.call, gate, "lua", "forward", fd)
	stop_gate(gate)
end)

case("maxclient_connections_fit_and_no_more", function()
	local gate, port = start_gate({ maxclient = 2 })
	local first, first_fd = connected(port)
	local second = connected(port)
	local third = connect(port)
	check.equal(socket.read(third), false, "the third is closed")
	socket.close(third)
	expect_nothing(gate) -- and nobody hears of it
	skynet.call(gate, "lua", "kick", first_fd)
	expect("close", first_fd)
	local fourth = connected(port)
	for _, client in ipairs({ first, second, fourth }) do
		socket.close(client)
	end
	stop_gate(gate)
end)

case("a_gate_can_be_closed_and_opened_again", function()
	local gate, port = start_gate({})
	local client, fd = connected(port)
	check.raises("open already", skynet.call, gate, "lua", "open", { port = 0 })
	skynet.call(gate, "lua", "close")
	check.raises("not open", skynet.call, gate, "lua", "close")
	local _, new_port = skynet.call(gate, "lua", "open", { address = "127.0.0.1", port = 0 })
	check.equal(socket.open("127.0.0.1", port), nil, "the old port is closed")
	local new_client, new_fd = connected(new_port)
	-- Connections of both are known.
	skynet.call(gate, "lua", "accept", fd)
	skynet.call(gate, "lua", "accept", new_fd)
	socket.write(client, string.pack(">s2", "old"))
	check.equal(select(2, expect("data", fd)), "old")
	socket.write(new_client, string.pack(">s2", "new"))
	check.equal(select(2, expect("data", new_fd)), "new")
	skynet.call(gate, "lua", "kick", fd)
	expect("close", fd)
	socket.close(client)
	socket.close(new_client)
	expect("close", new_fd)
	stop_gate(gate)
end)

case("a_bad_conf_is_refused_and_says_what_is_wrong", function()
	local gate = skynet.newservice("gate")
	local function open(conf)
		return skynet.call(gate, "lua", "open", conf)
	end
	check.raises("bad argument 'conf'", open, 8888)
	check.raises("bad field 'port'", open, {})
	check.raises("bad field 'port'", open, { port = "http" })
	check.raises("bad field 'address'", open, { port = 0, address = "a b" })
	check.raises("bad field 'address'", open, { port = 0, address = 7 })
	check.raises("bad field 'maxclient'", open, { port = 0, maxclient = "many" })
	check.raises("bad field 'tls'", open, { port = 0, tls = true })
	check.raises("bad field 'tls.verify'", open, { port = 0, tls = { verify = 1 } })
	check.raises("bad field 'tls'", open, { port = 0, tls = { "file.pem" } })
	check.raises("bad field 'tls.key'", open, { port = 0, tls = { key = { "a", 2 } } })
	check.raises("bad field 'tls.key'", open, { port = 0, tls = { key = {} } })
	check.raises("Listen error", open, { port = 0, tls = { certificate = "nowhere.pem" } })
	local mark = log.mark()
	check.raises("Listen error", open, { port = 0, tls = { certificate = { "no", "where" } } })
	log.wait(mark, "tls: no cannot be opened")
	check.raises("bad field 'nodelay'", open, { port = 0, nodelay = 1 })
	check.raises("Listen error", open, { port = 0, framing = "morse" })
	check.raises("Listen error", open, { port = 0, framing = "delimiter" })
	check.raises("Listen error", open, { port = 0, max_frame = 0 })
	check.raises("Listen error", open, { port = 0, address = "192.0.2.1" })
	-- After all of that it can still be opened.
	open({ address = "127.0.0.1", port = 0 })
	stop_gate(gate)
end)

case("framings_and_their_options", function()
	local gate, port = start_gate({ framing = "delimiter", delimiter = "% \n", empty = false,
		max_frame = 10 })
	local client, fd = connected(port)
	skynet.call(gate, "lua", "accept", fd)
	socket.write(client, "one% \n% \ntwo% \n")
	check.equal(select(2, expect("data", fd)), "one")
	check.equal(select(2, expect("data", fd)), "two")
	socket.write(client, "longer than ten bytes% \n")
	check.equal(select(2, expect("error", fd)), "a frame is too long")
	expect("close", fd)
	check.equal(socket.read(client), false)
	socket.close(client)
	stop_gate(gate)
end)

case("the_gate_in_C_ends_with_the_one_in_Lua", function()
	local gate, port = start_gate({})
	local client = connected(port)
	skynet.kill(gate)
	check.equal(socket.read(client), false)
	socket.close(client)
	check.equal(socket.open("127.0.0.1", port), nil, "the port is closed")
	events = {}
end)

case("an_agent_that_ends_takes_its_connection_along", function()
	local gate, port = start_gate({})
	local client, fd = connected(port)
	skynet.call(gate, "lua", "forward", fd, 0, 0x00fffff0) -- nobody
	socket.write(client, string.pack(">s2", "hello"))
	expect("close", fd)
	check.equal(socket.read(client), false)
	socket.close(client)
	stop_gate(gate)
end)

skynet.dispatch("lua", function(_, _, kind, event, ...)
	check.equal(kind, "socket")
	note(event, ...)
end)

return cases
