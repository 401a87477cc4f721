--- Remote objects: tables whose methods other services call. In a message of any kind that
--- skynet.pack makes, such a table travels as a reference; a call of a method there is a request to
--- the service that it lives in, and when it comes home it is the table itself again. The functions
--- are fields of `skynet`; docs/remote-objects.md tells more.
---
--- The handle of an object is the address of its service (high 32 bits) and its number there (low
--- 32 bits), in its field `__remote`. An object lives until it is released or its service ends:
--- references do not keep it, and what is forgotten by all who had one costs its owner nothing.
local skynet = require("skynet")
local deliver = require("skynet.deliver")
local internals = require("skynet.internals")

--- Numbers that a program chooses are below, those that are drawn are not.
local FIRST_DRAWN <const> = 1 << 31
local NUMBER_MAX <const> = 0xffffffff
--- That many objects are a leak.
local OBJECTS_MAX <const> = 1 << 20

local remote = {}

--- The objects of this service, by number.
---@type table<integer, table>
local objects = {}
local object_count = 0
local next_number = FIRST_DRAWN

--- What stands for objects of other services here, by handle: one table for each, as long as
--- anybody has it.
---@type table<integer, skynet.remote>
local references = setmetatable({}, { __mode = "v" })

--- A reference. Each of its fields is a method that calls the one of that name over there. Waits.
---@class skynet.remote
---@field __remote integer the handle
local reference_mt = {}

local function split(handle)
	return handle >> 32, handle & NUMBER_MAX
end

local function is_reference(value)
	return getmetatable(value) == reference_mt
end

-- --- calling ---------------------------------------------------------------------------------

local function new_method(name)
	return function(reference, ...)
		if not is_reference(reference) then
			error(("call it as object:%s(...), with a colon"):format(name), 2)
		end
		local address, number = split(reference.__remote)
		return deliver(pcall(skynet.call, address, "remote", number, name, ...))
	end
end

--- Methods by their names. None is kept that nobody uses.
local methods = setmetatable({}, { __mode = "v" })

function reference_mt.__index(_, name)
	if type(name) ~= "string" or name:find("^__") then
		return nil
	end
	local method = methods[name]
	if not method then
		method = new_method(name)
		methods[name] = method
	end
	return method
end

function reference_mt.__newindex(_, name)
	local text = "field '%s' cannot be set: the object lives in another service"
	error(text:format(tostring(name)), 2)
end

function reference_mt.__tostring(reference)
	return ("[remote :%08x %d]"):format(split(reference.__remote))
end

--- The object itself, or what stands for it. One of this service that was released gets a
--- reference too, whose calls say so.
local function find(handle)
	local address, number = split(handle)
	if address == 0 then
		error(("a reference to no service: %d"):format(handle), 0)
	end
	local object = address == skynet.self() and objects[number] or references[handle]
	if not object then
		object = setmetatable({ __remote = handle }, reference_mt)
		references[handle] = object
	end
	return object
end

-- --- being called ----------------------------------------------------------------------------

local function find_method(object, number, name)
	if not object then
		error(("there is no object %d: it was released, or never was"):format(number), 0)
	end
	local method = object[name]
	if type(method) ~= "function" or name:find("^__") then
		error(("object %d has no method '%s'"):format(number, name), 0)
	end
	return method
end

internals.references(find)

skynet.register_protocol({
	name = "remote",
	id = skynet.PTYPE_REMOTE,
	pack = skynet.pack,
	unpack = skynet.unpack,
	dispatch = function(_, _, number, name, ...)
		if math.type(number) ~= "integer" or type(name) ~= "string" then
			error("a request for a remote object: a number and a name expected", 0)
		end
		local object = objects[number]
		skynet.retpack(find_method(object, number, name)(object, ...))
	end,
})

-- --- functions -------------------------------------------------------------------------------

local function check_number(number)
	if math.type(number) ~= "integer" or number < 0 or number >= FIRST_DRAWN then
		local text = "bad argument 'number': an integer of 0 to 2^31 - 1 expected, got %s"
		error(text:format(tostring(number)), 3)
	elseif objects[number] then
		error(("bad argument 'number': there is an object %d already"):format(number), 3)
	end
end

local function draw_number()
	if next_number > NUMBER_MAX then
		error("this service has had 2^31 remote objects: there is no number left", 3)
	end
	next_number = next_number + 1
	return next_number - 1
end

local function check_new(object)
	if type(object) ~= "table" then
		error(("bad argument 'object': table expected, got %s"):format(type(object)), 3)
	elseif rawget(object, "__remote") ~= nil then
		error("bad argument 'object': it is a remote object already", 3)
	elseif object_count >= OBJECTS_MAX then
		local text = "there are %d remote objects here: end some with skynet.remote_release"
		error(text:format(object_count), 3)
	end
end

--- Makes a table an object whose methods others can call.
---@param object? table a new one, unless given
---@param number? integer 0 to 2^31 - 1, for an object that others bind by its number; otherwise one
--- that was never used is drawn
---@return table object
function remote.remote_create(object, number)
	if object == nil then
		object = {}
	end
	check_new(object)
	if number == nil then
		number = draw_number()
	else
		check_number(number)
	end
	rawset(object, "__remote", skynet.self() << 32 | number)
	objects[number] = object
	object_count = object_count + 1
	return object
end

--- Ends an object: it becomes a table as any other, and calls of its methods from elsewhere fail.
---@param object table
function remote.remote_release(object)
	local handle = type(object) == "table" and rawget(object, "__remote")
	local number = math.type(handle) == "integer" and handle & NUMBER_MAX
	if not number or objects[number] ~= object then
		error("bad argument 'object': not a remote object of this service", 2)
	end
	objects[number] = nil
	object_count = object_count - 1
	rawset(object, "__remote", nil)
end

--- The handle of an object by the service that it lives in, and its number there.
---@param address integer
---@param number integer
---@return integer handle
function remote.remote_handle(address, number)
	if math.type(address) ~= "integer" or address < 1 or address > 0xffffffff then
		error("bad argument 'address': a handle expected, got " .. tostring(address), 2)
	elseif math.type(number) ~= "integer" or number < 0 or number > NUMBER_MAX then
		error("bad argument 'number': an integer of 32 bits expected, got "
			.. tostring(number), 2)
	end
	return address << 32 | number
end

--- The object of this handle (the field `__remote`): itself, when it lives here, or a reference.
--- Whether there is one is for the first call to find out. Handle 0 is the root's, which waits.
---@param handle integer
---@return table object
function remote.remote_bind(handle)
	if math.type(handle) ~= "integer" or (handle ~= 0 and handle >> 32 == 0) then
		error("bad argument 'handle': that of a remote object expected, got "
			.. tostring(handle), 2)
	elseif handle == 0 then
		return remote.remote_root()
	end
	return find(handle)
end

--- The root: an object that knows others by name, one in the whole network of nodes. Waits.
---
--- `root:register(name, object)`, `root:unregister(name)`; `root:query(name)` gives the object, or
--- nil; `root:echo(...)` gives what it got.
---@return table root
function remote.remote_root()
	return find(skynet.uniqueservice(true, "remote_root") << 32)
end

return remote
