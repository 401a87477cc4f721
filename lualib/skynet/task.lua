--- Looking at the tasks of this service, and ending one. The functions are fields of `skynet` too;
--- meta/skynet.lua declares them.
local internals = require("skynet.internals")

local task = {}

--- How many sessions uniqtask lists for one place.
local SESSIONS_LISTED <const> = 9

--- Where a task waits, from the coroutine that has called what waits.
local function traceback(co)
	return debug.traceback(internals.innermost(co))
end

--- Where a timer was set, as far as skynet.trace_timeout was on then.
local function timer_text(origin)
	return origin or "a timer; skynet.trace_timeout(true) notes where timers are set"
end

local function count_all()
	local tasks, timers = internals.count()
	return tasks + timers
end

local function fill(result)
	for co, session in pairs(internals.tasks()) do
		result[("%s session: %d"):format(co, session)] = traceback(co)
	end
	for session, origin in pairs(internals.timers()) do
		result[("timer session: %d"):format(session)] = timer_text(origin)
	end
end

local function find_session(session)
	for co, own in pairs(internals.tasks()) do
		if own == session then
			return traceback(co)
		end
	end
	local origin = internals.timers()[session]
	if origin == nil then
		return "No session"
	end
	return timer_text(origin)
end

--- What skynet.task does depends on its argument, as users know it.
function task.task(x)
	if x == nil then
		return count_all()
	elseif x == "init" then
		local co = internals.starting()
		return co and traceback(co)
	elseif type(x) == "table" then
		fill(x)
		return nil
	elseif type(x) == "thread" then
		return internals.tasks()[x]
	elseif math.type(x) == "integer" then
		return find_session(x)
	end
	local text = "bad argument #1 to 'task' (nil, a table, a session, a coroutine or \"init\" "
		.. "expected, got %s)"
	error(text:format(type(x)), 2)
end

function task.uniqtask()
	local places = {}
	local function add(place, session)
		local found = places[place]
		if not found then
			found = {}
			places[place] = found
		end
		found[#found + 1] = session
	end
	for co, session in pairs(internals.tasks()) do
		add(traceback(co), session)
	end
	for session, origin in pairs(internals.timers()) do
		add(timer_text(origin), session)
	end
	local result = {}
	for place, sessions in pairs(places) do
		table.sort(sessions)
		local count = #sessions
		local listed = table.concat(sessions, ",", 1, math.min(count, SESSIONS_LISTED))
		if count > SESSIONS_LISTED + 1 then
			listed = listed .. ",..."
		end
		result[("%d\tsessions:[%s]\n"):format(count, listed)] = place
	end
	return result
end

--- The suspended task whose text, as tostring gives it, has the Lua pattern in it.
local function find_by_name(pattern)
	for co in pairs(internals.tasks()) do
		if tostring(co):find(pattern) then
			return co
		end
	end
end

function task.killthread(thread)
	if math.type(thread) == "integer" then
		return internals.cancel(thread) and thread or nil
	end
	local co = thread
	if type(thread) == "string" then
		co = find_by_name(thread)
		if not co then
			return nil
		end
	elseif type(thread) ~= "thread" then
		local text = "bad argument #1 to 'killthread' (a coroutine, part of its name, or a "
			.. "timer expected, got %s)"
		error(text:format(type(thread)), 2)
	end
	return internals.kill(co) and co or nil
end

return task
