-- udp.lua: answers each datagram with "OK " in front, and asks itself, over IPv4 and IPv6.
-- Config keys: port, port6.
local skynet = require "skynet"
local socket = require "skynet.socket"

local function server(ip, port)
	local host
	host = socket.udp(function(str, from)
		skynet.error("server recv", #str, socket.udp_address(from))
		socket.sendto(host, from, "OK " .. str)
	end, ip, port)
end

local function client(ip, port)
	local c = socket.udp(function(str)
		skynet.error("client recv " .. ip .. " " .. str)
	end, ip, 0)
	socket.udp_connect(c, ip, port)
	for i = 1, 3 do
		socket.write(c, "hello " .. i)
	end
end

skynet.start(function()
	for ip, key in pairs { ["127.0.0.1"] = "port", ["::1"] = "port6" } do
		local port = tonumber(skynet.getenv(key))
		if port then
			server(ip, port)
			client(ip, port)
		end
	end
	skynet.error "ready"
end)
