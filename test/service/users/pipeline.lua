-- pipeline.lua: a client of a server that answers lines in their order, as redis does: +TEXT is an
-- answer, -TEXT an error, $SIZE is followed by so many bytes. Config key: port.
local skynet = require "skynet"
local socketchannel = require "skynet.socketchannel"

local function read_reply(sock)
	local line = sock:readline "\r\n"
	local kind, rest = line:sub(1, 1), line:sub(2)
	if kind == "$" then
		return true, sock:read(tonumber(rest) + 2):sub(1, -3)
	end
	return kind == "+", rest
end

skynet.start(function()
	local channel = socketchannel.channel {
		host = "127.0.0.1",
		port = tonumber(skynet.getenv "port"),
		auth = function(so)
			assert(so:request("AUTH secret\r\n", read_reply) == "OK")
		end,
	}
	channel:connect(true)
	skynet.error "connected"
	local left, token = 50, {}
	for i = 1, 50 do
		skynet.fork(function()
			local cmd = i % 10 == 0 and "FAIL " or i % 3 == 0 and "BULK " or "ECHO "
			local req = cmd .. i .. "\r\n"
			local ok, data = pcall(channel.request, channel, req, read_reply)
			assert(ok == (cmd ~= "FAIL "), data)
			assert(data == tostring(i), data)
			left = left - 1
			if left == 0 then
				skynet.wakeup(token)
			end
		end)
	end
	skynet.wait(token)
	skynet.error "all answered"
	local ok, err = pcall(channel.request, channel, "CLOSE\r\n", read_reply)
	assert(not ok and err == socketchannel.error)
	assert(channel:request("ECHO again\r\n", read_reply) == "again")
	skynet.error "again"
	channel:close()
end)
