--- Supervision: starts services, hears of their deaths, and starts them again.
---
---     local supervisor = require("skynet.supervisor")
---     local group = supervisor.start({
---         strategy = "rest",
---         children = {
---             { name = "store", service = "store", register = ".store" },
---             { name = "shop", service = { "shop", 8080 } },
---         },
---     })
---
--- G1  Whatever starts or stops children runs in the group's section, one task at a time.
--- G2  A child that is stopped is unlinked first: only ends that nobody wanted are deaths.
--- G3  Between the two halves of a restart its children are marked as waiting, and nobody is in the
---     section: other children can be restarted meanwhile.
local skynet = require("skynet")
local queue = require("skynet.queue")
local child_module = require("skynet.supervisor.child")

---@class skynet.supervisor.specification
---@field name string what the group calls the child
---@field service? string|table name and arguments, as of skynet.newservice
---@field start? fun(): integer instead of `service`; returns the address; may wait
---@field register? string|string[] local names, bound to each new service of the child
---@field restart? "always"|"never" what to do after its death; by default "always"
---@field stop? fun(address: integer): true? asks it to end; may wait. It is killed when stop has
---returned true or failed, or when it has not ended within the limit; without `stop`, at once
---@field start_limit? integer cs that a start may take; by default: no limit
---@field stop_limit? integer cs that it may take to end; by default 500

---@class skynet.supervisor.options
---@field children? skynet.supervisor.specification[] in the order in which they are started
---@field strategy? "one"|"all"|"rest" which children are restarted after a death: the dead one, by
---default; all; or it and those behind it
---@field limit? integer restarts of one child within the period, before the group gives up; 5
---@field period? integer cs; 3000
---@field backoff? integer cs before the second restart of a child within the period; each further
---one doubles it; 10
---@field backoff_max? integer cs; 1000
---@field on_death? fun(name: string, address: integer, reason: string) told of each death
---@field on_give_up? fun(name: string, reason: string) when the limit was reached and all children
---were stopped; without it the supervising service ends

local DEFAULTS <const> = {
	strategy = "one",
	limit = 5,
	period = 3000,
	backoff = 10,
	backoff_max = 1000,
}
local STRATEGIES <const> = { one = true, all = true, rest = true }

---@class skynet.supervisor.group
---@field private options skynet.supervisor.options
---@field private children skynet.supervisor.child[] in the order of their start
---@field private section fun(f: function, ...): ...
---@field private has_ended boolean stopped, or given up
local methods = {}
local class = { __index = methods }

local function log(text, ...)
	skynet.error("supervisor: " .. text:format(...))
end

--- Runs a callback of the user in a task of its own: it may wait, fail, or stop the group.
local function tell(callback, ...)
	if callback then
		skynet.fork(callback, ...)
	end
end

local function find(group, name)
	for place, child in ipairs(group.children) do
		if child.name == name then
			return child, place
		end
	end
end

local function stop_from(group, place)
	for i = #group.children, place, -1 do
		group.children[i]:stop()
	end
end

local handle_death

--- Starts a child. Returns true, or false and the reason.
local function start_child(group, child)
	return child:start(function(ended, address, reason)
		group.section(handle_death, group, ended, address, reason)
	end)
end

