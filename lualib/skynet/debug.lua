--- What every Lua service answers to messages of type "debug": questions and orders of tools, such
--- as the debug console. Loaded with the first of them.
local skynet = require("skynet")
local internals = require("skynet.internals")

local module = {}

--- Each command answers by itself.
---@type table<string, fun(...)>
local commands = {}

local info

--- Sets what answers the question INFO of the debug console.
---@param f fun(...): ... gets the words of the question; may wait
function module.info_func(f)
	if type(f) ~= "function" then
		error(("bad argument 'f': function expected, got %s"):format(type(f)), 2)
	end
	info = f
end

--- Adds a command to those that messages of type "debug" can carry.
---@param name string
---@param f fun(...) gets the arguments, and has to answer with skynet.ret; may wait
function module.reg_debugcmd(name, f)
	if type(name) ~= "string" then
		error(("bad argument 'name': string expected, got %s"):format(type(name)), 2)
	elseif type(f) ~= "function" then
		error(("bad argument 'f': function expected, got %s"):format(type(f)), 2)
	end
	commands[name] = f
end

local function answer_if_asked(...)
	if skynet.context() ~= 0 then
		skynet.retpack(...)
	end
end

function commands.MEM()
	skynet.retpack(collectgarbage("count"))
end

function commands.GC()
	local before, start = collectgarbage("count"), skynet.hpc()
	collectgarbage("collect")
	local seconds = (skynet.hpc() - start) / 1e9
	local after = collectgarbage("count")
	local text = "GC %.2f Kb -> %.2f Kb, cost %.2f sec"
	skynet.error(text:format(before, after, seconds))
	answer_if_asked()
end

function commands.STAT()
	skynet.retpack({
		task = skynet.task(),
		mqlen = skynet.mqlen(),
		cpu = skynet.stat("cpu"),
		message = skynet.stat("message"),
		late = skynet.stat("late"),
	})
end

function commands.TASK(session)
	if session ~= nil then
		skynet.retpack(skynet.task(session))
		return
	end
	local tasks = {}
	skynet.task(tasks)
	skynet.retpack(tasks)
end

function commands.GIVENUP(sessions)
	local over = {}
	for _, session in ipairs(sessions) do
		if internals.is_over(session) then
			over[#over + 1] = session
		end
	end
	skynet.retpack(over)
end

function commands.UNIQTASK()
	skynet.retpack(skynet.uniqtask())
end

function commands.KILLTASK(name)
	if skynet.killthread(name) then
		skynet.retpack()
	else
		skynet.retpack("Not found")
	end
end

function commands.INFO(...)
	if info then
		skynet.retpack(info(...))
	else
		skynet.retpack()
	end
end

function commands.EXIT()
	skynet.exit()
end

function commands.RUN(source, filename, ...)
	local inject = require("skynet.inject")
	local ok, output = inject(skynet, source, filename, table.pack(...))
	skynet.retpack(ok, table.concat(output, "\n"))
end

function commands.TERM(address)
	skynet.term(address)
	answer_if_asked()
end

function commands.SUPPORT(type_name)
	skynet.retpack(skynet.dispatch(type_name) ~= nil)
end

function commands.PING()
	skynet.ret()
end

--- Those who want to know when this service ends: their requests fail then.
local links ---@type skynet.waiters?

function commands.LINK()
	links = links or require("skynet.waiters").new()
	links:add()
end

--- TRACELOG [type,] flag
function commands.TRACELOG(type_name, flag)
	if type(type_name) ~= "string" then
		type_name, flag = "lua", type_name
	end
	skynet.error(("Turn trace log %s for %s"):format(tostring(flag), type_name))
	skynet.traceproto(type_name, flag)
	answer_if_asked()
end

skynet.dispatch("debug", function(session, _, name, ...)
	local run = commands[name]
	if run then
		run(...)
		return
	end
	local text = "there is no debug command " .. tostring(name)
	if session ~= 0 then
		skynet.response()(false, text)
	else
		skynet.error("error: " .. text)
	end
end)

return module
