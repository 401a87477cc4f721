-- datacenterd: a tree of values that all services of the network share, known as "DATACENTER".
-- skynet.datacenter (lualib/skynet/datacenter.lua) is how they use it.
--
--   UPDATE key, keys..., value -> the former value     nil deletes
--   QUERY keys...              -> the value, or nil    a branch is given as a table
--   WAIT key, keys...          -> the value, when there is one
-- Tables that are set become branches. Setting below a value that is no branch fails.
--
-- In a network it stands for the office of that name (skynet.network.office). One that does not
-- hold it gets no requests. Where the registry has a place for data, the tree is kept there
-- (skynet.datacenter.keeper), and who holds the office next goes on with it; otherwise it ends with
-- this service.

local skynet = require("skynet")
local tree = require("skynet.datacenter.tree")
local office = require("skynet.network.office")
local waiters = require("skynet.waiters")

--- So long waits a request at least for a registry that does not answer.
local LIMIT_MIN_CS <const> = 500

local root = {} -- the tree, if it is in memory only
local keeper ---@type skynet.datacenter.keeper?

--- Those who wait; the subject of each are its keys.
local waiting = waiters.new()

--- The tree. Waits for the one that is kept.
local function get_root()
	return keeper and keeper:read() or root
end

--- The keys have been set: answers those whose value is there now, and fails those whose place has
--- become a branch.
local function note_set(tree_root, keys, count, value)
	if value == nil then
		return
	end
	waiting:settle(function(waiter)
		local awaited = waiter.subject
		local found = tree.find(tree_root, awaited, #awaited)
		local is_same = #awaited == count and tree.overlaps(keys, count, awaited, #awaited)
		if type(found) == "table" and not is_same then
			waiter.respond(false, "what it waits for has become a branch")
		elseif found ~= nil then
			waiter.respond(true, found)
		end
		return found ~= nil
	end)
end

--- The tree may be another one: answers those whose value is there now.
local function note_read(tree_root)
	waiting:settle(function(waiter)
		local found = tree.find(tree_root, waiter.subject, #waiter.subject)
		return found ~= nil and waiter.respond(true, found)
	end)
end

--- Another service holds the office: fails all who wait.
local function note_away(reason)
	waiting:settle(function(waiter)
		waiter.respond(false, reason)
		return true
	end)
end

--- Opens the place where the registry keeps data for whoever holds the office, if it has one.
local function open_keeper()
	local registry = require("skynet.registry")
	local settings = require("skynet.network.settings")
	local data = registry.open_data({
		url = skynet.getenv("master"),
		timeout_cs = settings.timeout_cs(),
		office = "DATACENTER",
		handle = skynet.self(),
	})
	return data and require("skynet.datacenter.keeper").new({
		data = data,
		limit_cs = math.max(settings.timeout_cs(), LIMIT_MIN_CS),
		on_set = note_set,
		on_read = note_read,
		on_away = note_away,
	})
end

local function note_holder(holder)
	if keeper then
		local is_held = holder == skynet.self()
		keeper:note_holder(is_held, ("node %d has it now"):format(holder >> 24))
	end
end

local command = {}

function command.UPDATE(...)
	local count = select("#", ...) - 1
	local keys, value = { ... }, (select(count + 1, ...))
	if count < 1 then
		error("a key and a value expected", 0)
	end
	tree.check_keys(keys, count)
	if keeper then
		skynet.retpack(keeper:set(keys, count, value))
	else
		skynet.retpack(tree.set(root, keys, count, value))
		note_set(root, keys, count, value)
	end
end

function command.QUERY(...)
	local keys, count = { ... }, select("#", ...)
	tree.check_keys(keys, count)
	skynet.retpack(tree.find(get_root(), keys, count))
end

function command.WAIT(...)
	local keys, count = { ... }, select("#", ...)
	if count < 1 then
		error("a key expected", 0)
	end
	tree.check_keys(keys, count)
	local value = tree.find(get_root(), keys, count)
	if value ~= nil then
		skynet.retpack(value)
	else
		waiting:add(keys)
	end
end

skynet.start(function()
	skynet.dispatch("lua", function(_, _, name, ...)
		local run = command[name]
		if not run then
			error("Unknown command " .. tostring(name), 0)
		end
		run(...)
	end)
	if skynet.getenv("harbor") ~= "0" then
		keeper = open_keeper()
		office.stand("DATACENTER", note_holder)
	end
end)
