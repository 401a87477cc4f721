-- groups_listener.lua: subscribes to a channel, and counts what comes.
local skynet = require("skynet")
local multicast = require("skynet.multicast")

local command = {}
local heard = 0
local channel

function command.subscribe(number)
	channel = multicast.new({
		channel = number,
		dispatch = function()
			heard = heard + 1
		end,
	})
	channel:subscribe()
end

function command.heard()
	return heard
end

skynet.start(function()
	skynet.dispatch("lua", function(_, _, name, ...)
		skynet.retpack(command[name](...))
	end)
end)
