-- skynet.registry.etcd: nodes that share an etcd to which everything happens that can. What they
-- are told has to make sense, and to be what is there in the end. The etcd is one in memory
-- (etcd_store.lua).
local skynet = require("skynet")
local check = require("check")
local test = require("skynet.test")

if not pcall(require, "cjson") then
	test.case("cjson_is_not_installed_so_nothing_is_tried", function() end)
	return
end

local etcd_store = require("etcd_store")
local keys = require("skynet.registry.etcd_keys").new("/net")
local view = require("skynet.registry.view")

local case <const> = test.case
local TIMEOUT_CS <const> = 300 -- so a lease has 5 s

--- Has hook(path, call) make the calls of a client, by call().
local function hook_calls(client, hook)
	local real = client.call
	function client.call(...)
		local arguments = table.pack(...)
		return hook(arguments[2], function()
			return real(table.unpack(arguments, 1, arguments.n))
		end)
	end
end

local etcd ---@type etcd_store
package.loaded["skynet.registry.etcd_client"] = {
	new = function()
		local client = etcd_store.client(etcd)
		if etcd.hook then
			hook_calls(client, etcd.hook)
		end
		return client
	end,
}
local registry = require("skynet.registry")

-- Nodes ------------------------------------------------------------------------------------------

---@class node
---@field id integer
---@field members table<integer, string> incarnations, as it was told
---@field names table<string, integer>
---@field own table<string, integer> what it has registered and not given back
---@field ended table<integer, true> services
---@field handle integer the last one
---@field is_lost boolean
---@field is_over boolean

local told = {}

function told.join(node, change)
	check.ok(not node.members[change.id] or node.members[change.id] == change.incarnation)
	node.members[change.id] = change.incarnation
end

function told.leave(node, change)
	check.equal(change.incarnation, node.members[change.id])
	node.members[change.id] = nil
	for name, handle in pairs(node.names) do
		node.names[name] = handle >> 24 ~= change.id and handle or nil
	end
end

function told.name(node, change)
	check.ok(node.members[change.handle >> 24])
	check.ok(node.names[change.name] ~= change.handle)
	node.names[change.name] = change.handle
	if node.own[change.name] ~= change.handle then
		node.own[change.name] = nil -- another one was faster after a loss
	end
	if node.ended[change.handle] then -- as .cslave does: an old etcd knows what is no more
		node.backend:unregister(change.name, change.handle)
	end
end

function told.unname(node, change)
	check.equal(node.names[change.name], change.handle)
	node.names[change.name] = nil
end

function told.base() end

local incarnations = 0

--- A node that has joined, or nil and why it has not. Waits.
local function start_node(id, join_timeout_cs)
	incarnations = incarnations + 1
	local node = { id = id, members = {}, names = {}, own = {}, ended = {}, handle = id << 24,
		revision = 0, is_lost = false, is_over = false }
	node.incarnation = ("%016x"):format(incarnations)
	node.backend = registry.open({
		url = "etcd://host/net",
		id = id,
		address = ("10.0.0.%d:1"):format(id),
		incarnation = node.incarnation,
		timeout_cs = TIMEOUT_CS,
		join_timeout_cs = join_timeout_cs or 3000,
		on_change = function(change)
			check.equal(node.is_over, false)
			if change.kind ~= "base" then
				check.ok(change.revision >= node.revision)
				node.revision = change.revision
			end
			told[change.kind](node, change)
		end,
		on_lost = function()
			check.equal(node.is_lost, false)
			node.is_lost = true
		end,
		on_back = function()
			check.equal(node.is_lost, true)
			node.is_lost = false
		end,
		on_evicted = function(reason)
			node.is_over = reason
		end,
	})
	local snapshot, reason = node.backend:join()
	if not snapshot then
		return nil, reason
	end
	for member, what in pairs(snapshot.members) do
		node.members[member] = what.incarnation
	end
	node.names, node.revision, node.base = snapshot.names, snapshot.revision, snapshot.base
	return node
end

--- Registers a name for a new service. Waits.
local function register(node, name)
	node.handle = node.handle + 1
	local handle = node.handle
	local owner, reason = node.backend:register(name, handle)
	if owner == handle and node.names[name] == handle then -- else etcd has lost it at once
		node.own[name] = handle
	end
	return owner, reason
end

--- The service that has the name ends.
local function unregister(node, name)
	local handle = node.own[name]
	if handle then
		node.own[name], node.ended[handle] = nil, true
		node.backend:unregister(name, handle)
	end
