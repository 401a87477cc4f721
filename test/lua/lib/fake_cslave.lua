--- Stands in for .cslave: the service of the test takes its name, and answers each request with the
--- next of the answers.
local skynet = require("skynet")
require("skynet.manager")

---@param answers (any[]|string)[] the values of an answer, or the error that is raised; nobody
--- answers when there are none left
---@return string[] asked the commands of the requests, as they come
return function(answers)
	local asked = {}
	skynet.name(".cslave", skynet.self())
	skynet.dispatch("lua", function(_, _, command)
		asked[#asked + 1] = command
		local answer = table.remove(answers, 1)
		if answer == nil then
			skynet.wait({})
		elseif type(answer) == "string" then
			error(answer, 0)
		end
		skynet.retpack(table.unpack(answer))
	end)
	return asked
end
