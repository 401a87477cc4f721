--- A queue of tasks before a critical section: what one task runs in it is not interleaved with
--- what others run in it, even where it waits.
---
---     local queue = require("skynet.queue")
---     local section = queue()
---     section(function(...) ... end, ...)
local skynet = require("skynet")
local running_task = require("skynet.require").running_task

--- Made here: who leaves a section must not fail at making it, for want of memory.
local wakeup <const> = skynet.wakeup

---@class skynet.queue.section
---@field owner thread? who is inside
---@field depth integer how many times it has entered
---@field first integer the waiters are first .. last - 1
---@field last integer
---@field waiters table<integer, skynet.queue.waiter>
local section_class = {}

--- Somebody leaves: the next one that still waits is inside from now on, before it runs.
function section_class.__close(section)
	section.depth = section.depth - 1
	if section.depth > 0 then
		return
	end
	section.owner = nil
	while not section.owner and section.first < section.last do
		local waiter = section.waiters[section.first]
		section.waiters[section.first] = nil
		section.first = section.first + 1
		if not waiter.is_gone and wakeup(waiter) then
			section.owner = waiter.task
			section.depth = 1
		end
	end
end

---@class skynet.queue.waiter
---@field task thread
---@field section skynet.queue.section
---@field is_inside boolean? its turn has come, and it runs
---@field is_gone boolean? its task was ended before its turn came
local waiter_class = {}

function waiter_class.__close(waiter)
	local section = waiter.section
	if waiter.is_inside then
		return
	elseif section.owner == waiter.task then -- ended between its turn and its run
		section_class.__close(section)
	else
		waiter.is_gone = true
	end
end

local function wait_turn(section, task)
	local waiter <close> = setmetatable({ task = task, section = section }, waiter_class)
	section.waiters[section.last] = waiter
	section.last = section.last + 1
	skynet.wait(waiter)
	waiter.is_inside = true
end

local function with_traceback(reason)
	return debug.traceback(tostring(reason), 2)
end

local function check_result(ok, ...)
	if not ok then
		error((...), 0)
	end
	return ...
end

local function run(section, f, ...)
	local _inside <close> = section
	return check_result(xpcall(f, with_traceback, ...))
end

--- Makes a critical section: a function that runs f(...) when no other task is inside it, and
--- returns its results. Tasks enter in the order in which they came; a task that is inside may
--- enter again. What f raises leaves the section, and is raised as a text with its traceback. Tasks
--- that f forks are not inside. Waits.
---@return fun(f: function, ...): ...
local function queue()
	local section = setmetatable({
		depth = 0,
		first = 1,
		last = 1,
		waiters = {},
	}, section_class)
	return function(f, ...)
		if type(f) ~= "function" then
			error(("bad argument 'f': a function expected, got %s"):format(type(f)), 2)
		end
		local task = running_task()
		if section.owner == task then
			section.depth = section.depth + 1
		elseif not section.owner then
			section.owner, section.depth = task, 1
		else
			wait_turn(section, task)
		end
		return run(section, f, ...)
	end
end

return queue
