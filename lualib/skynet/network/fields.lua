--- What nodes tell each other, checked field by field: whatever comes from another process may be
--- anything. Pure.
local fields = {
	LOCAL_MAX = 0xffffff, -- the greatest local number of a handle
	NAME_MAX = 16, -- bytes of a global name
	ADDRESS_MAX = 255, -- bytes of "host:port"
}

function fields.is_id(value)
	return math.type(value) == "integer" and value >= 1 and value <= 255
end

function fields.is_incarnation(value)
	return type(value) == "string" and #value == 16 and not value:find("[^0-9a-f]")
end

--- What the harbor tells processes by: the begin of their incarnation.
---@param incarnation string
---@return string
function fields.process_of(incarnation)
	return incarnation:sub(1, 8)
end

--- An era is made like an incarnation.
fields.is_era = fields.is_incarnation

--- Counted up by one, so it never gets near the greatest integer.
function fields.is_revision(value)
	return math.type(value) == "integer" and value >= 0 and value < 1 << 53
end

function fields.is_address(value)
	return type(value) == "string"
		and #value <= fields.ADDRESS_MAX
		and value:find("^[%w%.%-_:%[%]]+:%d+$") ~= nil
end

function fields.is_name(value)
	return type(value) == "string"
		and #value <= fields.NAME_MAX
		and value:find("^[^%.:%s%c][^%s%c]*$") ~= nil
end

--- The local number of a handle, or the greatest one that a node has given; 0: none yet.
function fields.is_local_number(value)
	return math.type(value) == "integer" and value >= 0 and value <= fields.LOCAL_MAX
end

function fields.is_handle(value)
	return math.type(value) == "integer"
		and fields.is_id(value >> 24)
		and value & fields.LOCAL_MAX ~= 0
end

--- What somebody else has said, fit for a line of the log.
---@param value any
---@param length? integer
---@return string
function fields.printable(value, length)
	return (tostring(value):sub(1, length or 200):gsub("[^ -~]", "?"))
end

--- The node of a handle.
---@param handle integer
---@return integer id
function fields.node_of(handle)
	return handle >> 24
end

--- Whether all keys and values of a table are right.
---@param value any
---@param is_key fun(key: any): boolean
---@param is_value fun(value: any): boolean
---@return boolean
function fields.is_map(value, is_key, is_value)
	if type(value) ~= "table" then
		return false
	end
	for key, element in pairs(value) do
		if not (is_key(key) and is_value(element)) then
			return false
		end
	end
	return true
end

function fields.is_member(value)
	return type(value) == "table"
		and fields.is_incarnation(value.incarnation)
		and fields.is_address(value.address)
end

--- Whether it holds members and names, as views have them (skynet.registry.view).
function fields.is_snapshot(value)
	return type(value) == "table"
		and fields.is_revision(value.revision)
		and fields.is_map(value.members, fields.is_id, fields.is_member)
		and fields.is_map(value.names, fields.is_name, fields.is_handle)
end

--- Whether it is what a slave knows when it comes back.
function fields.is_knowledge(value)
	return fields.is_snapshot(value)
		and fields.is_era(value.era)
		and fields.is_map(value.numbers, fields.is_id, fields.is_local_number)
end

--- Whether it is a claim (skynet.network.master).
function fields.is_claim(value)
	return fields.is_member(value)
		and fields.is_id(value.id)
		and fields.is_local_number(value.number)
		and (value.known == nil or fields.is_knowledge(value.known))
end

local function is_text(value)
	return type(value) == "string"
end

--- What each kind of change has, and how that is checked.
local change_fields = {
	join = {
		{ "id", fields.is_id },
		{ "incarnation", fields.is_incarnation },
		{ "address", fields.is_address },
	},
	leave = {
		{ "id", fields.is_id },
		{ "incarnation", fields.is_incarnation },
		{ "reason", is_text },
	},
	name = { { "name", fields.is_name }, { "handle", fields.is_handle } },
}
change_fields.unname = change_fields.name

--- What is wrong with a change (skynet.registry).
---@param value any
---@return string? problem nil: nothing
function fields.change_problem(value)
	local list = type(value) == "table" and change_fields[value.kind]
	if not list then
		local kind = type(value) == "table" and value.kind
		return ("its kind is %s"):format(fields.printable(kind))
	elseif not fields.is_revision(value.revision) then
		return ("its revision is %s"):format(fields.printable(value.revision))
	end
	for _, field in ipairs(list) do
		local name, is_right = field[1], field[2]
		if not is_right(value[name]) then
			return ("its %s is %s"):format(name, fields.printable(value[name]))
		end
	end
end

function fields.is_change(value)
	return fields.change_problem(value) == nil
end

return fields
