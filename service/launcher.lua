-- launcher: starts Lua services for others and tells the asker when the new one is ready. Keeps the
-- list of all Lua services of the node.
--
-- A launch waits in `starting` until the new service reports LAUNCHOK (its start function has
-- returned), ERROR (it has raised), or REMOVE (it has ended).

local skynet = require("skynet")
require("skynet.manager")

---@type table<integer, string> address -> "snlua name arguments"
local descriptions = {}
---@type table<integer, function> address -> answer to whoever waits for it to start
local starting = {}
---@type table<integer, integer> address -> session of the request that launched it
local sessions = {}

local command = {}

local function forget_start(address)
	local answer = starting[address]
	starting[address] = nil
	sessions[address] = nil
	return answer
end

function command.LAUNCH(_, module, ...)
	local description = table.concat({ module, ... }, " ")
	local address = skynet.launch(module, ...)
	if not address then
		error(("can't launch '%s': the reason is in the log"):format(description), 0)
	end
	local session = skynet.context()
	descriptions[address] = description
	starting[address] = skynet.response()
	sessions[address] = session
end

function command.LAUNCHOK(source)
	local answer = forget_start(source)
	if answer then
		answer(true, source)
	end
end

function command.ERROR(source, reason)
	local answer = forget_start(source)
	local description = descriptions[source]
	descriptions[source] = nil
	if answer then
		-- The error is the new service's: who asked wants to know about that one.
		local text = "%s (%s): its start has failed, the log tells why"
		answer(false, reason or text:format(description, skynet.address(source)), source)
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

function command.QUERY(_, session)
	for address, launched_by in pairs(sessions) do
		if launched_by == session then
			skynet.retpack(address)
			return
		end
	end
	skynet.retpack()
end

skynet.dispatch("lua", function(session, source, name, ...)
	local run = command[string.upper(name)]
	if run then
		run(source, ...)
	elseif session ~= 0 then
		skynet.retpack({ "Unknown command" })
	end
end)

-- A C service that was launched through LAUNCH reports with a text message: empty, or "ERROR".
skynet.register_protocol({
	name = "text",
	id = skynet.PTYPE_TEXT,
	unpack = skynet.tostring,
	dispatch = function(_, source, text)
		if text == "" or text == nil then
			command.LAUNCHOK(source)
		else
			command.ERROR(source)
		end
	end,
})

skynet.start(function() end)
