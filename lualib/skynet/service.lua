--- Services that are written as a function in another service, one of a name on a node.
---
---     local service = require("skynet.service")
---     local counter = service.new("counter", function(first)
---         local skynet = require("skynet")
---         skynet.dispatch("lua", function() skynet.retpack(first) first = first + 1 end)
---     end, 1)
local skynet = require("skynet")
local deliver = require("skynet.deliver")

local service = {}

---@type table<string, integer>
local known = {}

--- What pcall says of the request.
local function try(...)
	local ok, provider = pcall(skynet.uniqueservice, "service_provider")
	if not ok then
		return false, provider
	end
	return pcall(skynet.call, provider, "lua", ...)
end

local function check_name(name)
	if type(name) ~= "string" then
		error(("bad argument 'name': string expected, got %s"):format(type(name)), 3)
	end
end

--- Raises unless the code of f says all that f is: it may use globals, but no local around it.
local function check_function(f)
	if type(f) ~= "function" then
		error(("bad argument 'f': function expected, got %s"):format(type(f)), 3)
	elseif debug.getinfo(f, "S").what == "C" then
		error("bad argument 'f': a function written in Lua expected", 3)
	end
	local upvalue, value = debug.getupvalue(f, 1)
	local is_plain = upvalue == nil or rawequal(value, _G)
	if is_plain then
		upvalue = debug.getupvalue(f, 2)
		is_plain = upvalue == nil
	end
	if not is_plain then
		local text = "bad argument 'f': it uses '%s', a local of the code around it, which "
			.. "a service of its own can't see"
		error(text:format(upvalue), 3)
	end
end

local function ask(command, name, ...)
	local ok, address, reason = try(command, name, ...)
	if not (ok and address) then
		error(ok and reason or address, 3)
	end
	known[name] = address
	return address
end

--- Starts a service whose code is the function f, or gives the one that is there under this name.
--- f may use globals and what it requires, but no local of the code around it. It may wait; it
--- may call skynet.start like a main chunk, but need not. Returns when f has returned, and what it
--- gave to skynet.start. Raises what f has raised, now or at the first start. Waits.
---@param name string
---@param f function
---@param ... any arguments of f: whatever a message can carry
---@return integer address
function service.new(name, f, ...)
	check_name(name)
	check_function(f)
	return (ask("LAUNCH", name, string.dump(f), ...))
end

--- The service of this name; waits until it is there. Waits.
---@param name string
---@return integer address
function service.query(name)
	check_name(name)
	if not known[name] then
		return (ask("QUERY", name))
	end
	return known[name]
end

--- Ends the service of this name. Waits.
---@param name string
---@return boolean existed
function service.close(name)
	check_name(name)
	known[name] = nil
	return deliver(try("CLOSE", name))
end

return service
