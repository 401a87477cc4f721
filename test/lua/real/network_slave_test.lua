-- The master and its slaves over real sockets: service/cmaster.lua and skynet.registry.master, and
-- whoever else knocks at a master's port.
local skynet = require("skynet")
require("skynet.manager")
local socket = require("skynet.socket")
local test = require("skynet.test")
local check = require("check")
local handshake = require("skynet.network.handshake")
local registry = require("skynet.registry")
local view = require("skynet.registry.view")
local wire = require("skynet.network.wire")

local cases = {}
local function case(name, body)
	cases[#cases + 1] = { name, body }
end

local function start_master(address, timeout_cs)
	local service = skynet.newservice("cmaster", address or "127.0.0.1:0", timeout_cs or 500)
	return service, skynet.call(service, "lua", "STAT").address
end

--- A slave whose callbacks leave what they were told in its lists.
local function new_slave(url, id, letter, options)
	local slave = { told = {}, changes = {}, letter = letter }
	options = options or {}
	slave.backend = registry.open({
		url = url,
		id = id,
		address = "127.0.0.1:" .. 2500 + id,
		incarnation = letter:rep(16),
		timeout_cs = options.timeout_cs or 500,
		join_timeout_cs = options.join_timeout_cs or 1000,
		secret = options.secret or "",
		on_change = function(change)
			if options.on_change then
				options.on_change(change)
			end
			local what = change.name or change.id or change.base
			table.insert(slave.changes, ("%s %s"):format(change.kind, what))
		end,
		on_lost = function()
			table.insert(slave.told, "lost")
		end,
		on_back = function()
			table.insert(slave.told, "back")
		end,
		on_evicted = function(reason)
			table.insert(slave.told, "evicted")
			slave.reason = reason
		end,
	})
	return slave
end

local function join(url, id, letter, options)
	local slave = new_slave(url, id, letter, options)
	slave.snapshot = assert(slave.backend:join())
	return slave
end

--- What the master has counted.
local function counted(service, what)
	return skynet.call(service, "lua", "STAT").connections[what]
end

local function wait_for(list, text)
	test.eventually(function()
		return table.concat(list, ","):find(text, 1, true)
	end)
end

case("slaves_share_members_and_names", function()
	local _, url = start_master()
	local first = join(url, 1, "a")
	local second = join(url, 2, "b")
	check.equal(second.snapshot.members[1].address, "127.0.0.1:2501")
	check.equal(second.snapshot.base, 0)
	check.equal(first.backend:register("LOG", 0x01000005), 0x01000005)
	check.equal(second.backend:register("LOG", 0x02000005), 0x01000005)
	wait_for(second.changes, "name LOG")
	first.backend:unregister("LOG", 0x01000005)
	wait_for(second.changes, "unname LOG")
	check.equal(second.backend:register("LOG", 0x02000005), 0x02000005)
	check.equal(first.backend:status().connected, true)
	second.backend:close()
	wait_for(first.changes, "leave 2")
	check.equal(first.changes, { "join 2", "name LOG", "unname LOG", "name LOG", "leave 2" })
	check.equal(second.backend:register("MORE", 0x02000005), nil)
	check.equal(first.backend:status().connections, 1)
	check.equal(first.backend:status().failures, 0)
end)

case("what_is_closed_while_it_connects_is_no_member", function()
	local service, url = start_master()
	local first, second = join(url, 1, "a"), join(url, 2, "b")
	skynet.kill(service)
	wait_for(first.told, "lost")
	wait_for(second.told, "lost")
	-- Closed as soon as it is heard in the handshake: the claim is on its way then.
	local nonce = handshake.nonce
	handshake.nonce = function()
		handshake.nonce = nonce
		skynet.timeout(0, function()
			second.backend:close()
		end)
		return nonce()
	end
	local master = start_master(url)
	wait_for(first.told, "lost,back")
	test.eventually(function()
		local network = skynet.call(master, "lua", "STAT").network
		return not network.members[2] and network.members[1]
	end)
	check.equal(second.told, { "lost" })
end)

case("what_is_asked_while_the_master_is_away_is_done_later", function()
	local service, url = start_master()
	local first, second = join(url, 1, "a"), join(url, 2, "b")
	first.backend:register("LOG", 0x01000005)
	first.backend:register("STAYS", 0x01000006)
	wait_for(second.changes, "name STAYS")
	second.backend:report(40000)
	test.eventually(function()
		return first.backend.numbers[2] == 40000
	end)
	skynet.kill(service)
	wait_for(first.told, "lost")
	wait_for(second.told, "lost")
	local owner
	skynet.fork(function()
		owner = second.backend:register("LATE", 0x02000009)
	end)
	first.backend:unregister("LOG", 0x01000005)
	skynet.sleep(30)
	check.equal(owner, nil)
	start_master(url)
	wait_for(first.told, "lost,back")
	wait_for(second.told, "lost,back")
	test.eventually(function()
		return owner
	end)
	check.equal(owner, 0x02000009)
	wait_for(first.changes, "name LATE")
	wait_for(second.changes, "unname LOG")
	check.ok(not table.concat(first.changes, ","):find("leave"))
	check.ok(not table.concat(second.changes, ","):find("leave"))
	-- The next incarnation of node 2 begins behind what this one has used.
	second.backend:close()
	wait_for(first.changes, "leave 2")
	check.equal(join(url, 2, "c").snapshot.base, 40000 + registry.BASE_STEP)
end)

case("a_name_that_was_given_back_as_the_connection_broke_is_free", function()
	local service, url = start_master()
	local first, second = join(url, 1, "a"), join(url, 2, "b")
	first.backend:register("LOG", 0x01000005)
	wait_for(second.changes, "name LOG")
	skynet.kill(service)
	check.equal(first.backend:status().connected, true) -- it has not noticed yet
	first.backend:unregister("LOG", 0x01000005)
	wait_for(first.told, "lost")
	start_master(url)
	wait_for(first.told, "lost,back")
	wait_for(first.changes, "unname LOG")
	wait_for(second.told, "lost,back")
	check.equal(second.backend:register("LOG", 0x02000005), 0x02000005)
end)

case("a_node_whose_place_is_taken_is_told_to_end", function()
	local service, url = start_master()
	local first = join(url, 2, "a")
	skynet.kill(service)
	wait_for(first.told, "lost")
	local _, again = start_master()
	local second = join(again, 2, "b")
	first.backend.options.url = again
	wait_for(first.told, "evicted")
	check.matches(first.reason, "node 2 is there already, and lives")
	check.equal(second.told, {})
	check.equal(first.backend:register("LOG", 0x02000005), nil)
end)

case("a_second_node_with_the_same_id_cannot_join", function()
	local _, url = start_master()
	join(url, 2, "a")
	local snapshot, reason = new_slave(url, 2, "b").backend:join()
	check.equal(snapshot, nil)
	check.matches(reason, "the master refuses this node: node 2 is there already, and lives")
	check.equal(#test.log("error: 127.0.0.1:%d+ is refused: node 2 is there already"), 1)
end)

case("another_secret_is_told_at_both_ends", function()
	skynet.setenv("harbor_secret", "right")
	local _, url = start_master()
	for secret, told in pairs({
		wrong = "the secret is another one %(config key harbor_secret%)",
		[""] = "one has a harbor_secret, and the other has none",
	}) do
		local snapshot, reason = new_slave(url, 2, "b", { secret = secret }).backend:join()
		check.equal(snapshot, nil)
		check.matches(reason, told)
		test.logged("error: 127.0.0.1:%d+ is refused: it refuses this master: " .. told)
	end
	check.ok(join(url, 2, "c", { secret = "right" }))
end)

case("a_secret_is_told_to_a_master_that_has_none", function()
	local _, url = start_master()
	local snapshot, reason = new_slave(url, 2, "b", { secret = "right" }).backend:join()
	check.equal(snapshot, nil)
	check.matches(reason, "one has a harbor_secret, and the other has none")
end)

case("a_slave_waits_for_a_master_that_is_not_there", function()
	local service, url = start_master()
	skynet.kill(service)
	local slave = new_slave(url, 1, "a")
	local snapshot
	skynet.fork(function()
		snapshot = slave.backend:join()
	end)
	skynet.sleep(30)
	check.equal(snapshot, nil)
	start_master(url)
	test.eventually(function()
		return snapshot
	end)
	local late = new_slave(url, 3, "c", { join_timeout_cs = 20 })
	late.backend.options.url = "127.0.0.1:1"
	local none, reason = late.backend:join()
	check.equal(none, nil)
	check.matches(reason, "the master 127.0.0.1:1 %(config key master%) cannot be reached: ")
	check.ok(late.backend:status().failures >= 1)
	check.equal(late.backend:status().connections, 0)
end)

case("a_slave_that_cannot_take_over_a_change_leaves", function()
	local _, url = start_master()
	local first = join(url, 1, "a")
	local second = join(url, 2, "b", {
		on_change = function()
			error("no room for it")
		end,
	})
	check.equal(first.backend:register("LOG", 0x01000005), 0x01000005)
	wait_for(second.told, "evicted")
	check.matches(second.reason, "no room for it %(handle=%d+ kind=name name=LOG rev")
	wait_for(first.changes, "leave 2") -- at once, and not when it has been silent for too long
	check.equal(second.told, { "evicted" })
	check.equal(second.backend:status().connected, false)
	check.equal(second.backend:register("MORE", 0x02000005), nil)
end)

--- What a slave was told, as .cslave keeps it.
local function new_witness(url, id, letter)
	local slave = join(url, id, letter, { timeout_cs = 100 })
	slave.view = view.new(slave.snapshot)
	slave.backend.options.on_change = function(change)
		if change.kind ~= "base" then
			check.ok(change.revision >= slave.view.revision)
			slave.view:apply(change)
		end
	end
	return slave
end

case("whatever_happens_all_slaves_agree_in_the_end", function()
	local service, url = start_master(nil, 100)
	local slaves, running = {}, 0
	for id = 1, 4 do
		slaves[id] = new_witness(url, id, ("abcd"):sub(id, id))
	end
	for round = 1, 120 do
		local slave, name = slaves[test.random(1, 4)], "N" .. test.random(1, 12)
		local handle = slave.snapshot.members[1] and slave.backend.options.id << 24 | 7
		if test.random(1, 3) > 1 then
			running = running + 1
			skynet.fork(function()
				check.ok(slave.backend:register(name, handle))
				running = running - 1
			end)
		else
			slave.backend:unregister(name, handle)
		end
		if round % 30 == 0 then
			skynet.kill(service)
			skynet.sleep(test.random(0, 5))
			service = start_master(url, 100)
		end
		skynet.sleep(test.random(0, 4))
	end
	test.eventually(function()
		local is_same = running == 0
		for id = 1, 4 do
			local status = slaves[id].backend:status()
			is_same = is_same and status.connected
				and status.revision == slaves[1].backend:status().revision
		end
		return is_same
	end, 3000)
	local expected = skynet.call(service, "lua", "STAT").network
	check.equal(#expected.members, 4)
	for id = 1, 4 do
		check.equal(slaves[id].view.names, expected.names)
		check.equal(slaves[id].view.members, expected.members)
		check.equal(slaves[id].backend.view.names, expected.names)
		check.ok(not table.concat(slaves[id].told, ","):find("evicted"))
	end
end)

-- Strangers ------------------------------------------------------------------------------------

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

case("garbage_is_refused_with_a_clear_line", function()
	local service, url = start_master()
	local hello = wire.packet("hello", handshake.hello(handshake.nonce()))
	local strangers = {
		{ "GET / HTTP/1.1\r\n\r\n", "a packet of 1195725856 bytes was announced" },
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
	local kinds <const> = { "register", "unregister", "report", "beat", "bye", "claim" }
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

case("both_sides_notice_silence", function()
	local service, url = start_master(nil, 50)
	local id = intrude(url, claim_of()) -- says nothing any more
	test.logged("Harbor 9 is away: it has said nothing for too long")
	test.logged("Harbor 9 is gone: it has not come back")
	check.equal(counted(service, "lost"), 1)
	check.equal(counted(service, "gone"), 1)
	socket.close(id)
	local slave = join(url, 1, "a", { timeout_cs = 50 })
	skynet.sleep(125) -- beats keep it
	check.equal(slave.told, {})
end)

case("a_slave_that_does_not_read_is_cut_off", function()
	local service, url = start_master()
	local id = intrude(url, claim_of())
	check.equal(wire.read(id, wire.LIMIT)[1], "welcome")
	socket.pause(id)
	local slave = join(url, 1, "a")
	local is_cut = false
	skynet.fork(function()
		test.logged("Harbor 9 is away: it does not read", 6000)
		is_cut = true
	end)
	local number = 0
	while not is_cut do
		for _ = 1, 5000 do
			number = number + 1
			slave.backend:report(number)
		end
		skynet.sleep(1)
		socket.write(id, wire.packet("beat"))
	end
	check.equal(counted(service, "cut_off"), 1)
	check.equal(slave.told, {})
end)

return cases
