-- chat.lua: a room. The first line of a client is its name; each further one goes to all.
-- Config key: port.
local skynet = require "skynet"
local socket = require "skynet.socket"

local members = {} -- name -> fd

local function say(text)
	for _, fd in pairs(members) do
		socket.write(fd, text .. "\r\n")
	end
end

local function serve(fd)
	socket.start(fd)
	local name = socket.readline(fd, "\r\n")
	if not name or members[name] then
		socket.write(fd, "the name is taken\r\n")
		socket.close(fd)
		return
	end
	members[name] = fd
	say(name .. " comes")
	while true do
		local line = socket.readline(fd, "\r\n")
		if not line then
			break
		end
		say(name .. ": " .. line)
	end
	members[name] = nil
	socket.close(fd)
	say(name .. " goes")
end

skynet.start(function()
	local listener = socket.listen("127.0.0.1:" .. skynet.getenv "port")
	socket.start(listener, serve)
	skynet.error "ready"
end)
