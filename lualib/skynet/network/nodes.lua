--- The other nodes, as `.cslave` knows them: who is a member (the registry says so), and to whom
--- there is a link (the harbor says so). Tells the harbor whom to keep a link to, and services what
--- happens.
---
--- A node is **up** while it is a member and has a link. Each change of that is an event with a
--- number; the last EVENT_MAX are kept, for those who ask what came after some number.
local skynet = require("skynet")
local waiters = require("skynet.waiters")
local fields = require("skynet.network.fields")
local signal = require("skynet.network.signal")

--- Each of 255 nodes may come and go so often while somebody who watches is busy.
local EVENT_MAX <const> = 1024

---@class skynet.network.node
---@field address string
---@field incarnation string
---@field is_up boolean
---@field has_failed boolean? the first link to it has not come about

---@class skynet.network.event
---@field number integer
---@field kind "up"|"down"
---@field id integer
---@field reason string?

---@class skynet.network.nodes
---@field private nodes table<integer, skynet.network.node>
---@field private tell_harbor fun(text: string)
---@field private events skynet.network.event[] by their number
---@field private last_event integer
---@field private missed integer events that somebody asked for and that were not kept
---@field private watchers skynet.waiters subject: the number behind which they want events
---@field private up_waiters skynet.waiters subject: the node
---@field private down_waiters skynet.waiters
---@field private news skynet.network.signal
local nodes = {}
local mt = { __index = nodes }

-- Events ----------------------------------------------------------------------------------------

--- The events behind a number.
local function events_after(self, number)
	local list = {}
	for i = math.max(number, self.last_event - EVENT_MAX) + 1, self.last_event do
		list[#list + 1] = self.events[i]
	end
	return list
end

local function settle(list, id)
	list:settle(function(waiter)
		return waiter.subject == id and waiter.respond(true)
	end)
end

local function add_event(self, kind, id, reason)
	local number = self.last_event + 1
	self.last_event = number
	self.events[number] = { number = number, kind = kind, id = id, reason = reason }
	self.events[number - EVENT_MAX] = nil
	settle(kind == "up" and self.up_waiters or self.down_waiters, id)
	self.watchers:settle(function(waiter)
		return waiter.respond(true, events_after(self, waiter.subject), number)
	end)
	self.news:raise()
end

--- Somebody has asked too late for some events.
local function note_missed(self, count)
	if count > 0 then
		self.missed = self.missed + count
		local _, requester = skynet.context()
		local text = "error: :%08x has been busy for too long, and misses %d events"
		skynet.error(text:format(requester, count))
	end
end

--- Answers the request at hand with the number of the last event, at once; or, if it names a
--- number, with the events behind that, as soon as there are some, and the number of the last.
---@param number? integer
function nodes:answer_events(number)
	if not number then
		skynet.retpack(self.last_event)
	elseif number < self.last_event then
		note_missed(self, self.last_event - EVENT_MAX - number)
		skynet.retpack(events_after(self, number), self.last_event)
	else
		self.watchers:add(number)
	end
end

-- Changes ---------------------------------------------------------------------------------------

local function set_down(self, id, reason)
	local node = self.nodes[id]
	if node.is_up then
		node.is_up = false
		add_event(self, "down", id, reason)
	end
end

--- A node has become a member, or has another address.
---@param id integer
---@param incarnation string
---@param address string
function nodes:join(id, incarnation, address)
	local node = self.nodes[id] or { is_up = false }
	node.incarnation, node.address = incarnation, address
	self.nodes[id] = node
	self.tell_harbor(("node %d %s"):format(id, address))
end

--- A node is no member any more.
---@param id integer
---@param reason string
function nodes:leave(id, reason)
	if self.nodes[id] then
		local process = fields.process_of(self.nodes[id].incarnation)
		self.tell_harbor(("gone %d %s %s"):format(id, process, reason))
		set_down(self, id, reason)
		self.nodes[id] = nil
		self.news:raise()
	end
end

--- The harbor has a link to it.
---@param id integer
function nodes:up(id)
	local node = self.nodes[id]
	if node and not node.is_up then
		node.is_up = true
		add_event(self, "up", id)
	end
end

--- The link is broken, or has not come about.
---@param id integer
---@param reason string
function nodes:down(id, reason)
	local node = self.nodes[id]
	if node then
		node.has_failed = true
		set_down(self, id, reason)
		self.news:raise()
	end
end

-- Waiting ---------------------------------------------------------------------------------------

--- Answers the request at hand when the node is up.
---@param id integer
function nodes:answer_up(id)
	if self.nodes[id] and self.nodes[id].is_up then
		skynet.ret()
	else
		self.up_waiters:add(id)
	end
end

--- Answers the request at hand when the node is not up.
---@param id integer
function nodes:answer_down(id)
	if self.nodes[id] and self.nodes[id].is_up then
		self.down_waiters:add(id)
	else
		skynet.ret()
	end
end

--- Those that are members, and neither up nor known to be out of reach.
local function count_awaited(self)
	local count = 0
	for _, node in pairs(self.nodes) do
		if not (node.is_up or node.has_failed) then
			count = count + 1
		end
	end
	return count
end

--- Waits until each member is up or out of reach, but not longer than that.
---@param limit_cs integer
---@return integer missing
function nodes:await_all(limit_cs)
	local deadline = skynet.now() + limit_cs
	while count_awaited(self) > 0 and skynet.now() < deadline do
		self.news:wait(deadline - skynet.now())
	end
	return count_awaited(self)
end

--- All members but this node.
---@return table<integer, { address: string, incarnation: string, up: boolean }>
function nodes:list()
	local list = {}
	for id, node in pairs(self.nodes) do
		list[id] = {
			address = node.address,
			incarnation = node.incarnation,
			up = node.is_up,
		}
	end
	return list
end

--- Events that somebody who was busy has missed.
---@return integer
function nodes:missed_count()
	return self.missed
end

---@return integer
function nodes:count()
	local count = 0
	for _ in pairs(self.nodes) do
		count = count + 1
	end
	return count
end

local module = {}

---@param tell_harbor fun(text: string)
---@return skynet.network.nodes
function module.new(tell_harbor)
	return setmetatable({
		nodes = {},
		tell_harbor = tell_harbor,
		events = {},
		last_event = 0,
		missed = 0,
		watchers = waiters.new(),
		up_waiters = waiters.new(),
		down_waiters = waiters.new(),
		news = signal.new(),
	}, mt)
end

return module
