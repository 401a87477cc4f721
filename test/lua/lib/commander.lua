--- Runs framework commands in a C service of its own: a signal must not come from the thread that
--- runs the service it is for. Registers the protocol "text".
local skynet = require("skynet")
require("skynet.manager")

skynet.register_protocol({
	name = "text",
	id = skynet.PTYPE_TEXT,
	pack = function(text)
		return text
	end,
	unpack = skynet.tostring,
})

local commander = {}

local service

--- Runs the command that the words make up. Waits.
---@param ... string
---@return string result
function commander.run(...)
	service = service or skynet.launch("command")
	return skynet.call(service, "text", table.concat({ ... }, " "))
end

return commander
