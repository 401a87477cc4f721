--- The errors of channels. Each says why; all of them equal `socketchannel.error`, so programs that
--- compare with that need not know.

---@class skynet.socketchannel.failure
---@field reason string? why
---@field is_timeout boolean? the time of the request was over
local failure_class = { __name = "skynet.socketchannel.failure" }

function failure_class.__eq(one, other)
	return getmetatable(one) == failure_class and getmetatable(other) == failure_class
end

function failure_class.__tostring(self)
	return self.reason and "[Error: socket] " .. self.reason or "[Error: socket]"
end

local failure = {}

---@param reason string?
---@return skynet.socketchannel.failure
function failure.new(reason)
	return setmetatable({ reason = reason }, failure_class)
end

---@param limit_cs integer the time that was given
---@param what string what did not come
---@return skynet.socketchannel.failure
function failure.timeout(limit_cs, what)
	local self = failure.new(("%s within %.2f s"):format(what, limit_cs / 100))
	self.is_timeout = true
	return self
end

--- What an error says, without the words that every failure begins with.
---@param reason any
---@return string
function failure.text(reason)
	if getmetatable(reason) == failure_class then
		return reason.reason or "the connection has failed"
	end
	return tostring(reason)
end

return failure
