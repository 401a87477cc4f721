-- group_agent: the part of this node in groups of the network (mcgroup, docs/groups.md).
--
--   CREATE               -> id
--   ADDRESS id           -> the address that services of this node send to
--   ENTER id, address; LEAVE id, address; RELEASE id
-- and from the manager (group_mgr): ADD id, receiver; END id.
--
-- A network group is two groups of each node (skynet.enter_group). The *receiver*, number 2 * id,
-- has the local members. The *sender*, number 2 * id + 1, has what passes on what services of this
-- node send: the receiver, and a tunnel to the receiver of each other node. Nodes on which nobody
-- has entered have no receiver, so nothing is sent there.
--
-- G1  A group in `groups` is known to the manager, or will be with the next report.
-- G2  It has a tunnel to each receiver that the manager has named, or is to be mended: a tunnel
--     whose receiver has ended, or cannot be reached, is taken away. If the node was only cut off,
--     the manager may never have missed it, so it is asked when a node comes up.
-- G3  Messages to members need no manager. While there is none, nothing else changes.

local skynet = require("skynet")
require("skynet.manager")
local link = require("skynet.link")
local queue = require("skynet.queue")
local waiters = require("skynet.waiters")

local NODE <const> = skynet.harbor(skynet.self())
--- The number of a group: 1 << 29 | node << 21 | a counter.
local ID_BASE <const> = 1 << 29 | NODE << 21
local COUNTER_MASK <const> = (1 << 21) - 1
--- So many numbers in a row are taken only if something is wrong.
local DRAWS_MAX <const> = 1000
--- How long requests wait for a manager: one that has ended must be missed first, and another one
--- take its place. And how often one is looked for that cannot be reached.
local MANAGER_LIMIT_CS <const> = 500 + 200 * (tonumber(skynet.getenv("harbor_timeout")) or 0)
local PAUSE_CS <const> = 50

---@class network_group
---@field sender integer its address
---@field receiver integer|false its address
---@field tunnels table<integer, group_tunnel> by the receiver that they lead to

---@class group_tunnel
---@field address integer
---@field unlink fun()

---@type table<integer, network_group>
local groups = {}

-- --- the manager -----------------------------------------------------------------------------

local manager ---@type integer? who has our report, and lives
local holder ---@type integer? who is the manager now, as far as known
local absence = "nobody has the office yet"
local waiting = {} -- tokens of tasks that need a manager
local changed = {} -- woken when the manager ends, or another one takes its place

--- Until when a request that comes now waits for a manager: those that wait for their turn with it
--- have no longer than the first.
local function limit_cs()
	return skynet.now() + MANAGER_LIMIT_CS
end

local function await_manager(cs)
	local token = {}
	if cs > 0 then
		waiting[token] = true
		skynet.sleep(cs, token)
		waiting[token] = nil
	end
end

--- The manager's answer; raises what it refuses. When it ends meanwhile the next one is asked, for
--- whom it is all the same whether the former one has done it. Waits for one, but not for ever.
local function ask_manager(until_cs, ...)
	while true do
		if not manager then
			await_manager(until_cs - skynet.now())
		end
		if not manager then
			error("there is no group manager now: " .. absence, 0)
		end
		local ok, answer, reason = pcall(skynet.call, manager, "lua", ...)
		if ok then
			return answer or error(reason, 0)
		elseif skynet.now() >= until_cs then
			error(answer, 0)
		end
		skynet.sleep(PAUSE_CS)
	end
end

local function set_manager(address, reason)
	manager, absence = address, reason
	for token in pairs(address and waiting or {}) do
		skynet.wakeup(token)
	end
end

-- --- tunnels ---------------------------------------------------------------------------------

local to_mend = {} ---@type table<integer, true> groups

local function end_tunnel(group, receiver)
	local tunnel = group.tunnels[receiver]
	group.tunnels[receiver] = nil
	tunnel.unlink()
	skynet.kill(tunnel.address)
end

local function on_end_of_receiver(id, group, receiver)
	if groups[id] == group and group.tunnels[receiver] then
		end_tunnel(group, receiver)
		to_mend[id] = true
	end
end

local function add_tunnel(id, group, receiver)
	if group.tunnels[receiver] then
		return
	end
	local address = skynet.launch("tunnel", skynet.address(receiver))
	if not address then
		error(("no tunnel to %s: the log says why"):format(skynet.address(receiver)), 0)
	end
	skynet.enter_group(2 * id + 1, address)
	group.tunnels[receiver] = {
		address = address,
		unlink = link.link(receiver, function()
			on_end_of_receiver(id, group, receiver)
		end),
	}
end

local function add_tunnels(id, receivers)
	for _, receiver in ipairs(receivers) do
		add_tunnel(id, groups[id], receiver)
	end
end

--- Asks for the receivers of groups that have lost a tunnel. Without a manager that is left to the
--- report that the next one gets.
local function mend()
	local ids = to_mend
	to_mend = {}
	for id in pairs(ids) do
		if manager and groups[id] then
			local ok, receivers =
				pcall(ask_manager, skynet.now(), "JOIN", id, groups[id].receiver)
			if ok and groups[id] then
				add_tunnels(id, receivers)
			end
		end
	end
end

-- --- groups ----------------------------------------------------------------------------------

