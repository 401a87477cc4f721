--- One child of a supervisor: how it is started, named and stopped. See skynet/supervisor.lua.
local skynet = require("skynet")
require("skynet.manager")
local deliver = require("skynet.deliver")

--- How long an orderly stop may take, unless the child's specification says otherwise.
local STOP_LIMIT_CS <const> = 500

local SERVICE_TYPES <const> = { string = true, table = true }

---@class skynet.supervisor.child
---@field name string
---@field specification skynet.supervisor.specification
---@field address integer? it runs
---@field restarts integer[] when it was restarted, as far as that still counts
---@field is_waiting boolean it is to be started again
---@field private unlink fun()?
local methods = {}
local class = { __index = methods }

local module = {}

local function fail(text, ...)
	error(text:format(...), 0)
end

local function check_names(names)
	for _, name in ipairs(names) do
		if type(name) ~= "string" or not name:find("^%.[^%s]+$") then
			local text = "bad field 'register': names like '.name' expected, got %s"
			fail(text, tostring(name))
		end
	end
end

local function check_limit(specification, field)
	local limit = specification[field]
	if limit ~= nil and (math.type(limit) ~= "integer" or limit < 1) then
		fail("bad field '%s': hundredths of a second expected, got %s", field, limit)
	end
end

--- Raises what is wrong with the specification of a child, without a place.
---@param specification skynet.supervisor.specification
function module.check(specification)
	if type(specification) ~= "table" then
		fail("bad child: a table expected, got %s", type(specification))
	end
	local start, service = specification.start, specification.service
	local register, restart = specification.register, specification.restart
	if type(specification.name) ~= "string" then
		fail("bad field 'name': string expected, got %s", type(specification.name))
	elseif type(start) ~= "function" and not SERVICE_TYPES[type(service)] then
		local text = "bad child '%s': 'service' (name and arguments) or 'start' (a "
			.. "function that returns an address) expected"
		fail(text, specification.name)
	elseif restart ~= nil and restart ~= "always" and restart ~= "never" then
		fail("bad field 'restart': 'always' or 'never' expected, got %s", tostring(restart))
	elseif specification.stop ~= nil and type(specification.stop) ~= "function" then
		fail("bad field 'stop': function expected, got %s", type(specification.stop))
	end
	check_names(type(register) == "table" and register or { register })
	check_limit(specification, "start_limit")
	check_limit(specification, "stop_limit")
end

---@param specification skynet.supervisor.specification
---@return skynet.supervisor.child
function module.new(specification)
	local child = { name = specification.name, specification = specification }
	child.restarts, child.is_waiting = {}, false
	return setmetatable(child, class)
end

--- Runs f() in a task of its own, for at most that long. Returns whether it has ended, and what
--- pcall says of it. What it returns later goes to `discard`.
local function run_within(limit_cs, f, discard)
	local token, result, is_late = {}, nil, false
	skynet.fork(function()
		result = table.pack(pcall(f))
		if is_late then
			discard(table.unpack(result, 1, result.n))
		else
			skynet.wakeup(token)
		end
	end)
	skynet.sleep(limit_cs, token)
	is_late = not result
	if is_late then
		return false
	end
	return true, table.unpack(result, 1, result.n)
end

--- Its only deadline is start_limit: with another one a service would be given up that is there
--- soon after, and the next one started beside it.
local function launch(specification)
	if specification.start then
		return specification.start()
	end
	local service = specification.service
	local words = type(service) == "string" and { service } or service
	return deliver(pcall(skynet.newservice_within, false, table.unpack(words)))
end

--- A start that has taken too long: nobody wants its service any more.
local function discard(ok, address)
	if ok and math.type(address) == "integer" then
		skynet.kill(address)
	end
end

local function register(name, address)
	skynet.name(name, address)
	local owner = skynet.localname(name)
	if owner ~= address then
		fail("the name %s is taken by %s", name, skynet.address(owner))
	end
end

--- Starts the service. Returns its address, or nil and why there is none.
local function try_launch(specification)
	local limit_cs = specification.start_limit
	local function try()
		return launch(specification)
	end
	local in_time, ok, address
	if limit_cs then
		in_time, ok, address = run_within(limit_cs, try, discard)
	else
		in_time, ok, address = true, pcall(try)
	end
	if not in_time then
		return nil, ("it has not started within %.2f s"):format(limit_cs / 100)
	elseif not ok then
		return nil, tostring(address)
	elseif address == nil then
		return nil, "it has ended by itself while it started"
	elseif math.type(address) ~= "integer" then
		return nil, "its start function has returned no address, but " .. tostring(address)
	end
	return address
end

--- Starts the service, and has on_end(child, address, reason) called when it ends. Returns true, or
--- false and the reason. Waits.
---@param on_end fun(child: skynet.supervisor.child, address: integer, reason: string)
---@return boolean ok
---@return string? reason
function methods:start(on_end)
	local specification = self.specification
	local address, problem = try_launch(specification)
	if not address then
		return false, problem
	end
	local names = specification.register or {}
	for _, name in ipairs(type(names) == "table" and names or { names }) do
		local is_named, reason = pcall(register, name, address)
		if not is_named then
			skynet.kill(address)
			return false, reason
		end
	end
	self.address = address
	self.is_waiting = false
	self.unlink = skynet.link(address, function(_, reason)
		on_end(self, address, reason)
	end)
	return true
end

--- The service has ended by itself.
function methods:forget()
	self.address, self.unlink = nil, nil
end

--- Asks a service to end, and gives it time for that. Returns whether it has ended.
local function ask_to_stop(self, address)
	local token, has_ended, may_kill = {}, false, false
	local limit_cs = self.specification.stop_limit or STOP_LIMIT_CS
	local who = ("error: supervisor: '%s' (%s) "):format(self.name, skynet.address(address))
	local unlink = skynet.link(address, function()
		has_ended = true
		skynet.wakeup(token)
	end)
	skynet.fork(function()
		local ok, result = pcall(self.specification.stop, address)
		if not ok and not has_ended then
			skynet.error(who .. "could not be asked to stop: " .. tostring(result))
		end
		may_kill = not ok or result == true
		if may_kill then
			skynet.wakeup(token)
		end
	end)
	skynet.sleep(limit_cs, token)
	unlink()
	if not has_ended and not may_kill then
		skynet.error(who .. ("has not stopped within %.2f s"):format(limit_cs / 100))
	end
	return has_ended
end

--- Ends the service: asks it to, if the specification says how, and kills it when it is still
--- there. Nobody is told of this end. Waits.
function methods:stop()
	local address = self.address
	if not address then
		return
	end
	self.unlink()
	self:forget()
	if not self.specification.stop or not ask_to_stop(self, address) then
		skynet.kill(address)
	end
end

return module
