-- remote_root: the remote object number 0 (skynet.remote_root in lualib/skynet/remote.lua), by
-- which services find the objects of others. One in a whole network of nodes.
--
--   register(name, object)    raises when the name is that of another object whose service lives
--   unregister(name)
--   query(name) -> object     or nil
--   echo(...) -> ...
-- A name ends with the service of its object.

local skynet = require("skynet")
local link = require("skynet.link")
require("skynet.remote")

--- That many names are a leak.
local NAMES_MAX <const> = 1 << 16

---@class remote_name
---@field object table
---@field unlink fun() tells nobody any more when the service of the object ends

---@type table<string, remote_name>
local names = {}
local name_count = 0

local root = {}

local function check_name(name)
	if type(name) ~= "string" then
		error(("bad argument 'name': string expected, got %s"):format(type(name)), 0)
	end
end

local function check_object(object)
	local handle = type(object) == "table" and rawget(object, "__remote")
	if math.type(handle) ~= "integer" then
		error(("bad argument 'object': a remote object expected, got %s"):format(
			type(object)
		), 0)
	end
	return handle >> 32
end

local function forget(name, entry)
	if names[name] == entry then
		names[name] = nil
		name_count = name_count - 1
	end
end

function root.register(_, name, object)
	check_name(name)
	local owner = check_object(object)
	local known = names[name]
	if known and known.object ~= object then
		error(("the name '%s' is that of another object"):format(name), 0)
	elseif known then
		return
	elseif name_count >= NAMES_MAX then
		error(("too many names: %d"):format(name_count), 0)
	end
	local entry = { object = object }
	names[name] = entry
	name_count = name_count + 1
	entry.unlink = link.link(owner, function()
		forget(name, entry)
	end)
end

function root.unregister(_, name)
	check_name(name)
	local entry = names[name]
	if entry then
		entry.unlink()
		forget(name, entry)
	end
end

function root.query(_, name)
	check_name(name)
	return names[name] and names[name].object
end

function root.echo(_, ...)
	return ...
end

skynet.start(function()
	skynet.remote_create(root, 0)
end)
