-- launcher: starts Lua services for others and tells the asker when the new one is ready. Keeps the
-- list of all Lua services of the node.
--
-- A launch waits in `starting` until the new service reports LAUNCHOK (its start function has
-- returned), ERROR (it has raised), or REMOVE (it has ended). Should it end without a word, because
-- the framework's command KILL was used for example, its link tells: whoever starts for longer than
-- SWEEP_CS gets one.

local skynet = require("skynet")
require("skynet.manager")

---@type table<integer, string> address -> "snlua name arguments"
local descriptions = {}
---@type table<integer, function> address -> answer to whoever waits for it to start
local starting = {}
---@type table<integer, { source: integer, session: integer }> address -> who has launched it
local requests = {}

--- Most services have started long before.
local SWEEP_CS <const> = 100

---@type table<integer, integer|false> address -> session of the link to it; false: it has none
local links = {}
---@type integer? the timer of the next sweep
local sweep_timer

local command = {}

local function forget_start(address)
	local answer = starting[address]
	starting[address] = nil
	requests[address] = nil
	if links[address] then
		require("skynet.core").unlink(address, links[address])
	end
	links[address] = nil
	return answer
end

--- Waits for the end of a service that still starts.
local function await_end(address)
	local core = require("skynet.core")
	local session = core.link(address)
	links[address] = session or false
	local reason
	if session then
		reason = core.await_end(session)
	else
		skynet.yield() -- it has ended, and its last word may be in the mailbox
	end
	if not starting[address] then
		return -- it has reported meanwhile
	end
	links[address] = false
	local who = ("%s (%s): "):format(descriptions[address], skynet.address(address))
	command.ERROR(address, reason or who .. "it has ended while it started")
end

local function sweep()
	sweep_timer = nil -- until something is launched again: all that start now are looked after
	for address in pairs(starting) do
		if links[address] == nil then
			links[address] = false
			skynet.fork(await_end, address)
		end
	end
end

--- Launches a service and keeps the request until it is ready. Returns its address.
local function launch(module, ...)
	local description = table.concat({ module, ... }, " ")
	local address = skynet.launch(module, ...)
	if not address then
		error(("can't launch '%s': the reason is in the log"):format(description), 0)
	end
	local session, source = skynet.context()
	descriptions[address] = description
	starting[address] = skynet.response()
	requests[address] = { session = session, source = source }
	sweep_timer = sweep_timer or skynet.timeout(SWEEP_CS, sweep)
	return address
end

function command.LAUNCH(_, module, ...)
	launch(module, ...)
end

function command.LOGLAUNCH(_, module, ...)
	local address = launch(module, ...)
	require("skynet.core").command("LOGON", skynet.address(address))
end

function command.LAUNCHOK(source)
	local answer = forget_start(source)
	if answer then
		answer(true, source)
	end
end

--- text: names the service, as all errors do.
function command.ERROR(source, text)
	local answer = forget_start(source)
	descriptions[source] = nil
	if answer then
		-- The error is the new service's: who asked wants to know about that one.
		answer(false, text, source)
	end
end

function command.REMOVE(_, address, was_killed)
	local description = descriptions[address]
	descriptions[address] = nil
	local answer = forget_start(address)
	if answer and was_killed then
		local text = "%s (%s): it was killed while it started"
		answer(false, text:format(description, skynet.address(address)), address)
	elseif answer then
		answer(true, nil) -- who ends by itself while starting is no failure
	end
end

function command.LIST()
	local list = {}
	for address, description in pairs(descriptions) do
		list[skynet.address(address)] = description
	end
	skynet.retpack(list)
end

function command.KILL(_, address)
	local description = descriptions[address]
	skynet.kill(address)
	skynet.retpack({ [skynet.address(address)] = tostring(description) })
end

function command.QUERY(source, session)
	for address, request in pairs(requests) do
		if request.session == session and request.source == source then
			skynet.retpack(address)
			return
		end
	end
	skynet.retpack()
end

--- C services do not speak the debug protocol.
local function is_lua(description)
	return description:find("^snlua%s") ~= nil
end

--- Asks all Lua services a debug question.
---@param limit_cs integer|string|nil how long to wait for the answers; nil, 0 and less: no limit
---@param question string
---@return table<integer, any> answers by address: what it has answered, "ERROR" or "TIMEOUT"
local function ask_all(limit_cs, question)
	local set = skynet.request()
	local answers = {}
	for address, description in pairs(descriptions) do
		if is_lua(description) then
			set:add({ address, "debug", question })
			answers[address] = "TIMEOUT"
		end
	end
	limit_cs = math.tointeger(tonumber(limit_cs)) or 0
	for request, answer in set:select(limit_cs > 0 and limit_cs or nil) do
		if answer then
			answers[request[1]] = answer[1]
		else -- nil: it has ended meanwhile
			answers[request[1]] = answer == false and "ERROR" or nil
		end
	end
	return answers
end

function command.STAT(_, limit_cs)
	local list = {}
	for address, answer in pairs(ask_all(limit_cs, "STAT")) do
		list[skynet.address(address)] = answer
	end
	skynet.retpack(list)
end

function command.MEM(_, limit_cs)
	local list = {}
	for address, answer in pairs(ask_all(limit_cs, "MEM")) do
		local text = type(answer) == "number" and ("%.2f Kb"):format(answer) or answer
		local description = descriptions[address]
		list[skynet.address(address)] = ("%s (%s)"):format(text, tostring(description))
	end
	skynet.retpack(list)
end

function command.GC(_, limit_cs)
	for address, description in pairs(descriptions) do
		if is_lua(description) then
			skynet.send(address, "debug", "GC")
		end
	end
	command.MEM(nil, limit_cs)
end

skynet.dispatch("lua", function(session, source, name, ...)
	local run = command[string.upper(name)]
	if run then
		run(source, ...)
	elseif session ~= 0 then
		skynet.retpack({ "Unknown command" })
	end
end)

-- A C service that was launched through LAUNCH reports with a text message: empty, or "ERROR",
-- perhaps with a reason behind a blank.
skynet.register_protocol({
	name = "text",
	id = skynet.PTYPE_TEXT,
	unpack = skynet.tostring,
	dispatch = function(_, source, text)
		if text == "" or text == nil then
			command.LAUNCHOK(source)
		else
			local reason = text:match("^ERROR (.+)")
				or "its start has failed, the log tells why"
			local who = ("%s (%s)"):format(descriptions[source], skynet.address(source))
			command.ERROR(source, who .. ": " .. reason)
		end
	end,
})

skynet.start(function()
	skynet.call_timeout(false) -- those that are asked for STAT have the asker's limit
end)
