--- Something that happens now and then, for which tasks of one service wait.
local skynet = require("skynet")

---@class skynet.network.signal
---@field private tokens table<table, true>
local signal = {}
local mt = { __index = signal }

local token_class = {
	__close = function(token)
		token.tokens[token] = nil
	end,
}

--- Waits until it happens next, or so long at most. The task may be ended meanwhile.
---@param limit_cs? integer default: for ever
function signal:wait(limit_cs)
	local token <close> = setmetatable({ tokens = self.tokens }, token_class)
	self.tokens[token] = true
	if limit_cs then
		skynet.sleep(limit_cs, token)
	else
		skynet.wait(token)
	end
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
