-- service_provider: the services that were started with skynet.service (lualib/skynet/service.lua),
-- by name. There is one on a node.
--
--   LAUNCH name, code, values... -> address     starts it, unless it is there
--   QUERY name                   -> address     waits until somebody has started it
--   CLOSE name                   -> boolean     ends it; false: there is none
-- A start that has failed is remembered: LAUNCH and QUERY then answer nil and the reason.

local skynet = require("skynet")
require("skynet.manager")
local waiters = require("skynet.waiters")

---@class provided_service
---@field address integer? it runs
---@field reason string? its start has failed
---@field is_starting boolean
---@field waiters skynet.waiters

---@type table<string, provided_service>
local services = {}

--- The subject of those who wait for the start to end what it has started.
local CLOSES <const> = "closes"

local function is_settled(service)
	return service.address ~= nil or service.reason ~= nil
end

local function has_begun(service)
	return is_settled(service) or service.is_starting
end

local function find(name)
	return services[name] or waiters.keep(services, name, { is_starting = false }, has_begun)
end

local function answer(service)
	if is_settled(service) then
		skynet.retpack(service.address, service.reason)
	else
		service.waiters:add()
	end
end

--- Returns whether there was one.
local function close(service, name)
	local is_there = service.address ~= nil and services[name] == service
	if is_there then
		services[name] = nil
		skynet.kill(service.address)
	end
	return is_there
end

--- Those who want it get it, before it is closed for those who want that.
local function answer_waiters(service, name)
	local closers = {}
	service.waiters:settle(function(waiter)
		if waiter.subject == CLOSES then
			closers[#closers + 1] = waiter
		else
			waiter.respond(true, service.address, service.reason)
		end
		return true
	end)
	for _, waiter in ipairs(closers) do
		waiter.respond(true, close(service, name))
	end
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
	answer_waiters(service, name)
end

local command = {}

function command.LAUNCH(name, code, ...)
	local service = find(name)
	if not has_begun(service) then
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
		service.waiters:add(CLOSES)
	else
		skynet.retpack(service ~= nil and close(service, name))
	end
end

skynet.start(function()
	skynet.call_timeout(false) -- a start may take its time; the askers have their deadlines
	skynet.dispatch("lua", function(_, _, word, name, ...)
		local run = command[word]
		if not run or type(name) ~= "string" then
			error(("Unknown command %s %s"):format(tostring(word), tostring(name)), 0)
		end
		run(name, ...)
	end)
end)
