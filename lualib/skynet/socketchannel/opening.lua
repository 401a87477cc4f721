--- How a channel gets its connection: one task tries the addresses in turn, runs `auth`, and wakes
--- all who wait.
---
---     round: address 1 -> connect -> auth -> open
---               | failed     | failed
---            address 2 ...
---     all failed: those who wanted one round fail; while somebody wants to wait for ever, the next
---     round comes after 0, 1, 2 ... 10, 0, 1 ... seconds.
---
--- The task ends when nobody waits any more. `is_over` is true when the channel was closed
--- meanwhile: then nothing that it opens is used. `has_moved` is true when the channel has got a
--- new host meanwhile: then the round starts over.
local skynet = require("skynet")
local socket = require("skynet.socket")
local connection = require("skynet.socketchannel.connection")
local failure = require("skynet.socketchannel.failure")
local running_task = require("skynet.require").running_task

local CS_PER_S <const> = 100
local PAUSE_MAX_S <const> = 10
--- Connecting to an address, and then auth, may take so long each.
local LIMIT_CS <const> = 3000
--- An auth that names a new host each time, so often, has failed.
local MOVES_MAX <const> = 16

---@class skynet.socketchannel.waiter
---@field opening skynet.socketchannel.opening
---@field is_once boolean it wants one round
---@field is_done boolean?
---@field reason any why there is no connection; nil: there is one
local waiter_class = { __name = "skynet.socketchannel.waiter" }

--- Whatever ends the wait.
function waiter_class.__close(waiter)
	if waiter.is_done then
		return
	end
	local waiters = waiter.opening.waiters
	for i, other in ipairs(waiters) do
		if other == waiter then
			table.remove(waiters, i)
			return
		end
	end
end

---@class skynet.socketchannel.opening
---@field connection skynet.socketchannel.connection? whose auth runs
---@field auth_task thread? that runs it
---@field has_moved boolean
---@field private channel skynet.socketchannel
---@field private waiters skynet.socketchannel.waiter[] in the order in which they came
---@field private is_over boolean
---@field private is_pausing boolean
local opening_methods = {}
local opening_class = { __index = opening_methods, __name = "skynet.socketchannel.opening" }

-- One address ----------------------------------------------------------------------------------

local function address_text(address)
	return address.port and ("%s:%d"):format(address.host, address.port) or address.host
end

