-- Whoever knocks at the port of a master, service/cmaster.lua, and is no slave, or no sound one;
-- and false masters.
local skynet = require("skynet")
local socket = require("skynet.socket")
local test = require("skynet.test")
local check = require("check")
local handshake = require("skynet.network.handshake")
local network = require("network_slaves")
local wire = require("skynet.network.wire")

local start_master = network.start_master
local new_slave = network.new
local join = network.join
local counted = network.counted

local cases = {}
local function case(name, body)
	cases[#cases + 1] = { name, body }
end

--- Sends bytes to a master; returns what it says at the end, and sees it close.
local function knock(url, bytes)
	local id = assert(socket.open(url))
	socket.write(id, bytes)
	socket.timeout(id, 2000)
	local packet
	while true do
		local next_packet, reason = wire.read(id, wire.LIMIT)
		if not next_packet then
			check.ok(reason:find("ended"), reason)
			break
		end
		packet = next_packet
	end
	socket.close(id)
	return packet[1], packet[2]
end

case("who_knocks_again_and_again_is_told_of_once", function()
	local service, url = start_master()
	for _ = 1, 5 do
		knock(url, "GET / HTTP/1.1\r\n\r\n")
	end
	check.equal(counted(service, "refused"), 5)
	check.equal(#test.log("error: 127.0.0.1:%d+ is refused: a packet"), 1)
	check.equal(#test.log("connect from"), 1)
	check.ok(join(url, 1, "a")) -- so its host is forgiven
	knock(url, "x")
	check.equal(#test.log("connect from"), 2)
end)

case("garbage_is_refused_with_a_clear_line", function()
	local service, url = start_master()
	local hello = wire.packet("hello", handshake.hello(handshake.nonce()))
	local strangers = {
		{ "GET / HTTP/1.1\r\n\r\n", "a packet of 1195725856 bytes .*is HTTP%)" },
		{
			"skynet\0\1",
			"%(the protocol is that of a node, which listens at its config key",
		},
		{ "\22\3\1\2\0", "%(the protocol is TLS; config key harbor_certificate" },
		{ "\255\255\255\255", "a packet of 4294967295 bytes was announced; at most 1024" },
		{ "\0\0\0\0", "does not begin with a word" },
		{ "\0\0\0\4\255\255\255\255", "cannot be unpacked" },
		{ wire.packet("hello", "smtp", 1, "x"), "does not speak the protocol" },
		{ wire.packet("hello", (handshake.hello("")), 99, "x"), "it speaks version 99 " },
		{ wire.packet("hello", (handshake.hello("")), {}, "x"), "it speaks version table" },
		{ wire.packet("hello", handshake.hello("short")), "its hello is broken" },
		{ wire.packet("claim", {}), "does not speak the protocol" },
		{ hello .. wire.packet("proof", "guess"), "one has a harbor_secret, and the" },
		{ hello .. wire.packet("proof"), "one has a harbor_secret, and the other" },
		{ hello .. wire.packet("claim", {}), "does not prove" },
		{ hello .. ("\255"):rep(4), "a packet of 4294967295 bytes was announced" },
		{ hello .. wire.packet("refused", "\27[31m\n\0evil"), "master: %?%[31m%?%?evil" },
	}
	for _, stranger in ipairs(strangers) do
		local kind, reason = knock(url, stranger[1])
		check.equal(kind, "refused")
		check.matches(reason, stranger[2])
		test.logged(stranger[2])
	end
	check.equal(counted(service, "refused"), #strangers)
	check.ok(join(url, 1, "a")) -- it is as it was
	check.equal(skynet.call(service, "lua", "STAT").connections, {
		pending = 0,
		accepted = #strangers + 1,
		turned_away = 0,
		refused = #strangers,
		crowded_out = 0,
		joined = 1,
		lost = 0,
		cut_off = 0,
		gone = 0,
	})
end)

--- Connects as a slave that knows the secret, and says what it likes.
local function intrude(url, ...)
	local id = assert(socket.open(url))
	local nonce = handshake.nonce()
	socket.write(id, wire.packet("hello", handshake.hello(nonce)))
	local hello = wire.read(id, wire.LIMIT)
	local proof = handshake.proof("", "slave", nonce, hello[4])
	socket.write(id, wire.packet("proof", proof))
	for _, packet in ipairs({ ... }) do
		if type(packet) == "table" then
			local text = skynet.packstring(packet)
			proof = handshake.proof("", "claim", nonce, hello[4], text)
			packet = wire.packet("claim", text, proof)
		end
		socket.write(id, packet)
	end
	return id
end

local function claim_of(values)
	local claim = { id = 9, incarnation = ("9"):rep(16), address = "h:1", number = 0 }
	for key, value in pairs(values or {}) do
		claim[key] = value
	end
	return claim
end

case("a_broken_claim_is_refused", function()
	local _, url = start_master()
	local member = { incarnation = ("1"):rep(16), address = "h:1" }
	local function known(values)
		local all = { revision = 1, members = {}, names = {}, numbers = {} }
		all.era = ("0"):rep(16)
		for key, value in pairs(values) do
			all[key] = value
		end
		return { known = all }
	end
	for _, values in ipairs({
		{ id = 0 }, { id = 256 }, { id = 1.5 }, { id = "1" },
		{ incarnation = "x" }, { incarnation = ("X"):rep(16) }, { incarnation = 7 },
		{ address = "nowhere" }, { address = "a b:1" },
		{ address = ("h"):rep(300) .. ":1" },
		{ number = -1 }, { number = 1 << 24 }, { number = "1" },
		{ known = 1 }, { known = {} },
		known({ members = { [0] = member } }), known({ members = { {} } }),
		known({ names = { [".x"] = 0x01000001 } }), known({ names = { X = 5 } }),
		known({ names = { X = 0x01000000 } }),
		known({ names = { [("X"):rep(17)] = 0x01000001 } }),
		known({ numbers = { "x" } }), known({ revision = "1" }),
		known({ revision = -1 }), known({ revision = 1 << 53 }), known({ era = "x" }),
	}) do
		local id = intrude(url, claim_of(values))
		local answer = assert(wire.read(id, wire.LIMIT))
		check.equal({ answer[1], answer[2] }, { "refused", "its claim is broken" })
		socket.close(id)
	end
	local text = skynet.packstring(claim_of())
	for _, packet in ipairs({
		wire.packet("claim", text),
		wire.packet("claim", text, "guess"),
		wire.packet("claim", text, ("0"):rep(32)),
		wire.packet("claim"),
		wire.packet("beat"),
	}) do
		local stranger = intrude(url, packet)
		check.equal(assert(wire.read(stranger, wire.LIMIT))[2], "its claim is broken")
		socket.close(stranger)
	end
	local id = intrude(url, claim_of(known({ members = { [3] = member } })))
	check.equal(wire.read(id, wire.LIMIT)[1], "welcome")
	socket.close(id)
end)

case("a_member_that_says_nonsense_is_cut_off", function()
	local _, url = start_master()
	for _, nonsense in ipairs({
		wire.packet("register", 1, "X", 0x01000001), -- not his handle
		wire.packet("register", "1", "X", 0x09000001),
		wire.packet("register", 1, "a b", 0x09000001),
		wire.packet("register"),
		wire.packet("unregister", "X"),
		wire.packet("report", -1),
		wire.packet("alive", "1"),
		wire.packet("become master"),
		wire.packet("lost"),
		"\255\255\255\255",
		("\0\0\0\4abcd"),
	}) do
		local id = intrude(url, claim_of(), nonsense)
		local packet, reason
		repeat
			packet, reason = wire.read(id, wire.LIMIT)
		until not packet
		check.matches(reason, "ended")
		socket.close(id)
		test.logged("Harbor 9 is away: ")
	end
end)

case("any_bytes_do_a_master_no_harm", function()
	local _, url = start_master()
	local member = { incarnation = ("1"):rep(16), address = "h:1" }
	local claim = claim_of({
		known = {
			revision = 7,
			era = ("0"):rep(16),
			members = { [3] = member },
			names = { LOG = 0x03000001 },
			numbers = { [3] = 5 },
		},
	})
	local function random_bytes(size)
		local bytes = {}
		for i = 1, size do
			bytes[i] = string.char(test.random(0, 255))
		end
		return table.concat(bytes)
	end
	local values <const> = { true, 5, 1.5, "x", ("9"):rep(16), {}, { {} }, 0x09000001, "" }
	local kinds <const> = {
		"register", "unregister", "report", "beat", "alive", "bye", "claim",
	}
	for _ = 1, 100 do
		local packets = {}
		for i = 1, test.random(1, 5) do
			local words = {}
			for w = 1, test.random(0, 5) do
				words[w] = values[test.random(1, #values)]
			end
			packets[i] = test.random(1, 4) == 1 and random_bytes(test.random(1, 40))
				or wire.packet(kinds[test.random(1, #kinds)], table.unpack(words))
		end
		if test.random(1, 3) > 1 then
			table.insert(packets, 1, claim)
		end
		local id = intrude(url, table.unpack(packets))
		socket.shutdown(id)
		socket.close(id)
	end
	local many = string.pack(">s4", skynet.packstring("beat"):rep(100))
	socket.close(intrude(url, claim, many))
	test.logged("what came has 100 values")
	check.ok(join(url, 1, "a"))
	check.equal(test.log("lua call"), {})
end)

case("a_slave_is_not_led_astray_by_a_false_master", function()
	local said
	local listener, _, port = socket.listen("127.0.0.1", 0)
	socket.start(listener, function(id)
		socket.start(id)
		socket.write(id, said)
		socket.timeout(id, 1000)
		socket.readall(id)
		socket.close(id)
	end)
	local url = "127.0.0.1:" .. port
	local magic, version = handshake.hello("")
	local nonce <const> = ("n"):rep(16)
	local no_master = "what answers at " .. url .. " %(config key master%) is no master: a "
	for bytes, pattern in pairs({
		["HTTP/1.1 400 Bad Request\r\n\r\n"] = no_master .. "packet of 1213486160 bytes",
		["\255\255\255\255"] = no_master .. "packet of 4294967295 bytes",
		[wire.packet("welcome", 0, {}, {})] = "says 'welcome' instead of 'hello'",
		[wire.packet("hello", magic, version + 1, nonce, "")] = "it speaks version 2 of",
		[wire.packet("hello", magic, version, nonce, "guess")] = "one has a harbor_secret",
		[wire.packet("hello", magic, version, nonce)] = "one has a harbor_secret",
		[wire.packet("refused", "no\nway", "wrong")] = "refuses this node: no%?way",
	}) do
		said = bytes
		local snapshot, reason = new_slave(url, 1, "a").backend:join()
		check.equal(snapshot, nil)
		check.matches(reason, pattern)
	end
end)

case("a_silent_stranger_is_let_go", function()
	local _, url = start_master(nil, 50)
	local id = assert(socket.open(url))
	socket.timeout(id, 2000)
	local packet = wire.read(id, wire.LIMIT)
	check.equal(packet[1], "refused")
	check.matches(packet[2], "it has said nothing for too long")
	socket.close(id)
end)

case("strangers_are_bounded_and_keep_nobody_out", function()
	local service, url = start_master()
	local ids = {}
	for i = 1, 256 do
		ids[i] = assert(socket.open(url))
	end
	test.eventually(function()
		return #test.log("connect from") == 256
	end)
	check.ok(join(url, 1, "a")) -- the oldest stranger has lost his place
	check.equal(socket.readall(ids[1]) or "", "")
	test.logged("is refused: there are too many who have not proved themselves")
	check.equal(counted(service, "crowded_out"), 1)
	check.equal(counted(service, "pending"), 255)
	socket.write(ids[2], "x")
	check.ok(join(url, 2, "b"))
	for _, id in ipairs(ids) do
		socket.close(id)
	end
	check.ok(join(url, 3, "c"))
end)

case("who_waits_for_an_answer_is_bounded_too", function()
	local service, url = start_master(nil, 6000)
	local member = intrude(url, claim_of())
	check.equal(wire.read(member, wire.LIMIT)[1], "welcome")
	local ids = {}
	for i = 1, 256 do
		ids[i] = intrude(url, claim_of({ incarnation = ("a"):rep(16) }))
	end
	local question
	for _ = 1, 256 do -- one for each who wants its place
		question = wire.read(member, wire.LIMIT)
		check.equal(question[1], "ask")
	end
	local late = assert(socket.open(url))
	check.equal(socket.readall(late) or "", "")
	test.logged("error: 256 nodes wait for an answer, no more may connect")
	check.equal(counted(service, "turned_away"), 1)
	check.equal(counted(service, "crowded_out"), 0)
	socket.write(member, wire.packet("alive", question[2]))
	for _, id in ipairs(ids) do
		check.matches(wire.read(id, wire.LIMIT)[2], "node 9 is there already, and lives")
		socket.close(id)
	end
	socket.close(late)
	socket.close(member)
	test.eventually(function()
		return counted(service, "refused") == 256 and counted(service, "pending") == 0
	end)
end)

case("both_sides_notice_silence", function()
	local service, url = start_master(nil, 50)
	local id = intrude(url, claim_of()) -- says nothing any more
	test.logged("Harbor 9 is away: it has said nothing for too long")
	test.logged("Harbor 9 is gone: it has not come back")
	check.equal(counted(service, "lost"), 1)
	check.equal(counted(service, "gone"), 1)
	socket.close(id)
end)

case("beats_keep_a_member_that_says_nothing_else", function()
	local _, url = start_master(nil, 200)
	local slave = join(url, 1, "a", { timeout_cs = 200 })
	skynet.sleep(450)
	check.equal(slave.told, {})
end)

--- Reports of a node, as bytes, and what all nodes are told of them. Each number is after the one
--- before, also the first after the last.
local function reports(id, count)
	local said, told = "", ""
	for i = 1, 4 do
		said = said .. wire.packet("report", i % 4 << 22)
		told = told .. wire.packet("number", id, i % 4 << 22)
	end
	return said:rep(count // 4), told:rep(count // 4)
end

case("a_slave_that_does_not_read_is_cut_off", function()
	local service, url = start_master(nil, 6000) -- it is not silence that ends it
	local deaf = intrude(url, claim_of())
	check.equal(wire.read(deaf, wire.LIMIT)[1], "welcome")
	socket.pause(deaf)
	local other = intrude(url, claim_of({ id = 8, incarnation = ("8"):rep(16) }))
	check.equal(wire.read(other, wire.LIMIT)[1], "welcome")
	local said, told = reports(8, 4000)
	while counted(service, "cut_off") == 0 do
		socket.write(other, said)
		check.equal(socket.read(other, #told), told) -- who reads is served as before
		socket.write(deaf, wire.packet("beat"))
	end
	test.logged("Harbor 9 is away: it does not read", 6000)
	check.equal(counted(service, "lost"), 1)
end)

return cases
