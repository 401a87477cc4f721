-- agent.lua: has one connection of the gate. What the client asks for:
--   echo TEXT    TEXT
--   later TEXT   TEXT, after the next echo
--   fail         nothing: the handler raises
--   quit         the connection is closed
local skynet = require "skynet"
local socket = require "skynet.socket"

local watchdog, client_fd
local late = {} -- what those of "later" wait for

local function send_package(pack)
	socket.write(client_fd, string.pack(">s2", pack))
end

local REQUEST = {}

function REQUEST.echo(text)
	skynet.wakeup(late) -- it runs when this task is through
	return text
end

function REQUEST.later(text)
	skynet.wait(late)
	return text
end

function REQUEST.fail()
	error "it has failed"
end

function REQUEST.quit()
	skynet.call(watchdog, "lua", "close", client_fd)
end

skynet.register_protocol {
	name = "client",
	id = skynet.PTYPE_CLIENT,
	unpack = skynet.tostring,
	dispatch = function(fd, _, msg)
		assert(fd == client_fd)
		skynet.ignoreret() -- the session is the connection
		local cmd, text = msg:match "^(%a*) ?(.*)$"
		local f = REQUEST[cmd]
		local answer = f and f(text) or not f and "unknown " .. #msg
		if answer then
			send_package(answer)
		end
	end,
}

local CMD = {}

function CMD.start(conf)
	watchdog, client_fd = conf.watchdog, conf.client
	send_package "Welcome"
	skynet.call(conf.gate, "lua", "forward", client_fd)
end

function CMD.disconnect()
	skynet.error "agent has ended"
	skynet.exit()
end

skynet.start(function()
	skynet.dispatch("lua", function(_, _, command, ...)
		skynet.ret(skynet.pack(CMD[command](...)))
	end)
end)
