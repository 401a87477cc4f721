--- Requests that are answered later, when what they ask for is there: for services such as
--- service_mgr, whose QUERY waits until somebody has started a service.
---
--- All lists of a service, and its tasks in which requests wait (module.enter), together hold at
--- most as many as the config key `waiterlimit` says. Those that nobody waits for any more are let
--- go when room becomes scarce, and each time their number has doubled: of a requester that has
--- died at once; and a requester of many is asked which of them it has given up, because their
--- deadlines were over or their tasks have ended.
local skynet = require("skynet")

local LIMIT <const> = math.tointeger(tonumber(skynet.getenv("waiterlimit")))
--- So few are not worth a look.
local FEW <const> = 64
--- A requester of fewer is not asked: it would have to load what answers that.
local MANY <const> = math.max(1, math.min(8, LIMIT // 16))
--- How long a requester may take to tell; if it does not, all its requests stay.
local TELL_CS <const> = 500
--- So long it is not asked again when it waits for all of them.
local PAUSE_CS <const> = 100

---@class skynet.waiter
---@field respond fun(ok: boolean|"TEST", ...): boolean
---@field requester integer its address
---@field session integer of its request
---@field subject any what add was given
---@field is_answered boolean

---@class skynet.waiters
---@field private list skynet.waiter[]
---@field private on_empty fun()?
local methods = {}
local mt = { __index = methods }

---@type table<skynet.waiters, true>
local all = setmetatable({}, { __mode = "k" })
local count = 0
local refused_count = 0
local looked_cs = -1
---@type table<integer, true> requesters that are being asked
local asked = {}

--- At how many to look next: when they are twice as many, or when half of the room is taken.
local function next_look()
	return math.min(math.max(FEW, 2 * count), count + (LIMIT - count + 1) // 2)
end

local look_at = next_look()

--- Lets those go that keep(waiter) is false for.
local function retain(waiters, keep)
	local kept = {}
	for _, waiter in ipairs(waiters.list) do
		kept[#kept + 1] = keep(waiter) and waiter or nil
	end
	count = count - #waiters.list + #kept
	waiters.list = kept
end

--- Lets those go from all lists that keep(waiter) is false for. Returns how many.
---@param at_hand? skynet.waiters which gets one, so that it is not told that it is empty
local function let_go(keep, at_hand)
	local before, emptied = count, {}
	for waiters in pairs(all) do
		local had_some = #waiters.list > 0
		retain(waiters, keep)
		if had_some and #waiters.list == 0 and waiters ~= at_hand then
			emptied[#emptied + 1] = waiters.on_empty
		end
	end
	for _, on_empty in ipairs(emptied) do
		on_empty()
	end
	look_at = next_look()
	return before - count
end

local function is_alive(waiter)
	return waiter.respond("TEST")
end

--- Lets those go that the requester does not wait for any more. Returns how many.
local function let_given_up_go(requester, is_over)
	return let_go(function(waiter)
		if waiter.requester == requester and is_over[waiter.session] then
			waiter.respond(false, "its requester has given up")
		end
		return not waiter.is_answered
	end)
end

--- Asks the requester of these requests which of them it does not wait for any more, and lets those
--- go. Waits.
local function ask(requester, sessions)
	local ok, over = pcall(skynet.call_within, TELL_CS, requester, "debug", "GIVENUP", sessions)
	local is_over = {}
	for _, session in ipairs(ok and type(over) == "table" and over or {}) do
		is_over[session] = true
	end
	if let_given_up_go(requester, is_over) == 0 then
		skynet.sleep(PAUSE_CS)
	end
	asked[requester] = nil
end

--- Asks all who wait for many.
local function ask_requesters()
	local sessions_of = {}
	for waiters in pairs(all) do
		for _, waiter in ipairs(waiters.list) do
			local sessions = sessions_of[waiter.requester] or {}
			sessions[#sessions + 1] = waiter.session
			sessions_of[waiter.requester] = sessions
		end
	end
	for requester, sessions in pairs(sessions_of) do
		if #sessions >= MANY and not asked[requester] then
			asked[requester] = true
			skynet.fork(ask, requester, sessions)
		end
	end
end

--- Raises when too many wait already.
local function make_room(at_hand)
	-- Where there is no room, not each request searches for some.
	if count >= look_at and looked_cs ~= skynet.now() then
		let_go(is_alive, at_hand)
		ask_requesters()
		looked_cs = skynet.now()
	end
	if count >= LIMIT then
		refused_count = refused_count + 1
		if at_hand and at_hand.on_empty and #at_hand.list == 0 then
			at_hand.on_empty()
		end
		error(("too many requests wait: %d (config key waiterlimit)"):format(count), 0)
	end
end

--- Has the request at hand wait. Raises when too many wait already.
---@param subject? any
function methods:add(subject)
	make_room(self)
	local session, requester = skynet.context()
	local respond = skynet.response()
	local waiter = {
		requester = requester,
		session = session,
		subject = subject,
		is_answered = false,
	}
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
---@param on_empty? fun() called when all who have waited were let go, unanswered, and when it is
--- empty and there is no room for one; does not wait
---@return skynet.waiters
function module.new(on_empty)
	local waiters = setmetatable({ list = {}, on_empty = on_empty }, mt)
	all[waiters] = true
	return waiters
end

--- Puts an entry into a table, with the list of those that wait for it as its field `waiters`. The
--- table forgets it when all of them were let go, and has_begun(entry) is false: nobody is at it.
---@param entries table
---@param key any
---@param entry table
---@param has_begun fun(entry: table): any
---@return table entry
function module.keep(entries, key, entry, has_begun)
	entry.waiters = module.new(function()
		if entries[key] == entry and not has_begun(entry) then
			entries[key] = nil
		end
	end)
	entries[key] = entry
	return entry
end

local place_class = {
	__close = function()
		count = count - 1
	end,
}

--- For a request that waits in its task: `local _place <close> = waiters.enter()`. Raises when too
--- many wait already.
function module.enter()
	make_room()
	count = count + 1
	return setmetatable({}, place_class)
end

return module
