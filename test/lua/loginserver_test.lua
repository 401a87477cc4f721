-- snax.loginserver: the dialogue, its refusals, and clients that leave or stall in the middle.
local skynet = require("skynet")
require("skynet.manager")
local crypt = require("skynet.crypt")
local socket = require("skynet.socket")
local check = require("check")
local log = require("log")
local login_client = require("login_client")

local OK <const> = "200 "
local UNAUTHORIZED <const>, FORBIDDEN <const> = "401 Unauthorized", "403 Forbidden"
local NOT_ACCEPTABLE <const> = "406 Not Acceptable"

local cases = {}
local function case(name, body)
	cases[#cases + 1] = { name, body }
end

--- Starts the login server of service/login_probe.lua. Returns its address and port.
local function start(settings)
	for key, value in pairs(settings or {}) do
		if not skynet.getenv("login_" .. key) then
			skynet.setenv("login_" .. key, tostring(value))
		end
	end
	local mark = log.mark()
	local server = skynet.newservice("login_probe")
	local line = log.wait(mark, "login server listen at : 127%.0%.0%.1 %d+")
	return server, tonumber(line:match("%d+$"))
end

local function login(port, token)
	return login_client.connect(port):login(token)
end

local function subid(line)
	check.equal(line:sub(1, #OK), OK, line)
	return crypt.base64decode(line:sub(#OK + 1))
end

case("who_proves_itself_is_logged_in", function()
	local server, port = start()
	check.equal(skynet.localname(".probe"), server)
	local client = login_client.connect(port)
	check.equal(subid(client:login("sample hello")), "1")
	local logins = skynet.call(server, "lua", "logins")
	check.equal(logins, { { "sample", "hello", client.secret } })
	check.equal(subid(login(port, "sample hello")), "2")
end)

case("helpers_take_turns", function()
	local server, port = start({ instance = 3 })
	for _ = 1, 6 do
		login(port, "helper")
	end
	local seen, count = {}, 0
	for i, entry in ipairs(skynet.call(server, "lua", "logins")) do
		local address = entry[1]
		check.ok(address ~= tostring(server), "a helper, and not the login server")
		check.equal(seen[address] or i, i <= 3 and i or i - 3)
		seen[address] = seen[address] or i
		count = count + 1
	end
	check.equal(count, 6)
end)

case("who_fails_the_challenge_is_nobody", function()
	local server, port = start()
	local mark = log.mark()
	local client = login_client.connect(port)
	client:exchange()
	client:send("notright")
	check.equal(client:finish(), UNAUTHORIZED)
	log.wait(mark, "invalid client %(fd = %d+%) error = the client has failed the challenge")
	check.equal(skynet.call(server, "lua", "logins"), {})
end)

case("bad_lines_are_refused_wherever_they_stand", function()
	local server, port = start()
	local zero, prime = ("\0"):rep(8), "\xc5" .. ("\xff"):rep(7)
	for _, first in ipairs({ "", "short", "much too long", zero, prime }) do
		local client = login_client.connect(port)
		client:line()
		client:send(first)
		check.equal(client:finish(), UNAUTHORIZED)
	end
	for _, text in ipairs({ "\n", "A\n", "Zg==Zg==\n", "\0\xff\n" }) do
		for step = 1, 3 do
			local client = login_client.connect(port)
			if step > 1 then
				client:exchange()
			else
				client:line()
			end
			if step > 2 then
				client:send(client:proof())
			end
			client:send_raw(text)
			local what = ("%q in step %d"):format(text, step)
			check.equal(client:finish(), UNAUTHORIZED, what)
		end
	end
	check.equal(skynet.call(server, "lua", "logins"), {})
	check.equal(subid(login(port, "sample hello")), "1")
end)

case("a_token_that_is_not_encrypted_with_the_secret_is_refused", function()
	local _, port = start()
	for _, encrypted in ipairs({ "sample hello", "12345678", ("x"):rep(64) }) do
		local client = login_client.connect(port)
		client:exchange()
		client:send(client:proof())
		client:send(encrypted)
		check.equal(client:finish(), UNAUTHORIZED)
	end
end)

case("auth_handler_refuses_by_raising_or_with_nothing", function()
	local server, port = start()
	local mark = log.mark()
	check.equal(login(port, "hacker"), UNAUTHORIZED)
	log.wait(mark, "invalid client %(fd = %d+%) error = .*no such user")
	check.equal(login(port, "nobody"), UNAUTHORIZED)
	log.wait(mark, "error = auth_handler has returned no server, or no user")
	check.equal(login(port, ""), UNAUTHORIZED)
	check.equal(skynet.call(server, "lua", "logins"), {})
end)

case("login_handler_refuses_by_raising", function()
	local server, port = start()
	local mark = log.mark()
	check.equal(login(port, "sample refused"), FORBIDDEN)
	log.wait(mark, "invalid client %(fd = %d+%) error = .*not today")
	check.equal(login(port, "sample table"), FORBIDDEN)
	check.equal(#skynet.call(server, "lua", "logins"), 2)
	check.equal(subid(login(port, "sample hello")), "3")
end)

--- Logs a client in, in a task of its own. Returns a function that waits for its last line.
local function begin_login(port, token)
	local line, token_of_end = nil, {}
	skynet.fork(function()
		line = login(port, token)
		skynet.wakeup(token_of_end)
	end)
	return function()
		if line == nil then
			skynet.wait(token_of_end)
		end
		return line
	end
end

local function wait_logins(server, count)
	while #skynet.call(server, "lua", "logins") < count do
		skynet.sleep(1)
	end
end

case("a_user_logs_in_once_at_a_time", function()
	local server, port = start()
	local first = begin_login(port, "sample slow")
	wait_logins(server, 1)
	check.equal(login(port, "sample slow"), NOT_ACCEPTABLE)
	check.equal(login(port, "other slow"), NOT_ACCEPTABLE)
	check.equal(subid(login(port, "sample hello")), "2")
	check.equal(skynet.call(server, "lua", "go"), 1)
	check.equal(subid(first()), "2")
	local again = begin_login(port, "sample slow")
	wait_logins(server, 3)
	skynet.call(server, "lua", "go")
	check.equal(subid(again()), "3")
end)

case("with_multilogin_a_user_logs_in_several_times_at_once", function()
	local server, port = start({ multilogin = true })
	local first, second = begin_login(port, "sample slow"), begin_login(port, "sample slow")
	wait_logins(server, 2)
	skynet.call(server, "lua", "go")
	check.equal(subid(first()), "2")
	check.equal(subid(second()), "2")
end)

case("a_client_that_says_nothing_is_let_go", function()
	local _, port = start()
	local mark, begin = log.mark(), skynet.now()
	local client = login_client.connect(port)
	check.ok(client:line())
	check.equal(client:line(), false)
	check.ok(skynet.now() - begin >= 1000, "not before its time")
	log.wait(mark, "error = the client was too slow")
	client:close()
end)

case("a_client_that_drips_is_let_go_too", function()
	local _, port = start()
	local mark = log.mark()
	local client = login_client.connect(port)
	skynet.fork(function()
		while socket.write(client.id, "x") do
			skynet.sleep(100)
		end
	end)
	client:line()
	check.equal(client:line(), false)
	log.wait(mark, "error = the client was too slow")
	client:close()
end)

case("a_line_without_end_is_cut_off", function()
	local _, port = start()
	local mark, begin = log.mark(), skynet.now()
	local client = login_client.connect(port)
	client:line()
	client:send_raw(("x"):rep(100000))
	check.equal(client:line(), false)
	check.ok(skynet.now() - begin < 1000, "long before its time")
	log.wait(mark, "invalid client %(fd = %d+%)")
	client:close()
	check.equal(subid(login(port, "sample hello")), "1")
end)

case("lines_may_come_byte_by_byte_and_end_as_on_windows", function()
	local _, port = start()
	local client = login_client.connect(port)
	client.send = function(self, bytes)
		for byte in (crypt.base64encode(bytes) .. "\r\n"):gmatch(".") do
			self:send_raw(byte)
			skynet.sleep(0)
		end
	end
	check.equal(subid(client:login("sample hello")), "1")
end)

case("who_leaves_in_the_middle_leaves_nothing_behind", function()
	local server, port = start({ max_handshakes = 1, instance = 1 })
	for step = 1, 4 do
		local mark = log.mark()
		local client = login_client.connect(port)
		if step == 2 then
			client:line()
		elseif step > 2 then
			client:exchange()
		end
		if step > 3 then
			client:send(client:proof())
		end
		client:close()
		log.wait(mark, "invalid client %(fd = %d+%) error = the client has left")
	end
	check.equal(subid(login(port, "sample hello")), "1")
	check.equal(#skynet.call(server, "lua", "logins"), 1)
end)

case("who_leaves_during_the_login_does_no_harm", function()
	local server, port = start()
	local client = login_client.connect(port)
	client:exchange()
	client:send(client:proof())
	client:send(crypt.desencode(client.secret, "sample slow"))
	wait_logins(server, 1)
	client:close()
	skynet.call(server, "lua", "go")
	check.equal(subid(login(port, "sample hello")), "2")
end)

case("so_many_clients_log_in_at_once_at_most", function()
	local _, port = start({ max_handshakes = 2 })
	local mark = log.mark()
	local first, second = login_client.connect(port), login_client.connect(port)
	check.ok(first:line())
	check.ok(second:line())
	local third = login_client.connect(port)
	check.equal(third:line(), false)
	log.wait(mark, "too many clients log in at once %(2%): 127%.0%.0%.1:")
	third:close()
	first:close()
	log.wait(mark, "the client has left")
	check.equal(subid(login(port, "sample hello")), "1")
	second:close()
end)

case("a_helper_that_dies_is_replaced", function()
	local server, port = start({ instance = 1 })
	login(port, "helper")
	local helper = math.tointeger(skynet.call(server, "lua", "logins")[1][1])
	local client = login_client.connect(port)
	client:exchange()
	local mark = log.mark()
	skynet.kill(helper)
	check.equal(client:line(), false)
	client:close()
	log.wait(mark, "a helper of the login server has ended")
	local early = login_client.connect(port)
	if not early:line() then -- it came before the other helper was there
		log.wait(mark, "there is no helper %(0%): 127%.0%.0%.1:")
	end
	early:close()
	log.wait(mark, "LAUNCH snlua login_probe")
	skynet.sleep(100)
	check.equal(subid(login(port, "sample hello")), "2")
end)

case("helpers_end_with_their_login_server", function()
	local server, port = start({ instance = 1 })
	login(port, "helper")
	local helper = math.tointeger(skynet.call(server, "lua", "logins")[1][1])
	local client = login_client.connect(port)
	client:exchange()
	local mark = log.mark()
	skynet.kill(server)
	check.equal(client:line(), false)
	client:close()
	log.wait(mark, "KILL self")
	check.equal(pcall(skynet.call, helper, "lua"), false)
	start({ instance = 1 }) -- and the name is free again
end)

case("other_messages_are_for_command_handler", function()
	local server = start()
	check.raises("as you like", skynet.call, server, "lua", "fail")
	check.raises("call failed", skynet.call, server, "lua", "no such command")
	check.equal(skynet.call(server, "lua", "go"), 0)
end)

case("lines_that_clients_cause_are_bounded", function()
	local _, port = start()
	local mark = log.mark()
	for _ = 1, 30 do
		login(port, "hacker")
	end
	skynet.sleep(200)
	login(port, "hacker")
	log.wait(mark, "%d+ lines about clients left out")
	check.ok(#log.lines(mark, "invalid client") < 30)
end)

case("what_is_wrong_in_the_configuration_is_named", function()
	local loginserver = require("snax.loginserver")
	local function nothing() end
	local function try(pattern, key, value)
		local conf = { port = 0, auth_handler = nothing, login_handler = nothing }
		conf[key] = value
		check.misuse(pattern, loginserver, conf)
	end
	check.misuse("bad argument 'conf': table expected, got nil", loginserver)
	try("bad field 'port': a whole number from 0 expected, got nil", "port", nil)
	try("bad field 'port'", "port", -1)
	try("bad field 'port'", "port", "http")
	try("bad field 'instance': a whole number from 1 expected, got 0", "instance", 0)
	try("bad field 'instance'", "instance", 1.5)
	try("bad field 'handshake_timeout'", "handshake_timeout", 0)
	try("bad field 'max_handshakes'", "max_handshakes", false)
	try("bad field 'auth_handler': function expected, got nil", "auth_handler", nil)
	try("bad field 'login_handler': function expected, got table", "login_handler", {})
	try("bad field 'command_handler': function expected", "command_handler", 1)
	try("bad field 'multilogin': boolean expected, got string", "multilogin", "yes")
	try("bad field 'name': string expected", "name", 5)
	try("bad field 'host': string expected", "host", 5)
	try("bad field 'tls': table expected", "tls", true)
end)

return cases
