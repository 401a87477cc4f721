-- datacenterd: a tree of values that all services of the network share, known as "DATACENTER".
-- skynet.datacenter (lualib/skynet/datacenter.lua) is how they use it.
--
--   UPDATE key, keys..., value -> the former value     nil deletes
--   QUERY keys...              -> the value, or nil    a branch is given as a table
--   WAIT key, keys...          -> the value, when there is one
-- Tables that are set become branches. Setting below a value that is no branch fails.
--
-- In a network it stands for the office of that name (skynet.network.office). One that does not
-- hold it gets no requests; if the holder ends, its values end with it.

local skynet = require("skynet")
local office = require("skynet.network.office")
local waiters = require("skynet.waiters")

local root = {}

--- Those who wait; the subject of each are its keys.
local waiting = waiters.new()

local KEY_TYPES <const> = { string = true, number = true, boolean = true }

local function check_keys(keys, count)
	for i = 1, count do
		local kind = type(keys[i])
		if not KEY_TYPES[kind] or keys[i] ~= keys[i] then
			local text = "bad key number %d: string, number or boolean expected, got %s"
			error(text:format(i, kind == "number" and "nan" or kind), 0)
		end
	end
end

--- The value at the keys; nil where there is none.
local function find(keys, count)
	local value = root
	for i = 1, count do
		if type(value) ~= "table" then
			return nil
		end
		value = value[keys[i]]
	end
	return value
end

--- The branch that holds the last key; makes those that are missing.
local function find_branch(keys, count)
	local branch = root
	for i = 1, count - 1 do
		local inner = branch[keys[i]]
		if inner == nil then
			inner = {}
			branch[keys[i]] = inner
		elseif type(inner) ~= "table" then
			local text = "'%s' holds a value, so nothing can be set below it"
			error(text:format(tostring(keys[i])), 0)
		end
		branch = inner
	end
	return branch
end

--- Whether the keys that were set are those that a waiter waits for.
local function is_same(keys, count, awaited)
	for i = 1, count do
		if keys[i] ~= awaited[i] then
			return false
		end
	end
	return #awaited == count
end

--- Answers those whose value is there now, and fails those whose place has become a branch.
local function answer_waiters(keys, count)
	waiting:settle(function(waiter)
		local value = find(waiter.subject, #waiter.subject)
		if type(value) == "table" and not is_same(keys, count, waiter.subject) then
			waiter.respond(false, "what it waits for has become a branch")
		elseif value ~= nil then
			waiter.respond(true, value)
		end
		return value ~= nil
	end)
end

local command = {}

function command.UPDATE(...)
	local count = select("#", ...) - 1
	local keys, value = { ... }, (select(count + 1, ...))
	if count < 1 then
		error("a key and a value expected", 0)
	end
	check_keys(keys, count)
	local branch = find_branch(keys, count)
	local former = branch[keys[count]]
	branch[keys[count]] = value
	skynet.retpack(former)
	if value ~= nil then
		answer_waiters(keys, count)
	end
end

function command.QUERY(...)
	local keys, count = { ... }, select("#", ...)
	check_keys(keys, count)
	skynet.retpack(find(keys, count))
end

function command.WAIT(...)
	local keys, count = { ... }, select("#", ...)
	if count < 1 then
		error("a key expected", 0)
	end
	check_keys(keys, count)
	local value = find(keys, count)
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
		office.stand("DATACENTER")
	end
end)