--- The host, then those of the backup that are no repetition.
local function addresses(channel)
	local list, known = {}, {}
	local function add(host, port)
		local address = { host = host, port = port }
		local text = address_text(address)
		if not known[text] then
			known[text] = true
			list[#list + 1] = address
		end
	end
	add(channel.host, channel.port)
	for _, entry in ipairs(channel.backup) do
		if type(entry) == "table" then
			add(entry.host, entry.port or channel.port)
		else
			add(entry, channel.port)
		end
	end
	return list
end

local function socket_options(channel)
	local options = { timeout = LIMIT_CS }
	for name, value in pairs(channel.settings.options or {}) do
		options[name] = value
	end
	return options
end

--- Whoever waits for the end of auth is woken, however auth ends.
local auth_class = { __close = skynet.wakeup }

--- Runs auth in a task of its own, so that it can be ended. Returns whether it went well, and why
--- not.
local function authenticate(self, limit_cs)
	local channel = self.channel
	local token = setmetatable({}, auth_class)
	local ok, reason
	self.auth_task = skynet.fork(function()
		local _token <close> = token
		ok, reason = pcall(channel.settings.auth, channel)
	end)
	if skynet.sleep(limit_cs, token) ~= "BREAK" then
		skynet.killthread(self.auth_task)
		reason = ("not done within %.2f s"):format(limit_cs / CS_PER_S)
	elseif ok == nil then
		reason = "its task was killed"
	end
	self.auth_task = nil
	return ok, failure.text(reason)
end

--- Runs what the channel wants to be run before anybody may use the connection. Returns it, or nil
--- and why not.
local function admit(self, opened, limit_cs)
	if not self.channel.settings.auth then
		return opened
	end
	self.connection = opened
	local ok, reason = authenticate(self, limit_cs)
	self.connection = nil
	if not ok then
		opened:close(failure.new("auth failed: " .. reason))
		if not self.is_over and not self.has_moved then
			skynet.error("socket: auth failed " .. reason)
		end
		return nil, "auth failed: " .. reason
	elseif not opened.is_open then
		return nil, "the connection was closed after auth"
	end
	return opened
end

--- Opens a connection to an address. Returns nil and why it can't.
local function try(self, address)
	local channel = self.channel
	local options = socket_options(channel)
	local ok, id, reason = pcall(socket.open, address.host, address.port, options)
	if not ok then -- the address is none
		return nil, ("%s: %s"):format(address_text(address), id)
	elseif not id then
		return nil, ("%s: %s"):format(address_text(address), reason)
	end
	local opened = connection.new(id, channel.settings)
	opened, reason = admit(self, opened, options.timeout)
	if not opened then
		return nil, ("%s: %s"):format(address_text(address), reason)
	elseif self.is_over or self.has_moved then
		opened:close(failure.new("the channel has moved"))
		return nil, "the channel has moved"
	end
	return opened
end

-- Rounds ---------------------------------------------------------------------------------------

--- Tries all addresses. Returns a connection, or nil and why there is none.
local function try_all(self)
	local reasons = {}
	for i, address in ipairs(addresses(self.channel)) do
		if i > 1 then
			local text = "socket: connect to backup host %s %s"
			skynet.error(text:format(address.host, address.port or ""))
		end
		local opened, reason = try(self, address)
		if opened or self.is_over or self.has_moved then
			return opened, reason
		end
		reasons[#reasons + 1] = reason
	end
	return nil, table.concat(reasons, "; ")
end

--- Tries all addresses, and again when the channel has moved meanwhile.
local function run_round(self)
	for _ = 1, MOVES_MAX do
		self.has_moved = false
		local opened, reason = try_all(self)
		if opened or self.is_over or not self.has_moved then
			return opened, reason
		end
	end
	return nil, ("the host was changed %d times while connecting"):format(MOVES_MAX)
end

local function finish(waiter, reason)
	waiter.is_done = true
	waiter.reason = reason
	skynet.wakeup(waiter)
end

--- In their order, so that what they send keeps it.
local function finish_all(self, reason)
	local waiters = self.waiters
	self.waiters = {}
	for _, waiter in ipairs(waiters) do
		finish(waiter, reason)
	end
end

--- The round has failed: so have those who wanted only one.
local function finish_once(self, reason)
	local waiters = self.waiters
	self.waiters = {}
	for _, waiter in ipairs(waiters) do
		if waiter.is_once then
			finish(waiter, reason)
		else
			table.insert(self.waiters, waiter)
		end
	end
end

local function pause(self, pause_s, reason)
	local text = "socket: %s; trying again in %d s"
	skynet.error(text:format(reason, pause_s))
	self.is_pausing = true
	skynet.sleep(pause_s * CS_PER_S, self)
	self.is_pausing = false
end

local function run_rounds(self)
	local pause_s = 0
	while not self.is_over and self.waiters[1] do
		local opened, reason = run_round(self)
		if opened then
			self.channel.connection = opened
			finish_all(self, nil)
			return
		elseif self.is_over then
			return
		end
		finish_once(self, failure.new(reason))
		if self.waiters[1] then
			pause(self, pause_s, reason)
			pause_s = pause_s < PAUSE_MAX_S and pause_s + 1 or 0
		end
	end
end

--- Whatever ends the task ends the opening.
function opening_class.__close(self)
	self:close(failure.new("the task that connects was killed"))
end

local function run(self)
	local _opening <close> = self
	run_rounds(self)
end

-- For the channel ------------------------------------------------------------------------------

--- Ends it: who still waits raises the reason.
---@param reason any
function opening_methods:close(reason)
	self.is_over = true
	if self.channel.opening == self then
		self.channel.opening = nil
	end
	if self.connection then
		self.connection:close(reason)
	end
	if self.auth_task and self.auth_task ~= running_task() then
		skynet.killthread(self.auth_task)
	end
	finish_all(self, reason)
	skynet.wakeup(self)
end

--- The channel has another host now.
function opening_methods:move()
	self.has_moved = true
	skynet.wakeup(self)
end

--- Waits until there is a connection. Raises the reason when there is none. Waits.
---@param is_once boolean
---@param limit_cs integer? how long the whole request may wait
---@param left_cs integer? what is left of that
function opening_methods:wait(is_once, limit_cs, left_cs)
	local waiter <close> = setmetatable({ opening = self, is_once = is_once }, waiter_class)
	table.insert(self.waiters, waiter)
	if is_once and self.is_pausing then
		skynet.wakeup(self)
	end
	if left_cs then
		skynet.sleep(left_cs, waiter)
	else
		skynet.wait(waiter)
	end
	if not waiter.is_done then
		error(failure.timeout(limit_cs, "no connection"), 0)
	elseif waiter.reason then
		error(waiter.reason, 0)
	end
end

local opening = {}

--- Begins to connect.
---@param channel skynet.socketchannel
---@return skynet.socketchannel.opening
function opening.new(channel)
	local self = setmetatable({
		channel = channel,
		waiters = {},
		has_moved = false,
		is_over = false,
		is_pausing = false,
	}, opening_class)
	skynet.fork(run, self)
	return self
end

return opening
