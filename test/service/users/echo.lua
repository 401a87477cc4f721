-- echo.lua: accepts, greets, and hands each connection to a service of its own, which is this
-- script, too. Config key: port.
local skynet = require "skynet"
local socket = require "skynet.socket"

local mode, id = ...

local function echo(fd)
	socket.start(fd)
	socket.write(fd, "ready\n")
	while true do
		local str = socket.read(fd)
		if str then
			socket.write(fd, str)
		else
			socket.close(fd)
			return
		end
	end
end

if mode == "agent" then
	skynet.start(function()
		skynet.fork(function()
			echo(tonumber(id))
			skynet.error "echo has ended"
			skynet.exit()
		end)
	end)
else
	skynet.start(function()
		local listener = socket.listen("127.0.0.1", tonumber(skynet.getenv "port"))
		socket.start(listener, function(fd, addr)
			skynet.error("connect from " .. addr)
			socket.start(fd)
			socket.write(fd, "Hello Skynet\n")
			skynet.newservice(SERVICE_NAME, "agent", fd)
			socket.abandon(fd)
		end)
		skynet.error "ready"
	end)
end
