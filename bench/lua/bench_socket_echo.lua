-- bench_socket_echo.lua: sends every frame back, with a task for each connection that reads it with
-- socket.read. Prints READY when it listens. Config: bench_port.

local skynet = require "skynet"
local socket = require "skynet.socket"
local util = require "bench_util"

local HEADER_BYTES <const> = 2

local function echo(id)
	socket.start(id)
	while true do
		local header = socket.read(id, HEADER_BYTES)
		local payload = header and socket.read(id, socket.header(header))
		if not payload then
			break
		end
		socket.write(id, header .. payload)
	end
	socket.close(id)
end

skynet.start(function()
	local listener = socket.listen("127.0.0.1", util.number("port"))
	socket.start(listener, echo)
	util.print("READY")
end)