end

local function begin()
	etcd = etcd_store.new()
end

--- What etcd has, as nodes know it.
local function truth()
	local found = keys:read_all(etcd_store.client(etcd), skynet.now() + 1000)
	local members = {}
	for id, member in pairs(found.members) do
		members[id] = member.incarnation
	end
	return members, found.names
end

--- Whether all know what etcd has, and what is in etcd is what they have.
local function check_all(nodes)
	local members, names = truth()
	for id, node in pairs(nodes) do
		check.equal(node.is_over, false)
		check.equal(node.is_lost, false)
		check.equal(members[id], node.incarnation)
		check.equal(node.members, members)
		check.equal(node.names, names)
		for name in pairs(node.own) do
			check.ok(names[name], "nobody has " .. name)
		end
	end
	for name, handle in pairs(names) do
		-- Not always in `own`: etcd may have lost it once, and got it again.
		local owner = nodes[handle >> 24]
		local has_it = owner and owner.backend.own[name] == handle
		check.ok(has_it and not owner.ended[handle], name .. " is that of nobody")
	end
end

-- Cases ------------------------------------------------------------------------------------------

case("what_is_told_while_pages_are_read_is_whole", function()
	begin()
	local first = start_node(1)
	for i = 1, 10 do
		register(first, "n" .. i)
	end
	etcd.faults = 0.2
	skynet.fork(function()
		for i = 1, 10 do
			unregister(first, "n" .. i)
			register(first, "m" .. i)
			etcd:compact() -- also between two pages
			skynet.sleep(3)
		end
	end)
	local second
	for _ = 1, 10 do
		second = second or start_node(2)
	end
	etcd.faults = 0
	skynet.sleep(3000)
	check_all({ first, second })
end)

case("a_watch_that_is_dead_without_a_sign_is_begun_anew", function()
	begin()
	local first, second = start_node(1), start_node(2)
	skynet.sleep(100)
	etcd:deafen()
	register(first, "late")
	skynet.sleep(7000)
	check.equal(second.names.late, 0x1000001)
end)

case("watches_that_end_at_once_are_begun_with_pauses", function()
	begin()
	local first, second = start_node(1), start_node(2)
	etcd.ends_watches = true
	skynet.sleep(6000)
	check.ok(etcd.watch_count < 200)
	etcd.ends_watches = false
	register(first, "then")
	skynet.sleep(500)
	check.equal(second.names["then"], first.own["then"])
end)

case("what_is_written_over_a_place_is_cleared_away", function()
	begin()
	local first, second = start_node(1), start_node(2)
	register(first, "early")
	etcd:set("/net/node/1", "what is this?")
	skynet.fork(register, first, "late")
	skynet.sleep(1000)
	check.equal(second.names.late, first.own.late)
	check_all({ first, second })
end)

case("what_is_written_over_a_name_ends_it", function()
	begin()
	local first, second = start_node(1), start_node(2)
	register(first, "mine")
	etcd:set("/net/name/mine", "of a later version")
	skynet.sleep(100)
	check.equal(second.names, {})
	etcd:set("/net/name/mine", ":02000007")
	skynet.sleep(100)
	check.equal(second.names.mine, 0x2000007)
	etcd:set("/net/name/mine", ":09000007") -- of no member
	skynet.sleep(1000)
	check.equal(first.names, second.names)
end)

case("keys_that_look_like_those_of_nodes_are_none", function()
	begin()
	local first, second = start_node(1), start_node(2)
	for _, key in ipairs({ "node/01", "node/1.0", "node/0x1", "node/1 ", "base/01" }) do
		etcd:set("/net/" .. key, etcd:all()["/net/node/1"])
		skynet.sleep(50)
		etcd:set("/net/" .. key, nil)
		skynet.sleep(50)
	end
	check.equal(second.members, { first.incarnation, second.incarnation })
end)

-- Slowness ---------------------------------------------------------------------------------------

case("a_place_that_is_lost_as_its_node_joins_is_taken_again", function()
	begin()
	local losses = 0
	etcd.hook = function(path, call)
		if path == "/v3/kv/range" and losses < 3 then
			losses = losses + 1
			for lease in pairs(etcd.leases) do
				etcd:revoke(lease)
			end
		end
		return call()
	end
	local node = assert(start_node(1))
	check.equal(losses, 3)
	skynet.sleep(1000)
	check_all({ node })
end)

