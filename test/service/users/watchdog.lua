-- watchdog.lua: opens the Lua gate, starts an agent for each connection, and kicks what has ended.
-- Config key: port.
local skynet = require "skynet"

local gate
local agents = {}

local function close_agent(fd)
	local agent = agents[fd]
	agents[fd] = nil
	if agent then
		skynet.call(gate, "lua", "kick", fd)
		skynet.send(agent, "lua", "disconnect")
	end
end

local SOCKET = {}

function SOCKET.open(fd, addr)
	skynet.error("New client from : " .. addr)
	agents[fd] = skynet.newservice("agent")
	local conf = { gate = gate, client = fd, watchdog = skynet.self() }
	skynet.call(agents[fd], "lua", "start", conf)
end

function SOCKET.close(fd)
	skynet.error("socket close", fd)
	close_agent(fd)
end

function SOCKET.error(fd, msg)
	skynet.error("socket error", fd, msg)
	close_agent(fd)
end

function SOCKET.warning(fd, size)
	skynet.error("socket warning", fd, size)
end

function SOCKET.data(fd, msg)
	skynet.error("socket data", fd, msg)
end

local CMD = {}

function CMD.close(fd)
	close_agent(fd)
end

skynet.start(function()
	skynet.dispatch("lua", function(_, _, cmd, subcmd, ...)
		if cmd == "socket" then
			SOCKET[subcmd](...)
		else
			skynet.ret(skynet.pack(CMD[cmd](subcmd, ...)))
		end
	end)
	gate = skynet.newservice("gate")
	local conf = { port = tonumber(skynet.getenv "port"), maxclient = 8, nodelay = true }
	local ip, port = skynet.call(gate, "lua", "open", conf)
	skynet.error("Watchdog listen on " .. ip .. ":" .. port)
end)
