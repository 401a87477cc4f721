--- The books of a master: members, names, and the numbers that handles have used up. Pure: neither
--- sockets nor time. Each change gets the next revision and is told at once, so all who are told
--- see one order.
local fields = require("skynet.network.fields")
local registry = require("skynet.registry")
local view = require("skynet.registry.view")

---@class skynet.network.ledger
---@field view skynet.registry.view
---@field numbers table<integer, integer> by id: the highest local number that any incarnation uses
---@field private tell fun(change: skynet.registry.change)
---@field private name_count integer
local ledger = {}
local mt = { __index = ledger }

local module = {
	--- Names in a whole network; a snapshot with all of them is one packet.
	NAME_LIMIT = 65536,
}

local function change(self, kind, values)
	values.kind = kind
	values.revision = self.view.revision + 1
	self.view:apply(values)
	self.tell(values)
end

-- Members ---------------------------------------------------------------------------------------

--- Makes a node a member. Another incarnation in its place leaves first. One that is a member
--- already may have another address.
---@param id integer
---@param incarnation string
---@param address string
function ledger:join(id, incarnation, address)
	local member = self.view.members[id]
	if member and member.incarnation == incarnation and member.address == address then
		return
	elseif member and member.incarnation ~= incarnation then
		self:leave(id, "it has been started anew")
	end
	change(self, "join", { id = id, incarnation = incarnation, address = address })
end

--- Ends a membership, and the names of the node.
---@param id integer
---@param reason string
function ledger:leave(id, reason)
	local member = self.view.members[id]
	if member then
		for _, handle in pairs(self.view.names) do
			if fields.node_of(handle) == id then
				self.name_count = self.name_count - 1
			end
		end
		local incarnation = member.incarnation
		change(self, "leave", { id = id, incarnation = incarnation, reason = reason })
	end
end

--- Has the next change come after this revision, which another master has given.
---@param revision integer
function ledger:advance(revision)
	self.view.revision = math.max(self.view.revision, revision)
end

-- Names -----------------------------------------------------------------------------------------

--- Gives a name to a service, unless another one has it.
---@param name string
---@param handle integer a service of a member
---@return integer? owner who has it now; nil: nobody
---@return string? reason
function ledger:register(name, handle)
	local owner = self.view.names[name]
	if owner then
		return owner
	elseif not self.view.members[fields.node_of(handle)] then
		return nil, ("node %d is no member"):format(fields.node_of(handle))
	elseif self.name_count >= module.NAME_LIMIT then
		return nil, ("there are %d global names, no more may be"):format(self.name_count)
	end
	self.name_count = self.name_count + 1
	change(self, "name", { name = name, handle = handle })
	return handle
end

--- Takes a name back from a service, if it has it.
---@param name string
---@param handle integer
function ledger:unregister(name, handle)
	if self.view.names[name] == handle then
		self.name_count = self.name_count - 1
		change(self, "unname", { name = name, handle = handle })
	end
end

--- Makes the names of a node those that it has itself, as far as they are free.
---@param id integer
---@param names table<string, integer> of services of that node
function ledger:replace_names(id, names)
	for _, name in ipairs(view.sorted_keys(self.view.names)) do
		local handle = self.view.names[name]
		if fields.node_of(handle) == id and names[name] ~= handle then
			self:unregister(name, handle)
		end
	end
	for _, name in ipairs(view.sorted_keys(names)) do
		self:register(name, names[name])
	end
end

-- Numbers ---------------------------------------------------------------------------------------

local HALF <const> = (fields.LOCAL_MAX + 1) // 2

--- Whether a comes after b. Local numbers begin anew after the greatest.
local function is_after(a, b)
	return (a - b) & fields.LOCAL_MAX < HALF and a ~= b
end

--- Notes that an id uses numbers up to this one.
---@param id integer
---@param number integer
---@return boolean is_news
function ledger:report(id, number)
	if self.numbers[id] and not is_after(number, self.numbers[id]) then
		return false
	end
	self.numbers[id] = number
	return true
end

--- Where the numbers of a new incarnation begin: behind all that an earlier one may have used.
---@param id integer
---@return integer base 0: there was no earlier one
function ledger:next_base(id)
	local number = self.numbers[id]
	local base = number and (number + registry.BASE_STEP) & fields.LOCAL_MAX or 0
	self.numbers[id] = base
	return base
end

-- Life ------------------------------------------------------------------------------------------

--- Empty books.
---@param tell fun(change: skynet.registry.change) hears of each change
---@return skynet.network.ledger
function module.new(tell)
	return setmetatable({ view = view.new(), numbers = {}, tell = tell, name_count = 0 }, mt)
end

return module
