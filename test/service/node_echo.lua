-- node_echo.lua: answers with what it is asked; the request "never" it does not answer,
-- and "wait" only when it ends.
local skynet = require("skynet")

skynet.start(function()
	skynet.dispatch("lua", function(_, _, word, ...)
		if word == "never" then
			skynet.ignoreret()
		elseif word == "wait" then
			skynet.wait()
		else
			skynet.retpack(word, ...)
		end
	end)
end)
