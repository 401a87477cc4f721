--- The global names, as `.cslave` knows them. Keeps the core's table of them, answers who waits for
--- one, and takes a name back when its service ends, if that is a service of this node.
---
--- Messages by name wait in the core, which sends them on when it hears of the name. So it hears of
--- a name of another node when the harbor has heard of that node, and who asks for a name is
--- answered when the core knows it: what he then sends to the address overtakes nothing.
local skynet = require("skynet")
local core = require("skynet.core")
local link = require("skynet.link")
local waiters = require("skynet.waiters")
local fields = require("skynet.network.fields")

---@class skynet.network.owner a service of this node
---@field names table<string, true>
---@field unlink fun()

---@class skynet.network.names
---@field private handles table<string, integer>
---@field private owners table<integer, skynet.network.owner>
---@field private waiting skynet.waiters those who wait for a name; subject: the name
---@field private loss_waiters skynet.waiters subject: name and handle
---@field private options skynet.network.names.options
local names = {}
local mt = { __index = names }

---@class skynet.network.names.options
---@field id integer of this node
---@field await_harbor fun() waits until the harbor has done what it was told
---@field unregister fun(name: string, handle: integer) a service of this node has ended

-- Owners ----------------------------------------------------------------------------------------

local function forget_owner(self, name, handle)
	local owner = self.owners[handle]
	if owner then
		owner.names[name] = nil
		if not next(owner.names) then
			owner.unlink()
			self.owners[handle] = nil
		end
	end
end

--- Has the names of a service of this node taken back when it ends.
local function watch_owner(self, name, handle)
	local owner = self.owners[handle]
	if not owner then
		owner = { names = {} }
		self.owners[handle] = owner
		owner.unlink = link.link(handle, function()
			self.owners[handle] = nil -- names that come later find it dead, too
			for owned in pairs(owner.names) do
				self.options.unregister(owned, handle)
			end
		end)
	end
	owner.names[name] = true
end

-- Changes ---------------------------------------------------------------------------------------

local function answer_losers(self)
	self.loss_waiters:settle(function(waiter)
		local awaited = waiter.subject
		return self.handles[awaited.name] ~= awaited.handle and waiter.respond(true)
	end)
end

--- Returns false when it is a service of this node that has just ended.
local function set_in_core(name, handle)
	return core.command("GLOBALNAME", ("%s :%x"):format(name, handle)) ~= nil
end

--- Has the core send on what waits for a name, and answers who waits for it. It may be somebody
--- else's by then.
local function announce(self, name, handle)
	if self.handles[name] == handle and set_in_core(name, handle) then
		self.waiting:settle(function(waiter)
			return waiter.subject == name and waiter.respond(true, handle)
		end)
	end
end

local function announce_later(self, name, handle)
	self.options.await_harbor()
	announce(self, name, handle)
end

--- A service has the name now.
---@param name string
---@param handle integer
function names:set(name, handle)
	local former = self.handles[name]
	if former and former ~= handle then
		forget_owner(self, name, former)
		if fields.node_of(former) == self.options.id then
			local text = "error: the global name %s of :%08x now belongs to :%08x"
			skynet.error(text:format(name, former, handle))
		end
	end
	self.handles[name] = handle
	if fields.node_of(handle) == self.options.id then
		watch_owner(self, name, handle)
		announce(self, name, handle)
	else
		skynet.fork(announce_later, self, name, handle)
	end
	answer_losers(self)
end

--- Takes over all names that there are, before any service of this node can have sent to one.
---@param handles table<string, integer>
function names:begin(handles)
	for name, handle in pairs(handles) do
		self.handles[name] = handle
		set_in_core(name, handle)
	end
end

--- Nobody has the name any more.
---@param name string
function names:clear(name)
	local handle = self.handles[name]
	if handle then
		self.handles[name] = nil
		forget_owner(self, name, handle)
		core.command("GLOBALNAME", name .. " :0")
		answer_losers(self)
	end
end

--- A node has left, and with it its names.
---@param id integer
function names:leave(id)
	local left = {}
	for name, handle in pairs(self.handles) do
		if fields.node_of(handle) == id then
			left[#left + 1] = name
		end
	end
	table.sort(left)
	for _, name in ipairs(left) do
		self:clear(name)
	end
end

-- Questions -------------------------------------------------------------------------------------

---@param name string
---@return integer? handle
function names:find(name)
	return self.handles[name]
end

---@return integer
function names:count()
	local count = 0
	for _ in pairs(self.handles) do
		count = count + 1
	end
	return count
end

--- Answers the request at hand with the owner, as soon as the core knows one.
---@param name string
function names:answer_owner(name)
	local handle = core.addresscommand("GLOBALNAME", name)
	if handle then
		skynet.retpack(handle)
	else
		self.waiting:add(name)
	end
end

--- Answers the request at hand when that service does not have the name.
---@param name string
---@param handle integer
function names:answer_loss(name, handle)
	if self.handles[name] ~= handle then
		skynet.ret()
	else
		self.loss_waiters:add({ name = name, handle = handle })
	end
end

local module = {}

---@param options skynet.network.names.options
---@return skynet.network.names
function module.new(options)
	return setmetatable({
		handles = {},
		owners = {},
		waiting = waiters.new(),
		loss_waiters = waiters.new(),
		options = options,
	}, mt)
end

return module
