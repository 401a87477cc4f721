-- node_echo.lua: answers with what it is asked; the request "never" it does not answer.
local skynet = require("skynet")

skynet.start(function()
	skynet.dispatch("lua", function(_, _, word, ...)
		if word == "never" then
			skynet.ignoreret()
		else
			skynet.retpack(word, ...)
		end
	end)
end)
