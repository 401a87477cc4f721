-- snax.msgserver, with a gate that is played by the test: what it is told, and what it does.
local skynet = require("skynet")
local crypt = require("skynet.crypt")
local driver = require("skynet.socketdriver")
local check = require("check")
local log = require("log")

--- The gate: what was sent to each connection, and whether it is open.
local sent, is_open = {}, {}
local handler

package.loaded["snax.gateserver"] = {
	start = function(h)
		handler = h
	end,
	openclient = function(id)
		is_open[id] = true
	end,
	closeclient = function(id)
		if is_open[id] then
			is_open[id] = false
			skynet.fork(handler.disconnect, id)
		end
	end,
}
package.loaded["skynet.socketdriver"] = {
	send = function(id, bytes)
		local packet, behind = (">s2"):unpack(bytes)
		check.equal(behind, #bytes + 1, "one packet")
		sent[id] = sent[id] or {}
		table.insert(sent[id], packet)
		return true
	end,
}
local msgserver = require("snax.msgserver")

local SECRET <const> = "8 bytes."
local NAME <const> = msgserver.username("hello", "1", "sample")

local cases = {}
local function case(name, body)
	cases[#cases + 1] = { name, body }
end

--- What was asked of the handlers, in order.
local calls = {}

local function note(name)
	return function(...)
		calls[#calls + 1] = { name, ... }
		return name .. " answer"
	end
end

--- A request says what becomes of it.
local function request_handler(username, content)
	calls[#calls + 1] = { "request", username, content }
	local what, rest = content:match("^(%a*) ?(.*)$")
	if what == "fail" then
		error("as you like")
	elseif what == "wait" then
		skynet.wait(rest)
	elseif what == "size" then
		return ("x"):rep(tonumber(rest))
	elseif what == "table" then
		return {}
	end
	return content:upper()
end

local function start(settings)
	local conf = {
		login_handler = note("login"),
		logout_handler = note("logout"),
		kick_handler = note("kick"),
		request_handler = request_handler,
		register_handler = note("register"),
		disconnect_handler = note("disconnect"),
	}
	for key, value in pairs(settings or {}) do
		conf[key] = value
	end
	msgserver.start(conf)
end

--- A packet has come. What its handler does is done until it waits.
local function receive(id, packet)
	skynet.fork(handler.message, id, driver.str2p(packet))
	skynet.yield()
end

local function connect(id)
	handler.connect(id, "127.0.0.1:" .. id)
	check.equal(is_open[id], true)
end

local function hello(index, secret, name)
	local text = (name or NAME) .. ":" .. index
	return text .. ":" .. crypt.base64encode(crypt.hmac_hash(secret or SECRET, text))
end

--- What was sent to a connection since this was asked last.
local function take(id)
	local packets = sent[id] or {}
	sent[id] = nil
	return packets
end

local function enter(id, index)
	connect(id)
	receive(id, hello(index))
	check.equal(take(id), { "200 OK" })
end

local function request(id, content, session)
	receive(id, content .. (">I4"):pack(session))
end

local function response(content, session, is_failure)
	return content .. (is_failure and "\0" or "\1") .. (">I4"):pack(session)
end

local function start_and_enter(settings)
	start(settings)
	msgserver.login(NAME, SECRET)
	enter(1, 1)
end

-- --- names and commands ----------------------------------------------------------------------

case("names_go_both_ways", function()
	check.equal(NAME, "aGVsbG8=@c2FtcGxl#MQ==")
	check.equal({ msgserver.userid(NAME) }, { "hello", "1", "sample" })
	local odd = msgserver.username("a@b#c:d", 7, "\0\xff")
	check.equal({ msgserver.userid(odd) }, { "a@b#c:d", "7", "\0\xff" })
	check.misuse("is not the name of a user", msgserver.userid, "hello")
	check.misuse("is not the name of a user", msgserver.userid, "a@b#c")
	check.misuse("'username': string expected, got nil", msgserver.userid, nil)
end)

case("commands_are_answered_by_their_handlers", function()
	start()
	check.equal(handler.command("login", 5, "hello", SECRET), "login answer")
	check.equal(handler.command("logout", 5, "hello", 1), "logout answer")
	check.equal(handler.command("kick", 5, "hello", 1), "kick answer")
	check.equal(handler.open(5, { servername = "sample" }), "register answer")
	check.equal(calls, {
		{ "login", "hello", SECRET },
		{ "logout", "hello", 1 },
		{ "kick", "hello", 1 },
		{ "register", "sample" },
	})
	check.raises("is u16be, not line", handler.open, 5, { framing = "line" })
	check.raises('no command "register"', handler.command, "register", 5)
	check.raises('no command "nil"', handler.command, nil, 5)
end)

-- --- the first packet ------------------------------------------------------------------------

case("who_has_the_secret_is_let_in", function()
	start_and_enter()
	check.equal(msgserver.ip(NAME), "127.0.0.1:1")
	check.equal(is_open[1], true)
end)

local function refused(id, packet, status)
	connect(id)
	receive(id, packet)
	check.equal(take(id), { status }, packet)
	check.equal(is_open[id], false)
	request(id, "too late", 1)
	check.equal(take(id), {})
end

case("everybody_else_is_told_why_not", function()
	start()
	msgserver.login(NAME, SECRET)
	local garbage <const> = { "", ":", "::", "a:b:c", NAME .. "::", NAME .. ":1", "\0:\1:\2" }
	for i, packet in ipairs(garbage) do
		refused(i, packet, "400 Bad Request")
	end
	refused(11, NAME .. ":1:not base64", "400 Bad Request")
	refused(12, hello(1) .. ":", "400 Bad Request")
	refused(13, hello("1 or 2"), "400 Bad Request")
	refused(21, hello(1, SECRET, "nobody"), "404 User Not Found")
	refused(31, hello(1, "8 other."), "401 Unauthorized")
	refused(32, NAME .. ":1:", "401 Unauthorized")
	refused(33, hello(1):gsub(":1:", ":2:"), "401 Unauthorized")
	refused(41, hello(0), "403 Index Expired")
	refused(42, hello(-1), "403 Index Expired")
	enter(51, 7)
	refused(52, hello(7), "403 Index Expired")
	refused(53, hello(6.5), "403 Index Expired")
	refused(54, hello(6, "8 other."), "401 Unauthorized")
	check.equal(msgserver.ip(NAME), "127.0.0.1:51")
	check.equal(is_open[51], true)
	check.equal(calls, {})
end)

case("a_connection_that_says_nothing_is_closed", function()
	start()
	msgserver.login(NAME, SECRET)
	local mark = log.mark()
	enter(1, 1)
	connect(2)
	skynet.sleep(999)
	check.equal(is_open[2], true)
	skynet.sleep(2)
	check.equal(is_open[2], false)
	check.equal(is_open[1], true)
	log.wait(mark, "invalid client %(fd = 2%) error = 127%.0%.0%.1:2: says nothing")
	check.equal(log.lines(mark, "attempt to"), {})
end)

case("a_stranger_may_leave", function()
	start()
	connect(1)
	handler.disconnect(1)
	check.equal(is_open[1], false)
	skynet.sleep(2000)
	check.equal(calls, {})
	handler.disconnect(99) -- nobody
	receive(99, "nobody")
end)

-- --- requests --------------------------------------------------------------------------------

case("requests_are_answered_when_they_are_done", function()
	start_and_enter()
	request(1, "wait first", 1)
	request(1, "second", 2)
	request(1, "", 3)
	check.equal(take(1), { response("SECOND", 2), response("", 3) })
	skynet.wakeup("first")
	skynet.yield()
	check.equal(take(1), { response("WAIT FIRST", 1) })
	check.equal(calls[1], { "request", NAME, "wait first" })
end)

case("a_request_that_fails_says_so", function()
	start_and_enter()
	local mark = log.mark()
	request(1, "fail", 1)
	request(1, "table", 2)
	request(1, "size 65531", 3)
	request(1, "size 65530", 4)
	local packets = take(1)
	check.equal(packets[4], response(("x"):rep(65530), 4))
	for session = 1, 3 do
		check.equal(packets[session], response("", session, true))
	end
	log.wait(mark, "request_handler for aGVsbG8=.*as you like")
	log.wait(mark, "a text of at most 65530 bytes expected, got table")
	log.wait(mark, "a text of at most 65530 bytes expected, got 65531 bytes")
	check.equal(is_open[1], true)
end)

case("a_request_without_session_ends_the_connection", function()
	for _, packet in ipairs({ "", "123" }) do
		start_and_enter()
		receive(1, packet)
		check.equal(is_open[1], false)
		check.equal(msgserver.ip(NAME), nil)
		skynet.yield()
		check.equal(calls, { { "disconnect", NAME } })
		calls = {}
		msgserver.logout(NAME)
	end
end)

case("a_session_is_used_again_when_it_is_finished", function()
	start_and_enter()
	request(1, "one", 5)
	request(1, "two", 5)
	check.equal(take(1), { response("ONE", 5), response("TWO", 5) })
	request(1, "wait here", 5)
	request(1, "three", 5)
	check.equal(is_open[1], false)
	check.equal(#calls, 4) -- three requests, disconnect
end)

-- --- coming back -----------------------------------------------------------------------------

case("a_finished_request_is_not_handled_again", function()
	start_and_enter()
	request(1, "one", 1)
	take(1)
	handler.disconnect(1)
	enter(2, 2)
	request(2, "fake", 1)
	check.equal(take(2), { response("ONE", 1) })
	check.equal(#calls, 2) -- request, disconnect
	request(2, "new", 1) -- this connection has used it now
	check.equal(take(2), { response("NEW", 1) })
end)

case("what_is_under_way_goes_to_the_new_connection", function()
	start_and_enter()
	request(1, "wait asked", 1)
	request(1, "wait unasked", 2)
	handler.disconnect(1)
	enter(2, 2)
	request(2, "fake", 1)
	check.equal(take(2), {})
	skynet.wakeup("asked")
	skynet.wakeup("unasked")
	skynet.yield()
	check.equal(take(1), {})
	check.equal(take(2), { response("WAIT ASKED", 1) })
	check.equal(#calls, 3) -- two requests, disconnect
	request(2, "fake", 2)
	check.equal(take(2), { response("WAIT UNASKED", 2) })
end)

case("what_is_finished_before_it_is_asked_for_again_is_sent_once", function()
	start_and_enter()
	request(1, "wait long", 1)
	handler.disconnect(1)
	enter(2, 2)
	skynet.wakeup("long")
	skynet.yield()
	request(2, "fake", 1)
	check.equal(take(2), { response("WAIT LONG", 1) })
end)

case("of_a_request_that_outlives_two_connections_the_last_gets_the_response", function()
	start_and_enter()
	request(1, "wait long", 1)
	enter(2, 2)
	request(2, "fake", 1)
	enter(3, 3)
	skynet.wakeup("long")
	skynet.yield()
	check.equal({ take(1), take(2), take(3) }, { {}, {}, {} })
	request(3, "fake", 1)
	check.equal(take(3), { response("WAIT LONG", 1) })
end)

case("what_is_finished_while_nobody_is_there_waits", function()
	start_and_enter()
	request(1, "wait long", 1)
	handler.disconnect(1)
	skynet.wakeup("long")
	skynet.yield()
	enter(2, 2)
	check.equal(take(2), {})
	request(2, "fake", 1)
	check.equal(take(2), { response("WAIT LONG", 1) })
	request(2, "wait here", 2)
	handler.disconnect(2)
	enter(3, 3)
	request(3, "fake", 2)
	request(3, "fake", 2) -- under way, and used on this connection
	check.equal(is_open[3], false)
end)

case("a_new_connection_takes_the_place_of_the_old_one", function()
	start_and_enter()
	enter(2, 2)
	check.equal(is_open[1], false)
	check.equal(is_open[2], true)
	check.equal(msgserver.ip(NAME), "127.0.0.1:2")
	request(1, "late", 1)
	check.equal(take(1), {})
	check.equal(calls, {}) -- nobody was disconnected
end)

case("so_many_responses_are_kept", function()
	for count = 50, 60 do
		start_and_enter({ expired_number = 4 })
		for session = 1, count do
			request(1, "first", session)
		end
		take(1)
		enter(2, 2)
		local kept = 0
		repeat
			request(2, "again", count - kept)
			local is_kept = take(2)[1] == response("FIRST", count - kept)
			kept = kept + (is_kept and 1 or 0)
		until not is_kept
		check.ok(kept >= 4 and kept < 8, kept)
		msgserver.logout(NAME)
	end
end)

case("what_is_under_way_is_never_forgotten", function()
	start_and_enter({ expired_number = 2 })
	request(1, "wait here", 1000)
	for session = 1, 20 do
		request(1, "other", session)
	end
	enter(2, 2)
	request(2, "fake", 1000)
	check.equal(take(2), {})
	skynet.wakeup("here")
	skynet.yield()
	check.equal(take(2), { response("WAIT HERE", 1000) })
end)

case("so_many_requests_are_under_way_at_once", function()
	start_and_enter({ max_pending = 3 })
	local mark = log.mark()
	for session = 1, 3 do
		request(1, "wait here" .. session, session)
	end
	request(1, "one more", 4)
	check.equal(is_open[1], false)
	log.wait(mark, "more than 3 requests under way")
	enter(2, 2)
	request(2, "fake", 1)
	check.equal(is_open[2], true)
	skynet.wakeup("here1")
	skynet.yield()
	request(2, "one more", 4)
	check.equal(take(2), { response("WAIT HERE1", 1), response("ONE MORE", 4) })
end)

-- --- users -----------------------------------------------------------------------------------

case("who_loses_the_connection_stays_logged_in", function()
	start_and_enter()
	handler.disconnect(1)
	check.equal(calls, { { "disconnect", NAME } })
	check.equal(is_open[1], false)
	check.equal(msgserver.ip(NAME), nil)
	enter(2, 2)
	handler.error(2, "reset")
	check.equal(#calls, 2)
	enter(3, 3)
end)

case("who_is_logged_out_is_gone", function()
	start_and_enter()
	request(1, "wait here", 1)
	msgserver.logout(NAME)
	check.equal(is_open[1], false)
	check.equal(msgserver.ip(NAME), nil)
	skynet.wakeup("here")
	skynet.yield()
	check.equal(take(1), {})
	refused(2, hello(2), "404 User Not Found")
	msgserver.logout(NAME)
	msgserver.logout("nobody")
	check.equal(#calls, 1)
	msgserver.login(NAME, SECRET)
	enter(3, 1)
end)

case("what_is_wrong_is_named", function()
	start()
	msgserver.login(NAME, SECRET)
	check.misuse("logged in already", msgserver.login, NAME, SECRET)
	check.misuse("bad argument 'secret'", msgserver.login, "another", "short")
	check.misuse("bad argument 'secret'", msgserver.login, "another")
	check.misuse("bad argument 'conf': table expected", msgserver.start)
	local function nothing() end
	local function try(pattern, key, value)
		local conf = {
			login_handler = nothing,
			logout_handler = nothing,
			kick_handler = nothing,
			request_handler = nothing,
		}
		conf[key] = value
		check.misuse(pattern, msgserver.start, conf)
	end
	for _, name in ipairs({ "login", "logout", "kick", "request" }) do
		local key = name .. "_handler"
		try("bad field '" .. key .. "': function expected, got nil", key)
	end
	try("bad field 'register_handler': function expected, got table", "register_handler", {})
	try("bad field 'disconnect_handler': function expected", "disconnect_handler", false)
	for _, key in ipairs({ "expired_number", "handshake_timeout", "max_pending" }) do
		try("bad field '" .. key .. "': a whole number from 1 expected, got 0", key, 0)
		try("bad field '" .. key .. "'", key, 1.5)
		try("bad field '" .. key .. "'", key, "1")
	end
end)

return cases
