-- reconnect.lua: is connected to a server as long as there is one, and answers its lines.
-- Config key: port.
local skynet = require "skynet"
local socket = require "skynet.socket"

local function talk(fd)
	socket.write(fd, "hello\n")
	while true do
		local line = socket.readline(fd)
		if not line then
			return
		end
		socket.write(fd, line:reverse() .. "\n")
	end
end

skynet.start(function()
	skynet.fork(function()
		while true do
			local fd, err = socket.open("127.0.0.1", tonumber(skynet.getenv "port"))
			if fd then
				talk(fd)
				socket.close(fd)
				skynet.error "connection lost"
			else
				skynet.error("connect failed: " .. err)
				skynet.sleep(5)
			end
		end
	end)
end)
