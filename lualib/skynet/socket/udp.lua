--- UDP sockets: a part of skynet.socket, which takes these functions over.
local driver = require("skynet.socketdriver")
local streams = require("skynet.streams")
local arguments = require("skynet.socket.arguments")
local told = require("skynet.socket.told")

---@class skynet.socket
local socket = {
	sendto = driver.udp_send,
	udp_address = driver.udp_address,
}

local function hold(id, f)
	streams.hold(id)
	told.callbacks_of(id).datagram = f
	return id
end

--- Opens a UDP socket.
---@param f fun(data: string, from: string) for each datagram, in a task of its own
---@param host? string a local address to bind it to
---@param port? integer
---@return integer id
function socket.udp(f, host, port)
	arguments.check_type(f, "function", "f")
	return hold(arguments.checked_behind_first(driver.udp, host, port), f)
end

--- Opens a UDP socket that is bound to an address.
---@param host string
---@param port integer not 0
---@param f fun(data: string, from: string)
---@return integer id
function socket.udp_listen(host, port, f)
	arguments.check_type(f, "function", "f")
	return hold(arguments.checked(driver.udp_listen, host, port), f)
end

--- Opens a UDP socket with a default peer.
---@param host string
---@param port integer
---@param f fun(data: string, from: string)
---@return integer id
function socket.udp_dial(host, port, f)
	arguments.check_type(f, "function", "f")
	return hold(arguments.checked(driver.udp_dial, host, port), f)
end

--- Sets the default peer of a UDP socket.
---@param id integer
---@param host string
---@param port integer
---@param f? fun(data: string, from: string) replaces the socket's function
function socket.udp_connect(id, host, port, f)
	arguments.check_callback(f)
	arguments.check_held(id)
	arguments.checked(driver.udp_connect, id, host, port)
	if f then
		told.callbacks_of(id).datagram = f
	end
end

return socket
