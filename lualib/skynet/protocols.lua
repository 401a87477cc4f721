--- skynet._proto: the protocols of this service by name and by number, as tables. They are views: a
--- field is read from the engine, and `dispatch` and `trace` can be set.
local skynet = require("skynet.engine")
local internals = require("skynet.internals")

local FIELDS <const> = { name = 1, id = 2, pack = 3, unpack = 4, dispatch = 5, trace = 6 }

local setters = {}

function setters.dispatch(id, f)
	skynet.dispatch(id, f)
end

function setters.trace(id, flag)
	skynet.traceproto(id, flag)
end

local view_mt = {}

function view_mt.__index(view, key)
	local place = FIELDS[key]
	if place then
		return (select(place, internals.protocol(rawget(view, view_mt))))
	end
end

function view_mt.__newindex(view, key, value)
	local set = setters[key]
	if not set then
		local text = "field '%s' of a protocol cannot be changed: register it so, "
			.. "with skynet.register_protocol"
		error(text:format(tostring(key)), 2)
	end
	set(rawget(view, view_mt), value)
end

local function next_field(view, key)
	local name = next(FIELDS, key)
	while name and view[name] == nil do
		name = next(FIELDS, name)
	end
	return name, name and view[name]
end

function view_mt.__pairs(view)
	return next_field, view, nil
end

--- The views that were asked for, by number: the same protocol is always the same table.
local views = {}

local function view_of(id)
	if not views[id] then
		views[id] = setmetatable({ [view_mt] = id }, view_mt)
	end
	return views[id]
end

local proto_mt = {}

function proto_mt.__index(_, key)
	if type(key) ~= "string" and math.type(key) ~= "integer" then
		return nil
	end
	local name, id = internals.protocol(key)
	return name and view_of(id)
end

function proto_mt.__newindex()
	error("skynet._proto cannot be changed: use skynet.register_protocol", 2)
end

function proto_mt.__pairs(proto)
	local all = {}
	for id = 0, 255 do
		local name = internals.protocol(id)
		if name then
			all[name], all[id] = proto[id], proto[id]
		end
	end
	return next, all, nil
end

return { _proto = setmetatable({}, proto_mt) }
