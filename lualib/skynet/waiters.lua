--- Requests that are answered later, when what they ask for is there: for services such as
--- service_mgr, whose QUERY waits until somebody has started a service.
---
--- All lists of a service together hold at most as many as the config key `waiterlimit` says. Those
--- whose requester has died are let go when room is needed, and each time their number has doubled.
local skynet = require("skynet")

local LIMIT <const> = math.tointeger(tonumber(skynet.getenv("waiterlimit")))
--- So few are not worth a look.
local FEW <const> = 64

---@class skynet.waiter
---@field respond fun(ok: boolean|"TEST", ...): boolean
---@field requester integer its address
---@field subject any what add was given
---@field is_answered boolean

---@class skynet.waiters
---@field private list skynet.waiter[]
local methods = {}
local mt = { __index = methods }

---@type table<skynet.waiters, true>
local all = setmetatable({}, { __mode = "k" })
local count = 0
local refused_count = 0
local look_at = math.min(FEW, LIMIT)
local looked_cs = -1

--- Lets those go that keep(waiter) is false for.
local function retain(waiters, keep)
	local kept = {}
	for _, waiter in ipairs(waiters.list) do
		kept[#kept + 1] = keep(waiter) and waiter or nil
	end
	count = count - #waiters.list + #kept
	waiters.list = kept
end

local function is_alive(waiter)
	return waiter.respond("TEST")
end

local function make_room()
	if count < look_at or looked_cs == skynet.now() then
		return -- where there is no room, not each request searches for some
	end
	for waiters in pairs(all) do
		retain(waiters, is_alive)
	end
	look_at = math.min(math.max(FEW, 2 * count), LIMIT)
	looked_cs = skynet.now()
end

--- Has the request at hand wait. Raises when too many wait already.
---@param subject? any
function methods:add(subject)
	make_room()
	if count >= LIMIT then
		refused_count = refused_count + 1
		error(("too many requests wait: %d (config key waiterlimit)"):format(count), 0)
	end
	local _, requester = skynet.context()
	local respond = skynet.response()
	local waiter = { requester = requester, subject = subject, is_answered = false }
	function waiter.respond(ok, ...)
		waiter.is_answered = waiter.is_answered or ok ~= "TEST"
		return respond(ok, ...)
	end
	table.insert(self.list, waiter)
	count = count + 1
end

--- Answers all that wait with the values.
---@param ... any
function methods:answer(...)
	local list = self.list
	self.list = {}
	count = count - #list
	for _, waiter in ipairs(list) do
		waiter.respond(true, ...)
	end
end

--- Calls settle(waiter) for each. Those wait no more for which it returns true, and those that it
--- answers, even if the requester has died, so that the answer reaches nobody.
---@param settle fun(waiter: skynet.waiter): boolean?
function methods:settle(settle)
	retain(self, function(waiter)
		return not (settle(waiter) or waiter.is_answered)
	end)
end

--- The addresses of those that wait.
---@return integer[]
function methods:requesters()
	local addresses = {}
	for i, waiter in ipairs(self.list) do
		addresses[i] = waiter.requester
	end
	return addresses
end

local module = {}

--- How many wait in all lists of this service, and how many were too many so far.
---@return { waiting: integer, refused: integer }
function module.stat()
	return { waiting = count, refused = refused_count }
end

--- A list without anybody in it.
---@return skynet.waiters
function module.new()
	local waiters = setmetatable({ list = {} }, mt)
	all[waiters] = true
	return waiters
end

return module
