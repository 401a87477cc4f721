-- testmulticast2: uses the channel of testmulticast from another node. Ends the channel.
local skynet = require("skynet")
local datacenter = require("skynet.datacenter")
local multicast = require("skynet.multicast")

local function hear(channel, source, ...)
	print("======>", skynet.address(source), channel, ...)
end

skynet.start(function()
	print("remote start")
	local number = datacenter.get("MCCHANNEL")
	if number then
		print("remote channel", number)
	else
		print("create local channel")
	end
	local channel = multicast.new({ channel = number, dispatch = hear })
	for _ = 1, 10 do
		local sub = skynet.newservice("testmulticast", "sub")
		skynet.call(sub, "lua", "init", channel.channel)
	end
	channel:subscribe()
	channel:publish("Remote message")
	channel:unsubscribe()
	channel:publish("Remote message2")
	channel:delete()
	skynet.exit()
end)
