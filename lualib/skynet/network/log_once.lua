--- Lines of the log that would come again and again while something is wrong that tries again and
--- again: what is said about each subject comes once in a minute at most.
local skynet = require("skynet")

local AGAIN_CS <const> = 6000
--- So many subjects are remembered; a stranger can make up any number of them.
local SUBJECT_MAX <const> = 256

---@class skynet.network.log_once
---@field private said table<string, { what: string, cs: integer }>
---@field private count integer
local log_once = {}
local mt = { __index = log_once }

--- Logs the text, unless the same was the last about the subject, less than a minute ago.
---@param subject string who it is about, such as the host of a peer
---@param text string
---@param what string? what makes it the same; the text, which may have numbers that always change
function log_once:error(subject, text, what)
	what = what or text
	local last = self.said[subject]
	if last and last.what == what and skynet.now() - last.cs < AGAIN_CS then
		return
	end
	if not last then
		if self.count >= SUBJECT_MAX then
			self.said, self.count = {}, 0
		end
		self.count = self.count + 1
	end
	self.said[subject] = { what = what, cs = skynet.now() }
	skynet.error(text)
end

--- Whether something was said about the subject less than a minute ago.
---@param subject string
---@return boolean
function log_once:has_said(subject)
	local last = self.said[subject]
	return last ~= nil and skynet.now() - last.cs < AGAIN_CS
end

--- Forgets what was said about a subject, because all is well again.
---@param subject string
function log_once:forget(subject)
	if self.said[subject] then
		self.said[subject] = nil
		self.count = self.count - 1
	end
end

local module = {}

---@return skynet.network.log_once
function module.new()
	return setmetatable({ said = {}, count = 0 }, mt)
end

return module
