-- testmulticast: a channel with ten subscribers, all services of this script. Started from the
-- console of node 1; testmulticast2 is the other side.
local skynet = require("skynet")
local datacenter = require("skynet.datacenter")
local multicast = require("skynet.multicast")

local mode = ...

local channel -- who lets go of its object has unsubscribed

local function hear(heard, source, ...)
	print(("%s <=== %s %s"):format(skynet.address(skynet.self()), skynet.address(source),
		tostring(heard)), ...)
end

if mode == "sub" then
	skynet.start(function()
		skynet.dispatch("lua", function(_, _, command, number)
			assert(command == "init")
			channel = multicast.new({ channel = number, dispatch = hear })
			channel:subscribe()
			skynet.ret()
		end)
	end)
else
	skynet.start(function()
		channel = multicast.new({})
		print("New channel", channel)
		for _ = 1, 10 do
			local sub = skynet.newservice(SERVICE_NAME, "sub")
			skynet.call(sub, "lua", "init", channel.channel)
			print(skynet.address(sub), "sub", channel)
		end
		datacenter.set("MCCHANNEL", channel.channel) -- for node 2
		print(skynet.address(skynet.self()), "===>", channel)
		channel:publish("Hello World")
	end)
end
