--- Lines of the log that would come again and again while something is wrong that tries again and
--- again: each text about each subject comes once in a minute at most.
local skynet = require("skynet")

local AGAIN_CS <const> = 6000
--- So many subjects are remembered; a stranger can make up any number of them.
local SUBJECT_MAX <const> = 256

---@class skynet.network.log_once
---@field private said table<string, { text: string, cs: integer }>
---@field private count integer
local log_once = {}
local mt = { __index = log_once }

--- Logs the text, unless it was the last one about the subject, less than a minute ago.
---@param subject string who it is about, such as the address of a peer
---@param text string
function log_once:error(subject, text)
	local last = self.said[subject]
	if last and last.text == text and skynet.now() - last.cs < AGAIN_CS then
		return
	end
	if not last then
		if self.count >= SUBJECT_MAX then
			self.said, self.count = {}, 0
		end
		self.count = self.count + 1
	end
	self.said[subject] = { text = text, cs = skynet.now() }
	skynet.error(text)
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
