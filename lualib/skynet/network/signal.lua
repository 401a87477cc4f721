--- Something that happens now and then, for which tasks of one service wait.
local skynet = require("skynet")

---@class skynet.network.signal
---@field private tokens table<table, true>
local signal = {}
local mt = { __index = signal }

--- Waits until it happens next, or so long at most.
---@param limit_cs? integer default: for ever
function signal:wait(limit_cs)
	local token = {}
	self.tokens[token] = true
	if limit_cs then
		skynet.sleep(limit_cs, token)
	else
		skynet.wait(token)
	end
	self.tokens[token] = nil
end

--- It has happened: those that wait go on.
function signal:raise()
	for token in pairs(self.tokens) do
		skynet.wakeup(token)
	end
end

local module = {}

---@return skynet.network.signal
function module.new()
	return setmetatable({ tokens = {} }, mt)
end

return module