local function add_group(id, receiver)
	local sender = skynet.query_group(2 * id + 1)
	if not sender then
		error(("group %d cannot be made: the log says why"):format(id), 0)
	end
	groups[id] = groups[id] or { sender = sender, receiver = false, tunnels = {} }
	if receiver and not groups[id].receiver then
		groups[id].receiver = receiver
		skynet.enter_group(2 * id + 1, receiver)
	end
end

local function end_group(id)
	local group = groups[id]
	groups[id] = nil
	skynet.clear_group(2 * id + 1)
	skynet.clear_group(2 * id)
	to_mend[id] = nil
	for receiver in pairs(group and group.tunnels or {}) do
		end_tunnel(group, receiver)
	end
end

--- The group, if this node takes part in it already.
local function known_group(id, does_receive)
	local group = groups[id]
	return group and (group.receiver or not does_receive) and group
end

local function take_part(id, does_receive, until_cs)
	if known_group(id, does_receive) then
		return
	end
	local receiver = does_receive and skynet.query_group(2 * id)
	local ok, answer = pcall(ask_manager, until_cs, "JOIN", id, receiver)
	if ok then
		add_group(id, receiver)
		add_tunnels(id, answer)
	else
		skynet.clear_group(2 * id) -- nobody knows of it
		error(answer, 0)
	end
end

--- One task at a time begins to take part in a group, so that two do not undo each other's work.
local section = queue()

local function find(id, does_receive)
	local group = known_group(id, does_receive)
	if group then
		return group -- without a wait for others
	end
	local _place <close> = waiters.enter()
	section(take_part, id, does_receive, limit_cs())
	return groups[id] or error(("group %d was released meanwhile"):format(id), 0)
end

local counter = skynet.self() & COUNTER_MASK -- another one in each life of the node

local function draw_id(until_cs)
	for _ = 1, DRAWS_MAX do
		counter = (counter + 1) & COUNTER_MASK
		if ask_manager(until_cs, "CREATE", ID_BASE | counter) == "new" then
			return ID_BASE | counter
		end
	end
	error("no number is free for a new group", 0)
end

local command = {}

function command.CREATE()
	local _place <close> = waiters.enter()
	local id = section(draw_id, limit_cs())
	add_group(id)
	return id
end

function command.ADDRESS(_, id)
	return find(id, false).sender
end

function command.ENTER(_, id, address)
	find(id, true)
	skynet.enter_group(2 * id, address)
end

function command.LEAVE(_, id, address)
	if groups[id] and groups[id].receiver then
		skynet.leave_group(2 * id, address)
	end
end

function command.RELEASE(_, id)
	local _place <close> = waiters.enter()
	ask_manager(limit_cs(), "RELEASE", id)
end

function command.ADD(_, id, receiver)
	if groups[id] then
		add_tunnel(id, groups[id], receiver)
	end
end

function command.END(_, id)
	end_group(id)
end

-- --- the office ------------------------------------------------------------------------------

--- Tells a manager what this node takes part in, and takes over what it knows. Waits.
local function report(address)
	local receivers = {}
	for id, group in pairs(groups) do
		receivers[id] = group.receiver
	end
	local others = skynet.call(address, "lua", "REPORT", receivers)
	for id in pairs(receivers) do
		if not groups[id] then
			goto next_group -- it has ended meanwhile
		elseif others[id] then
			add_tunnels(id, others[id])
		else
			end_group(id)
		end
		::next_group::
	end
end

--- Hears of the end of a manager from now on.
local function watch(address)
	local watched = { address = address }
	watched.unlink = link.link(address, function(_, why)
		watched.reason = why
		skynet.wakeup(changed)
	end)
	return watched
end

--- Returns when the manager has ended, or cannot be reached, or is not the manager any more, and
--- why.
local function await_end(watched)
	while not watched.reason and holder == watched.address do
		skynet.wait(changed)
	end
	return watched.reason or "another one has taken the office"
end

local function keep_manager()
	while true do
		-- Before the report: a manager that loses this node behind that forgets it.
		local watched = watch(holder)
		local ok, reason = pcall(report, watched.address)
		if ok then
			set_manager(watched.address)
			reason = await_end(watched)
		else
			skynet.sleep(PAUSE_CS)
		end
		watched.unlink()
		set_manager(nil, reason)
	end
end

local function on_holder(address)
	local is_first = not holder
	holder = address
	skynet.wakeup(changed)
	if is_first then
		skynet.fork(keep_manager)
	end
end

local function follow_manager()
	local mine = skynet.uniqueservice("group_mgr")
	if skynet.getenv("harbor") == "0" then
		on_holder(mine)
	else
		require("skynet.network.office").follow("GROUP_MGR", on_holder)
		require("skynet.harbor").watch(function(what)
			if what == "up" then
				skynet.fork(mend)
			end
		end)
	end
end

--- Commands of the manager, which get no answer.
local SILENT <const> = { ADD = true, END = true }

skynet.start(function()
	skynet.call_timeout(false) -- what nodes tell each other has no deadline but their link
	skynet.dispatch("lua", function(_, source, name, ...)
		local run = command[name]
		if not run then
			error("Unknown command " .. tostring(name), 0)
		elseif SILENT[name] then
			run(source, ...)
		else
			skynet.retpack(run(source, ...))
		end
	end)
	follow_manager()
end)