--- A place of a process that may be on another machine, and its lease.
local function leave_place(id)
	local grant = { TTL = "5" }
	local lease = etcd_store.client(etcd):call("/v3/lease/grant", grant).ID
	etcd:set("/net/node/" .. id, "127.0.0.1:1 " .. ("e"):rep(16) .. " elsewhere", lease)
	return lease
end

local function renew(lease)
	etcd_store.client(etcd):call("/v3/lease/keepalive", { ID = lease })
end

case("a_living_node_keeps_its_place", function()
	begin()
	local lease = leave_place(1)
	local is_over = false
	skynet.fork(function()
		while not is_over do
			skynet.sleep(170)
			renew(lease)
		end
	end)
	local node, reason = start_node(1)
	is_over = true
	check.equal(node, nil)
	check.matches(reason, "node 1 is there already, at 127.0.0.1:1")
end)

case("what_the_dead_have_asked_for_is_no_sign_of_life", function()
	begin()
	local lease = leave_place(1)
	skynet.timeout(200, function()
		renew(lease)
	end)
	check_all({ (assert(start_node(1))) })
end)

case("an_election_is_no_sign_of_life", function()
	begin()
	leave_place(1)
	skynet.fork(function()
		for _ = 1, 5 do
			skynet.sleep(200)
			etcd:elect()
		end
	end)
	check_all({ (assert(start_node(1))) })
end)

case("a_late_look_does_not_see_a_lease_outlast_its_time", function()
	begin()
	leave_place(1)
	local looks = 0
	etcd.hook = function(path, call)
		if path ~= "/v3/lease/timetolive" then
			return call()
		end
		local answer = call()
		looks = looks + 1
		skynet.sleep(looks == 2 and 1000 or 0) -- as if the process had been stopped
		return answer
	end
	check_all({ (assert(start_node(1))) })
end)

-- Anything ---------------------------------------------------------------------------------------

local happen = {}

function happen.register(nodes)
	local node = nodes[test.random(1, 3)]
	if node then
		skynet.fork(register, node, "n" .. test.random(1, 6))
	end
end

function happen.unregister(nodes)
	local node = nodes[test.random(1, 3)]
	local names = node and view.sorted_keys(node.own) or {}
	if names[1] then
		unregister(node, names[test.random(1, #names)])
	end
end

function happen.report(nodes)
	local node = nodes[test.random(1, 3)]
	if node then
		node.backend:report(test.random(0, 1000000))
	end
end

function happen.compaction()
	etcd:compact()
end

function happen.backup()
	etcd.saved = etcd:backup()
end

function happen.restore()
	if etcd.saved then
		etcd:restore(etcd.saved)
	end
end

function happen.away()
	etcd.is_down = true
	skynet.sleep(test.random(10, 1500))
	etcd.is_down = false
end

function happen.deletion()
	local all = view.sorted_keys(etcd:all())
	if all[1] then
		etcd:set(all[test.random(1, #all)], nil)
	end
end

function happen.stranger()
	etcd:set("/net/name/n" .. test.random(1, 6), ":09000001")
	skynet.sleep(test.random(1, 300))
	etcd:set("/net/name/n" .. test.random(1, 6), nil)
end

function happen.suspension(nodes)
	local node = nodes[test.random(1, 3)]
	if node then
		node.backend.etcd.is_cut = true
		skynet.sleep(test.random(10, 1500))
		node.backend.etcd.is_cut = false
	end
end

--- Nodes end, in good order or not, and are started again.
function happen.restart(nodes)
	local id = test.random(1, 3)
	local node = nodes[id]
	if not node then
		return
	end
	nodes[id] = nil
	if test.random(1, 2) == 1 then
		node.backend:close()
	else
		node.backend.etcd.is_cut = true
		node.backend.etcd.is_closed = true
		node.backend.is_over = true
	end
	node.is_over = true
	local another
	repeat
		another = start_node(id)
	until another
	nodes[id] = another
end

local HAPPENINGS <const> = view.sorted_keys(happen)

case("whatever_happens_all_agree_in_the_end", function()
	begin()
	local nodes = { start_node(1), start_node(2), start_node(3) }
	etcd.faults = 0.05
	for _ = 1, 150 do
		happen[HAPPENINGS[test.random(1, #HAPPENINGS)]](nodes)
		skynet.sleep(test.random(1, 60))
	end
	etcd.faults = 0
	skynet.sleep(10000)
	check_all(nodes)
end)
