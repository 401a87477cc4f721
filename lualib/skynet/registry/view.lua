--- What a node knows of the registry (skynet.registry): members, names and the revision. Pure; both
--- backends use it. It applies changes in their order, and turns a snapshot, which a backend takes
--- when it comes back to its registry, into the changes that have led there.
---
--- Names whose owner's node has left are dropped with the node.

---@class skynet.registry.view
---@field revision integer
---@field members table<integer, skynet.registry.member>
---@field names table<string, integer>
local view = {}
local mt = { __index = view }

local function node_of(handle)
	return handle >> 24
end

local function drop_names(self, id)
	for name, handle in pairs(self.names) do
		if node_of(handle) == id then
			self.names[name] = nil -- clearing a field is allowed in pairs
		end
	end
end

local apply = {}

function apply.join(self, change)
	self.members[change.id] = { incarnation = change.incarnation, address = change.address }
end

function apply.leave(self, change)
	self.members[change.id] = nil
	drop_names(self, change.id)
end

function apply.name(self, change)
	self.names[change.name] = change.handle
end

function apply.unname(self, change)
	self.names[change.name] = nil
end

--- Takes over one change.
---@param change skynet.registry.change join, leave, name or unname
function view:apply(change)
	apply[change.kind](self, change)
	self.revision = change.revision
end

local module = {}

--- The keys of a table in their order: members by id, names by their bytes.
---@param values table
---@return any[]
function module.sorted_keys(values)
	local keys = {}
	for key in pairs(values) do
		keys[#keys + 1] = key
	end
	table.sort(keys)
	return keys
end

--- The changes that make this view equal to the snapshot: leaves, unnames, joins, names, each
--- sorted, all with the snapshot's revision. The view itself stays as it is.
---@param snapshot { revision: integer, members: table, names: table }
---@param reason string for the leaves
---@return skynet.registry.change[]
function view:changes_to(snapshot, reason)
	local changes = {}
	local function add(change)
		change.revision = snapshot.revision
		changes[#changes + 1] = change
	end
	local left = {}
	for _, id in ipairs(module.sorted_keys(self.members)) do
		local old, new = self.members[id], snapshot.members[id]
		if not new or new.incarnation ~= old.incarnation then
			left[id] = true
			local incarnation = old.incarnation
			add({ kind = "leave", id = id, incarnation = incarnation, reason = reason })
		end
	end
	for _, name in ipairs(module.sorted_keys(self.names)) do
		local handle = self.names[name]
		if snapshot.names[name] ~= handle and not left[node_of(handle)] then
			add({ kind = "unname", name = name, handle = handle })
		end
	end
	for _, id in ipairs(module.sorted_keys(snapshot.members)) do
		local old, new = self.members[id], snapshot.members[id]
		if not old or left[id] or old.address ~= new.address then
			add({
				kind = "join",
				id = id,
				incarnation = new.incarnation,
				address = new.address,
			})
		end
	end
	for _, name in ipairs(module.sorted_keys(snapshot.names)) do
		local handle, old = snapshot.names[name], self.names[name]
		if old ~= handle or left[node_of(handle)] then
			add({ kind = "name", name = name, handle = handle })
		end
	end
	return changes
end

--- A copy of what is known now.
---@return { revision: integer, members: table, names: table }
function view:snapshot()
	local copy = { revision = self.revision, members = {}, names = {} }
	for id, member in pairs(self.members) do
		copy.members[id] = { incarnation = member.incarnation, address = member.address }
	end
	for name, handle in pairs(self.names) do
		copy.names[name] = handle
	end
	return copy
end

--- An empty view, or one that begins with a snapshot.
---@param snapshot? { revision: integer, members: table, names: table } is taken, not copied
---@return skynet.registry.view
function module.new(snapshot)
	snapshot = snapshot or {}
	return setmetatable({
		revision = snapshot.revision or 0,
		members = snapshot.members or {},
		names = snapshot.names or {},
	}, mt)
end

return module
