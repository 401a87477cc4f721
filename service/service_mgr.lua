-- service_mgr: the services of which a node has one of a kind, known as ".service". Starts each
-- with the first request for it (skynet.uniqueservice), and answers all who ask.
--
--   LAUNCH name, words... -> address     starts the service, unless it is there
--   QUERY name            -> address     waits until somebody has started it
--   GLAUNCH, GQUERY                      the same for one of a kind in a whole network of nodes
--   LIST                  -> { [name] = ":address", or what is known about it }
-- A start that has failed is remembered: LAUNCH and QUERY then answer nil and the reason. "@name"
-- is another one of the kind `name`.

local skynet = require("skynet")
require("skynet.manager")
local waiters = require("skynet.waiters")

--- How long to wait for the traceback of a service that is being started.
local TRACEBACK_LIMIT_CS <const> = 100

---@class unique_service
---@field address integer? it runs
---@field reason string? its start has failed
---@field task thread? that starts it now
---@field starter integer? address of who asked first
---@field waiters skynet.waiters

---@type table<string, unique_service>
local services = {}

--- What is wrong with a name, or nil.
local function problem_of(name)
	if type(name) == "string" and name:find("^@?%S+$") then
		return nil
	end
	local got = type(name) == "string" and ("%q"):format(name) or type(name)
	return "bad argument 'name': a name without blanks expected, got " .. got
end

local function find(name)
	if not services[name] then
		services[name] = { waiters = waiters.new() }
	end
	return services[name]
end

--- Answers the request of this task, or puts it off until the start has ended.
local function answer(service)
	if service.address or service.reason then
		skynet.retpack(service.address, service.reason)
	else
		service.waiters:add()
	end
end

local function start(service, name, ...)
	local ok, result = pcall(skynet.newservice, (name:gsub("^@", "")), ...)
	service.task = nil
	if ok and result then
		service.address = result
	else
		service.reason = result or ("the service '%s' has ended by itself"):format(name)
	end
	service.waiters:answer(service.address, service.reason)
end

local command = {}

function command.LAUNCH(source, name, ...)
	local service = find(name)
	if not (service.address or service.reason or service.task) then
		service.starter = source
		service.task = skynet.fork(start, service, name, ...)
	end
	answer(service)
end

function command.QUERY(_, name)
	answer(find(name))
end

--- Has a service that is one of its kind in the whole network of nodes under a key of its own.
local function on_all_nodes(run)
	return function(source, name, ...)
		if tonumber(skynet.getenv("harbor")) == 0 then
			run(source, "@" .. name:gsub("^@", ""), ...)
			return
		end
		local text = "a service that is one of its kind on all nodes needs the network of "
			.. "nodes, which is not there yet: '%s'"
		skynet.retpack(nil, text:format(name))
	end
end

command.GLAUNCH = on_all_nodes(command.LAUNCH)
command.GQUERY = on_all_nodes(command.QUERY)

--- Where the start function of a service waits that is being launched now: its address, and a
--- traceback if it answers.
local function describe_start(task)
	local address = skynet.call(".launcher", "lua", "QUERY", skynet.task(task))
	if not address then
		return nil
	end
	local lines = { "Init as " .. skynet.address(address) }
	local question = skynet.request({ address, "debug", "TASK", "init" })
	for _, reply in question:select(TRACEBACK_LIMIT_CS) do
		table.insert(lines, reply and reply[1])
	end
	return table.concat(lines, "\n")
end

--- What is known about a service that is not there yet.
local function describe_wait(service)
	local lines = {}
	if service.task then
		table.insert(lines, describe_start(service.task))
	end
	if service.starter then
		table.insert(lines, "Launching from " .. skynet.address(service.starter))
	end
	table.insert(lines, "Querying:")
	for _, asker in ipairs(service.waiters:requesters()) do
		table.insert(lines, skynet.address(asker))
	end
	return table.concat(lines, "\n")
end

local function describe(service)
	if not (service.address or service.reason) then
		local text = describe_wait(service)
		if not (service.address or service.reason) then
			return text
		end -- meanwhile its start has ended
	end
	return service.address and skynet.address(service.address) or "Error: " .. service.reason
end

function command.LIST()
	local names, list = {}, {}
	for name in pairs(services) do
		table.insert(names, name)
	end
	for _, name in ipairs(names) do -- this waits, and others may come meanwhile
		list[name] = describe(services[name])
	end
	skynet.retpack(list)
end

skynet.start(function()
	skynet.dispatch("lua", function(_, source, name, ...)
		local run = command[name]
		if not run then
			error("Unknown command " .. tostring(name), 0)
		end
		local problem = run ~= command.LIST and problem_of((...))
		if problem then
			skynet.retpack(nil, problem)
		else
			run(source, ...)
		end
	end)
	skynet.register(".service")
end)
