-- service_mgr: the services of which a node has one of a kind, known as ".service". Starts each
-- with the first request for it (skynet.uniqueservice), and answers all who ask.
--
--   LAUNCH name, words... -> address     starts the service, unless it is there
--   QUERY name            -> address     waits until somebody has started it
--   GLAUNCH, GQUERY                      the same for one of a kind in a whole network of nodes
--   LIST                  -> { [name] = ":address", or what is known about it }
-- A start that has failed is remembered: LAUNCH and QUERY then answer nil and the reason. "@name"
-- is another one of the kind `name`; so one of its kind in the network is known here.
--
-- In a network the managers of all nodes work together (skynet.network.unique); one of them, known
-- as "SERVICE", decides. They tell each other:
--
--   HOLDER command, name, words...   LAUNCH or QUERY for the whole network; false: it is another
--   REPORT { [name] = address }      what runs on the node of the sender
--   LISTHERE                         LIST of this node alone; that of SERVICE has those of the
--                                    others, too, as "name@node"

local skynet = require("skynet")
require("skynet.manager")
local link = require("skynet.link")
local waiters = require("skynet.waiters")
local fields = require("skynet.network.fields")

--- How long to wait for the traceback of a service that is being started.
local TRACEBACK_LIMIT_CS <const> = 100
--- How long to wait for the list of another node.
local LIST_LIMIT_CS <const> = 300

---@class unique_service
---@field address integer? it runs
---@field reason string? its start has failed
---@field task thread? that starts it now
---@field starter integer? address of who asked first
---@field waiters skynet.waiters

---@type table<string, unique_service>
local services = {}
---@type skynet.network.unique? nil: this node has no network
local network

--- What is wrong with a name, or nil.
local function problem_of(name)
	if type(name) == "string" and name:find("^@?%S+$") then
		return nil
	end
	local got = type(name) == "string" and ("%q"):format(name) or type(name)
	return "bad argument 'name': a name without blanks expected, got " .. got
end

local function is_settled(service)
	return service.address or service.reason
end

local function has_begun(service)
	return is_settled(service) or service.task
end

local function find(name)
	return services[name] or waiters.keep(services, name, {}, has_begun)
end

--- Answers the request of this task, or puts it off until the start has ended.
local function answer(service)
	if is_settled(service) then
		skynet.retpack(service.address, service.reason)
	else
		service.waiters:add()
	end
end

--- Has the next request start it anew when it has ended.
local function forget_at_end(service, name)
	link.link(service.address, function()
		if services[name] == service then
			services[name] = nil
		end
	end)
end

local function start(service, name, ...)
	local ok, result = pcall(skynet.newservice, (name:gsub("^@", "")), ...)
	service.task = nil
	if ok and result then
		service.address = result
		if network and name:sub(1, 1) == "@" then
			forget_at_end(service, name)
		end
	else
		service.reason = result or ("the service '%s' has ended by itself"):format(name)
	end
	service.waiters:answer(service.address, service.reason)
end

local command = {}

function command.LAUNCH(source, name, ...)
	local service = find(name)
	if not has_begun(service) then
		service.starter = source
		service.task = skynet.fork(start, service, name, ...)
	end
	answer(service)
end

function command.QUERY(_, name)
	answer(find(name))
end

-- One of a kind in the network ------------------------------------------------------------------

local function global_key(name)
	return "@" .. name:gsub("^@", "")
end

local function on_all_nodes(name_of_command)
	return function(source, name, ...)
		if network then
			network:answer(name_of_command, source, global_key(name), ...)
		else
			command[name_of_command](source, global_key(name), ...)
		end
	end
end

command.GLAUNCH = on_all_nodes("LAUNCH")
command.GQUERY = on_all_nodes("QUERY")

function command.HOLDER(source, name_of_command, name, ...)
	local is_known = name_of_command == "LAUNCH" or name_of_command == "QUERY"
	if not (network and is_known) or problem_of(name) then
		error("bad request: LAUNCH or QUERY and a name, in a network, expected", 0)
	end
	network:answer_manager(name_of_command, source, global_key(name), ...)
end

--- Whether it is a table of services of that node.
local function is_report(report, node)
	return fields.is_map(report, function(name)
		return not problem_of(name) and name:sub(1, 1) == "@"
	end, function(address)
		return fields.is_handle(address) and fields.node_of(address) == node
	end)
end

function command.REPORT(source, report)
	if not network or not is_report(report, fields.node_of(source)) then
		error("bad report: { [\"@name\"] = address } of a node in a network expected", 0)
	end
	network:take_report(source, report)
	skynet.ret()
end

--- Takes over a service that runs on another node; unless there is one here.
local function adopt(name, address)
	local service = find(name)
	if not (service.address or service.task) then
		service.address, service.reason = address, nil
		forget_at_end(service, name)
		service.waiters:answer(address)
	end
end

--- Those of the whole network that run on this node.
local function own_services()
	local own = {}
	local node = skynet.harbor(skynet.self())
	for name, service in pairs(services) do
		local is_here = service.address and skynet.harbor(service.address) == node
		if is_here and name:sub(1, 1) == "@" then
			own[name] = service.address
		end
	end
	return own
end

-- Looking at them -------------------------------------------------------------------------------

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
	if not is_settled(service) then
		local text = describe_wait(service)
		if not is_settled(service) then
			return text
		end -- meanwhile its start has ended
	end
	return service.address and skynet.address(service.address) or "Error: " .. service.reason
end

local function list_here()
	local names, list = {}, {}
	for name in pairs(services) do
		table.insert(names, name)
	end
	for _, name in ipairs(names) do -- this waits, and others may come meanwhile
		list[name] = services[name] and describe(services[name])
	end
	return list
end

--- Adds what runs on the other nodes. A node that does not answer in time is left out.
local function add_others(list)
	local questions, nodes = skynet.request(), {}
	for id, manager in pairs(network:others()) do
		local question = { manager, "lua", "LISTHERE" }
		questions:add(question)
		nodes[question] = id
	end
	for question, reply in questions:select(LIST_LIMIT_CS) do
		for name, text in pairs(reply and reply[1] or {}) do
			list[("%s@%d"):format(name, nodes[question])] = text
		end
	end
end

function command.LISTHERE()
	skynet.retpack(list_here())
end

function command.LIST()
	local list = list_here()
	if network then
		add_others(list)
	end
	skynet.retpack(list)
end

--- Commands whose first argument is a name.
local NAMING <const> = { LAUNCH = true, QUERY = true, GLAUNCH = true, GQUERY = true }

if skynet.getenv("harbor") ~= "0" then
	network = require("skynet.network.unique").new({
		run = function(name, ...)
			command[name](...)
		end,
		adopt = adopt,
		own = own_services,
	})
end

skynet.start(function()
	skynet.call_timeout(false) -- a start may take its time; the askers have their deadlines
	skynet.dispatch("lua", function(_, source, name, ...)
		local run = command[name]
		if not run then
			error("Unknown command " .. tostring(name), 0)
		end
		local problem = NAMING[name] and problem_of((...))
		if problem then
			skynet.retpack(nil, problem)
		else
			run(source, ...)
		end
	end)
	skynet.register(".service")
	if network then
		network:begin()
	end
end)
