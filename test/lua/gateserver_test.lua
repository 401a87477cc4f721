-- snax.gateserver: services that own a port, with real clients.
local skynet = require("skynet")
require("skynet.manager")
local socket = require("skynet.socket")
local check = require("check")
local child = require("child")
local log = require("log")
local tasks = require("tasks")

local cases = {}
local function case(name, body)
	cases[#cases + 1] = { name, body }
end

-- What the service under test tells the case, and has not been asked for yet.
local events = {}
local token = {}

skynet.dispatch("lua", function(_, _, ...)
	events[#events + 1] = table.pack(...)
	skynet.wakeup(token)
end)

--- Waits for the next thing told, which must be of that kind. Returns what comes with it.
local function expect(kind)
	while #events == 0 do
		skynet.wait(token)
	end
	local event = table.remove(events, 1)
	check.equal(event[1], kind, "what was told")
	return table.unpack(event, 2, event.n)
end

--- A gateserver that tells the case (its first argument) all that happens, and echoes frames that
--- begin with "echo". It uses skynet.socket beside.
local function echo_server(watcher, embed)
	local skynet = require("skynet") -- luacheck: ignore 431
	require("skynet.manager")
	local gateserver = require("snax.gateserver")
	local netpack = require("skynet.netpack")
	local socket = require("skynet.socket") -- luacheck: ignore 431
	watcher = tonumber(watcher)
	local function tell(...)
		skynet.send(watcher, "lua", ...)
	end
	local handler = { embed = embed == "embed" }
	function handler.open(source, conf)
		tell("open", source, conf.address, conf.port)
		if conf.waits then
			skynet.wait(conf.waits)
		end
		if conf.fails then
			error("handler.open fails", 0)
		end
		return "opened", conf.port
	end
	function handler.connect(fd, address)
		tell("connect", fd, address)
	end
	function handler.message(fd, message, size)
		local text = netpack.tostring(message, size)
		if text:find("^echo") then
			socket.write(fd, string.pack(">s2", text))
		elseif text == "raise" then
			error("handler.message fails")
		elseif text == "close" then
			gateserver.closeclient(fd)
		else
			tell("message", fd, text, size)
		end
	end
	function handler.disconnect(fd)
		tell("disconnect", fd)
	end
	function handler.error(fd, text)
		tell("error", fd, text)
	end
	function handler.warning(fd, kib)
		tell("warning", fd, kib)
	end
	function handler.command(command, source, ...)
		if command == "openclient" or command == "closeclient" then
			return gateserver[command](...)
		elseif command == "flood" then
			return socket.write((...), ("x"):rep(16 << 20))
		elseif command == "wakeup" then
			return skynet.wakeup(...)
		elseif command == "kill" then
			return skynet.kill(...)
		elseif command == "nothing" then
			return
		end
		return command, source, ...
	end
	gateserver.start(handler)
	if handler.embed then
		skynet.start(function()
			tell("embedded")
		end)
	end
end

local function start_server(conf, embed)
	local server = child.start(echo_server, skynet.self(), embed)
	conf = conf or {}
	conf.address, conf.port = conf.address or "127.0.0.1", conf.port or 0
	if embed then
		expect("embedded")
	end
	local word, port = skynet.call(server, "lua", "open", conf)
	check.equal(word, "opened", "the results of handler.open")
	local source, address, told_port = expect("open")
	check.equal(source, skynet.self())
	check.equal(address, "127.0.0.1")
	check.equal(told_port, port)
	return server, port
end

local function connected(port)
	local client = assert(socket.open("127.0.0.1", port))
	local fd, address = expect("connect")
	assert(address:find("^127%.0%.0%.1:%d+$"), address)
	return client, fd
end

local function send(client, text)
	socket.write(client, string.pack(">s2", text))
end

case("frames_are_calls_in_their_order", function()
	local server, port = start_server()
	local client, fd = connected(port)
	send(client, "not read before openclient")
	skynet.call(server, "lua", "nothing")
	skynet.sleep(1)
	check.equal(#events, 0)
	skynet.call(server, "lua", "openclient", fd)
	local _, text, size = expect("message")
	check.equal(text, "not read before openclient")
	check.equal(size, #text)
	for i = 1, 500 do
		send(client, "frame " .. i)
	end
	for i = 1, 500 do
		check.equal(select(2, expect("message")), "frame " .. i)
	end
	send(client, "")
	check.equal(select(3, expect("message")), 0, "an empty frame")
	send(client, "echo 1")
	check.equal(socket.read(client, 8), "\0\6echo 1")
	socket.close(client)
	check.equal(expect("disconnect"), fd)
	skynet.call(server, "lua", "closeclient", fd)
	skynet.kill(server)
end)

case("other_commands_are_the_handlers", function()
	local server = start_server()
	check.equal(skynet.call(server, "lua", "socket", 1), "socket")
	check.equal(select("#", skynet.call(server, "lua", "nothing")), 0)
	check.equal({ skynet.call(server, "lua", "what", 1, 2) }, { "what", skynet.self(), 1, 2 })
	skynet.kill(server)
end)

case("closeclient_leads_to_one_disconnect", function()
	local server, port = start_server()
	local client, fd = connected(port)
	skynet.call(server, "lua", "openclient", fd)
	skynet.call(server, "lua", "flood", fd)
	skynet.call(server, "lua", "closeclient", fd)
	skynet.call(server, "lua", "closeclient", fd)
	while events[1] and events[1][1] == "warning" do
		expect("warning")
	end
	check.equal(#socket.readall(client), 16 << 20, "what was written is sent")
	repeat
		while #events == 0 do
			skynet.wait(token)
		end
		local event = table.remove(events, 1)
	until event[1] == "disconnect" and event[2] == fd
	socket.close(client)
	skynet.call(server, "lua", "closeclient", fd)
	skynet.sleep(1)
	check.equal(#events, 0)
	skynet.kill(server)
end)

case("frames_behind_closeclient_are_dropped", function()
	local server, port = start_server()
	local client, fd = connected(port)
	skynet.call(server, "lua", "openclient", fd)
	local mark = log.mark()
	socket.write(client, string.pack(">s2", "close") .. string.pack(">s2", "too late"))
	check.equal(expect("disconnect"), fd)
	check.equal(#log.lines(mark, "Drop message from fd %(%d+%) : 8 bytes"), 1)
	socket.close(client)
	skynet.kill(server)
end)

case("a_handler_that_raises_harms_nobody", function()
	local server, port = start_server()
	local client, fd = connected(port)
	skynet.call(server, "lua", "openclient", fd)
	local mark = log.mark()
	send(client, "raise")
	send(client, "echo on")
	check.equal(socket.read(client, 9), "\0\7echo on")
	log.wait(mark, "handler.message fails")
	socket.close(client)
	expect("disconnect")
	skynet.kill(server)
end)

case("warnings_and_errors_are_told", function()
	local server, port = start_server({ max_frame = 10 })
	local client, fd = connected(port)
	skynet.call(server, "lua", "openclient", fd)
	skynet.call(server, "lua", "flood", fd)
	local _, kib = expect("warning")
	assert(kib >= 1024, kib)
	check.equal(#socket.read(client, 16 << 20), 16 << 20)
	repeat
		_, kib = expect("warning")
	until kib == 0
	send(client, "longer than ten bytes")
	check.equal(select(2, expect("error")), "a frame is too long")
	check.equal(expect("disconnect"), fd)
	socket.close(client)
	skynet.kill(server)
end)

case("maxclient_connections_fit", function()
	local server, port = start_server({ maxclient = 1 })
	local client, fd = connected(port)
	local second = assert(socket.open("127.0.0.1", port))
	check.equal(socket.read(second), false)
	socket.close(second)
	skynet.call(server, "lua", "closeclient", fd)
	check.equal(expect("disconnect"), fd)
	socket.close(client)
	socket.close(connected(port))
	skynet.kill(server)
	events = {}
end)

case("it_can_be_closed_and_opened_again", function()
	local server, port = start_server()
	local client, fd = connected(port)
	check.raises("listening already", skynet.call, server, "lua", "open", { port = 0 })
	skynet.call(server, "lua", "close")
	check.raises("does not listen", skynet.call, server, "lua", "close")
	local conf = { address = "127.0.0.1", port = 0 }
	local _, new_port = skynet.call(server, "lua", "open", conf)
	expect("open")
	check.equal(socket.open("127.0.0.1", port), nil)
	skynet.call(server, "lua", "openclient", fd)
	send(client, "still here")
	check.equal(select(2, expect("message")), "still here")
	local new_client, new_fd = connected(new_port)
	skynet.call(server, "lua", "openclient", new_fd)
	socket.close(client)
	check.equal(expect("disconnect"), fd)
	skynet.call(server, "lua", "closeclient", fd)
	socket.close(new_client)
	expect("disconnect")
	skynet.kill(server)
end)

case("an_open_that_fails_can_be_tried_again", function()
	local server = child.start(echo_server, skynet.self())
	check.raises("bad field 'port'", skynet.call, server, "lua", "open", {})
	local conf = { address = "127.0.0.1", port = 0, fails = true }
	check.raises("handler.open fails", skynet.call, server, "lua", "open", conf)
	local _, _, port = expect("open")
	check.equal(socket.open("127.0.0.1", port), nil, "the port is closed again")
	skynet.call(server, "lua", "open", { address = "127.0.0.1", port = 0 })
	expect("open")
	skynet.kill(server)
end)

case("an_open_that_fails_late_closes_no_port_but_its_own", function()
	local server = child.start(echo_server, skynet.self())
	local conf = { address = "127.0.0.1", port = 0, fails = true, waits = "here" }
	local finish = tasks.begin(skynet.call, server, "lua", "open", conf)
	expect("open")
	skynet.call(server, "lua", "close")
	local _, port = skynet.call(server, "lua", "open", { address = "127.0.0.1", port = 0 })
	expect("open")
	skynet.call(server, "lua", "wakeup", "here")
	local ok, reason = finish()
	check.equal(ok, false)
	check.matches(reason, "handler.open fails")
	socket.close((connected(port)))
	skynet.kill(server)
end)

case("embedded_in_a_program", function()
	local server, port = start_server({}, "embed")
	local client, fd = connected(port)
	skynet.call(server, "lua", "openclient", fd)
	socket.close(client)
	check.equal(expect("disconnect"), fd)
	skynet.kill(server)
end)

--- The gate in C of a server, which was launched after everything else.
local function gate_of(server)
	local gates = {}
	for address = server + 1, server + 20 do
		if pcall(skynet.call, address, "lua", "stat") then
			gates[#gates + 1] = address
		end
	end
	check.equal(#gates, 1)
	return gates[1]
end

case("its_gate_may_be_killed", function()
	local server = child.start(echo_server, skynet.self())
	local _, port = skynet.call(server, "lua", "open", { address = "127.0.0.1", port = 0 })
	expect("open")
	local client, fd = connected(port)
	skynet.kill(gate_of(server))
	check.equal(expect("disconnect"), fd)
	check.equal(socket.read(client), false)
	socket.close(client)
	skynet.call(server, "lua", "open", { address = "127.0.0.1", port = 0 })
	expect("open")
	skynet.kill(server)
end)

case("its_gate_may_be_killed_while_it_closes_a_connection", function()
	local server, port = start_server()
	local gate = gate_of(server)
	local client, fd = connected(port)
	skynet.call(server, "lua", "openclient", fd)
	skynet.send(server, "lua", "closeclient", fd)
	skynet.send(server, "lua", "kill", gate)
	check.equal(expect("disconnect"), fd)
	skynet.call(server, "lua", "closeclient", fd)
	skynet.call(server, "lua", "nothing")
	check.equal(#events, 0)
	socket.close(client)
	skynet.kill(server)
end)

case("a_block_is_kept_once_and_in_time", function()
	local core = require("skynet.core")
	local results, message, size = {}, nil, nil
	skynet.register_protocol({
		name = "kept",
		id = 200,
		unpack = core.keep,
		dispatch = function(_, _, ...)
			message, size = ...
			results[1] = skynet.tostring(message, size)
			results[2] = select(2, pcall(core.keep, message, size))
			skynet.yield()
			results[3] = select(2, pcall(core.keep, message, size))
			skynet.wakeup(token)
		end,
	})
	core.send(skynet.self(), 200, 0, "the bytes")
	skynet.wait(token)
	check.equal(skynet.tostring(message, size), "the bytes", "after the task has waited")
	skynet.trash(message, size)
	check.equal(results[1], "the bytes")
	check.matches(results[2], "it is kept already")
	check.matches(results[3], "not the block of the message in hand")
	check.raises("bad argument", core.keep, "text", 4)
	-- In a service that sees all messages first, too.
	local filter = child.start(function()
		local keep = require("skynet.core").keep
		skynet.register_protocol({
			name = "kept",
			id = 200,
			unpack = keep,
			dispatch = function(_, source, block, count)
				skynet.redirect(source, skynet.self(), "lua", 0, block, count)
			end,
		})
		skynet.filter(function(...)
			return ...
		end, function() end)
	end)
	core.send(filter, 200, 0, skynet.packstring("kept", 1))
	check.equal(expect("kept"), 1)
	skynet.kill(filter)
end)

case("misuse_is_named", function()
	local gateserver = require("snax.gateserver")
	local function nothing() end
	check.misuse("bad argument 'handler'", gateserver.start, 1)
	check.misuse("bad argument 'fd'", gateserver.openclient, "x")
	check.misuse("bad argument 'fd'", gateserver.closeclient, 0)
	check.misuse("bad field 'disconnect'", gateserver.start,
		{ message = nothing, connect = nothing, disconnect = 1 })
end)

return cases
