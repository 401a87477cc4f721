-- mygate.lua: a gate of one's own, which sends each packet back, and knows a few:
--   broadcast TEXT   goes to all
--   bye              is answered, then the connection is closed
--   enter            has an agent, which gets all further packets as they are
-- Config key: port.
local skynet = require "skynet"
local gateserver = require "snax.gateserver"
local netpack = require "skynet.netpack"
local socketdriver = require "skynet.socketdriver"

local handler = {}
local connections = {}
local agents = {}

skynet.register_protocol {
	name = "client",
	id = skynet.PTYPE_CLIENT,
}

function handler.open(_, conf)
	skynet.error("open " .. conf.address .. " " .. conf.port)
	return "opened"
end

function handler.connect(fd, addr)
	connections[fd] = addr
	gateserver.openclient(fd)
end

function handler.message(fd, msg, sz)
	if agents[fd] then
		skynet.redirect(agents[fd], 0, "client", fd, msg, sz)
		return
	end
	local text = netpack.tostring(msg, sz)
	if text:find "^broadcast " then
		for each in pairs(connections) do
			socketdriver.send(each, netpack.pack(text:sub(11)))
		end
		return
	end
	if text == "enter" then
		agents[fd] = skynet.newservice("agent")
		local conf = { gate = skynet.self(), client = fd, watchdog = skynet.self() }
		skynet.call(agents[fd], "lua", "start", conf)
		return
	end
	socketdriver.send(fd, netpack.pack(text))
	if text == "bye" then
		gateserver.closeclient(fd)
	end
end

function handler.disconnect(fd)
	skynet.error("disconnect", connections[fd] ~= nil)
	connections[fd] = nil
	if agents[fd] then
		skynet.send(agents[fd], "lua", "disconnect")
		agents[fd] = nil
	end
	gateserver.closeclient(fd)
end

function handler.error(fd, msg)
	skynet.error("error", fd, msg)
	handler.disconnect(fd)
end

function handler.warning(fd, size)
	skynet.error("warning", fd, size)
end

local CMD = {}

function CMD.forward() -- there is nothing left to do
	return true
end

function CMD.count()
	local n = 0
	for _ in pairs(connections) do
		n = n + 1
	end
	return n
end

function handler.command(cmd, _, ...)
	return CMD[cmd](...)
end

gateserver.start(handler)
