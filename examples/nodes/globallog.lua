-- globallog: prints what services of any node send to "LOG":
--
--     skynet.send("LOG", "lua", "what has happened")
local skynet = require("skynet")
require("skynet.manager")

skynet.start(function()
	skynet.dispatch("lua", function(session, address, ...)
		print("[GLOBALLOG]", skynet.address(address), ...)
		if session ~= 0 then
			skynet.ret()
		end
	end)
	skynet.register(".log")
	skynet.register("LOG")
end)
