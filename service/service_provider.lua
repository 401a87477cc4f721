-- service_provider: the services that were started with skynet.service (lualib/skynet/service.lua),
-- by name. There is one on a node.
--
--   LAUNCH name, code, values... -> address     starts it, unless it is there
--   QUERY name                   -> address     waits until somebody has started it
--   CLOSE name                   -> boolean     ends it; false: there is none
-- A start that has failed is remembered: LAUNCH and QUERY then answer nil and the reason.

local skynet = require("skynet")
require("skynet.manager")

---@class provided_service
---@field address integer? it runs
---@field reason string? its start has failed
---@field is_starting boolean
---@field waiters function[] to call when the start has ended

---@type table<string, provided_service>
local services = {}

local function find(name)
	if not services[name] then
		services[name] = { is_starting = false, waiters = {} }
	end
	return services[name]
end

local function is_settled(service)
	return service.address ~= nil or service.reason ~= nil
end

local function answer(service)
	if is_settled(service) then
		skynet.retpack(service.address, service.reason)
		return
	end
	local respond = skynet.response()
	table.insert(service.waiters, function()
		respond(true, service.address, service.reason)
	end)
end

--- Returns the address of the service, or nil and why there is none.
local function start_cell(name, code, ...)
	local cell = skynet.newservice("service_cell", name)
	if not cell then
		return nil, ("the service '%s' has ended by itself"):format(name)
	end
	local ok, reason = pcall(skynet.call, cell, "lua", code, ...)
	if ok then
		return cell
	end
	skynet.kill(cell)
	return nil, reason
end

local function start(service, name, ...)
	local ok, address, reason = pcall(start_cell, name, ...)
	service.is_starting = false
	if ok then
		service.address, service.reason = address, reason
	else
		service.reason = address
	end
	for _, run in ipairs(service.waiters) do
		run()
	end
	service.waiters = {}
end

local command = {}

function command.LAUNCH(name, code, ...)
	local service = find(name)
	if not is_settled(service) and not service.is_starting then
		service.is_starting = true
		skynet.fork(start, service, name, code, ...)
	end
	answer(service)
end

function command.QUERY(name)
	answer(find(name))
end

function command.CLOSE(name)
	local service = services[name]
	if service and service.is_starting then
		local token = {}
		table.insert(service.waiters, function()
			skynet.wakeup(token)
		end)
		skynet.wait(token)
	end
	local is_there = service ~= nil and service.address ~= nil and services[name] == service
	if is_there then
		services[name] = nil
		skynet.kill(service.address)
	end
	skynet.retpack(is_there)
end

skynet.start(function()
	skynet.dispatch("lua", function(_, _, word, name, ...)
		local run = command[word]
		if not run or type(name) ~= "string" then
			error(("Unknown command %s %s"):format(tostring(word), tostring(name)), 0)
		end
		run(name, ...)
	end)
end)
