--- Timers that come again, and cancelling timers. The functions are fields of `skynet` too;
--- meta/skynet.lua declares them.
local skynet = require("skynet.engine")
local internals = require("skynet.internals")

local NS_PER_MS <const> = 1000000
local MS_PER_CS <const> = 10
local PERIOD_MAX_MS <const> = math.maxinteger // NS_PER_MS

local timer = {}

---@class skynet.interval
---@field private due_ns integer when it comes next
---@field private period_ns integer
---@field private f fun(missed: integer)
---@field private timer integer|nil of the next time; nil: it was cancelled
---@field private is_running boolean
---@field private missed integer times that went by since f was run last
local interval = {}
interval.__index = interval
interval.__name = "skynet.interval"

local beat

--- Sets the timer of the next time. That is a multiple of the period behind the first, however late
--- this one came: times that have gone by already are left out, and counted.
local function arm(self)
	local now_ns = skynet.hpc()
	local behind = (now_ns - self.due_ns) // self.period_ns
	if behind >= 0 then
		self.due_ns = self.due_ns + (behind + 1) * self.period_ns
		self.missed = self.missed + behind
	end
	-- Rounded up: a timer is never early.
	local delay_ms = (self.due_ns - now_ns + NS_PER_MS - 1) // NS_PER_MS
	self.timer = skynet.timeout_ms(delay_ms, function()
		beat(self)
	end)
end

local function finish(self)
	self.is_running = false
end

local running_mt <const> = {
	__close = function(guard)
		finish(guard.interval)
	end,
}

beat = function(self)
	arm(self)
	if self.is_running then
		self.missed = self.missed + 1
		return
	end
	self.is_running = true
	local _guard <close> = setmetatable({ interval = self }, running_mt)
	local missed = self.missed
	self.missed = 0
	self.f(missed)
end

local function start(period_ms, f)
	local self = setmetatable({
		period_ns = period_ms * NS_PER_MS,
		f = f,
		is_running = false,
		missed = 0,
	}, interval)
	self.due_ns = skynet.hpc() + self.period_ns
	arm(self)
	return self
end

local function check(name, period, factor, f)
	local text
	if math.type(period) ~= "integer" then
		text = ("#1 to '%s' (an integer expected, got %s)"):format(
			name,
			math.type(period) or type(period)
		)
	elseif period < 1 or period > PERIOD_MAX_MS // factor then
		text = ("#1 to '%s' (a period of at least 1 expected)"):format(name)
	elseif type(f) ~= "function" then
		text = ("#2 to '%s' (a function expected, got %s)"):format(name, type(f))
	end
	if text then
		error("bad argument " .. text, 3)
	end
end

function timer.interval(period, f)
	check("interval", period, MS_PER_CS, f)
	return start(period * MS_PER_CS, f)
end

function timer.interval_ms(period, f)
	check("interval_ms", period, 1, f)
	return start(period, f)
end

function timer.cancel(handle)
	if math.type(handle) == "integer" then
		return internals.cancel(handle)
	elseif getmetatable(handle) == interval then
		local number = handle.timer
		handle.timer = nil
		return number ~= nil and internals.cancel(number)
	end
	local text = "bad argument #1 to 'cancel' (what timeout or interval has returned expected, "
		.. "got %s)"
	error(text:format(type(handle)), 2)
end

return timer
