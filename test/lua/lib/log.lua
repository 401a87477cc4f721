--- What the node logs: the config of the Lua tests has the service `test_log` as its log.
local skynet = require("skynet")

local log = {}

--- A place in the log: all lines that this service logs from now on are behind it. Waits.
---@return integer
function log.mark()
	return skynet.call(".logger", "lua", "mark")
end

--- Waits for a line behind the mark with the Lua pattern in it. Waits, until the case is over.
---@param mark integer
---@param pattern string
---@return string line
---@return integer mark right behind the line
function log.wait(mark, pattern)
	return skynet.call(".logger", "lua", "wait", mark, pattern)
end

--- All lines behind the mark up to now with the Lua pattern in them. Waits.
---@param mark integer
---@param pattern string
---@return string[]
function log.lines(mark, pattern)
	return skynet.call(".logger", "lua", "lines", mark, pattern)
end

return log
