-- msgagent.lua: one for each user who is logged in: keeps what the user has, answers what it asks.
local skynet = require("skynet")

local gate, user, subid
local command = {}

function command.login(source, name, id)
	gate, user, subid = source, name, id
	skynet.error(user .. " is login")
end

-- Time to save what the user has.
function command.logout()
	skynet.error(user .. " is logout")
	skynet.call(gate, "lua", "logout", user, subid)
	skynet.timeout(0, skynet.exit) -- behind the answer
end

-- The user has lost the connection, and may come back.
function command.afk()
	skynet.error("AFK")
end

-- A game would do something here; this one thinks for a moment, and says the same.
function command.request(content)
	skynet.sleep(10)
	return content
end

skynet.start(function()
	skynet.dispatch("lua", function(_, _, name, ...)
		local f = assert(command[name], "msgagent has no such command")
		skynet.retpack(f(...))
	end)
end)
