--- Lines of the log that clients can cause: at most so many a second, so that nobody fills the disk
--- by knocking at the door.
local skynet = require("skynet")

--- A second, in cs, and the lines that may be logged in it.
local WINDOW <const> = 100
local LINES_MAX <const> = 10

local window_start = 0
local line_count = 0

--- Logs a line, or counts it: the next line that is logged says how many were left out before it.
---@param format string
---@param ... any
local function client_log(format, ...)
	local now = skynet.now()
	if now - window_start >= WINDOW then
		if line_count > LINES_MAX then
			local left_out = line_count - LINES_MAX
			skynet.error(("%d lines about clients left out"):format(left_out))
		end
		window_start, line_count = now, 0
	end
	line_count = line_count + 1
	if line_count <= LINES_MAX then
		skynet.error(format:format(...))
	end
end

return client_log