local function give_up(group, child, reason)
	if group.has_ended then
		return
	end
	group.has_ended = true
	stop_from(group, 1)
	log("'%s' was restarted %d times: giving up: %s", child.name, #child.restarts, reason)
	if group.options.on_give_up then
		tell(group.options.on_give_up, child.name, reason)
	else
		skynet.exit()
	end
end

--- Forgets the restarts that were too long ago to count.
local function forget_restarts(child, period_cs)
	local now_cs, recent = skynet.now(), {}
	for _, restart_cs in ipairs(child.restarts) do
		if now_cs - restart_cs <= period_cs then
			recent[#recent + 1] = restart_cs
		end
	end
	child.restarts = recent
end

local function backoff_of(group, child)
	local options, count = group.options, #child.restarts
	if count <= 1 then
		return 0
	end
	return math.min(options.backoff << math.min(count - 2, 30), options.backoff_max)
end

--- Stops what has to be restarted together with the child, and marks it.
local function mark_waiting(group, child)
	local strategy = group.options.strategy
	local _, place = find(group, child.name)
	child.is_waiting = true
	if strategy == "one" then
		return
	end
	for i = #group.children, strategy == "all" and 1 or place, -1 do
		local other = group.children[i]
		if other.address then
			other:stop()
			other.is_waiting = other.specification.restart ~= "never"
		end
	end
end

local schedule_restart

--- The second half of a restart: starts what waits, in its order.
local function start_waiting(group, child)
	if group.has_ended or not child.is_waiting then
		return -- meanwhile it was removed, or started by another restart
	end
	local is_alone = group.options.strategy == "one"
	for _, other in ipairs(group.children) do
		if other.is_waiting and (other == child or not is_alone) then
			local ok, reason = start_child(group, other)
			if not ok then
				log("'%s' could not be started again: %s", other.name, reason)
				schedule_restart(group, other, reason)
				return
			end
		end
	end
end

--- The first half: decides whether, and when.
schedule_restart = function(group, child, reason)
	local options = group.options
	forget_restarts(child, options.period)
	if #child.restarts >= options.limit then
		give_up(group, child, reason)
		return
	end
	table.insert(child.restarts, skynet.now())
	local delay_cs = backoff_of(group, child)
	mark_waiting(group, child)
	skynet.fork(function()
		if delay_cs > 0 then
			skynet.sleep(delay_cs)
		end
		group.section(start_waiting, group, child)
	end)
end

handle_death = function(group, child, address, reason)
	if child.address ~= address then
		return -- it was stopped, and is known to have ended
	end
	child:forget()
	log("'%s' (%s) has ended: %s", child.name, skynet.address(address), reason)
	tell(group.options.on_death, child.name, address, reason)
	if not group.has_ended and child.specification.restart ~= "never" then
		schedule_restart(group, child, reason)
	end
end

--- Starts one more child, behind all others. Waits. Raises when it can't be started.
---@param specification skynet.supervisor.specification
---@return integer address
function methods:add(specification)
	local ok, problem = pcall(child_module.check, specification)
	if not ok then
		error(problem, 2)
	end
	local address
	address, problem = self.section(function()
		if self.has_ended then
			return nil, "the group has ended"
		elseif find(self, specification.name) then
			return nil, ("there is a child '%s' already"):format(specification.name)
		end
		local child = child_module.new(specification)
		table.insert(self.children, child)
		local is_started, reason = start_child(self, child)
		if not is_started then
			table.remove(self.children)
			return nil, ("can't start '%s': %s"):format(specification.name, reason)
		end
		return child.address
	end)
	if not address then
		error(problem, 2)
	end
	return address
end

--- Stops a child and forgets it. Waits.
---@param name string
---@return boolean existed
function methods:remove(name)
	return self.section(function()
		local child, place = find(self, name)
		if not child then
			return false
		end
		child.is_waiting = false
		child:stop()
		table.remove(self.children, place)
		return true
	end)
end

--- The address of a child; nil while it does not run. It changes with every restart.
---@param name string
---@return integer? address
function methods:address(name)
	local child = find(self, name)
	return child and child.address
end

--- The children in the order of their start.
---@return { name: string, address: integer?, restarts: integer }[] list restarts: those within the
---period
function methods:list()
	local list = {}
	for i, child in ipairs(self.children) do
		forget_restarts(child, self.options.period)
		list[i] = { name = child.name, address = child.address, restarts = #child.restarts }
	end
	return list
end

--- Stops all children, the last one first, and supervises nothing any more. Waits.
function methods:stop()
	self.section(function()
		self.has_ended = true
		stop_from(self, 1)
	end)
end

local function check_options(options)
	if type(options) ~= "table" then
		error(("bad argument 'options': table expected, got %s"):format(type(options)), 3)
	elseif options.strategy ~= nil and not STRATEGIES[options.strategy] then
		local text = "bad field 'strategy': 'one', 'all' or 'rest' expected, got %s"
		error(text:format(tostring(options.strategy)), 3)
	end
	for _, field in ipairs({ "limit", "period", "backoff", "backoff_max" }) do
		local value = options[field]
		if value ~= nil and (math.type(value) ~= "integer" or value < 0) then
			local text = "bad field '%s': an integer from 0 on expected, got %s"
			error(text:format(field, tostring(value)), 3)
		end
	end
	for _, field in ipairs({ "on_death", "on_give_up" }) do
		local value = options[field]
		if value ~= nil and type(value) ~= "function" then
			local text = "bad field '%s': function expected, got %s"
			error(text:format(field, type(value)), 3)
		end
	end
end

local supervisor = {}

--- Starts a group of services, one after the other, and supervises them from now on. Waits. Raises
--- when one of them can't be started; the others are stopped again then.
---@param options skynet.supervisor.options
---@return skynet.supervisor.group
function supervisor.start(options)
	check_options(options)
	local own_options = setmetatable({}, { __index = DEFAULTS })
	for key, value in pairs(options) do
		own_options[key] = value
	end
	local group = setmetatable({
		options = own_options,
		children = {},
		section = queue(),
		has_ended = false,
	}, class)
	for _, specification in ipairs(options.children or {}) do
		local ok, problem = pcall(group.add, group, specification)
		if not ok then
			group:stop()
			error(problem, 2)
		end
	end
	return group
end

return supervisor
