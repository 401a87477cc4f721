-- group_mgr: which nodes take part in which groups of the network (mcgroup, docs/groups.md). Each
-- node with an agent (group_agent) has a group_mgr, of which one holds the office "GROUP_MGR"; the
-- agents ask that one. When it ends another takes its place, and the agents report to it what they
-- have: so nothing need be kept. Messages to groups do not come here.
--
--   CREATE id                   -> "new"; "taken": the number is
--   JOIN id, receiver           -> { receivers... } of the other nodes; nil, reason
--   REPORT { [id] = receiver }  -> { [id] = { receivers... } }, without those that have ended
--   RELEASE id                  -> true; nil, reason
-- A receiver is the address of the agent's group of local members; false: it has none, and only
-- sends. The agents are told with ADD id, receiver and END id.

local skynet = require("skynet")
local link = require("skynet.link")
local settings = require("skynet.network.settings")

local GROUPS_MAX <const> = 1 << 20
--- An agent that was cut off while a group was released is told when it comes back, unless so many
--- were released meanwhile: then it keeps one that nobody else has.
local RELEASED_MAX <const> = 1 << 16
--- How long after it has taken the office a manager expects reports of groups: as long as a node
--- may be silent, and then some for what it has to say.
local GRACE_CS <const> = 200 + settings.timeout_cs()

--- Of each group: the receivers by agent.
---@type table<integer, table<integer, integer|false>>
local groups = {}
local group_count = 0

---@class group_mgr_agent
---@field ids table<integer, true>
---@field unlink fun()

---@type table<integer, group_mgr_agent>
local agents = {}

--- The last groups that were released, in a ring.
local released = { ids = {}, ring = {}, next = 1 }

local function note_released(id)
	local former = released.ring[released.next]
	if former then
		released.ids[former] = nil
	end
	released.ids[id] = true
	released.ring[released.next] = id
	released.next = released.next % RELEASED_MAX + 1
end

--- Whether this is the manager. One that was it before knows nothing that is worth anything.
local has_office = false
--- Whether there is no group that this manager could not know of yet.
local is_settled = false
--- The timer that ends the time in which the agents report.
local grace ---@type integer?
--- Tasks that wait for that, or for a report.
local waiting = {}

local function wake_waiting()
	local tokens = waiting
	waiting = {}
	for _, token in ipairs(tokens) do
		skynet.wakeup(token)
	end
end

local function settle()
	is_settled = has_office
	wake_waiting()
end

local function check_office()
	if not has_office then
		error("another service has the office GROUP_MGR", 0)
	end
end

--- The group, or nil and why there is none. Waits while it may be in a report that has not come.
local function find_group(id)
	while not groups[id] and not released.ids[id] and not is_settled do
		local token = {}
		waiting[#waiting + 1] = token
		skynet.wait(token)
		check_office()
	end
	return groups[id], not groups[id] and ("there is no group %d"):format(id) or nil
end

local function new_group(id)
	if group_count >= GROUPS_MAX then
		error(("there are %d groups: release some"):format(group_count), 0)
	end
	groups[id] = {}
	group_count = group_count + 1
	return groups[id]
end

local function drop_group(id)
	groups[id] = nil
	group_count = group_count - 1
end

--- The agent has ended, or its node, or the link to it: it reports again if it can.
local function forget_agent(agent)
	local known = agents[agent]
	agents[agent] = nil
	for id in pairs(known and known.ids or {}) do
		groups[id][agent] = nil
		if next(groups[id]) == nil then
			drop_group(id)
		end
	end
end

local function find_agent(agent)
	agents[agent] = agents[agent] or { ids = {}, unlink = link.link(agent, forget_agent) }
	return agents[agent]
end

--- The agent takes part. Returns the receivers of the others, which are told of a new one of his.
local function join(agent, id, group, receiver)
	local others = {}
	local is_new = receiver and group[agent] ~= receiver
	find_agent(agent).ids[id] = true
	group[agent] = receiver or group[agent] or false
	for other, address in pairs(group) do
		if other ~= agent then
			others[#others + 1] = address or nil
			if is_new then
				skynet.send(other, "lua", "ADD", id, receiver)
			end
		end
	end
	return others
end

local command = {}

function command.CREATE(agent, id)
	if groups[id] or released.ids[id] then
		return "taken"
	end
	join(agent, id, new_group(id), false)
	return "new"
end

function command.JOIN(agent, id, receiver)
	local group, reason = find_group(id)
	if not group then
		return nil, reason
	end
	return join(agent, id, group, receiver)
end

function command.REPORT(agent, receivers)
	local others = {}
	for id, receiver in pairs(receivers) do
		if not released.ids[id] then
			others[id] = join(agent, id, groups[id] or new_group(id), receiver)
		end
	end
	wake_waiting()
	return others
end

function command.RELEASE(_, id)
	local group, reason = find_group(id)
	if not group then
		return nil, reason
	end
	note_released(id)
	drop_group(id)
	for agent in pairs(group) do
		agents[agent].ids[id] = nil
		skynet.send(agent, "lua", "END", id)
		if next(agents[agent].ids) == nil then
			agents[agent].unlink()
			agents[agent] = nil
		end
	end
	return true
end

--- Another one has the office. Its agents report to it what they have by then.
local function forget_all()
	for _, agent in pairs(agents) do
		agent.unlink()
	end
	agents, groups, group_count = {}, {}, 0
	released = { ids = {}, ring = {}, next = 1 }
	has_office, is_settled = false, false
	if grace then
		skynet.cancel(grace)
		grace = nil
	end
	wake_waiting()
end

--- Stands for the office. A node without a network has no other agent to hear from.
local function take_office()
	if skynet.getenv("harbor") == "0" then
		has_office = true
		settle()
		return
	end
	require("skynet.network.office").stand("GROUP_MGR", function(holder)
		if holder ~= skynet.self() then
			forget_all()
		elseif not has_office then
			has_office = true
			grace = skynet.timeout(GRACE_CS, settle)
		end
	end)
end

skynet.start(function()
	skynet.dispatch("lua", function(_, source, name, ...)
		local run = command[name]
		if not run then
			error("Unknown command " .. tostring(name), 0)
		end
		check_office()
		skynet.retpack(run(source, ...))
	end)
	take_office()
end)
