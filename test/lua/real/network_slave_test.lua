-- The master and its slaves over real sockets: service/cmaster.lua and skynet.registry.master.
-- Whoever else knocks at a master's port is in network_strangers_test.lua.
local skynet = require("skynet")
require("skynet.manager")
local test = require("skynet.test")
local check = require("check")
local handshake = require("skynet.network.handshake")
local network = require("network_slaves")
local registry = require("skynet.registry")
local socket = require("skynet.socket")
local view = require("skynet.registry.view")

local start_master = network.start_master
local new_slave = network.new
local join = network.join
local wait_for = network.wait_for

local cases = {}
local function case(name, body)
	cases[#cases + 1] = { name, body }
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
		local members = skynet.call(master, "lua", "STAT").network.members
		return not members[2] and members[1]
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

case("what_a_try_met_that_had_time_is_why_it_cannot_join", function()
	local begin_cs, count = skynet.now(), 0
	local listener, _, port = socket.listen("127.0.0.1", 0)
	socket.start(listener, function(id)
		count = count + 1
		socket.start(id)
		if count > 1 and skynet.now() - begin_cs > 200 then
			socket.readall(id) -- silent for the little time that is left
		end
		socket.close(id)
	end)
	local url = "127.0.0.1:" .. port
	local _, reason = new_slave(url, 1, "a", { join_timeout_cs = 270 }).backend:join()
	check.matches(reason, "cannot be reached: the connection .*; its log may say why$")
	check.ok(count > 1)
	socket.close(listener)
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

return cases
